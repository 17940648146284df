"""Sums of products as a careful author writes them: what is contracted, factored out and regrouped, and what is not."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import numpy as np
import pytest

import graphc
from graphc.builder import Builder
from graphc.ops import OPS
from graphc.rewrite.contractions import CONTRACTIONS
from graphc.rewrite.engine import rewrite
from graphc.tensor_type import TensorType
from graphc.value import Value
from tests.evaluate import evaluate

total = OPS["sum"]
SIZES = {"A": "M, N", "B": "M, N", "S": "L, M, N", "W": "M, K, N", "u": "M", "v": "N"}


def body(formula: str, sizes: Mapping[str, str] = SIZES) -> str:
    """What the generated function of a formula computes."""
    used = [name for name in sizes if re.search(rf"\b{name}\b", formula)]
    head = "".join(f"{name}: Input[{sizes[name]}]\n" for name in used)
    code = graphc.compile(f"{head}f: Output = {formula}", gradient=False).source_text
    return re.findall(r"^    f = (.*)$", code, re.MULTILINE)[0].replace('"', "'")


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("sum(A * B, axis=1)", "np.vecdot(A, B)"),
        ("sum(A * B, axis=1, keepdims=True)", "np.vecdot(A, B)[:, None]"),
        ("sum(A ** 2, axis=1)", "np.vecdot(A, A)"),
        ("sum(A * B, axis=0)", "np.einsum('ab,ab->b', A, B)"),
        ("sum(A * v, axis=1)", "A @ v"),
        ("sum(v * A, axis=1)", "A @ v"),
        ("sum(A * u[:, None], axis=0)", "u @ A"),
        ("sum(S * v, axis=2)", "S @ v"),
        ("sum(S * A, axis=0)", "S.sum(axis=0) * A"),
        ("sum(S * A, axis=2)", "np.einsum('abc,bc->ab', S, A)"),
        ("sum(S * u[:, None], axis=1)", "np.einsum('abc,b->ac', S, u, optimize=True)"),
        ("sum(A[:, :, None] * B[:, None, :], axis=0)", "np.dot(A.T, B)"),
        # One factor has the summed axis alone, but not the other all of the rest.
        ("sum(A[:, :, None] * B[:, None, :], axis=1)", "np.sum(A[..., None] * B[:, None], axis=1)"),
        ("sum(A[:, None] * B[:, :, None], axis=0)", "np.dot(B.T, A)"),
        ("sum(A * v)", "np.einsum('ab,b->', A, v, optimize=True)[()]"),
        ("sum(S[..., None] * B.T, axis=(0, 2))", "np.einsum('abc,cd->bd', S, B.T, optimize=True)"),
        ("(A @ S[..., None])[..., 0]", "S @ A.T"),
        ("(W @ S[..., None])[..., 0]", "np.swapaxes(np.swapaxes(S, 0, 1) @ np.swapaxes(W, -2, -1), 0, 1)"),
        ("(W[:1] @ S[..., None])[..., 0]", "np.swapaxes(np.swapaxes(S, 0, 1) @ np.swapaxes(W[:1], -2, -1), 0, 1)"),
        ("(W @ A[..., None])[..., 0]", "np.squeeze(W @ A[..., None], axis=2)"),
        ("sum(S[:, :, :, None] @ S[:, :, None], axis=0)", "np.transpose(S, (1, 2, 0)) @ np.swapaxes(S, 0, 1)"),
        ("sum(S[:, :, :, None] @ S[:, :, None], axis=1)", "np.swapaxes(S, -2, -1) @ S"),
        ("sum(A * u[:, None], axis=1)", "_sum(A, axis=1) * u"),
        ("sum(A * u[:, None], axis=1, keepdims=True)", "_sum(A, axis=1, keepdims=True) * u[:, None]"),
        ("sum(v * v)", "v @ v"),
        ("sum(A * B)", "np.vdot(A, B)"),
        ("sum((A @ B.T), axis=0)", "_sum(A, axis=0) @ B.T"),
        ("sum((A @ B.T), axis=1)", "A @ _sum(B, axis=0)"),
        ("sum(A.T @ S, axis=1)", "_sum(A, axis=1) @ S"),
        ("sum(S @ A.T, axis=1, keepdims=True)", "S.sum(axis=1, keepdims=True) @ A.T"),
        ("sum(S @ A.T, axis=1)", "np.squeeze(S.sum(axis=1, keepdims=True) @ A.T, axis=1)"),
        ("sum(transpose(S, (2, 0, 1)), axis=1)", "S.sum(axis=0).T"),
        ("sum(A @ A.T + A @ B.T, axis=0)", "sum_1 @ A.T + sum_1 @ B.T"),
        ("sum(A @ A.T - A @ B.T, axis=1)", "A @ _sum(A, axis=0) - A @ _sum(B, axis=0)"),
        ("sum(A - A @ B.T @ A, axis=0)", "_sum(A - A @ B.T @ A, axis=0)"),
        ("(A @ B.T) @ u", "A @ (B.T @ u)"),
        ("u @ (A @ B.T)", "u @ A @ B.T"),
        ("A.T @ (u[:, None] * v)", "(A.T @ u)[:, None] * v"),
        ("(u[:, None] * v) @ B.T", "u[:, None] * (v @ B.T)"),
    ],
)
def test_sums_of_products_are_contracted(formula: str, expected: str) -> None:
    assert body(formula) == expected


@pytest.mark.parametrize(
    ("rows", "columns", "formula", "expected"),
    [
        ("30", "1", "(A @ B) @ C", "A @ (B @ C)"),
        ("2", "3000", "A @ (B @ C)", "A @ B @ C"),
        # One row, or a thousand: either order is better for one of them.
        ("N", "10", "(A @ B) @ C", "A @ B @ C"),
        ("N", "10", "A @ (B @ C)", "A @ (B @ C)"),
        ("N", "M", "A @ (B @ C)", "A @ (B @ C)"),
    ],
)
def test_a_chain_is_reordered_where_the_order_is_certain(rows: str, columns: str, formula: str, expected: str) -> None:
    assert body(formula, {"A": f"{rows}, 50", "B": "50, 40", "C": f"40, {columns}"}) == expected


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("sum(tanh(A) * B)", "np.sum(np.tanh(A) * B)"),
        ("sum((A - B) ** 2)", "np.sum(np.square(A - B))"),
        ("sum(A * (B > 0), axis=1)", "_sum(A * (B > 0.0), axis=1)"),
        ("sum(A * B + A * v, axis=0)", "_sum(A * B + A * v, axis=0)"),
        ("prod(A * B, axis=1)", "np.prod(A * B, axis=1)"),
    ],
)
def test_other_sums_stay(formula: str, expected: str) -> None:
    assert body(formula) == expected


def test_a_product_that_is_needed_anyway_stays() -> None:
    builder = Builder()
    x, y = (builder.input(name, TensorType("float64", (4, 3))) for name in "xy")
    product = x * y
    graph = builder.finish({"f": total(product, axis=1).node, "g": product.node})
    assert rewrite(graph, CONTRACTIONS).firings == ()


SHAPES: dict[str, Callable[[Value, Value], Value]] = {
    "one to the left": lambda x, y: total(x * y, axis=(0, 2)),
    "kept axes": lambda x, y: total(x * y, axis=(0, 2), keepdims=True),
    "nothing": lambda x, y: total(x * y, axis=()),
    "all": lambda x, y: total(x * y),
}


@pytest.mark.parametrize("left", [(2, 3, 4), (3, 4), (2, 1, 4), (1, 3, 1), (4,), (1, 1, 1)])
@pytest.mark.parametrize("right", [(2, 3, 4), (1, 3, 4), (2, 3, 1), (1, 1, 4), (3, 1)])
@pytest.mark.parametrize("shape", SHAPES)
def test_broadcast_factors_keep_values(left: tuple[int, ...], right: tuple[int, ...], shape: str) -> None:
    builder = Builder()
    x, y = builder.input("x", TensorType("float64", left)), builder.input("y", TensorType("float64", right))
    if len(left) < 3 and len(right) < 3:
        x = OPS["broadcast_to"](x, shape=(2, 3, 4))
    graph = builder.finish({"f": SHAPES[shape](x, y).node})
    rng = np.random.default_rng(0)
    point = {"x": rng.normal(size=left), "y": rng.normal(size=right)}
    after = rewrite(graph, CONTRACTIONS).graph
    np.testing.assert_allclose(evaluate(after, point)["f"], evaluate(graph, point)["f"], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("C[:, 0]", "np.squeeze(C, axis=1)"),
        ("A[:, 0]", "A[:, 0]"),
        ("C[1:, 0]", "C[1:, 0]"),
        ("C[None, :, 0]", "C[None, :, 0]"),
        ("transpose(A[:, :, None], (0, 2, 1))", "A[:, None]"),
        ("transpose(D[:, :, None], (1, 2, 0))", "np.transpose(D[..., None], (1, 2, 0))"),
    ],
)
def test_axes_of_one_element_are_taken_out_and_put_in(formula: str, expected: str) -> None:
    """Also where indexing and transposes do it."""
    assert body(formula, {"A": "M, N", "C": "M, 1", "D": "M, M"}) == expected
