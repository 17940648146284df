"""The code pane of a report: the forward and backward functions of the module, whose lines carry node ids."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from graphc.autodiff import Joint
from graphc.graph import Graph, Node
from graphc.report.marked import Stretch, marked
from graphc.report.timeline import node_id
from graphc.steps import forward_nodes

_PLACE = re.compile(r"\s*# (?P<grad>grad of )?.*\[(?P<name>[^\]]*):(?P<line>\d+)\]$")
_NOT_SHOWN = frozenset({"init_params", "value_and_grad", "value_and_grad_flat", "pack", "unpack", "check"})
Key = tuple[bool, str, int]
"""Whether it is of the gradient, and the place in the model: what a comment of the module says."""


@dataclass
class _Run:
    """The statements below one comment."""

    key: Key | None
    statements: list[ast.stmt] = field(default_factory=list)


def code_html(module: str, drawn: Graph | Joint, *, focusable: bool) -> str:
    """The functions of a generated module that compute the model and its gradient.

    Parameters
    ----------
    module : str
        Its text.
    drawn : Graph or Joint
        Whose nodes have the ids.
    focusable : bool
    """
    lines = module.split("\n")
    places = _Places(drawn)
    parts = []
    for function in _shown(ast.parse(module)):
        last = function.end_lineno or function.lineno
        text = "\n".join(lines[function.lineno - 1 : last])
        ids = _ids_by_line(function, lines, places)
        parts.append(marked(text, _stretches(text, function.lineno, ids), focusable=focusable))
    return _in_blocks("\n\n".join(parts).split("\n"))


def _in_blocks(lines: Sequence[str]) -> str:
    """Lines by the fifty: a browser lays out those blocks that are in view."""
    blocks = ("\n".join(lines[start : start + 50]) for start in range(0, len(lines), 50))
    return "".join(f'<span class="block">{block}\n</span>' for block in blocks)


def _shown(tree: ast.Module) -> list[ast.FunctionDef]:
    """Both passes; of a model without a loss, the function of all outputs or that of each."""
    public = {
        item.name: item
        for item in tree.body
        if isinstance(item, ast.FunctionDef) and not item.name.startswith("_") and item.name not in _NOT_SHOWN
    }
    for names in (("forward", "backward"), ("evaluate",)):
        if names[0] in public:
            return [public[name] for name in names if name in public]
    return list(public.values())


def _stretches(text: str, first: int, ids: Mapping[int, Sequence[str]]) -> Iterator[Stretch]:
    start = 0
    for number, line in enumerate(text.split("\n"), start=first):
        yield Stretch(start, start + len(line), tuple(ids.get(number, ())), "line")
        start += len(line) + 1


class _Places:
    """Where the nodes of a graph come from, and the names that the module gives them."""

    def __init__(self, drawn: Graph | Joint) -> None:
        self.graph = drawn.graph if isinstance(drawn, Joint) else drawn
        self.forward = forward_nodes(drawn) if isinstance(drawn, Joint) else frozenset(drawn.nodes)
        cotangents = drawn.cotangents if isinstance(drawn, Joint) else {}
        self.leaves = {str(node.attrs["name"]): node for node in (*self.graph.inputs, *self.graph.params)}
        self.at: dict[Key, list[Node]] = {}
        self.named: dict[str, list[Node]] = {}
        for node in self.graph.nodes:
            # Leaves are given, by no statement.
            for span in self.graph.spans.get(node, ())[: node.op.name not in ("input", "param")]:
                self.at.setdefault((node not in self.forward, span.source.name, span.line), []).append(node)
            for name in self.graph.names.get(node, ()):
                self.named.setdefault(name, []).append(node)
                if node in cotangents:
                    self.named.setdefault(f"d_{name}", []).append(cotangents[node])
        for name, node in self.graph.outputs.items():
            self.named.setdefault(name, []).append(node)


def _ids_by_line(function: ast.FunctionDef, lines: Sequence[str], places: _Places) -> dict[int, list[str]]:
    found = _leaf_lines(function, lines, places)
    for run in _runs(function, lines):
        nodes = places.at.get(run.key, []) if run.key else []
        for statement, ids in zip(run.statements, _of_statements(run, nodes, places), strict=True):
            for number in range(statement.lineno, (statement.end_lineno or statement.lineno) + 1):
                found.setdefault(number, []).extend(ids)
    return {number: list(dict.fromkeys(ids)) for number, ids in found.items()}


def _leaf_lines(function: ast.FunctionDef, lines: Sequence[str], places: _Places) -> dict[int, list[str]]:
    """Inputs and parameters belong where the function takes them."""
    found: dict[int, list[str]] = {}
    taken = [function.lineno, *(item.lineno for item in function.body if isinstance(item, ast.Assign))]
    if function.name == "backward":
        return found
    for name, node in places.leaves.items():
        word = re.compile(rf"\b{re.escape(name)}\b")
        number = next((number for number in taken if word.search(lines[number - 1])), None)
        if number is not None:
            found.setdefault(number, []).append(node_id(node))
    return found


def _runs(function: ast.FunctionDef, lines: Sequence[str]) -> Iterator[_Run]:
    """The statements of a function by the comment above them."""
    run, previous = _Run(None), function.lineno
    for statement in function.body:
        for line in lines[previous : statement.lineno - 1]:
            if match := _PLACE.fullmatch(line):
                yield run
                run = _Run((bool(match["grad"]), match["name"], int(match["line"])))
        if not isinstance(statement, ast.Return):
            run.statements.append(statement)
        previous = statement.end_lineno or statement.lineno
    yield run


def _of_statements(run: _Run, nodes: Sequence[Node], places: _Places) -> list[list[str]]:
    """The ids of each statement: of the value that it names, and of what only that value is made from.

    What several of these need, the module computes under names of its own, where it has any.
    """
    targets = [_target(statement) for statement in run.statements]
    here = set(nodes)
    owned: dict[Node, set[int]] = {}
    anchors = []
    for count, target in enumerate(targets):
        known = places.named.get(target, [])
        anchors.append([node for node in known if node in here] or known if run.key else [])
        for node in anchors[-1]:
            owned[node] = {count}
    own = {count for count, found in enumerate(anchors) if not found}
    for node in sorted(nodes, key=lambda node: -node.serial):
        if node not in owned:
            users = [user for user, _ in places.graph.users(node) if user in owned]
            owners = {count for user in users for count in owned[user]} or set(range(len(targets)))
            # What several need has a name of its own.
            owned[node] = own if own and len(owners) > 1 else owners
    ordered = sorted(owned, key=lambda node: node.serial)
    return [[node_id(node) for node in ordered if count in owned[node]] for count in range(len(targets))]


def _target(statement: ast.stmt) -> str:
    """The variable that a statement gives a value, also in place."""
    match statement:
        case ast.Assign(targets=[ast.Name(id=name), *_]) | ast.AugAssign(target=ast.Name(id=name)):
            return name
        case ast.Expr(value=ast.Call(keywords=[*_, ast.keyword(arg="out", value=ast.Name(id=name))])):
            return name
    return ""
