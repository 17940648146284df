"""``check``: a generated module's test of its own gradient, at sizes that are chosen here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from graphc.backends.numpy_derivatives import DerivativeFunction
from graphc.backends.numpy_function import Scope
from graphc.backends.numpy_header import function_docstring
from graphc.backends.numpy_indices import entry_limits
from graphc.backends.numpy_layout import INDENT, WIDTH, joined_lines, quoted
from graphc.backends.numpy_sizes import conditions_of
from graphc.diagnostics import Diagnostic
from graphc.errors import GraphcError
from graphc.graph import Graph, Node
from graphc.op import Condition
from graphc.ops.leaves import Initializer
from graphc.size import Size, size_names, substitute

MAIN = ['if __name__ == "__main__":', f"{INDENT}raise SystemExit(0 if check() else 1)"]
_TRIED = 20_000


def check_function(
    scope: Scope, loss: str, moved: Mapping[str, Node], derivatives: Sequence[DerivativeFunction] = ()
) -> list[str]:
    """The lines of ``check``.

    Parameters
    ----------
    scope : Scope
    loss : str
        Empty when the module has no ``value_and_grad``.
    moved : mapping of str to Node
        The variables, each with the input or parameter that it is.
    derivatives : sequence of DerivativeFunction
        Those that the module has; a JVP is held to the VJP.

    Raises
    ------
    GraphcError
        GC411 when no sizes are found that fit all shapes and conditions, or there is nothing to hold a JVP to.
    """
    sizes = example_sizes(scope.raw)
    inputs = [f"{scope.arguments[str(n.attrs['name'])]!s}" for n in scope.raw.inputs]
    drawn = [f"{quoted(name)}: {_draw(scope.raw, n, sizes)}" for name, n in zip(inputs, scope.raw.inputs, strict=True)]
    tests = _tests(scope, loss, moved, {function.name: function for function in derivatives})
    whole = tests[0] if len(tests) == 1 else f"all([{', '.join(tests)}])"
    lines = [f"{INDENT}return {whole}"] if len(whole) < WIDTH - 10 else joined_lines("return all([", tests, "])")
    what = [*(["value_and_grad"] if loss else []), *(["jvp"] if len(tests) > bool(loss) else [])]
    agrees = "agrees" if len(what) == 1 else "agree"
    doc = (
        f"Whether {' and '.join(what)} {agrees} with differences at a random point; rng is a seed or a NumPy generator."
    )
    return [
        "def check(rng=0):",
        INDENT + function_docstring(doc),
        f"{INDENT}rng = np.random.default_rng(rng)",
        "",
        f"{INDENT}def point(draw):",
        *(INDENT + line for line in _params_lines(scope, sizes)),
        *(INDENT + line for line in joined_lines("inputs = {", drawn, "}")),
        f"{INDENT}{INDENT}return params, inputs",
        "",
        *lines,
    ]


def _tests(
    scope: Scope, loss: str, moved: Mapping[str, Node], derivatives: Mapping[str, DerivativeFunction]
) -> list[str]:
    """The calls of what compares the functions of a module."""
    leaves = {variable: str(node.attrs["name"]) for variable, node in moved.items()}
    arguments = {variable: quoted(scope.arguments.get(leaf, leaf)) for variable, leaf in leaves.items()}
    found = [f"_gradient_agrees(value_and_grad, point, [{', '.join(arguments.values())}], rng)"] if loss else []
    jvp = derivatives.get("jvp")
    if jvp is not None:
        pull = "vjp" if "vjp" in derivatives else "value_and_grad" if jvp.output == loss else ""
        if not pull:
            message = f"check holds the jvp of {jvp.output} to its vjp, expected this among the extras, found none"
            raise GraphcError(Diagnostic("GC411", message))
        by_name = ", ".join(f"{quoted(name)}: {argument}" for name, argument in arguments.items())
        found.append(f"_jvp_agrees(jvp, {pull}, point, {{{by_name}}}, rng, weighted={pull == 'vjp'})")
    if not found:
        raise GraphcError(Diagnostic("GC411", "check needs value_and_grad or jvp and vjp, expected one, found none"))
    return found


def _params_lines(scope: Scope, sizes: Mapping[str, int]) -> list[str]:
    raw = scope.raw
    absent = [node for node in raw.params if not isinstance(node.attrs["init"], Initializer)]
    given = [node.tensor.shape for node in raw.params if node not in absent]
    names = dict.fromkeys(name for shape in given for size in shape for name in size_names(size))
    start = f"init_params({', '.join(['rng', *(f'{scope.sizes[name]}={sizes[name]}' for name in names)])})"
    if not absent:
        return [f"{INDENT}params = {start if raw.params else '{}'}"]
    rows = [f"{quoted(str(node.attrs['name']))}: {_draw(raw, node, sizes)}" for node in absent]
    return joined_lines("params = {", [*([f"**{start}"] if given else []), *rows], "}")


def _draw(raw: Graph, node: Node, sizes: Mapping[str, int]) -> str:
    """An array that fits an input or parameter; labels and indices are in range."""
    shape = tuple(substitute(size, dict(sizes)) for size in node.tensor.shape)
    if node.tensor.is_float:
        return f"draw({shape})"
    if node.tensor.dtype == "bool":
        return f"rng.random({shape}) < 0.5"
    limits = [substitute(limit, dict(sizes)) for limit in entry_limits(raw).get(node, ())]
    numbers = [limit for limit in limits if isinstance(limit, int)]
    return f"rng.integers({min(numbers)}, size={shape})" if numbers else f"rng.integers(1, 5, size={shape})"


def example_sizes(raw: Graph) -> dict[str, int]:
    """Small numbers for the named sizes, all different where that is possible, which fit all shapes and conditions.

    Examples
    --------
    >>> from graphc.builder import Builder
    >>> from graphc.size import named_size
    >>> from graphc.tensor_type import TensorType
    >>> b = Builder()
    >>> x = b.input("x", TensorType("float64", (named_size("N"), named_size("M"))))
    >>> example_sizes(b.finish({"f": x.node}))
    {'N': 3, 'M': 4}
    """
    shapes = [node.tensor.shape for node in (*raw.inputs, *raw.params)]
    conditions = list(conditions_of(raw, raw.nodes))
    extents = list(dict.fromkeys(size for shape in shapes for size in shape if not isinstance(size, int)))
    limits = [limit for found in entry_limits(raw).values() for limit in found]
    names = list(dict.fromkeys(name for size in extents for name in size_names(size)))
    for distinct, low in ((True, 3), (True, 1), (False, 1), (False, 0)):
        for values in islice(_candidates(names, low, 12 + max((c.number for c in conditions), default=0)), _TRIED):
            apart = not distinct or len(set(values.values())) == len(names)
            if apart and _fit(values, [*extents, *limits], conditions, min(low, 1)):
                return values
    message = f"expected sizes {', '.join(names)} that fit every shape of the model, for check to try, found none"
    raise GraphcError(Diagnostic("GC411", message))


def _candidates(names: Sequence[str], low: int, count: int) -> Iterator[dict[str, int]]:
    """All combinations, as a counter shows them; the first is of neighbours."""
    for number in range(count ** min(len(names), 8)):
        yield {name: low + (number // count**place + place) % count for place, name in enumerate(names)}


def _fit(values: Mapping[str, int], sizes: Sequence[Size], conditions: Sequence[Condition], least: int) -> bool:
    def number(size: Size) -> int:
        found = substitute(size, dict(values))
        assert isinstance(found, int)
        return found

    def holds(condition: Condition) -> bool:
        found = number(condition.size)
        return found >= condition.number if condition.relation == "at_least" else found % condition.number == 0

    return all(number(size) >= least for size in sizes) and all(map(holds, conditions))
