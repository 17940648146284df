"""`check_grad` finds wrong derivative rules by variable: planted in ops of the table, and in rules of models."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

import graphc as gx
from graphc.op import OPS, Op
from graphc.symbolic import partials
from graphc.value import Value

DECLARED = """
x: Input[3]
y: Input[3]
A: Input[3, 3]
B: Input[3, 3]
k: Input[2, int64]
"""
POINT = {
    "x": np.array([0.5, -1.2, 2.0]),
    "y": np.array([1.5, 0.7, -0.4]),
    "A": np.array([[3.0, 0.2, -0.5], [0.4, 2.5, 0.3], [-0.6, 0.1, 2.0]]),
    "B": np.array([[0.3, 1.2, -0.5], [0.8, -0.7, 0.3], [-0.6, 0.9, 1.1]]),
    "k": np.array([2, 0]),
}


def with_partials(*wrong: Callable[..., Value | int] | None) -> Callable[[Op], Op]:
    """An elementwise op with other partials; None keeps one."""

    def planted(op: Op) -> Op:
        assert op.elementwise is not None
        kept = tuple(new or old for new, old in zip(wrong, partials(op), strict=True))
        return replace(op, elementwise=replace(op.elementwise, partials=kept))

    return planted


def with_vjp(change: Callable[..., list[Value | None]]) -> Callable[[Op], Op]:
    """A structural op whose VJP is ``change(cotangents, ct, y, *operands, **attrs)``."""

    def planted(op: Op) -> Op:
        def vjp(ct: Value, y: Value, *operands: Value, **attrs: object) -> list[Value | None]:
            assert op.vjp is not None
            return change(list(op.vjp(ct, y, *operands, **attrs)), ct, y, *operands)

        return replace(op, vjp=vjp)

    return planted


def scaled(factor: float, position: int = 0) -> Callable[[Op], Op]:
    """A VJP with one cotangent multiplied."""

    def change(found: list[Value | None], *rest: Value) -> list[Value | None]:
        right = found[position]
        assert right is not None
        found[position] = right * factor
        return found

    return with_vjp(change)


PLANTED = {
    "sign of neg": ("neg", with_partials(lambda r, x: 1), "-x * y", "x"),
    "sign of cos": ("cos", with_partials(lambda r, x: OPS["sin"](x)), "cos(x)", "x"),
    "factor of square": ("square", with_partials(lambda r, x: x), "square(x) * y", "x"),
    "argument of sin": ("sin", with_partials(lambda r, x: OPS["cos"](r)), "sin(x)", "x"),
    "result of exp": ("exp", with_partials(lambda r, x: x), "exp(x)", "x"),
    "square of tanh": ("tanh", with_partials(lambda r, x: 1 - r), "tanh(x)", "x"),
    "factor of sigmoid": ("sigmoid", with_partials(lambda r, x: r), "sigmoid(x) * y", "x"),
    "side of relu": ("relu", with_partials(lambda r, x: OPS["less"](x, 0)), "relu(x)", "x"),
    "wrong factor of mul": ("mul", with_partials(lambda r, x, y: x, None), "x * y", "x"),
    "sign of sub": ("sub", with_partials(None, lambda r, x, y: 1), "x - y", "y"),
    "forgotten factor of div": ("div", with_partials(None, lambda r, x, y: -1 / y), "x / y", "y"),
    "slope of power": ("power", with_partials(lambda r, x, y: y * r, None), "(x ** 2 + 1) ** 3", "x"),
    "forgotten transposition": (
        "matmul",
        with_vjp(lambda found, ct, y, a, b: [ct @ b, found[1]]),
        "A @ B",
        "A",
    ),
    "wrong side of matmul": (
        "matmul",
        with_vjp(lambda found, ct, y, a, b: [found[0], OPS["matmul"](a, ct)]),
        "A @ B",
        "B",
    ),
    "transposed transpose": ("transpose", with_vjp(lambda found, ct, *rest: [ct]), "A.T * B", "A"),
    "factor of sum": ("sum", scaled(2.0), "sum(x * y)", "x y"),
    "sign of mean": ("mean", scaled(-1.0), "mean(A * B, axis=0)", "A B"),
    "all of max": ("max", with_vjp(lambda found, ct, y, x: [OPS["broadcast_to"](ct, shape=x.shape)]), "max(x)", "x"),
    "chain of softmax": ("softmax", with_vjp(lambda found, ct, y, x: [ct * y]), "softmax(x) * y", "x"),
    "slope of logsumexp": ("logsumexp", scaled(0.5), "logsumexp(x)", "x"),
    "mean of var": ("var", scaled(0.5), "var(x)", "x"),
    "inverse of solve": ("solve", scaled(-1.0, 0), "solve(A, B)", "A"),
    "right side of solve": ("solve", scaled(2.0, 1), "solve(A, B)", "B"),
    "sign of inv": ("inv", scaled(-1.0), "inv(A)", "A"),
    "order of cumsum": ("cumsum", with_vjp(lambda found, ct, *rest: [OPS["cumsum"](ct, axis=0)]), "cumsum(x) * y", "x"),
    "factor of gather": ("gather", scaled(3.0), "A[k]", "A"),
    "order of sort": ("sort", with_vjp(lambda found, ct, *rest: [ct]), "sort(x) * y", "x"),
    "half of concatenate": ("concatenate", scaled(0.0, 1), "concatenate([x, y])", "y"),
    "factor of einsum": ("einsum", scaled(-1.0, 1), 'einsum("ij,jk->ik", A, B)', "B"),
}


@pytest.mark.parametrize(("name", "planted", "text", "wrong"), PLANTED.values(), ids=PLANTED)
def test_a_wrong_rule_of_an_op_is_found(
    name: str, planted: Callable[[Op], Op], text: str, wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The loss gives each element a cotangent of its own, by ops that nothing is planted in but for sum.
    used = [variable for variable in ("x", "y", "A", "B") if re.search(rf"\b{variable}\b", text)]
    point = {key: POINT[key] for key in (*used, *["k"][: text.count("[k]")])}
    declared = "".join(f"{line}\n" for line in DECLARED.split("\n") if line.partition(":")[0] in point)
    model_text = f"{declared}v = {text}\nloss: Output = sum(v + atan(v))"
    assert gx.compile(model_text, wrt=used).check_grad(**point).ok
    monkeypatch.setitem(OPS, name, planted(OPS[name]))
    report = gx.compile(model_text, wrt=used).check_grad(**point)
    assert not report.ok
    assert [variable for variable in used if report.errors[variable] > report.tolerance] == wrong.split()
    assert f"{wrong.split()[0]}: relative error" in str(report) and "WRONG" in str(report)


RULED = """
def scaled(x, w):
    return sin(x @ w)

@gradient_of(scaled)
def scaled_gradient(d, x, w):
    slope = d * cos(x @ w)
    return {}

a: Input[4, 3]
b: Input[3, 3]
loss: Output = sum(scaled(a, b) ** 2)
"""
RULES = {
    "right": ("slope @ w.T, x.T @ slope", ""),
    "sign": ("-slope @ w.T, x.T @ slope", "a"),
    "factor": ("slope @ w.T, 2 * x.T @ slope", "b"),
    "forgotten chain factor": ("d @ w.T, x.T @ slope", "a"),
    "forgotten cotangent": ("slope @ w.T, x.T @ cos(x @ w)", "b"),
    "transposed": ("slope @ w, x.T @ slope", "a"),
    "wrong argument": ("slope @ w.T, x[:3] @ slope[:3]", "b"),
    "both": ("slope @ w, 3 * x.T @ slope", "a b"),
    "nearly right": ("slope @ w.T * 1.0001, x.T @ slope", "a"),
}


@pytest.mark.parametrize(("rule", "wrong"), RULES.values(), ids=RULES)
def test_a_wrong_rule_of_a_model_is_found(rule: str, wrong: str) -> None:
    generator = np.random.default_rng(1)
    point = {"a": generator.normal(size=(4, 3)), "b": generator.normal(size=(3, 3))}
    report = gx.compile(RULED.format(rule)).check_grad(**point)
    assert [name for name in ("a", "b") if report.errors[name] > report.tolerance] == wrong.split()
    assert report.ok == (not wrong)
