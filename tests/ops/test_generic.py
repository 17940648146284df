"""Every op of the table, and one that a test adds, through all checks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

import graphc.ops  # noqa: F401
from graphc.op import OPS, Op, define, elementwise
from graphc.value import Value
from tests.ops import checks

LEAVES = ("input", "param", "const", "size", "array", "item", "grad")
TRIED = tuple(op for name, op in OPS.items() if name not in LEAVES)
ELEMENTWISE = tuple(op for op in TRIED if op.elementwise is not None)


def _name(value: object) -> str:
    return value.name if isinstance(value, Op) else getattr(value, "__name__", "").removeprefix("check_")


@pytest.mark.parametrize("op", TRIED, ids=_name)
@pytest.mark.parametrize("check", checks.CHECKS, ids=_name)
def test_op(op: Op, check: Callable[[Op], None]) -> None:
    check(op)


@pytest.mark.parametrize("op", ELEMENTWISE, ids=_name)
@pytest.mark.parametrize("check", checks.ELEMENTWISE_CHECKS, ids=_name)
def test_elementwise_op(op: Op, check: Callable[[Op], None]) -> None:
    check(op)


@pytest.mark.parametrize("op", [op for op in TRIED if op.elementwise is None and op.name != "stop_gradient"], ids=_name)
def test_structural_op_has_samples(op: Op) -> None:
    assert op.samples


def test_op_is_documented() -> None:
    assert [name for name, op in OPS.items() if not op.doc] == []


def test_op_added_in_one_line_goes_through_all_checks() -> None:
    cube = define(elementwise("cube", lambda sp, x: x**3, "x ** 3"))
    try:
        for check in (*checks.CHECKS, *checks.ELEMENTWISE_CHECKS):
            check(OPS["cube"])
    finally:
        del OPS[cube.name]


def test_checks_refuse_a_wrong_op() -> None:
    wrong = elementwise("wrong", lambda sp, x: x**3, "x ** 3", partials=(lambda r, x: 2 * x,))
    for check in (checks.check_first_derivative, checks.check_partials):
        with pytest.raises(AssertionError):
            check(wrong)
    with pytest.raises(AssertionError):
        checks.check_mathematics(elementwise("wrong", lambda sp, x: x**3, "x ** 2"))


def _still(x: Value) -> Value:
    return OPS["stop_gradient"](x)


@pytest.mark.parametrize(
    ("slope", "refused"),
    [
        (lambda r, x: 3 * _still(x) * x, ("second_derivative", "higher_derivatives")),
        (lambda r, x: 6 * _still(x) * x - 3 * _still(x) * _still(x), ("higher_derivatives",)),
    ],
)
def test_checks_refuse_a_derivative_that_is_wrong_in_a_higher_order(
    slope: Callable[..., Value], refused: tuple[str, ...]
) -> None:
    wrong = elementwise("wrong", lambda sp, x: x**3, "x ** 3", partials=(slope,))
    for check in (*checks.CHECKS, *checks.ELEMENTWISE_CHECKS):
        if _name(check) in refused:
            with pytest.raises(AssertionError):
                check(wrong)
        else:
            check(wrong)


def test_checks_refuse_a_linear_op_whose_cotangent_is_cut() -> None:
    right = OPS["cumsum"]

    def vjp(ct: Value, *values: Value, **attrs: object) -> Sequence[Value | None]:
        return right.vjp(_still(ct), *values, **attrs)

    wrong = replace(right, vjp=vjp)
    checks.check_first_derivative(wrong)
    with pytest.raises(AssertionError):
        checks.check_second_derivative(wrong)
