"""einsum and tensordot: specs of every kind against NumPy, gradients, texts and refusals."""

from __future__ import annotations

import numpy as np
import pytest

from graphc.errors import GraphcError
from graphc.op import OPS
from tests.apply import gradients_of, tensor, text_of, type_of, value_of
from tests.evaluate import evaluate
from tests.frontends.reading import errors, read

SPECS = [
    ("ij,jk", ((2, 3), (3, 4))),
    ("ba", ((2, 3),)),
    ("ii->i", ((3, 3),)),
    ("ii", ((3, 3),)),
    ("iji->j", ((2, 3, 2),)),
    ("ij,kj,lk->il", ((2, 3), (4, 3), (5, 4))),
    ("ij,ij,ij->", ((2, 3), (2, 3), (2, 3))),
    ("...ij,...jk->...ik", ((5, 1, 2, 3), (4, 3, 2))),
    ("i...->...", ((3, 2, 4),)),
    ("...,i...", ((4,), (2, 1))),
    ("a...a->...a", ((3, 2, 3),)),
    (" i , j -> j i ", ((2,), (3,))),
    (",i->i", ((), (3,))),
]


@pytest.mark.parametrize(("spec", "shapes"), SPECS, ids=[spec for spec, _ in SPECS])
def test_value_and_gradient(spec: str, shapes: tuple[tuple[int, ...], ...]) -> None:
    generator = np.random.default_rng(4)
    arrays = [generator.normal(size=shape) for shape in shapes]

    def function(*x: object) -> object:
        return OPS["einsum"](*x, spec=spec)

    np.testing.assert_allclose(value_of(function, *arrays), np.einsum(spec, *arrays), rtol=1e-13)
    for k, found in enumerate(gradients_of(function, *arrays)):
        expected = np.zeros(shapes[k])
        for place in np.ndindex(*shapes[k]):
            unit = np.zeros(shapes[k])
            unit[place] = 1
            # It is linear in each operand.
            expected[place] = np.einsum(spec, *(unit if p == k else x for p, x in enumerate(arrays))).sum()
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_sizes_are_symbolic() -> None:
    types = tensor("N", 3), tensor(3, "K")
    assert type_of(lambda a, b: OPS["einsum"](a, b, spec="nd,dk"), *types) == "float64[K, N]"
    assert type_of(lambda a, b: OPS["einsum"](a, b, spec="nd,dk->nk"), *types) == "float64[N, K]"


def test_texts() -> None:
    a, b = tensor("N", 3), tensor(3, 4)
    assert text_of(lambda x, y: OPS["einsum"](x, y, spec="ij,jk"), a, b) == (
        "np.einsum('ij,jk->ik', a, b, optimize=True)"
    )
    assert text_of(lambda x: OPS["einsum"](x, spec="ij->ji"), a) == "np.einsum('ij->ji', a).copy()"
    assert text_of(lambda x, y: OPS["tensordot"](x, y, axes=1), a, b) == "np.tensordot(a, b, axes=1)"


def test_bools_are_counted() -> None:
    mask = np.array([True, True, False])
    assert value_of(lambda x: OPS["einsum"](x, spec="i->"), mask) == 2
    assert value_of(lambda x, y: OPS["einsum"](x, y, spec="i,i"), mask, np.ones(3), dtype="float32").dtype == "float32"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("ij,jk->ik", "einsum needs one size for j, got 3 and 4"),
        ("ij,kl->m", "has m in its result, but in no operand"),
        ("ij,kl->ii", "has i twice in its result"),
        ("ij", "is of 1 operands, got 2"),
        ("ijk,kl", "einsum's ijk is of 3 axes, got 2"),
        ("i1,kl", "takes letters, commas, one -> and"),
        ("...ij,kl->ij", r"needs \.\.\. on both sides"),
        ("ij,ij", "einsum needs one size for i, got N and 4"),
    ],
)
def test_refusals(spec: str, message: str) -> None:
    with pytest.raises(GraphcError, match=message):
        type_of(lambda a, b: OPS["einsum"](a, b, spec=spec), tensor("N", 3), tensor(4, 5))


def test_refusal_names_the_operands() -> None:
    found = errors('A: Input[N, 3]\nB: Input[4, 5]\nf: Output = einsum("ij,jk->ik", A, B)')
    assert found == ["m.gc:3:13 GC203 einsum needs one size for j, got 3 and 4"]
    assert errors("A: Input[3]\nf: Output = einsum(A, A)") == [
        "m.gc:2:13 GC103 einsum takes (spec, x, ...), found a tensor float64[3], a tensor float64[3]"
    ]


def test_tensordot_refuses_unequal_sizes() -> None:
    with pytest.raises(GraphcError, match="got 3 on axis 1 and 4 on axis 0"):
        type_of(lambda a, b: OPS["tensordot"](a, b, axes=1), tensor(2, 3), tensor(4, 5))
    with pytest.raises(GraphcError, match="needs a number of axes"):
        type_of(lambda a, b: OPS["tensordot"](a, b, axes=3), tensor(2, 3), tensor(4, 5))


GENERATOR = np.random.default_rng(0)
POINT = {"A": GENERATOR.normal(size=(5, 3)), "B": GENERATOR.normal(size=(4, 2)), "v": GENERATOR.normal(size=5)}
A, B, V = POINT.values()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("outer(v, v)", np.outer(V, V)),
        ("kron(A, B)", np.kron(A, B)),
        ("trace(A @ transpose(A))", np.trace(A @ A.T)),
        ("tensordot(A, transpose(A), 1)", A @ A.T),
        ("top_k(A, 2)", -np.sort(-A)[:, :2]),
        ("lstsq(A, v)", np.linalg.lstsq(A, V)[0]),
        ("lstsq(A, A @ transpose(A))", np.linalg.lstsq(A, A @ A.T)[0]),
        ("triangular_solve(transpose(A) @ A, A[0])", np.linalg.solve(np.tril(A.T @ A), A[0])),
        ("triangular_solve(transpose(A) @ A, A[0], lower=False)", np.linalg.solve(np.triu(A.T @ A), A[0])),
    ],
)
def test_library(text: str, expected: np.ndarray) -> None:
    graph = read(f"A: Input[N, 3]\nB: Input[4, 2]\nv: Input[N]\nf: Output = {text}")
    np.testing.assert_allclose(np.asarray(evaluate(graph, POINT)["f"]), expected, rtol=1e-10, atol=1e-12)
