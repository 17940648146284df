"""Random models as text: graphs over the op table with free sizes, shared values, equal statements and size-0 axes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

import numpy as np

Shape = tuple[int | str, ...]
Arrays = dict[str, np.ndarray]

LEAVES: Mapping[str, tuple[str, Shape]] = {
    "X": ("Input", ("N", 3)),
    "Z": ("Input", ("M", "N")),
    "v": ("Input", (3,)),
    "s": ("Input", ()),
    "E": ("Input", (0, 3)),
    "W": ("Param", (3, 2)),
    "b": ("Param", (2,)),
    "u": ("Param", (1, 3)),
    "t": ("Param", ()),
}
"""The float leaves; ``k`` is an input of labels below 3."""

UNARY = (
    *("tanh({})", "sin({})", "exp(tanh({}))", "sigmoid({})", "softplus({})", "relu({})", "abs({})", "square(sin({}))"),
    *("-{}", "erf({})", "atan({})", "expm1(sin({}))", "log1p(square({}))", "tanh({})**3", "(square({}) + 1)**0.5"),
    *("clip({}, -0.7, 0.9)", "leaky_relu({})", "elu({})", "gelu({})", "silu({})", "hardswish({})", "sqrt(square({}))"),
    *("1 / (1 + exp(-{}))", "exp({0}) / (1 + exp({0}))", "log(1 + exp({}))", "log(exp({}))", "log(sigmoid({}))"),
    *("log(1 - sigmoid({}))", "where({0} > 0, log({0}), {0})", "({0} if {0} > 0.1 else sqrt(0.2 - {0}))"),
    *(
        "where({0} > 0, {0}, 0)",
        "where(abs({0}) > 0.5, 1 / {0}, {0})",
        "where({0} < 1, asin(clip({0}, -0.9, 0.95)), 2)",
    ),
    *("where({0} > 0, where({0} > 1, log({0} - 1), sqrt({0})), -{0})", "{} % 2", "({} // 1) + 1.5", "step({0}) * {0}"),
    *(
        "(({0} > 0.2) & ({0} < 1)) * {0}",
        "({0} >= 0) * 2 - {0}",
        "{0} * {0} * {0}",
        "2 ** tanh({})",
        "square({0}) - {0}",
    ),
    *("scaled({})", "bend({})", "{} / 3 - 1", "0.5 * ({})", "log(square({}) + 0.1)", "({0} - {0}) + sin({0})"),
    *("asinh({})", "acosh(square({}) + 1.5)", "atanh(0.9 * tanh({}))", "cosh(tanh({}))", "log2(abs({}) + 1)"),
)
BINARY = (
    *("{} + {}", "{} - {}", "sin({}) * tanh({})", "tanh({}) / (1 + square({}))", "maximum({}, {})", "minimum({}, {})"),
    *("atan2({}, 1.5 + tanh({}))", "where({0} > {1}, {0}, {1})", "where({0} > 0, {0}, log(1 - {0}) * {1})"),
    *("clip({0}, {1} - 1, {1} + 1)", "(1.5 + tanh({}))**sin({})", "mixed({}, {})", "{0} * exp(-square({1}))"),
    *("where({0} > 0, tanh({1}) / {0}, 0)", "(({0} < {1}) | ({1} > 1)) * {0}", "{0} - {1} + {0}", "{0} + {1} * -2"),
)
REDUCED = ("sum({}{})", "mean({}{})", "max({}{})", "min({}{})", "var({}{})", "std({}{})", "prod(tanh({}){})")
REDUCED_TOO = ("logsumexp({}{})", "log(sum(exp({}){}))", "sqrt(sum(square({}){}) + 0.1)", "log(prod(sigmoid({}){}))")
SPREAD = ("softmax({}{})", "log_softmax({}{})", "log(softmax({}{}))", "square(softmax({}{}))")
EMPTY_FINE = ("sum(", "prod(", "log(prod(", "sqrt(sum(")

PREAMBLE = """
@elementwise
def bend(x): return x * sigmoid(2 * x)

@elementwise
def mixed(x, y): return x * cos(y) - sin(x) * y

def scaled(x, by=0.7):
    y = x * by
    for i in range(2):
        y = tanh(y) + x * 0.1
    return y
"""


@dataclass
class Written:
    """A model text under construction: the values that there are, and the statements."""

    rng: np.random.Generator
    shapes: dict[str, Shape] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    empty_fine: bool = True

    def one_of(self, items: Sequence[Any]) -> Any:
        return items[int(self.rng.integers(len(items)))]

    def value(self, accept: Callable[[Shape], bool] = lambda shape: True) -> str | None:
        """A value whose shape is accepted, a late one rather than an early one."""
        names = [name for name, shape in self.shapes.items() if accept(shape)]
        return names[min(len(names) - 1, int(len(names) * self.rng.beta(2, 1)))] if names else None

    def add(self, text: str, shape: Shape, *used: str) -> None:
        if len(shape) <= 4:
            name = f"h{len(self.shapes)}"
            self.shapes[name] = shape
            self.used.update(used)
            self.lines.append(f"{name} = {text}")


@dataclass(frozen=True)
class RandomModel:
    """A model text, and whether it makes sense without rows."""

    text: str
    empty_fine: bool

    def point(self, rng: np.random.Generator, N: int, M: int) -> tuple[Arrays, Arrays]:
        """Parameters and inputs."""
        sizes = {"N": N, "M": M}
        values = {n: np.asarray(rng.normal(size=concrete(s, sizes))) for n, (_, s) in LEAVES.items()}
        params = {name: value for name, value in values.items() if LEAVES[name][0] == "Param"}
        inputs = {name: value for name, value in values.items() if name not in params}
        return params, {**inputs, "k": rng.integers(0, 3, N)}


def concrete(shape: Shape, sizes: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(sizes[size] if isinstance(size, str) else size for size in shape)


def random_model(seed: int, statements: int = 14) -> RandomModel:
    """The model of a seed."""
    written = Written(np.random.default_rng(seed))
    written.shapes.update({name: shape for name, (_, shape) in LEAVES.items()})
    while len(written.lines) < statements:
        written.one_of(_MOVES)(written)
    declared = [f"{name}: {kind}{_bracketed(shape)}" for name, (kind, shape) in LEAVES.items()]
    ends = [name for name in written.shapes if name in LEAVES or name not in written.used]
    terms = [f"sum(sin({name} + 0.3))" for name in ends]
    outputs = [f"loss: Output = {' + '.join(terms)} + sum(one_hot(k, 3) * X) * 0.1", f"aside: Output = {ends[-1]}"]
    text = "\n".join([*declared, "k: Input[N, int64]", PREAMBLE, *written.lines, *outputs])
    return RandomModel(text, written.empty_fine)


def _bracketed(shape: Shape) -> str:
    return f"[{', '.join(map(str, shape))}]" if shape else ""


def _broadcast(left: Shape, right: Shape) -> Shape | None:
    pairs = list(zip_longest(left[::-1], right[::-1], fillvalue=1))
    if any(a != b and 1 not in (a, b) for a, b in pairs):
        return None
    return tuple(b if a == 1 else a for a, b in pairs)[::-1]


def _unary(w: Written) -> None:
    x = w.value()
    w.add(w.one_of(UNARY).format(x), w.shapes[x], x)


def _binary(w: Written) -> None:
    x = w.value()
    y = w.value(lambda shape: _broadcast(w.shapes[x], shape) is not None)
    shape = _broadcast(w.shapes[x], w.shapes[y])
    w.add(w.one_of(BINARY).format(x, y), shape, x, y)


def _again(w: Written) -> None:
    """A statement that was there before, under another name."""
    if w.lines:
        name, text = w.one_of(w.lines).split(" = ", 1)
        w.add(text, w.shapes[name])


def _axes(w: Written, shape: Shape) -> tuple[int, ...]:
    return tuple(a for a in range(len(shape)) if w.rng.random() < 0.6) or (len(shape) - 1,)


def _reduced(w: Written) -> None:
    x = w.value(len)
    shape, template = w.shapes[x], w.one_of((*REDUCED, *REDUCED_TOO))
    axes = _axes(w, shape)
    sizes = [shape[a] for a in axes]
    if not template.startswith(EMPTY_FINE):
        if 0 in sizes:
            return
        w.empty_fine &= all(isinstance(size, int) for size in sizes)
    keepdims = bool(w.rng.integers(2))
    axis = axes[0] if len(axes) == 1 else axes
    said = f", axis={axis}" + (", keepdims=True" if keepdims else "")
    result = tuple(1 if a in axes else n for a, n in enumerate(shape) if keepdims or a not in axes)
    w.add(template.format(x, said), result, x)


def _spread(w: Written) -> None:
    x = w.value(lambda shape: shape and 0 not in shape)
    shape = w.shapes[x]
    axis = int(w.rng.integers(len(shape)))
    w.empty_fine &= isinstance(shape[axis], int)
    w.add(w.one_of(SPREAD).format(x, f", axis={axis}"), shape, x)


def _cumsum(w: Written) -> None:
    x = w.value(len)
    axis = int(w.rng.integers(len(w.shapes[x])))
    w.add(f"cumsum({x}, axis={axis}) / 3", w.shapes[x], x)


def _matmul(w: Written) -> None:
    x = w.value(len)
    inner = w.shapes[x][-1]
    y = w.value(lambda shape: shape == (inner,) or (len(shape) == 2 and shape[0] == inner))
    if y is None:
        return
    shape = (*w.shapes[x][:-1], *w.shapes[y][1:])
    w.add(f"tanh({x}) @ {y}", shape, x, y)


def _gram(w: Written) -> None:
    x = w.value(lambda shape: len(shape) == 2)
    w.add(f"tanh({x}).T @ {x}", (w.shapes[x][1],) * 2, x)


def _batched(w: Written) -> None:
    x = w.value(lambda shape: len(shape) >= 2)
    shape = w.shapes[x]
    axes = (*range(len(shape) - 2), len(shape) - 1, len(shape) - 2)
    w.add(f"sin({x}) @ transpose({x}, axes={axes})", (*shape[:-1], shape[-2]), x)


def _transposed(w: Written) -> None:
    x = w.value(len)
    axes = tuple(map(int, w.rng.permutation(len(w.shapes[x]))))
    w.add(f"transpose({x}, axes={axes})", tuple(w.shapes[x][a] for a in axes), x)


def _joined(w: Written) -> None:
    x = w.value(len)
    shape = w.shapes[x]
    y = w.value(lambda other: other == shape)
    ints = [a for a, size in enumerate(shape) if isinstance(size, int)]
    if ints and w.rng.random() < 0.5:
        axis = w.one_of(ints)
        joined = (*shape[:axis], 2 * shape[axis], *shape[axis + 1 :])
        w.add(f"concatenate([{x}, {y}], axis={axis})", joined, x, y)
    else:
        axis = int(w.rng.integers(len(shape) + 1))
        w.add(f"stack([{x}, {y}], axis={axis})", (*shape[:axis], 2, *shape[axis:]), x, y)


def _split(w: Written) -> None:
    x = w.value(lambda shape: shape and isinstance(shape[-1], int) and shape[-1] % 2 == 0 and shape[-1])
    if x is not None:
        shape = (*w.shapes[x][:-1], w.shapes[x][-1] // 2)
        w.add(f"split({x}, 2, axis=-1)[0]", shape, x)
        w.add(f"split({x}, 2, axis=-1)[1]", shape, x)


def _sliced(w: Written) -> None:
    x = w.value(lambda shape: shape and isinstance(shape[-1], int) and shape[-1] > 1)
    if x is None:
        return
    *lead, n = w.shapes[x]
    moves = {
        "0": (), "-1": (), "1:": (n - 1,), "::-1": (n,), "::2": ((n + 1) // 2,), ":, None": (n, 1),
        "None, :": (1, n), f"{n - 1}::-2": ((n + 1) // 2,), "1:1": (0,),
    }  # fmt: skip
    item = w.one_of(list(moves))
    front = "" if len(lead) == 0 else "..., "
    w.add(f"{x}[{front}{item}]", (*lead, *moves[item]), x)


def _picked(w: Written) -> None:
    x = w.value(lambda shape: shape == ("N", 3))
    if x is not None and w.rng.random() < 0.5:
        w.add(w.one_of((f"pick({x}, k)", f"{x}[arange(N), k]")), ("N",), x)
    else:
        y = w.value(lambda shape: shape and shape[0] == 3)
        w.add(f"{y}[k]", ("N", *w.shapes[y][1:]), y)


def _reshaped(w: Written) -> None:
    x = w.value(lambda shape: len(shape) == 2)
    if x is not None:
        shape = w.shapes[x]
        ints = all(isinstance(size, int) for size in shape)
        back = f"reshape(sin(reshape({x}, (-1,))), ({shape[0]}, {shape[1]}))"
        w.add(f"reshape({x}, ({shape[0] * shape[1]},))" if ints else back, (shape[0] * shape[1],) if ints else shape, x)


def _spread_out(w: Written) -> None:
    x = w.value()
    shape = ("M", *w.shapes[x])
    sizes = ", ".join(map(str, shape))
    w.add(f"broadcast_to({x}, ({sizes},)) * 0.5", shape, x)


def _padded(w: Written) -> None:
    x = w.value(lambda shape: len(shape) == 1 and isinstance(shape[0], int))
    if x is not None:
        w.add(f"pad({x}, pad_width=((1, 2),), constant_values=0.5)", (w.shapes[x][0] + 3,), x)


def _flipped(w: Written) -> None:
    x = w.value(len)
    w.add(f"flip({x}, axis={int(w.rng.integers(len(w.shapes[x])))})", w.shapes[x], x)


def _sized(w: Written) -> None:
    x = w.value()
    w.empty_fine = False
    w.add(f"sin({x}) / N + M * 0.01", w.shapes[x], x)


_MOVES = (
    *(_unary,) * 6, *(_binary,) * 5, *(_reduced,) * 4, _spread, _spread, _again, _again, _cumsum, _matmul, _matmul,
    _gram, _batched, _transposed, _joined, _joined, _split, _sliced, _sliced, _picked, _reshaped, _spread_out, _padded,
    _flipped, _sized,
)  # fmt: skip
