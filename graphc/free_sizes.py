"""The named sizes of a model that calls decide, and numbers that users give for them."""

from __future__ import annotations

from collections.abc import Mapping

from graphc.diagnostics import Diagnostic
from graphc.errors import GraphcError
from graphc.graph import Graph
from graphc.option_names import known_name
from graphc.size import size_names


def free_sizes(graph: Graph) -> tuple[str, ...]:
    """The names in the shapes of inputs and parameters, in their order."""
    leaves = (*graph.inputs, *graph.params)
    return tuple(dict.fromkeys(name for node in leaves for size in node.tensor.shape for name in size_names(size)))


def refuse_other_than_numbers(sizes: Mapping[str, int]) -> None:
    """Refuse what can be no size.

    Raises
    ------
    GraphcError
        GC204.
    """
    for name, number in sizes.items():
        if type(number) is not int or number < 0:
            message = f"expected a whole number for the size {name}, found {number!r}"
            raise GraphcError(Diagnostic("GC204", message))


def refuse_unknown_sizes(graph: Graph, sizes: Mapping[str, int]) -> None:
    """Refuse numbers for what is no free size of a model.

    Raises
    ------
    GraphcError
        GC101.
    """
    free = free_sizes(graph)
    for name in sizes:
        known_name(name, free, "free sizes")
