"""Block pictures before they are DOT: boxes with what is written in them, the arrows between, the row of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from graphc.autodiff import Joint
from graphc.backends.formulas import Notation, notation_of, seen_through
from graphc.backends.picture import View, shape_of
from graphc.graph import Graph, Node, Scope

Kind = Literal["forward", "gradient", "kept"]
_MOST_NAMES = 3


@dataclass(frozen=True)
class Box:
    """What is drawn as one box.

    Attributes
    ----------
    id : str
        ``n`` and the number of the node in the listing.
    nodes : tuple of Node
        What it stands for.
    role : str
        A key of a theme's looks.
    head, aside, body : str
        What it is called, in bold; its shape behind that; what it computes.
    tooltip : str
    backward : bool
        Whether it belongs to the gradient.
    layer : Scope
        The layer calls around it.
    beside : str
        The id of the forward box in whose row it stands, empty for none.
    home : str
        Of a box of the gradient: the id of the forward box that it is folded with.
    """

    id: str
    nodes: tuple[Node, ...]
    role: str
    head: str
    body: str
    tooltip: str
    aside: str = ""
    backward: bool = False
    layer: Scope = ()
    beside: str = ""
    home: str = ""


@dataclass(frozen=True)
class Arrow:
    """From what is computed to what uses it, by the ids of boxes; ``label`` is the shape."""

    start: str
    end: str
    kind: Kind = "forward"
    label: str = ""


@dataclass(frozen=True, eq=False)
class Diagram:
    """Boxes in the order of the model, and arrows.

    Attributes
    ----------
    boxes : tuple of Box
    arrows : tuple of Arrow
    titles : mapping of Scope to str
        Of layers.
    joint : bool
        Whether both halves are there.
    hidden : frozenset of str
        The boxes that are not drawn; the others stand where they would with them.
    """

    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    titles: Mapping[Scope, str] = field(default_factory=dict)
    joint: bool = False
    hidden: frozenset[str] = frozenset()


def diagram_of(drawn: Graph | Joint, view: View) -> Diagram:
    """The boxes and arrows of a view: the model, its gradient with the values that it needs, or both."""
    return _Reader(notation_of(drawn), drawn if isinstance(drawn, Joint) else None).diagram(view)


def id_of(node: Node) -> str:
    """The id of a node's box."""
    return f"n{node.serial}"


@dataclass(eq=False)
class _Reader:
    notation: Notation
    joint: Joint | None

    @property
    def graph(self) -> Graph:
        return self.notation.graph

    def __post_init__(self) -> None:
        self._gradients = set(self.joint.gradients.values()) if self.joint else set()
        self._returned = {self.graph.outputs[name] for name in self._gradients}
        self._seeds = {seed: name for name, seed in self.joint.seeds.items()} if self.joint else {}
        self._origins = self._origin_of_cotangents()
        cotangents = self.joint.cotangents if self.joint else {}
        self._primals = {cotangent: node for node, cotangent in cotangents.items() if node in self.notation.names}

    def diagram(self, view: View) -> Diagram:
        backward = self.notation.backward
        nodes = [node for node in self.notation.visible if view != "forward" or node not in backward]
        shown = set(nodes)
        both = view != "forward" and bool(backward)
        leaves = self._leaves_beside(nodes)
        boxes = [self._box(node, self._row(node, leaves, both)) for node in nodes]
        outputs = [(n, node) for n, node in self.graph.outputs.items() if n not in self._gradients and node in shown]
        boxes += [self._terminal(name, node) for name, node in outputs]
        arrows = [*self._arrows(nodes, shown, view)]
        arrows += [Arrow(id_of(node), f"out_{name}", "forward", shape_of(node)) for name, node in outputs]
        hidden: set[str] = set()
        if view == "gradient" and both:
            needed = {id_of(source) for node in nodes if node in backward for source in self.sources(node)}
            hidden = {box.id for box in boxes if not box.backward and box.id not in needed}
        return Diagram(tuple(boxes), _labelled(arrows), joint=both and view == "joint", hidden=frozenset(hidden))

    def sources(self, node: Node) -> list[Node]:
        """The visible values that a visible one is computed from, in order; a direct operand as often as it is one."""
        found: list[Node] = []
        stack = [*reversed(self.graph.operands(node))]
        direct = set(stack)
        while stack:
            operand = stack.pop()
            if operand not in self.notation.names:
                stack += reversed(self.graph.operands(operand))
            elif operand not in found or (operand in direct and node not in self.notation.backward):
                found.append(operand)
        return found

    def _origin_of_cotangents(self) -> dict[Node, Node]:
        """By gradient value: the op whose derivative rule gave it, the last one where several did."""
        if self.joint is None:
            return {}
        found: dict[Node, Node] = {}
        for (user, _), sent in sorted(self.joint.contributions.items(), key=lambda item: -item[0][0].serial):
            shown = sent if sent in self.notation.names else seen_through(self.graph, sent)
            if shown in self.notation.backward and shown in self.notation.names:
                found.setdefault(shown, user)
        return {node: user for node, user in found.items() if node not in self._seeds}

    def _leaves_beside(self, nodes: Sequence[Node]) -> dict[Node, Node]:
        """Inputs and parameters that stand to the left of their first user: one for each."""
        found: dict[Node, Node] = {}
        taken: set[Node] = set()
        placed: set[Node] = set()
        for node in nodes:
            if node in self.notation.backward or _is_leaf(node):
                continue
            sources = self.sources(node)
            leaves = [source for source in sources if _is_leaf(source) and source not in placed]
            placed.update(leaves)
            inner = any(not _is_leaf(source) or source.op.name == "input" for source in sources)
            wanted = [leaf for leaf in leaves if leaf.op.name == "param" or any(not _is_leaf(s) for s in sources)]
            if wanted and inner and node not in taken:
                taken.add(node)
                found[wanted[-1]] = node
        return found

    def _row(self, node: Node, leaves: Mapping[Node, Node], both: bool) -> str:
        if node in leaves:
            return id_of(leaves[node])
        if not both:
            return ""
        if node in self._seeds:
            return f"out_{self._seeds[node]}"
        origin = self._origins.get(node)
        return id_of(origin) if origin is not None and origin in self.notation.names else ""

    def _box(self, node: Node, beside: str) -> Box:
        names, formula = self.notation.names[node], self.notation.formulas[node]
        tooltip = f"%{node.serial} {' = '.join(names)} = {formula}: {node.type}"
        scopes = self.graph.scopes.get(node, ())
        role, head, aside, body = self._texts(node, names, formula)
        backward = node in self.notation.backward
        layer = scopes[0] if scopes else ()
        home = beside or (id_of(self._primals[node]) if node in self._primals else "")
        return Box(id_of(node), (node,), role, head, body, tooltip, aside, backward, layer, beside, home)

    def _texts(self, node: Node, names: tuple[str, ...], formula: str) -> tuple[str, str, str, str]:
        """Role, head, what stands behind it, body."""
        name = " = ".join([*names[:_MOST_NAMES], *["…"][: len(names) > _MOST_NAMES]])
        if node in self._seeds:
            return "backward", name, "", "seed" if node.tensor.shape else "seed = 1"
        if node in self._returned and node in self.notation.backward:
            return "gradient", name, shape_of(node) if node.tensor.shape else "", formula
        if _is_leaf(node):
            if node.op.name == "input":
                return "input", name, "", "input"
            return "param", name, shape_of(node) if node.tensor.shape else "", formula.removeprefix("param ")
        if node in self.notation.backward:
            return "backward", self._derivative_head(node), "", f"{name} = {formula}"
        return "constant" if node.op.arity == 0 else "forward", node.op.name, "", f"{name} = {formula}"

    def _derivative_head(self, node: Node) -> str:
        origin = self._origins.get(node)
        return f"{origin.op.name}′" if origin is not None else node.op.name

    def _terminal(self, name: str, node: Node) -> Box:
        what = "loss" if self.joint and name in self.joint.seeds else "output"
        scope: Scope = ()
        return Box(f"out_{name}", (), "output", name, what, f"{what} {name}: {node.type}", layer=scope)

    def _arrows(self, nodes: Sequence[Node], shown: set[Node], view: View) -> Iterator[Arrow]:
        backward = self.notation.backward
        for node in nodes:
            for source in self.sources(node):
                if source not in shown:
                    continue
                kind: Kind = "forward"
                if node in backward:
                    kind = "gradient" if source in backward else "kept"
                # Inputs and parameters are not kept, they are given again.
                if kind != "kept" or view == "gradient" or not _is_leaf(source):
                    told = kind == "kept" or source.op.name == "param"
                    yield Arrow(id_of(source), id_of(node), kind, "" if told else shape_of(source))


def _labelled(arrows: Sequence[Arrow]) -> tuple[Arrow, ...]:
    """No shapes where all is scalar."""
    if all(arrow.label.startswith("scalar") for arrow in arrows if arrow.label):
        return tuple(replace(arrow, label="") for arrow in arrows)
    return tuple(arrows)


def _is_leaf(node: Node) -> bool:
    return node.op.name in ("input", "param")
