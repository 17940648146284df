"""Generated functions: the checks at their entry, the statements of a graph, what they return."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from graphc.backends.numpy_comments import model_lines
from graphc.backends.numpy_indices import range_checks
from graphc.backends.numpy_layout import INDENT, WIDTH, joined_lines, quoted, target_text
from graphc.backends.numpy_lines import statement_lines
from graphc.backends.numpy_names import Names
from graphc.backends.numpy_scalars import checked_late
from graphc.backends.numpy_scan import Function, Statement, assignment
from graphc.backends.numpy_sizes import (
    Binding,
    Leaf,
    bind_sizes,
    condition_lines,
    conditions_of,
    place_text,
    plain_sizes,
)
from graphc.backends.numpy_spelling import Spelling
from graphc.backends.numpy_statements import Body, Checks
from graphc.backends.numpy_work import GIVEN_PAIR, Room
from graphc.diagnostics import Diagnostic
from graphc.errors import GraphcError
from graphc.graph import Graph, Node
from graphc.numpy_text import float_dtype, literal, method, subscript
from graphc.op import OPS
from graphc.partition import reached
from graphc.size import Size, size_names
from graphc.tensor_type import Shape


@dataclass(frozen=True)
class Scope:
    """What all functions of a module share.

    Attributes
    ----------
    raw : Graph
        The model as written.
    arguments : mapping of str to str
        What inputs are called as arguments.
    sizes : mapping of str to str
        What named sizes are called.
    arrays : mapping
        From saved arrays to the module's names for them.
    reserved : collection of str
        Names that no variable may have.
    user_names : collection of str
        The names in the model.
    dtype : str
        The model's float type.
    speed : bool
        Whether functions use memory again, and compute by blocks of rows, where that is quicker.
    rows : frozenset of str
        Named sizes that are numbers of rows of data, and may be large.
    """

    raw: Graph
    arguments: Mapping[str, str]
    sizes: Mapping[str, str]
    arrays: Mapping[object, str]
    reserved: Collection[str]
    user_names: Collection[str]
    dtype: str
    speed: bool = False
    rows: frozenset[str] = frozenset()

    def names(self, taken: Iterable[str] = ()) -> Names:
        """A new scope inside a function."""
        return Names([*self.reserved, *self.sizes.values(), *taken])

    def room(self, function: str) -> Room | None:
        """Where a function may put large arrays; None for functions that are to be read first."""
        return Room(function, self.rows) if self.speed else None


@dataclass(frozen=True)
class Direction:
    """One more argument of a function, after the parameters: a cotangent, or tangents in a dict.

    Attributes
    ----------
    argument : str
    arrays : mapping of str to str
        The graph's inputs for it, each with the variable whose tangent it is.
    shapes : mapping of str to Shape
        By these variables; a cotangent has an entry without a name.
    """

    argument: str
    arrays: Mapping[str, str]
    shapes: Mapping[str, Shape]


@dataclass(frozen=True)
class Results:
    """Dicts of arrays that a function returns, for which its caller may give arrays, in functions written for speed.

    Attributes
    ----------
    outputs : sequence of mapping of str to str
        For each dict, from its entries to outputs of the graph.
    replaced : mapping of str to str
        From outputs to the parameters and inputs that they are new values of.
    """

    outputs: Sequence[Mapping[str, str]]
    replaced: Mapping[str, str] = field(default_factory=dict)


Returning = Callable[[Spelling], list[str]]
_FEW = 6
"""Arguments whose types are looked at in one line."""


class EntryFunction:
    """A function that takes the model's parameters and inputs, checks them, and computes a graph.

    Parameters
    ----------
    scope : Scope
    name : str
    graph : Graph
    inputs : sequence of str
        The inputs that it takes, by their names in the model.
    source : iterable of Node
        The nodes of the raw graph whose conditions on sizes it checks.
    forward : sequence of str, optional
        The outputs that are not gradients, where others are.
    keep : collection of Node
        Nodes that get a name in any case.
    taken : iterable of str
        More names that no variable may have.
    plain : collection of Node, optional
        The nodes that are not derivatives, in place of ``forward``.
    direction : Direction, optional
    state : sequence of mapping of str to str
        Entries of one more argument, a dict, with the graph's inputs that they are; those of one parameter together.
    results : Results, optional
        What the caller may give arrays for.
    """

    def __init__(
        self,
        scope: Scope,
        name: str,
        graph: Graph,
        inputs: Sequence[str],
        source: Iterable[Node],
        *,
        forward: Sequence[str] | None = None,
        keep: Collection[Node] = (),
        taken: Iterable[str] = (),
        plain: Collection[Node] | None = None,
        direction: Direction | None = None,
        state: Sequence[Mapping[str, str]] = (),
        results: Results | None = None,
    ) -> None:
        self.scope, self.name, self.graph, self.direction = scope, name, graph, direction
        self.inputs = [str(node.attrs["name"]) for node in scope.raw.inputs if node.attrs["name"] in inputs]
        names = scope.names([*scope.arguments.values(), *taken, *([direction.argument] if direction else [])])
        self.state_argument = names.take("state") if state else ""
        self.params = {str(node.attrs["name"]): names.take(str(node.attrs["name"])) for node in scope.raw.params}
        self.state = [{entry: names.take(entry) for entry in group} for group in state]
        self.spelling = Spelling(scope.sizes, self._float_text())
        self.conditions = conditions_of(scope.raw, source)
        self.results, self.out, self.given = results or Results(()), "", list[str]()
        self.tangents: dict[str, str] = {}
        if direction is not None:
            # A cotangent is an array already, tangents are taken out of their dict.
            self.tangents = {a: names.take(a) if by else direction.argument for a, by in direction.arrays.items()}
        what = "grad" if plain is None or state else "derivative"
        if forward is not None:
            plain = set(reached(graph, [graph.outputs[output] for output in forward]))
        taken_out = zip(state, self.state, strict=True)
        entries = {name: local[entry] for group, local in taken_out for entry, name in group.items()}
        leaves = leaf_texts(graph, {**scope.arguments, **self.params, **self.tangents, **entries})
        self.body = Body(
            graph,
            {**leaves, **array_texts(graph, scope.arrays)},
            names,
            user_names=scope.user_names,
            comment=model_lines(graph, plain, scope.user_names, what),
            keep=keep,
            checks=self._checks,
            room=self._room(results, names),
            forget=True,
        )
        self._local_size = names.take("size")

    def lines(self, doc: str, returning: Returning, carried: Iterable[str] = ()) -> list[str]:
        """The text of the function.

        Parameters
        ----------
        doc : str
        returning : callable
            The lines of the return statement.
        carried : iterable of str
            Named sizes that it needs beside those of its statements.
        """
        late = self._is_checked_late(returning)
        if late:
            arguments = self._arguments()
            self.body.statements = checked_late(self.body.statements, arguments, self._check(arguments))
        statements = self._statements(returning)
        directions = self._direction_lines()
        sizes = self._sizes(carried)
        while sizes.missing:
            self._take_input_with(sizes.missing[0])
            statements = self._statements(returning)
            directions = self._direction_lines()
            sizes = self._sizes(carried)
        conditions = [
            line
            for condition, place in self.conditions.items()
            for line in condition_lines(self.name, condition, place, self._size_text, self._local_size)
        ]
        entry = [INDENT + line for line in (*sizes.lines, *conditions)]
        arguments = self._arguments()
        further = [self.direction.argument] if self.direction else []
        signature = [*self._dicts(), *further, *arguments, *([f"{self.out}=None"] if self.out else [])]
        start = [
            *joined_lines(f"def {self.name}(", signature, "):", ""),
            f"{INDENT}{doc}",
            *([] if late else self._check_lines(arguments)),
            *self._out_lines(arguments),
            *self._param_lines([*entry, *directions, *statements]),
            *entry,
            *directions,
        ]
        begun = len(start) > 2 or isinstance(next(iter(self.body.statements), None), Function)
        separator = [""] if begun and self.body.statements else []
        return [*start, *separator, *statements]

    def _arguments(self) -> list[str]:
        """What the inputs that it takes are called."""
        return [self.scope.arguments[name] for name in self.inputs]

    def _is_checked_late(self, returning: Returning) -> bool:
        """Whether arguments that are floats need no check, and others get it before NumPy computes with them."""
        given = any(node in self.body.leaves for node in self.graph.outputs.values())
        if not self.body.in_floats or given or self._dicts() or self.direction or len(self.inputs) > _FEW:
            return False
        return not any(self.spelling.float_text in line for line in returning(self.spelling))

    def _room(self, results: Results | None, names: Names) -> Room | None:
        """Where large arrays are put; results that the caller may give arrays for go into these."""
        room = self.scope.room(self.name)
        if room is None or results is None:
            return room
        self.out = names.take("out")
        nodes = [{key: self.graph.outputs[output] for key, output in entries.items()} for entries in results.outputs]
        if not any(node.tensor.shape for entries in nodes for node in entries.values()):
            return room
        self.given = [names.take("new_params"), names.take("new_state")] if results.replaced else [self.out]
        given: dict[Node, list[ast.expr]] = {}
        for local, entries in zip(self.given, nodes, strict=True):
            for key, node in entries.items():
                if node.tensor.shape:
                    given.setdefault(node, []).append(subscript(ast.Name(local, ast.Load()), ast.Constant(key)))
        leaves = {str(leaf.attrs["name"]): leaf for leaf in (*self.graph.inputs, *self.graph.params)}
        replaced: dict[Node, Node] = {}
        for output, leaf in results.replaced.items():
            replaced.setdefault(self.graph.outputs[output], leaves[leaf])
        return replace(room, given=given, replaced=replaced)

    def _out_lines(self, arguments: Sequence[str]) -> list[str]:
        """The caller's arrays, or new ones."""
        if not self.given:
            return []
        target, given = ", ".join(self.given), [quoted(self.name), self.out]
        if self.results.replaced:
            return joined_lines(f"{target} = {GIVEN_PAIR}(", [*given, *self._dicts(), *arguments], ")")
        names = [*self.results.outputs[0]]
        values = [f"params[{quoted(name)}]" if name in self.params else self.scope.arguments[name] for name in names]
        pairs = [f"{quoted(name)}: {value}" for name, value in zip(names, values, strict=True)]
        like = "params" if names == [*self.params] else "\n".join(joined_lines("{", pairs, "}", INDENT * 2)).strip()
        held = [*(["*params.values()"] if self.params else []), *arguments]
        return joined_lines(f"{target} = _given(", [*given, like, f"[{', '.join(held)}]"], ")")

    def _checks(self, graph: Graph) -> Checks:
        """What is asked of labels and indices; those that the step of a scan is given are checked in each step."""
        raw = self.scope.raw if graph is self.graph else None
        return range_checks(graph, raw, self.name, plain_sizes(self._leaves()))

    def _float_text(self) -> str:
        """The dtype of the first float among what it is given: the entry check makes them one."""
        locals_ = {**{name: self.scope.arguments[name] for name in self.inputs}, **self.params}
        for node in (*self.scope.raw.inputs, *self.scope.raw.params):
            name = str(node.attrs["name"])
            if name in locals_ and node.tensor.is_float:
                return f"{locals_[name]}.dtype"
        return f"np.{self.scope.dtype}"

    def _statements(self, returning: Returning) -> list[str]:
        self.spelling = Spelling(self.scope.sizes, self._float_text())
        return [*statement_lines(self.body.statements, self.spelling), *returning(self.spelling)]

    def _direction_lines(self) -> list[str]:
        """The check of the direction; the arrays of tangents get their names."""
        if self.direction is None:
            return []
        given, shapes = self.direction.argument, self.direction.shapes
        texts = {name: self.spelling(literal(shape)) for name, shape in shapes.items()}
        dtype = self.spelling(float_dtype())
        if "" in shapes:
            return joined_lines(f"{given} = _shaped(", [quoted(self.name), quoted(given), given, texts[""], dtype], ")")
        names = [*self.tangents.values()]
        target = f"({names[0]},)" if len(names) == 1 else ", ".join(names)
        rows = [f"{quoted(name)}: {text}" for name, text in texts.items()]
        call = [quoted(self.name), given, f"{{{', '.join(rows)}}}", dtype]
        return joined_lines(f"{target} = _directions(", call, ")")

    def _sizes(self, carried: Iterable[str]) -> Binding:
        needed = [*self.spelling.used_sizes, *carried, *(n for c in self.conditions for n in size_names(c.size))]
        return bind_sizes(self.name, needed, self._leaves(), self.scope.sizes, self._size_text, self._local_size)

    def _leaves(self) -> list[Leaf]:
        raw = self.scope.raw
        return [
            Leaf(locals_[name], node.tensor.shape, declared_place(raw, node))
            for table, locals_ in ((raw.inputs, self.scope.arguments), (raw.params, self.params))
            for node in table
            if (name := str(node.attrs["name"])) in self.inputs or name in self.params
        ]

    def _take_input_with(self, size: str) -> None:
        """Take one more input, whose shape tells a size."""
        raw = self.scope.raw
        telling = [n for n in raw.inputs if any(size in size_names(s) for s in n.tensor.shape)]
        names = [name for node in telling if (name := str(node.attrs["name"])) not in self.inputs]
        if not names:
            raise _untold(raw, size)
        self.inputs = [str(n.attrs["name"]) for n in raw.inputs if n.attrs["name"] in (names[0], *self.inputs)]

    def _size_text(self, size: Size) -> str:
        return self.spelling(literal(size))

    def _check(self, arguments: Sequence[str]) -> Statement:
        """The check of the arguments, which makes arrays of one type of them."""
        dicts = self._dicts()
        check = ("_checked", "_checked_with_params", "_checked_with_state")[len(dicts)]
        given = [ast.Constant(self.name), *(ast.Name(name, ast.Load()) for name in dicts)]
        named = [ast.keyword(name, ast.Name(name, ast.Load())) for name in arguments]
        value = ast.Call(ast.Name(check, ast.Load()), given, named)
        return assignment(target_text([*dicts, *arguments]), value, ())

    def _check_lines(self, arguments: Sequence[str]) -> list[str]:
        return statement_lines([self._check(arguments)], self.spelling) if self._dicts() or arguments else []

    def _dicts(self) -> list[str]:
        """The arguments that are dicts."""
        return [*(["params"] if self.params else []), *([self.state_argument] if self.state else [])]

    def _param_lines(self, lines: Iterable[str]) -> list[str]:
        """The parameters, and the entries of the state, that some lines name, taken out of their dict."""
        words = words_of(lines)
        held = [("params", self.params), *((self.state_argument, group) for group in self.state)]
        return [
            line
            for given, entries in held
            for line in _unpacked_lines(
                [(local, f"{given}[{quoted(name)}]") for name, local in entries.items() if local in words]
            )
        ]


def _unpacked_lines(pairs: Iterable[tuple[str, str]]) -> list[str]:
    rows: list[list[tuple[str, str]]] = []
    for pair in pairs:
        if rows and len(_unpacked([*rows[-1], pair])) <= WIDTH:
            rows[-1].append(pair)
        else:
            rows.append([pair])
    return [_unpacked(row) for row in rows]


def _untold(raw: Graph, size: str) -> GraphcError:
    """The size stands on no axis alone, nor on one that can be solved for it."""
    leaves = [n for n in (*raw.inputs, *raw.params) if any(size in size_names(s) for s in n.tensor.shape)]
    span = next((span for node in leaves for span in raw.spans.get(node, ())), None)
    found = ", ".join(f"{node.attrs['name']} is {node.type}" for node in leaves)
    return GraphcError(Diagnostic("GC205", f"expected a shape that tells the size {size}, found none: {found}", span))


def declared_place(raw: Graph, node: Node) -> str:
    """Where an input or parameter is declared."""
    spans = raw.spans.get(node, ())
    return place_text(spans[0] if spans else None)


def words_of(lines: Iterable[str]) -> set[str]:
    """The identifiers in lines of code."""
    return {word for line in lines if not line.lstrip().startswith("#") for word in re.findall(r"\w+", line)}


def leaf_texts(graph: Graph, names: Mapping[str, str]) -> dict[Node, ast.expr]:
    """How inputs and parameters are written."""
    return {
        node: ast.Name(names[str(node.attrs["name"])], ast.Load())
        for node in (*graph.inputs, *graph.params)
        if node.attrs["name"] in names
    }


def array_texts(graph: Graph, arrays: Mapping[object, str]) -> dict[Node, ast.expr]:
    """How saved arrays are written, in the float type of the function."""
    texts: dict[Node, ast.expr] = {}
    for node in graph.nodes:
        if node.op is OPS["array"]:
            saved = ast.Name(arrays[node.attrs["array"]], ast.Load())
            texts[node] = method(saved, "astype", float_dtype(), copy=False) if node.tensor.is_float else saved
    return texts


def _unpacked(pairs: Sequence[tuple[str, str]]) -> str:
    targets, values = zip(*pairs, strict=True)
    return f"{INDENT}{', '.join(targets)} = {', '.join(values)}"
