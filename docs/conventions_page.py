"""The page of conventions: what graphc gives at every point of the kink table under each of them, and its peers."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import graphc
import graphc.ops
from docs.markdown_text import NOTE, code, table
from graphc.op import CONVENTIONS, OPS, Conventions

CONVENTIONS_PAGE = """\
# Conventions

{note}
Some functions have no derivative at some points: `abs` at 0, `maximum` where its operands are equal. A gradient still
needs a number there, and libraries chose differently. graphc's own choice is a number between the slopes on both sides.
Where PyTorch or JAX chose another number, it can be had:

```console
$ graphc run -e "abs(x)" --at x=0 --conventions jax
f = 0.0

gradient of f
  x = 1.0
```

```python
import graphc

print(graphc.compile("abs(x)").value_and_grad(x=0.0)[1])
print(graphc.compile("abs(x)", conventions="jax").value_and_grad(x=0.0)[1])
```

```text
{{'x': np.float64(0.0)}}
{{'x': np.float64(1.0)}}
```

The header of a generated module says what applies (`at kinks abs'(0) = 1`), and `graphc check` compiles with the
conventions that the header names. Derivatives of a model (`graphc.grad`, `jvp`, `hvp`, `hessian`, …), `grad` in a model
and `@elementwise` functions take those of the model.

{choices}
What is not in this table is the same under all conventions, also where a peer differs at points that are not listed
below: PyTorch shares ties of `median`.

## Not a number is no convention

Where a peer gives NaN although the derivative exists, or a limit or a choice does, that is a defect of its formula and
not a convention. graphc gives the number under every convention. It gives NaN where nothing else is right: for an input
that is NaN, and for a derivative that does not exist on any side. Bold cells in the table are such defects.

{kinks}
The columns of graphc were computed when this page was written; those of the peers were measured with their gradient
functions. A test holds graphc to the table, and another holds the table to the libraries where they are installed.

## 0 times infinity

A branch that `where` does not take gets nothing into a gradient, however the branch is written: below it the compiler
selects instead of multiplying wherever something may be infinite. This follows the branch through reductions,
`softmax`, `matmul`, `einsum` and every other operation, as long as elements that were taken and those that were not
stay apart: in `where(mask[:, None], log(x) @ W, 0)` no row that is masked reaches the gradients of `x` and `W`. Where a
mask differs along an axis that is summed, an element counts as not taken when nothing that it is part of is, and then
what *operations* make infinite is kept out; a NaN in the *data* of such rows is not.

`relu`, `clip`, `maximum` and `minimum` have derivatives that are 0 on one side. That 0 stays 0 beside an infinity:
the gradient of `sqrt(relu(x))` is 0 for negative x. `graphc show --rewrites` lists where the compiler put such guards:

```console
$ graphc show -e "where(x > 0, log(x), 0)" --rewrites
guarded the branch of where that is not taken: log  <model>:1:14
...
```
"""

_ROWS = Path(__file__).parents[1] / "tests" / "data" / "kinks.txt"
_PEERS = ("torch", "jax", "autograd")
Numbers = tuple[float, ...]


@dataclass(frozen=True)
class Kink:
    """A point of the kink table as a model.

    Attributes
    ----------
    case : str
        The row of the table.
    model : str
    at : mapping of str to numbers
        The point; the gradient is with respect to its floats.
    graphc : tuple of float
        The gradient by graphc's conventions.
    why : str
        Why that is right where peers give NaN, or why NaN is.
    jax : tuple of float, optional
        The gradient by JAX's conventions, where JAX gives NaN and graphc's own is another.
    """

    case: str
    model: str
    at: Mapping[str, object]
    graphc: Numbers
    why: str = ""
    jax: Numbers | None = None

    def expected(self, conventions: Conventions) -> Numbers:
        """The gradient under these conventions: the peer's, graphc's where the peer gives NaN."""
        if conventions == "graphc":
            return self.graphc
        instead = self.jax if conventions == "jax" and self.jax is not None else self.graphc
        theirs = peers()[self.case][conventions]
        return tuple(own if np.isnan(given) else given for given, own in zip(theirs, instead, strict=True))

    def found(self, conventions: Conventions) -> Numbers:
        """The gradient that a model compiled with these conventions gives."""
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore", graphc.GraphcWarning)
            model = graphc.compile(self.model, conventions=conventions)
            _, gradients = model.value_and_grad(**{name: np.asarray(value) for name, value in self.at.items()})
        return tuple(float(number) for gradient in gradients.values() for number in np.ravel(gradient))


def peers() -> dict[str, dict[str, Numbers]]:
    """The kink table: what each peer gives, by case."""
    head, *lines = _ROWS.read_text(encoding="utf-8").splitlines()
    starts = [head.index(peer) for peer in _PEERS]
    found = {}
    for line in lines:
        cells = [line[start:].partition("]")[0].strip(" [") for start in starts]
        numbers = (tuple(map(float, cell.split())) for cell in cells)
        found[line[: starts[0]].strip()] = dict(zip(_PEERS, numbers, strict=True))
    return found


def _vector(size: int, formula: str) -> str:
    return f"v: Input[{size}]\nf: Output = {formula}"


_NAN, _INF = float("nan"), float("inf")
_LIMIT = "the limit from the side where the function is defined"

KINKS = (
    Kink("abs'(0)", "abs(x)", {"x": 0.0}, (0.0,)),
    Kink("sign'(0)", "sign(x)", {"x": 0.0}, (0.0,)),
    Kink("maximum(x,0)'(0)  relu", "maximum(x, 0)", {"x": 0.0}, (0.5,)),
    Kink("where(x>0,x,0)'(0)", "where(x > 0, x, 0)", {"x": 0.0}, (0.0,)),
    Kink("maximum(x,x)'(1)", "maximum(x, x)", {"x": 1.0}, (1.0,)),
    Kink("max([1,2,2])", _vector(3, "max(v)"), {"v": [1.0, 2.0, 2.0]}, (0.0, 0.5, 0.5)),
    Kink("clip(x,0,1) at 0,1", _vector(4, "sum(clip(v, 0, 1))"), {"v": [0.0, 1.0, -1.0, 2.0]}, (1.0, 1.0, 0.0, 0.0)),
    Kink("sqrt'(0)", "sqrt(x)", {"x": 0.0}, (_INF,)),
    Kink("sqrt(x^2)'(0)", "sqrt(x ** 2)", {"x": 0.0}, (0.0,), "sqrt(x²) is abs(x), with its convention", jax=(1.0,)),
    Kink("norm'(0,0)", _vector(2, "norm(v)"), {"v": [0.0, 0.0]}, (0.0, 0.0), "0 is among the slopes at the tip"),
    Kink("hypot'(0,0)", "hypot(x, y)", {"x": 0.0, "y": 0.0}, (0.0, 0.0), "0 is among the slopes at the tip"),
    Kink("(x**2)'(0)", "x ** 2", {"x": 0.0}, (0.0,)),
    Kink("(x**2.0)'(0)", "x ** 2.0", {"x": 0.0}, (0.0,)),
    Kink("(x**0)'(0)", "x ** 0", {"x": 0.0}, (0.0,)),
    Kink("(x**1)'(0)", "x ** 1", {"x": 0.0}, (1.0,)),
    Kink("(x**0.5)'(0)", "x ** 0.5", {"x": 0.0}, (_INF,)),
    Kink("(x**y) d/dx,dy at (0,2)", "x ** y", {"x": 0.0, "y": 2.0}, (0.0, 0.0)),
    Kink(
        "(x**y) at (-2,3)",
        "x ** y",
        {"x": -2.0, "y": 3.0},
        (12.0, _NAN),
        "NaN is right: beside a whole y, a power of -2 is no real number",
    ),
    Kink("(x**3)'(-2)", "x ** 3", {"x": -2.0}, (12.0,)),
    Kink("prod [0,2,3]", _vector(3, "prod(v)"), {"v": [0.0, 2.0, 3.0]}, (6.0, 0.0, 0.0), "the product of the others"),
    Kink("prod [0,0,3]", _vector(3, "prod(v)"), {"v": [0.0, 0.0, 3.0]}, (0.0, 0.0, 0.0), "the product of the others"),
    Kink(
        "where(x>0,log(x),0)'(0)", "where(x > 0, log(x), 0)", {"x": 0.0}, (0.0,), "that of 0, the branch that is taken"
    ),
    Kink(
        "where(x>0,sqrt(x),0)'(0)",
        "where(x > 0, sqrt(x), 0)",
        {"x": 0.0},
        (0.0,),
        "that of 0, the branch that is taken",
    ),
    Kink("x*log(x)'(0)", "x * log(x)", {"x": 0.0}, (-_INF,), _LIMIT),
    Kink("arctan2(0,0)", "atan2(x, y)", {"x": 0.0, "y": 0.0}, (0.0, 0.0), "no angle is nearer than another"),
    Kink("sinc'(0)", "sinc(x)", {"x": 0.0}, (0.0,), "the derivative, which exists"),
    Kink("floor'(0.5)", "floor(x)", {"x": 0.5}, (0.0,)),
    Kink(
        "sort ties [2,2,1]",
        "v: Input[3]\ns = sort(v)\nf: Output = s[0] + 2 * s[1] + 3 * s[2]",
        {"v": [2.0, 2.0, 1.0]},
        (2.0, 3.0, 1.0),
    ),
    Kink(
        "logaddexp(-inf,-inf)",
        "logaddexp(x, y)",
        {"x": -_INF, "y": -_INF},
        (0.5, 0.5),
        "the derivative wherever x and y are equal",
    ),
    Kink(
        "lse naive [1000,1000]",
        _vector(2, "log(sum(exp(v)))"),
        {"v": [1000.0, 1000.0]},
        (0.5, 0.5),
        "the derivative, which exists",
    ),
    Kink("lse stable [1000,-inf]", _vector(2, "logsumexp(v)"), {"v": [1000.0, -_INF]}, (1.0, 0.0)),
    Kink("log1p(exp(800))", "log1p(exp(x))", {"x": 800.0}, (1.0,), "the derivative, which exists"),
    Kink("sigmoid(-800)", "1 / (1 + exp(-x))", {"x": -800.0}, (0.0,), "the derivative, exp(-800), rounded"),
    Kink(
        "x[[0,0,1]] sum (dup gather)",
        "v: Input[2]\nk: Input[3, int64]\nf: Output = sum(v[k] ** 2)",
        {"v": [1.0, 2.0], "k": [0, 0, 1]},
        (4.0, 4.0),
    ),
    Kink("nan input tanh", "tanh(x)", {"x": _NAN}, (_NAN,), "NaN is right: so is the input"),
)


def conventions_page() -> str:
    """The page of conventions."""
    names = {"torch": "PyTorch", "jax": "JAX", "autograd": "autograd"}
    head = ["case", "graphc", *(f"`{c}`" for c in CONVENTIONS[1:]), *names.values(), "why"]
    return CONVENTIONS_PAGE.format(note=NOTE, choices=_choices(), kinks=table(head, [*map(_row, KINKS)]))


def _choices() -> str:
    """The ops with another derivative under other conventions."""
    rows = [
        [code(op.name), *(code(op.convention_under(c)) for c in CONVENTIONS)] for op in OPS.values() if op.alternatives
    ]
    return table(["operation", "graphc", "`torch`", "`jax`"], rows)


def _row(kink: Kink) -> list[str]:
    theirs = peers()[kink.case]
    own = [_text(kink.found(c)) for c in CONVENTIONS]
    return [code(kink.case), *own, *(_marked(theirs[peer], kink.graphc) for peer in _PEERS), kink.why]


def _marked(numbers: Numbers, graphc: Numbers) -> str:
    """A peer's numbers, bold where NaN is a defect."""
    wrong = any(np.isnan(given) and not np.isnan(own) for given, own in zip(numbers, graphc, strict=True))
    return f"**{_text(numbers)}**" if wrong else _text(numbers)


def _text(numbers: Numbers) -> str:
    return ", ".join(f"{number + 0.0:g}" for number in numbers)
