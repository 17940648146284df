"""Statements of random models: what reduces axes, or normalises, orders and runs along them."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from tests.peers.writer import Shape, Writer, any_axis


def _axes(w: Writer, shape: Shape) -> tuple[str, tuple[int, ...]]:
    """An axis argument, and the axes."""
    if w.draw(st.booleans()):
        return "", tuple(range(len(shape)))
    axes = w.some(range(len(shape)), least=1)
    return f", axis={axes[0] if len(axes) == 1 else axes}", axes


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
    axis = any_axis(w, name)
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
    w.add(template.format(name, any_axis(w, name)), w.shapes[name])


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


MOVES = (*(_reduction, _along) * 8, _deviation, _argument, _recurrence, _scanned, _windowed, _largest)
