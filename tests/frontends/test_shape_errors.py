"""Every op that takes shapes refuses wrong ones: code, line and column, and the lines of what does not fit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from inspect import Parameter, signature

import pytest

from graphc.errors import GraphcError
from graphc.frontends.library import library
from graphc.frontends.text import parse_model
from graphc.op import OPS, Op
from graphc.source import Source

# The table names these by their lines; `f` stands in the line after them.
DECLARED = """\
A: Input[N, 4]
B: Input[3, N]
C: Input[M, 4]
v: Input[4]
w: Input[5]
k: Input[N, int64]
s: Input
T: Input[2, 3, 4]
mask: Input[5, bool]
zero: Input[0, 3]
"""
LINE_OF = {line.partition(":")[0]: number for number, line in enumerate(DECLARED.splitlines(), 1)}
LINE = len(LINE_OF) + 1

# A model's expression; the code of its error; the part of it that is underlined (all of it when empty); the tensors
# whose lines are shown; what the message says.
Row = tuple[str, str, str, str, str]

MATMUL: tuple[Row, ...] = (
    ("A @ B", "GC201", "", "A B", "got 4 and 3"),
    ("A @ w", "GC201", "", "A w", "got 4 and 5"),
    ("w @ A", "GC201", "", "A w", "got 5 and N"),
    ("v @ w", "GC201", "", "v w", "got 4 and 5"),
    ("T @ A", "GC201", "", "A T", "got 4 and N"),
    ("w @ T", "GC201", "", "w T", "got 5 and 3"),
    ("T @ w", "GC201", "", "w T", "got 4 and 5"),
    ("T @ T", "GC201", "", "T", "got 4 and 3"),
    ("s @ A", "GC201", "", "A s", "got a scalar as operand 1"),
    ("A @ s", "GC201", "", "A s", "got a scalar as operand 2"),
    ("matmul(A, 2)", "GC201", "", "A", "got a scalar as operand 2"),
    (
        "T @ stack([T[0].T, T[0].T, T[0].T])",
        "GC202",
        "",
        f"T {LINE}",
        "before the last two axes, shapes 2 and 3",
    ),
    ("1 + A @ C", "GC201", "A @ C", "A C", "got 4 and M"),
)

ALGEBRA: tuple[Row, ...] = (
    ('einsum("ij,jk->ik", A, B)', "GC203", "", "A B", "one size for j, got 4 and 3"),
    ('einsum("ij,ij,ij", A, A, C)', "GC203", "", "A C", "one size for i, got N and M"),
    ('einsum("ijk", A)', "GC203", "", "A", "einsum's ijk is of 3 axes, got 2"),
    ("tensordot(A, B, 1)", "GC203", "", "A B", "got 4 on axis 1 and 3 on axis 0"),
    ("tensordot(A, v, axes=2)", "GC203", "", "A v", "a number of axes, or as many axes of each operand, got 2"),
    ("cross(A, v)", "GC203", "", "A v", "cross needs 3 elements along the last axis, got N×4"),
    ("cross(w[:3], s)", "GC203", "", f"s {LINE}", "got scalar"),
    ("sort(s)", "GC203", "", "s", "there is no axis -1 in a tensor with 0 axes"),
    ("argsort(A, axis=2)", "GC203", "", "A", "there is no axis 2 in a tensor with 2 axes"),
    ("take_along_axis(A, k)", "GC203", "", "A k", "equal shapes but for axis 1, got N×4 and N"),
    ("median(A, axis=2)", "GC203", "", "A", "there is no axis 2 in a tensor with 2 axes"),
    ("median(zero)", "GC203", "", "zero", "median of no elements"),
    ("solve(A, v)", "GC203", "", "A v", "solve needs square matrices, got N×4"),
    ("solve(A.T @ A, w)", "GC203", "", f"w {LINE}", "a right side with 4 rows, got 5"),
    ("solve(stack([A.T @ A, A.T @ A]), stack([A.T, A.T, A.T]))", "GC202", "", f"{LINE}", "before the last two axes"),
    ("svd(A)[0]", "GC203", "svd(A)", "A", "which is smaller, N or 4"),
    ("qr(T)[0]", "GC203", "qr(T)", "T", "at least as many rows as columns, got 2×3×4"),
)

STRUCTURAL: tuple[Row, ...] = (
    ("windows(A, 5, 1)", "GC203", "", "A", "over 5 elements does not fit in the 4 of axis 1"),
    ("windows(T, 2, 2, dilation=4)", "GC203", "", "T", "over 5 elements does not fit in the 4 of axis 2"),
    ("windows(A, 2, [1, 1])", "GC203", "", "A", "one or more different axes, got [1, 1]"),
    ("windows(A, 2, [])", "GC203", "", "A", "one or more different axes, got []"),
    ("windows(A, (2, 2), 1)", "GC203", "", "A", "a size of at least 1 for each axis, got (2, 2)"),
    ("windows(A, 0, 1)", "GC203", "", "A", "a size of at least 1 for each axis, got 0"),
    ("windows(A, 2, 1, stride=0)", "GC203", "", "A", "a stride is a whole number of at least 1 for each axis, got 0"),
    ("windows(A, 2, 2)", "GC203", "", "A", "there is no axis 2 in a tensor with 2 axes"),
    ("overlap_add(T, (2, 4), 1)", "GC203", "", "T", "the windows of a tensor 2×4, got 2×1×4 for 2×3×4"),
    ("overlap_add(v, 4, 0)", "GC203", "", "v", "the windows of a tensor 4, got"),
    ("concatenate([A, B])", "GC203", "", "A B", "equal shapes but for axis 0, got N×4 and 3×N"),
    ("concatenate([A, v])", "GC203", "", "A v", "got N×4 and 4"),
    ("concatenate([A, C], axis=1)", "GC203", "", "A C", "got N×4 and M×4"),
    ("concatenate([A, A], axis=2)", "GC203", "", "A", "there is no axis 2 in a tensor with 2 axes"),
    ("concatenate([s, s])", "GC203", "", "s", "there is no axis 0 in a tensor with 0 axes"),
    ("stack([A, B])", "GC203", "", "A B", "equal shapes, got N×4 and 3×N"),
    ("stack([A, A], axis=5)", "GC203", "", "A", "there is no axis 5 in a result with 3 axes"),
    ("reshape(A, (3, 5))", "GC203", "", "A", "got 4*N for the shape (3, 5), which has 15"),
    ("reshape(T, (5, -1))", "GC203", "", "T", "cannot divide 24 elements into rows of 5"),
    ("reshape(A, (-1, -1))", "GC203", "", "A", "one size marked -1"),
    ("broadcast_to(A, (4, N))", "GC202", "", "A", "shape N×4 does not broadcast to 4×N"),
    ("expand_dims(A, 7)", "GC203", "", "A", "there is no axis 7 in a result with 3 axes"),
    ("squeeze(A, 0)", "GC203", "", "A", "an axis of size 1, got N on axis 0"),
    ("split(T, 2, axis=1)[0]", "GC203", "split(T, 2, axis=1)", "T", "an axis that 2 divides, got 3"),
    ("split(T, [1, 9], axis=1)[0]", "GC203", "split(T, [1, 9], axis=1)", "T", "bounds in order within 3"),
    ("split(T, 2, axis=3)[0]", "GC203", "split(T, 2, axis=3)", "T", "there is no axis 3"),
    ("split(T, 10**6)[0]", "GC401", "split(T, 10**6)", "T", "at most 10000 sections, found 1000000"),
    ("pad(A, [[1, 1]] * 3)", "GC203", "", "A", "(before, after) for each of 2 axes"),
    ("flip(A, 3)", "GC203", "", "A", "there is no axis 3 in a tensor with 2 axes"),
    ("transpose(A, (0, 0))", "GC203", "", "A", "each of 2 axes once, got (0, 0)"),
    ("transpose(A, (0, 2))", "GC203", "", "A", "there is no axis 2 in a tensor with 2 axes"),
    ("cumsum(A)", "GC203", "", "A", "cumsum of a tensor with 2 axes needs axis="),
    ("cumsum(A, axis=2)", "GC203", "", "A", "there is no axis 2"),
    ("cumprod(A)", "GC203", "", "A", "cumprod of a tensor with 2 axes needs axis="),
    ("linear_recurrence(A, w)", "GC203", "", "A w", "equal shapes, got N×4 and 5"),
    ("one_hot(k, -3)", "GC203", "", "k", "one_hot needs a size for depth, got -3"),
    ("one_hot(A, 3)", "GC204", "", "A", "an index is an integer tensor, got float64[N, 4]"),
    ("pick(A, stack([k, k]))", "GC203", "", f"A {LINE}", "an index for each row, got shapes N×4 and 2×N"),
    ("pick(s, k)", "GC203", "", "k s", "got shapes scalar and N"),
    ("arange(-3) + s", "GC203", "arange(-3)", "", "arange needs a size, got -3"),
    ("random_uniform(1, (2, -3))", "GC203", "", "", "needs a shape of sizes, got -3"),
    ("random_normal(k, (2,))", "GC204", "", "k", "a seed is an integer scalar, got int64[N]"),
    ("softmax(A, axis=2)", "GC203", "", "A", "there is no axis 2"),
    ("log_softmax(A, axis=-3)", "GC203", "", "A", "there is no axis -3"),
    ("mean(A, axis=(0, 0))", "GC203", "", "A", "axes (0, 0) name an axis twice"),
    ("exclusive_prod(A, axis=2)", "GC203", "", "A", "there is no axis 2"),
    ("sum(grad(A, v))", "GC303", "grad(A, v)", "A v", "grad needs a scalar float loss"),
    ("max(zero, axis=0)", "GC203", "", "zero", "max over axis 0, which is empty"),
    ("argmin(zero, axis=0)", "GC203", "", "zero", "argmin over axis 0, which is empty"),
    ("sum(expand_dims(s, list(range(70))))", "GC401", "expand_dims(s, list(range(70)))", "s", "at most 64 axes"),
    *((f"{name}(A, axis=2)", "GC203", "", "A", "there is no axis 2 in a tensor with 2 axes")
      for name in ("sum", "mean", "prod", "max", "min", "var", "std", "logsumexp", "argmax", "argmin")),
)  # fmt: skip

INDEXING: tuple[Row, ...] = (
    ("v[7]", "GC203", "", "v", "index 7 is out of range for an axis of size 4"),
    ("v[1, 2]", "GC203", "", "v", "2 indices for a tensor with 1 axis"),
    ("A[0, 1, 2]", "GC203", "", "A", "3 indices for a tensor with 2 axes"),
    ("T[..., ...]", "GC203", "", "T", "one ..., got more"),
    ("v[k, k]", "GC203", "", "v k", "2 indices for a tensor with 1 axis"),
    ("A[k, arange(3)]", "GC202", "", f"A k {LINE}", "shapes N and 3 do not broadcast"),
    ("v[s]", "GC204", "", "v s", "an index is an integer tensor, got float64[]"),
    ("w[mask]", "GC204", "", "w mask", "where keeps the shape"),
    ("A.shape[2] + s", "GC203", "A.shape[2]", "", "there is no axis 2 in a tensor with 2 axes"),
)

LIBRARY: tuple[Row, ...] = (
    ("dense(s, 3)", "GC203", "", "", "there is no axis -1 in a tensor with 0 axes"),
    ("cross_entropy(A, w)", "GC202", "", "w", "shapes 5 and N×4 do not broadcast"),
    ("cross_entropy(A, concatenate([k, k]))", "GC203", "", f"{LINE}", "got shapes N×4 and 2*N"),
    ("nll(A, B)", "GC202", "", "A B", "shapes 3×N and N×4 do not broadcast"),
    ("mse(A, B)", "GC202", "", "A B", "shapes N×4 and 3×N do not broadcast"),
    ("mae(A, w)", "GC202", "", "A w", "shapes N×4 and 5"),
    ("huber(A, w)", "GC202", "", "A w", "shapes N×4 and 5"),
    ("hinge(A, w)", "GC202", "", "A w", "shapes 5 and N×4"),
    ("perceptron_loss(A, w)", "GC202", "", "A w", "shapes 5 and N×4"),
    ("binary_cross_entropy(A, w)", "GC202", "", "A w", "shapes 5 and N×4"),
    ("binary_cross_entropy_with_logits(A, w)", "GC202", "", "A w", "shapes 5 and N×4"),
    ("dropout(A, 0.5, mask=w)", "GC202", "", "A w", "shapes N×4 and 5"),
    ("label_noise(k, w, 0.5, seed=1)", "GC202", "", "w", "shapes 5 and N do not broadcast"),
    ("label_smoothing(k, -1, 0.5)", "GC203", "", "k", "one_hot needs a size for depth, got -1"),
    ("leaky_relu(A, w)", "GC202", "", "A w", "shapes 5 and N×4"),
    ("elu(A, w)", "GC202", "", "w", "shapes 5 and N×4"),
    ("swapaxes(A, 0, 1) + A", "GC202", "", f"A {LINE}", "shapes 4×N and N×4 do not broadcast"),
)

WRITTEN = {
    "add": "A + w", "sub": "A - w", "mul": "A * w", "div": "A / w", "power": "A ** w", "mod": "A % w",
    "floor_divide": "A // w", "less": "A < w", "less_equal": "A <= w", "greater": "A > w", "greater_equal": "A >= w",
    "equal": "A == w", "not_equal": "A != w", "clip": "clip(A, w, 1)", "where": "where(mask, A, 1)",
    "logical_and": "mask & (s > A)", "logical_or": "mask | (s > A)", "logical_xor": "mask ^ (s > A)",
}  # fmt: skip


def _broadcasting() -> Iterator[Row]:
    """A row for each elementwise op with several operands, from the table of ops."""
    for op in OPS.values():
        if op.elementwise is None or (op.arity or 0) < 2:
            continue
        text = WRITTEN.get(op.name, f"{op.name}(A, w)")
        shown = f"mask {LINE}" if op.name.startswith("logical_") else "A mask" if op.name == "where" else "A w"
        sizes = "axis -1 is 5 and 4" if "mask" in text else "axis -1 is 4 and 5"
        yield text, "GC202", "", shown, sizes


NAMED: tuple[Row, ...] = (
    ("A + C", "GC202", "", "A C", "axis -2 is N and M, which may differ"),
    ("A + A[1:]", "GC202", "", f"A {LINE}", "axis -2 is N and N - 1"),
    ("A if s > v else w", "GC202", "", f"A w {LINE}", "do not broadcast"),
    ("relu(A) + relu(w)", "GC202", "", f"{LINE}", "shapes N×4 and 5 do not broadcast"),
)

ROWS = (*MATMUL, *ALGEBRA, *STRUCTURAL, *INDEXING, *LIBRARY, *_broadcasting(), *NAMED)

# Of these no shape is wrong: they take any, or only the language makes them.
ANY_SHAPE = ("cast", "stop_gradient")
INTERNAL = (
    "scan",
    "scatter_add",
    "scatter_along_axis",
    "scatter_slice",
    "item",
    "input",
    "param",
    "const",
    "size",
    "array",
)


@pytest.mark.parametrize(("text", "code", "part", "shown", "message"), ROWS, ids=[row[0] for row in ROWS])
def test_wrong_shapes_are_refused_where_they_meet(text: str, code: str, part: str, shown: str, message: str) -> None:
    with pytest.raises(GraphcError) as caught:
        parse_model(Source("m.gc", f"{DECLARED}f: Output = {text}\n"))
    (found,) = caught.value.diagnostics
    assert found.span is not None
    assert (found.code, found.span.source.name, found.span.line) == (code, "m.gc", LINE)
    assert found.span.column == len("f: Output = ") + 1 + text.index(part)
    assert found.span.text == (part or text)
    lines = {span.line for span, _ in found.related if span.source.name == "m.gc"}
    assert lines == {LINE_OF.get(name) or int(name) for name in shown.split()}
    assert message in found.message
    assert not re.search(r"\bthe (add|sub|mul|greater|relu|index|transpose|cast|stack)\b", found.message + found.label)


def test_both_operands_are_described_by_their_shapes() -> None:
    with pytest.raises(GraphcError) as caught:
        parse_model(Source("m.gc", f"{DECLARED}h = 2 * A\nf: Output = h + w + k\n"))
    (found,) = caught.value.diagnostics
    assert found.label == "h is N×4, w has 5 elements"
    assert [(str(span), said) for span, said in found.related] == [
        ("m.gc:11:5", "h is N×4"),
        ("m.gc:5:1", "w has 5 elements"),
    ]


def test_a_cast_that_nobody_wrote_is_not_named() -> None:
    with pytest.raises(GraphcError) as caught:
        parse_model(Source("m.gc", f"{DECLARED}f: Output = k * w\n"))
    (found,) = caught.value.diagnostics
    assert found.label == "k has N elements, w has 5 elements"


def test_an_error_inside_a_function_shows_the_call_first_and_then_the_line() -> None:
    text = f"{DECLARED}def twice(x, y):\n    return (x + 1) @ y\nf: Output = 1 + twice(A, w)\n"
    with pytest.raises(GraphcError) as caught:
        parse_model(Source("m.gc", text))
    (found,) = caught.value.diagnostics
    assert (str(found.span), found.label) == ("m.gc:13:17", "`x + 1` has 4 columns, w has 5 elements")
    assert [str(span) for span, _ in found.related] == ["m.gc:12:13", "m.gc:5:1", "m.gc:12:12"]


def _takes_shapes(op: Op) -> bool:
    parameters = signature(op.normalize or op.infer).parameters.values()
    named = {p.name for p in parameters if p.kind is Parameter.KEYWORD_ONLY}
    return op.arity is None or op.arity > 1 or bool(named & {"axis", "axes", "shape", "items", "depth", "stop"})


def test_the_table_has_a_row_for_every_op_that_takes_shapes() -> None:
    brackets = {"index": INDEXING, "gather": INDEXING}
    covered = {word for row in ROWS for word in re.findall(r"(\w+)\(", row[0])} | set(WRITTEN) | set(brackets)
    covered.add("matmul")
    wanted = {op.name for op in OPS.values() if _takes_shapes(op)} - {*ANY_SHAPE, *INTERNAL}
    assert sorted(wanted - covered) == []


def test_the_table_has_a_row_for_every_library_function_of_several_tensors() -> None:
    tensors = {"target", "labels", "mask", "slope", "alpha", "units"}
    wanted = {name for name, f in library().items() if tensors & {a.arg for a in f.definition.args.args}}
    assert sorted(wanted - {row[0].partition("(")[0] for row in LIBRARY}) == []
