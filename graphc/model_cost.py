"""What a model costs, for people: each of its lines, forward and backward, and each function of its module."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from graphc.backends.numpy_comments import without_comment
from graphc.backends.numpy_memory import peak_memory
from graphc.backends.numpy_module import Program, function_bodies
from graphc.cost import Cost, node_cost
from graphc.graph import Graph
from graphc.size import Size, nominal, substitute
from graphc.source import Span


@dataclass(frozen=True)
class LineCost:
    """What a line of the model costs.

    Attributes
    ----------
    place : str
        File and line; empty for what comes from no line.
    code : str
        The line.
    forward, backward : Cost
        In the functions of these names.
    """

    place: str
    code: str
    forward: Cost
    backward: Cost


@dataclass(frozen=True)
class FunctionCost:
    """What a call of a function of the module costs.

    Attributes
    ----------
    name : str
    cost : Cost
    peaks : tuple of Size
        The largest of them is the most memory that it holds at once, in bytes, beside its arguments: which that is may
        depend on named sizes.
    """

    name: str
    cost: Cost
    peaks: tuple[Size, ...]

    @property
    def peak(self) -> int:
        """The most memory, in bytes; a named size that has no number counts as 256."""
        return max(map(nominal, self.peaks))


@dataclass(frozen=True)
class ModelCost:
    """What a model costs; as text, a table.

    Attributes
    ----------
    lines : tuple of LineCost
        In the order of the model.
    functions : tuple of FunctionCost
        Those of ``forward``, ``backward`` and ``value_and_grad``, as far as the module has them; of a model without
        gradient that of ``evaluate``.
    arguments : Size
        The bytes of all inputs and parameters.
    sizes : mapping of str to int
        The numbers that were given for named sizes.
    """

    lines: tuple[LineCost, ...]
    functions: tuple[FunctionCost, ...]
    arguments: Size
    sizes: Mapping[str, int]

    def function(self, name: str) -> FunctionCost:
        """The cost of a function.

        Raises
        ------
        KeyError
            When the module has none of this name.
        """
        return {function.name: function for function in self.functions}[name]

    @property
    def ratio(self) -> float | None:
        """How many times the arithmetic of ``forward`` that of ``backward`` is; None where there is no such number.

        A named size that has no number counts as 256.
        """
        flops = {function.name: nominal(function.cost.flops) for function in self.functions}
        return flops["backward"] / flops["forward"] if "backward" in flops and flops["forward"] else None

    def __str__(self) -> str:
        tables = [_table(_line_rows(self.lines)), _table(_function_rows(self.functions))]
        notes = [f"arguments take {_bytes(self.arguments)}; peak memory is beside them, with results"]
        if self.ratio is not None:
            free = "" if all(isinstance(f.cost.flops, int) for f in self.functions) else " where sizes are 256"
            notes.append(f"backward is {self.ratio:.2f} times the arithmetic of forward{free}")
        return "\n\n".join([*tables, "\n".join(notes)])

    def data(self) -> dict[str, object]:
        """As plain data for JSON: numbers, and texts for what depends on named sizes."""
        return {
            "sizes": dict(self.sizes),
            "lines": [
                {"place": x.place, "code": x.code, "forward": _plain(x.forward), "backward": _plain(x.backward)}
                for x in self.lines
            ],
            "functions": {x.name: {**_plain(x.cost), "peaks": [*map(_number, x.peaks)]} for x in self.functions},
            "arguments": _number(self.arguments),
            "ratio": self.ratio,
        }


def model_cost(program: Program, sizes: Mapping[str, int]) -> ModelCost:
    """The cost of what a module is made of.

    Parameters
    ----------
    program : Program
    sizes : mapping of str to int
        Numbers for named sizes; those that have none stay names.
    """
    bodies = function_bodies(program)
    by_line = {name: _by_line(body.graph, sizes) for name, (body, _) in bodies.items()}
    functions = tuple(
        FunctionCost(name, sum(by_line[name].values(), Cost()), peak_memory(body, outputs, sizes))
        for name, (body, outputs) in bodies.items()
    )
    forward = by_line["forward" if "forward" in by_line else "evaluate"]
    raw = program.raw
    arguments = sum((node.tensor.nbytes for node in (*raw.inputs, *raw.params)), 0)
    return ModelCost(_lines(forward, by_line.get("backward", {})), functions, substitute(arguments, sizes), sizes)


_Place = tuple[str, int, str]
"""Of a model line its file, number and text."""


def _lines(forward: Mapping[_Place, Cost], backward: Mapping[_Place, Cost]) -> tuple[LineCost, ...]:
    return tuple(
        LineCost(f"{file}:{line}" if line else "", code, *both)
        for file, line, code in sorted({**forward, **backward})
        if any(both := [table.get((file, line, code), Cost()) for table in (forward, backward)])
    )


def _by_line(graph: Graph, sizes: Mapping[str, int]) -> dict[_Place, Cost]:
    found: dict[_Place, Cost] = {}
    for node in graph.nodes:
        place = _place(graph.spans.get(node, ()))
        found[place] = found.get(place, Cost()) + node_cost(graph, node)
    return {place: cost.at(sizes) for place, cost in found.items()}


def _place(spans: Sequence[Span]) -> _Place:
    if not spans:
        return "", 0, ""
    source, line = spans[0].source, spans[0].line
    return source.name, line, without_comment(source.line(line))


def _line_rows(lines: Iterable[LineCost]) -> list[list[str]]:
    rows = [["line", "", "flops forward", "backward", "bytes moved forward", "backward"]]
    for line in lines:
        flops = [_count(cost.flops) for cost in (line.forward, line.backward)]
        moved = [_bytes(cost.moved) for cost in (line.forward, line.backward)]
        rows.append([line.place or "no line", line.code, *flops, *moved])
    return rows


def _function_rows(functions: Iterable[FunctionCost]) -> list[list[str]]:
    rows = [["function", "flops", "bytes read", "bytes written", "peak memory"]]
    for function in functions:
        cost = function.cost
        moved = [_bytes(cost.read), _bytes(cost.written)]
        rows.append([function.name, _count(cost.flops), *moved, _peak(function.peaks)])
    return rows


def _peak(peaks: tuple[Size, ...]) -> str:
    return _bytes(peaks[0]) if len(peaks) == 1 else f"max({', '.join(map(_bytes, peaks))})"


def _table(rows: Sequence[Sequence[str]]) -> str:
    """Columns of one width each, those that hold quantities at the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    left = 2 if rows[0][1] == "" else 1
    lines = [
        "  ".join(
            text.ljust(width) if column < left else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join(lines)


def _count(size: Size) -> str:
    """A number of operations, three digits of it: ``1.65 G``."""
    return _scaled(size) if isinstance(size, int) else str(size)


def _bytes(size: Size) -> str:
    return f"{_scaled(size)}B" if isinstance(size, int) and size >= 1000 else str(size)


def _scaled(number: int) -> str:
    scale = min(max(len(str(number)) - 1, 0) // 3, 5)
    if not scale:
        return str(number)
    return f"{number / 1000**scale:.3g} {' kMGTP'[scale]}"


def _plain(cost: Cost) -> dict[str, object]:
    return {"flops": _number(cost.flops), "read": _number(cost.read), "written": _number(cost.written)}


def _number(size: Size) -> int | str:
    return size if isinstance(size, int) else str(size)
