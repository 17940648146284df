"""Random models over the op table, as text: values are shared, operands broadcast, and no point is at a kink or a pole.

All sizes are numbers; `tests.random_models` is for named and empty ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import numpy as np
from hypothesis import strategies as st

from graphc.op import Op
from graphc.ops import OPS

Shape = tuple[int, ...]
Arrays = dict[str, np.ndarray]
T = TypeVar("T")

SIZES = (1, 2, 3, 4)
MOST_AXES, MOST_ELEMENTS = 3, 64


@dataclass(frozen=True)
class RandomModel:
    """A model text and the values of its inputs."""

    text: str
    values: Arrays

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """What hypothesis prints of a failure."""
        values = "\n".join(f"{name} = {x.tolist()}" for name, x in self.values.items())
        printer.text(f"\n\n{self.text}\n\nat\n\n{values}\n\n")


@dataclass
class Writer:
    """A model under construction: its inputs, the shapes of the values that there are, the statements."""

    draw: Callable[..., Any]
    inputs: dict[str, Shape] = field(default_factory=dict)
    labels: dict[str, tuple[Shape, int]] = field(default_factory=dict)
    shapes: dict[str, Shape] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    used: set[str] = field(default_factory=set)

    def one_of(self, items: Sequence[T]) -> T:
        """One of these; the first is the simplest."""
        return self.draw(st.sampled_from(items))

    def some(self, items: Sequence[T], *, least: int = 0) -> tuple[T, ...]:
        """Some of these, in their order."""
        return tuple(item for item in items if self.draw(st.booleans())) or tuple(items[:least])

    def shape(self, ndim: int) -> Shape:
        """A new shape."""
        return tuple(self.one_of(SIZES) for _ in range(ndim))

    def input(self, shape: Shape) -> str:
        """A new float input."""
        name = f"x{len(self.inputs)}"
        self.inputs[name] = self.shapes[name] = shape
        return name

    def label(self, shape: Shape, below: int) -> str:
        """A new input of labels or indices."""
        name = f"k{len(self.labels)}"
        self.labels[name] = shape, below
        return name

    def value(self, accept: Callable[[Shape], bool] = lambda shape: True, make: Shape = (2, 3)) -> str:
        """A value whose shape is accepted; a new input when there is none."""
        names = [name for name, shape in self.shapes.items() if accept(shape)]
        name = self.one_of(names) if names else self.input(make)
        self.used.add(name)
        return name

    def apart(self, accept: Callable[[Shape], bool] = lambda shape: True, make: Shape = (2, 3)) -> str:
        """As `value`, plus an input of its own: no two elements are equal, none is zero or a whole number."""
        name = self.value(accept, make)
        other = self.input(self.shapes[name])
        self.used.add(other)
        self.shapes[f"({name} + {other})"] = self.shapes[name]
        return f"({name} + {other})"

    def matrix(self) -> str:
        """A square matrix, or a stack of them, with elements between -1 and 1."""
        name = self.value(lambda s: len(s) >= 2 and s[-1] == s[-2], make=(3, 3))
        return self.assign(f"tanh({name})", self.shapes[name])

    def add(self, text: str, shape: Shape) -> None:
        """A statement for later ones to use, when its result is not too large."""
        if len(shape) <= MOST_AXES and np.prod(shape, dtype=int) <= MOST_ELEMENTS:
            self.assign(text, shape)

    def assign(self, text: str, shape: Shape) -> str:
        """A statement; the name of its result."""
        name = f"h{len(self.lines)}"
        self.shapes[name] = shape
        self.lines.append(f"{name} = {text}")
        return name

    def forget_expressions(self) -> None:
        """Only names are values of later statements."""
        self.shapes = {name: shape for name, shape in self.shapes.items() if name.isidentifier()}


@st.composite
def models(draw: Callable[..., Any], most: int = 12) -> RandomModel:
    """Random models with up to so many moves, at a random point."""
    w = Writer(draw)
    w.input(w.shape(draw(st.integers(0, MOST_AXES))))
    for _ in range(most):
        if not draw(_moved(w)):
            break
    return finished(w, draw(st.integers(0, 2**16)))


@st.composite
def _moved(draw: Callable[..., Any], w: Writer) -> bool:
    """Make a move or stop: all draws of a move are one part, which hypothesis can leave out of a failing model."""
    if not draw(st.integers(0, 7)):
        return False
    draw(st.sampled_from(MOVES))(w)
    w.forget_expressions()
    return True


def finished(w: Writer, seed: int) -> RandomModel:
    """The model that was written, at a point that a seed gives."""
    generator = np.random.default_rng(seed)
    values = {name: np.asarray(generator.uniform(-2, 2, shape)) for name, shape in w.inputs.items()}
    values |= {name: np.asarray(generator.integers(0, n, shape)) for name, (shape, n) in w.labels.items()}
    declared = [f"{name}: Input{_bracketed(shape)}" for name, shape in w.inputs.items()]
    declared += [f"{name}: Input{_bracketed((*shape, 'int64'))}" for name, (shape, _) in w.labels.items()]
    ends = [name for name in w.shapes if name in w.inputs or name not in w.used]
    loss = " + ".join(f"sum(sin({name}))" for name in ends)
    return RandomModel("\n".join([*declared, *w.lines, f"loss: Output = {loss}"]), values)


def _bracketed(sizes: Sequence[object]) -> str:
    return f"[{', '.join(map(str, sizes))}]" if sizes else ""


# elementwise operations: every one of the table, in its domain

ELEMENTWISE = tuple(op for op in OPS.values() if op.elementwise is not None)
KINKED = (
    *("abs", "relu", "sign", "step", "floor", "ceil", "round", "maximum", "minimum", "clip", "floor_divide", "mod"),
    *("equal", "not_equal", "less", "less_equal", "greater", "greater_equal"),
)
"""Their first operand is kept from where they have a kink or a jump."""


def _elementwise(w: Writer, op: Op) -> None:
    assert op.elementwise is not None
    names: list[str] = []
    shape: Shape = ()
    for position in range(op.arity or 0):
        names.append(
            (w.apart if op.name in KINKED and position == 0 else w.value)(
                lambda other, shape=shape: _broadcast(shape, other) is not None, make=shape
            )
        )
        shape = _broadcast(shape, w.shapes[names[-1]]) or ()
    arguments = [_inside(w, op, position, name) for position, name in enumerate(names)]
    call = f"{op.name}({', '.join(arguments)})"
    truth = op.elementwise.coercion in ("compare", "logical")
    w.add(f"where({call}, {names[0]}, 0.5)" if truth else call, shape)


def _inside(w: Writer, op: Op, position: int, name: str) -> str:
    """A value in the domain of an operand."""
    assert op.elementwise is not None
    if op.elementwise.coercion == "logical" or (op.elementwise.coercion == "where" and position == 0):
        return f"{name} > 0.1"
    low, high = op.elementwise.domain[position]
    if low == high:
        return str(low)
    if (low, high) == (-3, 3) and op.name in KINKED:
        # Of large values tanh is 1, which is one value, and a whole number.
        return name
    if (low, high) == (-3, 3):
        return name if w.draw(st.booleans()) and op.name not in _STEEP else f"3 * tanh({name})"
    return f"{(low + high) / 2!r} + {(high - low) / 2!r} * tanh({name})"


_STEEP = ("exp", "expm1", "sinh", "cosh", "mul", "square", "softplus", "logaddexp", "erf", "erfc")
"""Values grow by them, or their derivatives vanish, so that a few of them after each other would hide the rest."""


def _broadcast(left: Shape, right: Shape) -> Shape | None:
    try:
        return np.broadcast_shapes(left, right)
    except ValueError:
        return None


# reductions, and what normalises or runs along axes


def _axes(w: Writer, shape: Shape) -> tuple[str, tuple[int, ...]]:
    """An axis argument, and the axes."""
    if w.draw(st.booleans()):
        return "", tuple(range(len(shape)))
    axes = w.some(range(len(shape)), least=1)
    return f", axis={axes[0] if len(axes) == 1 else axes}", axes


def _axis(w: Writer, name: str) -> int:
    return w.draw(st.integers(0, len(w.shapes[name]) - 1))


def _without(shape: Shape, axes: Sequence[int], keepdims: bool) -> Shape:
    return tuple(1 if a in axes else n for a, n in enumerate(shape) if keepdims or a not in axes)


REDUCTIONS = ("sum({0}{1})", "mean({0}{1})", "logsumexp(3 * tanh({0}){1})", "prod(1 + tanh({0}) / 4{1})")
SELECTIONS = ("max({0}{1})", "min({0}{1})", "var({0}{1})", "median({0}{1})", "norm({0}{1})")


def _reduction(w: Writer) -> None:
    template = w.one_of((*REDUCTIONS, *SELECTIONS))
    name = (w.apart if template in SELECTIONS else w.value)(bool)
    shape = w.shapes[name]
    said, axes = _axes(w, shape)
    if template.startswith("median") and said:
        axes = axes[:1]
        said = f", axis={axes[0]}"
    keepdims = w.draw(st.booleans())
    said += ", keepdims=True" if keepdims else ""
    w.add(template.format(name, said), _without(shape, axes, keepdims))


def _deviation(w: Writer) -> None:
    """std has a kink where all elements are equal, as one element always is."""
    name = w.apart(lambda shape: bool(shape) and shape[-1] > 1)
    ddof = w.one_of(("", ", ddof=1"))
    w.add(f"{w.one_of(('std', 'var'))}({name}, axis=-1{ddof})", w.shapes[name][:-1])


def _argument(w: Writer) -> None:
    name = w.apart(bool)
    axis = _axis(w, name)
    shape = _without(w.shapes[name], (axis,), False)
    w.add(f"{w.one_of(('argmax', 'argmin'))}({name}, axis={axis}) * 0.5", shape)


ALONG = (
    *("softmax(3 * tanh({0}), axis={1})", "log_softmax(3 * tanh({0}), axis={1})", "cumsum({0}, axis={1}) / 2"),
    *("cumprod(1.2 + tanh({0}), axis={1})", "exclusive_prod(1.2 + tanh({0}), axis={1})", "flip({0}, axis={1})"),
    "sort({0}, axis={1})",
)


def _along(w: Writer) -> None:
    template = w.one_of(ALONG)
    name = (w.apart if template.startswith("sort") else w.value)(bool)
    w.add(template.format(name, _axis(w, name)), w.shapes[name])


def _recurrence(w: Writer) -> None:
    x = w.value(bool)
    y = w.value(lambda shape: shape == w.shapes[x])
    w.add(f"linear_recurrence(tanh({x}), {y})", w.shapes[x])


def _scanned(w: Writer) -> None:
    """A step along the first axis of one value, from the first row of another, with a third that it captures."""
    x = w.value(bool)
    rows = w.shapes[x][1:]
    start = w.value(lambda shape: shape[1:] == rows and bool(shape))
    captured = w.value(lambda shape: shape == rows, make=rows)
    step = f"step{len(w.lines)}"
    w.lines.append(f"def {step}(c, x):\n    return tanh(c * {captured} + x), c * x")
    reverse = w.one_of(("", ", reverse=True"))
    both = w.assign(f"scan({step}, tanh({start}[0]), {x}{reverse})", ())
    del w.shapes[both]
    w.add(f"{both}[0]", rows)
    w.add(f"{both}[1]", w.shapes[x])


def _windowed(w: Writer) -> None:
    name = w.value(lambda shape: bool(shape) and max(shape) > 1, make=(4,))
    shape = w.shapes[name]
    axis = w.one_of([a for a, n in enumerate(shape) if n > 1])
    stride = w.draw(st.integers(1, 2))
    new = (*shape[:axis], (shape[axis] - 2 + stride) // stride, *shape[axis + 1 :], 2)
    w.add(f"windows({name}, size=2, axis={axis}, stride={stride})", new)


def _largest(w: Writer) -> None:
    name = w.apart(bool)
    *front, n = w.shapes[name]
    k = w.draw(st.integers(1, n))
    w.add(f"top_k({name}, {k})", (*front, k))


# shapes


def _reshaped(w: Writer) -> None:
    name = w.value()
    shape = w.shapes[name]
    size = int(np.prod(shape, dtype=int))
    ways = ((size,), (1, size), (size, 1), *((n, size // n) for n in (2, 3) if size % n == 0), shape[::-1])
    new = w.one_of(ways)
    w.add(f"reshape({name}, {new})", new)


def _transposed(w: Writer) -> None:
    name = w.value(bool)
    axes = w.draw(st.permutations(range(len(w.shapes[name]))))
    w.add(f"transpose({name}, axes={tuple(axes)})", tuple(w.shapes[name][a] for a in axes))


def _spread_out(w: Writer) -> None:
    name = w.value()
    shape = tuple(w.one_of(SIZES) if n == 1 else n for n in w.shapes[name])
    shape = (*w.shape(w.draw(st.integers(0, 1))), *shape)
    w.add(f"broadcast_to({name}, {shape})", shape)


def _axis_of_one(w: Writer) -> None:
    name = w.value()
    shape = w.shapes[name]
    ones = [a for a, n in enumerate(shape) if n == 1]
    if ones and w.draw(st.booleans()):
        axis = w.one_of(ones)
        w.add(f"squeeze({name}, axis={axis})", (*shape[:axis], *shape[axis + 1 :]))
    else:
        axis = w.draw(st.integers(0, len(shape)))
        w.add(f"expand_dims({name}, axis={axis})", (*shape[:axis], 1, *shape[axis:]))


def _padded(w: Writer) -> None:
    name = w.value(bool)
    widths = tuple((w.draw(st.integers(0, 1)), w.draw(st.integers(0, 1))) for _ in w.shapes[name])
    shape = tuple(n + sum(width) for n, width in zip(w.shapes[name], widths, strict=True))
    w.add(f"pad({name}, pad_width={widths}, constant_values=0.5)", shape)


def _joined(w: Writer) -> None:
    x = w.value(bool)
    shape = w.shapes[x]
    names = [x, *(w.value(lambda other: other == shape) for _ in range(w.draw(st.integers(0, 2))))]
    if w.draw(st.booleans()):
        axis = _axis(w, x)
        new = (*shape[:axis], len(names) * shape[axis], *shape[axis + 1 :])
        w.add(f"concatenate([{', '.join(names)}], axis={axis})", new)
    else:
        axis = w.draw(st.integers(0, len(shape)))
        w.add(f"stack([{', '.join(names)}], axis={axis})", (*shape[:axis], len(names), *shape[axis:]))


def _split(w: Writer) -> None:
    name = w.value(lambda shape: bool(shape) and shape[-1] > 1, make=(4,))
    *front, n = w.shapes[name]
    at = w.draw(st.integers(1, n - 1))
    w.add(f"split({name}, ({at},), axis=-1)[0]", (*front, at))
    w.add(f"split({name}, ({at},), axis=-1)[1]", (*front, n - at))


# brackets

SLICES = (":", "1:", ":-1", "::-1", "::2", "None", "0", "-1", "1:2")


def _bracketed_value(w: Writer) -> None:
    name = w.value(bool)
    items = [w.one_of(SLICES) for _ in w.shapes[name]]
    w.add(*_indexed(name, w.shapes[name], items))


def _indexed(name: str, shape: Shape, items: Sequence[str]) -> tuple[str, Shape]:
    """The text and the shape; an item that the axis is too short for is left out."""
    kept = [":" if item in ("1:2", "1:", ":-1") and n < 2 else item for item, n in zip(items, shape, strict=True)]
    # None takes no axis.
    text = ", ".join("None, :" if item == "None" else item for item in kept)
    like = eval(f"np.empty(shape)[{text}]", {"np": np, "shape": shape})
    return f"{name}[{text}]", like.shape


def _gathered(w: Writer) -> None:
    name = w.value(bool)
    shape = w.shapes[name]
    axis = _axis(w, name)
    index = w.label(w.shape(w.draw(st.integers(0, 2))), shape[axis])
    text = ", ".join([":"] * axis + [index])
    w.add(f"{name}[{text}]", (*shape[:axis], *w.labels[index][0], *shape[axis + 1 :]))


def _gathered_twice(w: Writer) -> None:
    """With index tensors that broadcast against each other, next to each other or around a slice."""
    name = w.value(lambda shape: len(shape) >= 2)
    shape = w.shapes[name]
    places = (0, 1) if len(shape) == 2 else w.one_of(((0, 1), (0, 2), (1, 2)))
    columns = w.label((w.one_of(SIZES),), shape[places[1]])
    rows = w.label(w.one_of((w.labels[columns][0], (2, 1), ())), shape[places[0]])
    items = [":"] * len(shape)
    items[places[0]], items[places[1]] = rows, columns
    at = {label: np.zeros(w.labels[label][0], int) for label in (rows, columns)}
    like = eval(f"np.empty(shape)[{', '.join(items)}]", {"np": np, "shape": shape, **at})
    w.add(f"{name}[{', '.join(items)}]", like.shape)


def _picked(w: Writer) -> None:
    name = w.value(bool)
    *front, n = w.shapes[name]
    index = w.label(tuple(front), n)
    w.add(f"pick({name}, {index})", tuple(front))


def _taken_along(w: Writer) -> None:
    name = w.value(bool)
    axis, shape = _axis(w, name), w.shapes[name]
    new = (*shape[:axis], w.one_of(SIZES), *shape[axis + 1 :])
    w.add(f"take_along_axis({name}, {w.label(new, shape[axis])}, axis={axis})", new)


def _coded(w: Writer) -> None:
    name = w.value(bool)
    n = w.shapes[name][-1]
    index = w.label((w.one_of(SIZES),), n)
    shape = _broadcast((*w.labels[index][0], n), w.shapes[name])
    if shape is not None:
        w.add(f"one_hot({index}, {n}) * {name}", shape)


# products and matrices


def _product(w: Writer) -> None:
    x = w.value(bool)
    inner = w.shapes[x][-1]
    y = w.value(lambda shape: bool(shape) and shape[-2:][0] == inner, make=(inner, 2))
    shape = _matmul_shape(w.shapes[x], w.shapes[y])
    if shape is not None:
        w.add(f"tanh({x}) @ {y}", shape)


def _matmul_shape(x: Shape, y: Shape) -> Shape | None:
    try:
        return np.shape(np.empty(x) @ np.empty(y))
    except ValueError:
        return None


EINSUMS = (
    *("ij,jk->ik", "ij,kj->ikj", "i,j->ij", "ij->ji", "ij->j", "ij,ij->", "i,i,i->i", "ijk,kl->ijl", "ijk,ijl->kl"),
    *("ii->i", "ii", "...i,i->...", "...ij,...kj->...ik", "ij,j", "ijk->kij"),
)


def _einsum(w: Writer) -> None:
    spec = w.one_of(EINSUMS)
    letters: dict[str, int] = {}
    names = []
    for term in spec.split("->")[0].split(","):
        fits = partial(_labelled, term, letters)
        name = w.value(lambda shape, fits=fits: fits(shape) is not None, make=(2,) * len(term))
        found = fits(w.shapes[name])
        if found is None:
            return
        letters |= found
        names.append(name)
    try:
        shape = np.einsum(spec, *(np.empty(w.shapes[name]) for name in names)).shape
    except ValueError:
        return
    w.add(f'einsum("{spec}", {", ".join(f"tanh({name})" for name in names)})', shape)


def _labelled(term: str, letters: dict[str, int], shape: Shape) -> dict[str, int] | None:
    """The sizes of letters; None where the shape has not that many axes, or another size."""
    own = term.removeprefix("...")
    if len(shape) < len(own) or (len(shape) > len(own) and own == term):
        return None
    found: dict[str, int] = {}
    for letter, size in zip(own, shape[len(shape) - len(own) :], strict=True):
        if letters.get(letter, size) != size or found.setdefault(letter, size) != size:
            return None
    return found


def _crossed(w: Writer) -> None:
    x, y = (w.value(lambda shape: shape[-1:] == (3,), make=(3,)) for _ in range(2))
    shape = _broadcast(w.shapes[x], w.shapes[y])
    if shape is not None:
        w.add(f"cross(tanh({x}), {y})", shape)


def _contracted(w: Writer) -> None:
    x = w.value(bool)
    y = w.value(lambda shape: bool(shape) and shape[0] == w.shapes[x][-1], make=(w.shapes[x][-1], 2))
    w.add(f"tensordot(tanh({x}), {y}, axes=1)", (*w.shapes[x][:-1], *w.shapes[y][1:]))


def _kronecker(w: Writer) -> None:
    x, y = (w.value(lambda shape: len(shape) == 2) for _ in range(2))
    (a, b), (c, d) = w.shapes[x], w.shapes[y]
    w.add(f"kron(tanh({x}), {y})", (a * c, b * d))


def _triangle(w: Writer) -> None:
    name = w.value(lambda shape: len(shape) >= 2)
    w.add(f"{w.one_of(('tril', 'triu'))}({name}, k={w.draw(st.integers(-1, 1))})", w.shapes[name])


def _diagonal(w: Writer) -> None:
    name = w.value(lambda shape: len(shape) in (1, 2))
    shape = w.shapes[name]
    k = w.draw(st.integers(1 - shape[0], shape[1] - 1)) if len(shape) == 2 else w.draw(st.integers(-1, 1))
    w.add(f"diag({name}, k={k})", np.diag(np.empty(shape), k).shape)


MATRIX = ("inv({0})", "expm({1})", "cholesky({2})", "cofactors({1})")
SCALAR = ("det({1})", "slogdet({0})[1]", "trace({1})")


def _matrix_function(w: Writer) -> None:
    """Of a matrix with a dominant diagonal, of any, or of a positive definite one."""
    x = w.matrix()
    n = w.shapes[x][-1]
    eye = f"one_hot(arange({n}), {n})"
    forms = f"{x} + {n + 1} * {eye}", x, f'{x} @ einsum("...ij->...ji", {x}) + {eye}'
    template = w.one_of((*MATRIX, *SCALAR))
    w.add(template.format(*forms), w.shapes[x] if template in MATRIX else w.shapes[x][:-2])


def _solved(w: Writer) -> None:
    x = w.matrix()
    n = w.shapes[x][-1]
    y = w.value(lambda shape: bool(shape) and shape[-2:][0] == n, make=(n,))
    batch = _broadcast(w.shapes[x][:-2], w.shapes[y][:-2])
    if batch is not None:
        shape = w.shapes[x][:-1] if len(w.shapes[y]) == 1 else (*batch, *w.shapes[y][-2:])
        solver = w.one_of(("solve", "triangular_solve", "lstsq"))
        w.add(f"{solver}({x} + {n + 1} * one_hot(arange({n}), {n}), {y})", shape)


def _graded(w: Writer, name: str) -> str:
    """Elements between -1 and 1 beside a diagonal that grows: singular values far from each other and from 0."""
    rows, columns = w.shapes[name][-2:]
    k = min(rows, columns)
    grades = f"one_hot(arange({k}), {k}) * (4 * arange({k}) + 4)"
    wide = grades if rows == columns else f"pad({grades}, pad_width=((0, {rows - k}), (0, {columns - k})))"
    return f"tanh({name}) / 2 + {wide}"


def _eigen(w: Writer) -> None:
    """The sign of a vector is the library's, so vectors are squared."""
    x = w.matrix()
    n = w.shapes[x][-1]
    symmetric = f'({x} + einsum("...ij->...ji", {x})) / 4 + one_hot(arange({n}), {n}) * (4 * arange({n}) + 4)'
    both = w.assign(f"eigh({symmetric})", ())
    del w.shapes[both]
    w.add(f"{both}[0]", w.shapes[x][:-1])
    w.add(f"square({both}[1])", w.shapes[x])


def _singular(w: Writer) -> None:
    x = w.value(lambda shape: len(shape) >= 2)
    *front, rows, columns = w.shapes[x]
    k = min(rows, columns)
    parts = w.assign(f"svd({_graded(w, x)})", ())
    del w.shapes[parts]
    w.add(f"square({parts}[0])", (*front, rows, k))
    w.add(f"{parts}[1]", (*front, k))
    w.add(f"square({parts}[2])", (*front, k, columns))


def _orthogonal(w: Writer) -> None:
    x = w.value(lambda shape: len(shape) >= 2 and shape[-2] >= shape[-1], make=(3, 2))
    *front, rows, columns = w.shapes[x]
    parts = w.assign(f"qr({_graded(w, x)})", ())
    del w.shapes[parts]
    w.add(f"{parts}[0]", (*front, rows, columns))
    w.add(f"{parts}[1]", (*front, columns, columns))


def _held(w: Writer) -> None:
    name = w.value()
    w.add(f"stop_gradient({name}) * {name}", w.shapes[name])


MOVES = (
    *(partial(_elementwise, op=op) for op in ELEMENTWISE), *(_reduction,) * 8, _deviation, _argument, *(_along,) * 8,
    _recurrence, _scanned, _windowed, _crossed, _largest,
    *(_reshaped, _transposed, _spread_out, _axis_of_one, _padded, _joined, _split) * 2,
    *(_bracketed_value,) * 5, _gathered, _gathered_twice, _picked, _taken_along, _coded, *(_product,) * 2,
    *(_einsum,) * 4, _contracted, _kronecker, *(_triangle, _diagonal) * 2, *(_matrix_function,) * 8, *(_solved,) * 2,
    _eigen, _singular, _orthogonal, _held,
)  # fmt: skip
