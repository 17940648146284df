"""A graph as assignments: every node with a user's name, or with several users, is one; the rest stands inside them."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import chain
from typing import Protocol, cast

from graphc.backends.expression_text import expression_text
from graphc.backends.numpy_blocks import Place, external_operands, written_region
from graphc.backends.numpy_expressions import as_strong, is_array, op_text, shared_parts
from graphc.backends.numpy_in_place import Update, is_large, is_new, update
from graphc.backends.numpy_indices import RangeCheck
from graphc.backends.numpy_layout import WIDTH
from graphc.backends.numpy_names import Names
from graphc.backends.numpy_scalars import in_floats
from graphc.backends.numpy_scan import (
    Comment,
    Loop,
    Scan,
    Statement,
    Written,
    assignment,
    element,
    empty,
    range_text,
    stores,
    updates,
)
from graphc.backends.numpy_work import Memory, Room, freed, is_wide, placed, read_in
from graphc.backends.regions import Region, late, schedule
from graphc.backends.ufuncs import quickest, takes_out
from graphc.graph import Graph, Node
from graphc.numpy_text import call, method, subscript, with_part
from graphc.op import OPS
from graphc.ops.operand_text import is_literal
from graphc.size import at_least
from graphc.tensor_type import TensorType

INLINE = 60
"""What is longer gets a name of its own, though it is used once."""
_SHORT = 16
"""Naming what is shorter would not shorten the line around it."""


class Comments(Protocol):
    """From a node to the model lines above its statement."""

    def __call__(self, node: Node) -> Comment:
        """The lines of a node."""

    def inside(self, node: Node, step: Graph) -> Comments:
        """Those of the nodes of a step that a node holds."""


Checks = Mapping[Node, tuple[RangeCheck, ...]]
_Step = tuple[Node, ast.expr, Node]
"""A node that is computed in the memory of an operand: the node, its text, the operand."""


# As arguments these are checked: without axes they are NumPy scalars, which nobody can change.
_GIVEN = (OPS["input"], OPS["param"])
_REPEATING = (OPS["broadcast_to"], OPS["windows"])
"""Views in which one element of memory may be several of the result: not to be written to."""


class Body:
    """The statements of one function.

    Parameters
    ----------
    graph : Graph
    leaves : mapping of Node to ast.expr
        How inputs, parameters and saved arrays are written.
    names : Names
        The scope of the function, in which the leaves' names are taken.
    user_names : collection of str
        The names in the model; others in the graph are those of gradients.
    comment : callable
        From a node to the model lines above its statement.
    keep : collection of Node
        Nodes that get a name in any case.
    checks : callable
        From the graph, or the step of a scan in it, to what is asked of labels and indices where they are computed.
    room : Room, optional
        Where to put large arrays; with it, regions of the graph are computed by blocks of rows.
    forget : bool
        Whether to forget large arrays that nobody needs any more, before others are made; without a room only.

    Attributes
    ----------
    statements : list of Statement or Loop
    texts : dict of Node to ast.expr
        How each node is written where it is used.
    order : sequence of Node or Region
        In which they are computed.
    steps : dict of Node to Body
        Of scans, what is repeated.
    in_place : dict of Node to Node
        Of what is computed in the memory of an operand, that operand.
    room : Room, optional
    work : tuple of TensorType
        The work arrays that it uses.
    placed : frozenset of Node
        What is computed in these, or in arrays of the caller.
    freed : dict of Node to tuple of Node
        What is forgotten before a node is computed.
    in_floats : bool
        Whether the statements are those of `numpy_scalars.in_floats`.
    """

    def __init__(
        self,
        graph: Graph,
        leaves: Mapping[Node, ast.expr],
        names: Names,
        *,
        user_names: Collection[str],
        comment: Comments,
        keep: Collection[Node] = (),
        checks: Callable[[Graph], Checks] | None = None,
        room: Room | None = None,
        forget: bool = False,
    ) -> None:
        self.graph = graph
        self.names = names
        self.comment = comment
        self.statements: list[Written] = []
        self.texts: dict[Node, ast.expr] = dict(leaves)
        self.steps: dict[Node, Body] = {}
        self.in_place: dict[Node, Node] = {}
        # Of variables that arrays are changed under: the one that the array was made for.
        self._memory_of: dict[str, str] = {}
        self.leaves = frozenset(leaves)
        self._returned = frozenset(graph.outputs.values())
        self._uses = Counter(chain(graph.outputs.values(), *graph.operand_table.values()))
        self._inline: dict[Node, int] = {}
        self._repeating: set[Node] = set()
        self._also: dict[Node, tuple[str, ...]] = {}
        self._checks_of = checks or (lambda graph: {})
        self._checks = self._checks_of(graph)
        self._user_names = user_names
        # Of results of scans: the variable that one ends in, and whether its memory is nobody else's.
        self._ends: dict[Node, ast.expr] = {}
        self._own_memory: dict[Node, bool] = {}
        self._targets = self._named(user_names, frozenset(keep))
        self.room = room
        self.work: tuple[TensorType, ...] = ()
        self.placed: frozenset[Node] = frozenset()
        self.freed: dict[Node, tuple[Node, ...]] = {}
        self.in_floats = False
        self.order = self._scheduled(room) if room else graph.nodes
        for item in self.order:
            if isinstance(item, Region):
                self._write_region(item)
            elif item in self._checks or not isinstance(self.texts.get(item), ast.Name):
                self._write(item)
        if room:
            self._place(room)
            self._use_floats()
        elif forget:
            self._forget()
        # They may hold the body: without this all of its expressions would be garbage that only the collector finds.
        del self._checks_of

    def results(self, outputs: Mapping[str, Node]) -> dict[str, ast.expr]:
        """Expressions for what is returned; none of them shares memory with an argument or another result."""
        found: dict[str, ast.expr] = {}
        seen: set[Node] = set()
        given = {node: [*arrays] for node, arrays in self.room.given.items()} if self.room else {}
        for name, node in outputs.items():
            root, fresh = self._origin(node)
            value = self.strong(node)
            unchanging = not node.tensor.shape and (node.op in _GIVEN or node in self._own_memory)
            shared = root in seen or not fresh
            if arrays := given.get(node):
                array = arrays.pop(0)
                value = value if node in self.placed and root not in seen else call("_stored", array, value)
            elif shared and not unchanging:
                value = method(value, "copy")
            found[name] = value
            seen.add(root)
        return found

    def strong(self, node: Node) -> ast.expr:
        """A node as an array, also where its text is a Python number."""
        return as_strong(node, self.texts[node])

    def _scheduled(self, room: Room) -> Sequence[Node | Region]:
        """Regions around what is left, results that replace arguments last."""
        order = schedule(self.graph, {*self.leaves, *self._checks}, room.rows)
        return late(self.graph, order, room.replaced)

    def _place(self, room: Room) -> None:
        """Use the caller's arrays and work arrays for what the statements make."""
        found = placed(self.statements, self._memory(), self.names.take("work"), room)
        self.statements, self.work = found.statements, found.kinds
        self.placed = self._with_beginnings(found.nodes)
        for node in room.given if room.replaced else ():
            root = self._origin(node)[0]
            if root in self.leaves and room.replaced.get(node) is not root:
                # Before the argument that it is memory of is written to.
                name = self.names.number(node.op.name)
                self.statements.append(assignment(name, method(self.texts[node], "copy"), self.comment(node)))
                self.texts[node] = ast.Name(name, ast.Load())

    def _use_floats(self) -> None:
        """Compute with Python's floats where there are scalars alone and that is quicker."""
        given = {text.id: n.type for n, text in self.texts.items() if n in self.leaves and isinstance(text, ast.Name)}
        outputs = {node: self.texts[node] for node in self.graph.outputs.values() if node not in self.leaves}
        results: dict[str, ast.expr] = {}
        texts: dict[Node, ast.expr] = {}
        for node, text in outputs.items():
            if not is_literal(text):
                name = text.id if isinstance(text, ast.Name) else self.names.number(node.op.name)
                results[name], texts[node] = text, ast.Name(name, ast.Load())
        if found := in_floats(self.statements, results, given, self.names):
            self.statements, self.in_floats = found, True
            self.texts |= texts

    def _forget(self) -> None:
        """Forget large arrays when nobody needs them any more."""
        self.statements, self.freed = freed(self.statements, self._memory())

    def _memory(self) -> Memory:
        """What the variables are when all is written."""
        variables = {node: text.id for node, text in self.texts.items() if isinstance(text, ast.Name)}
        shown = {name: variables.get(self._origin(node)[0], name) for node, name in variables.items()}
        roots = self._memory_of | {name: self._memory_of.get(root, root) for name, root in shown.items()}
        returned = read_in(self.texts[node] for node in self.graph.outputs.values())
        return Memory(variables, roots, frozenset(roots.get(name, name) for name in returned))

    def _with_beginnings(self, nodes: Collection[Node]) -> frozenset[Node]:
        """Nodes, and those that are computed in the same memory before."""
        found = set(nodes)
        for node in nodes:
            while (before := self.in_place.get(node)) is not None and before not in found:
                found.add(before)
                node = before
        return frozenset(found)

    def _has_place(self, node: Node, value: ast.expr) -> bool:
        """Whether a node is to be written into an array that is there already."""
        if self.room is None or not isinstance(node.type, TensorType) or not takes_out(value):
            return False
        return node in self.room.given or is_wide(node.type, self.room.rows)

    def _named(self, user_names: Collection[str], keep: Collection[Node]) -> dict[Node, str]:
        """Names for nodes that have one in the model first, then for gradients."""
        own: dict[Node, str] = {}
        gradients: dict[Node, str] = {}
        for node in self.graph.nodes:
            candidates = self.graph.names.get(node, ())
            if not candidates or isinstance(self.texts.get(node), ast.Name) or node.op in (OPS["const"], OPS["size"]):
                continue
            users = [name for name in candidates if name in user_names]
            if users:
                own[node], *also = users
                self._also[node] = tuple(also)
            else:
                gradients[node] = candidates[0]
        named = {node: self.names.take(name) for node, name in own.items()}
        named |= {node: self.names.take_numbered(name) for node, name in gradients.items()}
        kept = [n for n in self.graph.nodes if n in keep and n not in named and n not in self.leaves]
        return {**named, **{node: self.names.number(node.op.name) for node in kept}}

    def _origin(self, node: Node) -> tuple[Node, bool]:
        """The node whose memory this one's result may be, and whether it is new and writable."""
        writable = True
        while node not in self._own_memory and self.is_view(node):
            writable = writable and node.op not in _REPEATING
            node = self.graph.operands(node)[0]
        return node, writable and node.op not in (*_GIVEN, OPS["array"]) and self._own_memory.get(node, True)

    def is_view(self, node: Node) -> bool:
        """Whether a result may be memory of the first operand; so it is, for NumPy, with scalars as indices."""
        operands = self.graph.operands(node)
        if not operands or is_literal(self.texts[operands[0]]):
            return False
        if node.op is OPS["gather"]:
            return all(not index.tensor.shape for index in operands[1:])
        return bool(node.op.view) or (node.op is OPS["cast"] and not node.tensor.shape)

    def _write(self, node: Node) -> None:
        if node.op is OPS["scan"]:
            self._write_scan(node)
            return
        value = self._checked_value(node)
        if is_literal(value):
            self._set_number(node, value)
            return
        text = expression_text(value)
        single = self._uses[node] == 1 and node not in self._targets and node not in self._checks
        single = single and not self._has_place(node, value)
        if single and len(text) <= INLINE and isinstance(node.type, TensorType):
            self.texts[node], self._inline[node] = self._once(node, value), len(text)
        else:
            self._assign(node, value, text)

    def _set_number(self, node: Node, value: ast.expr) -> None:
        """Arithmetic of numbers and sizes is repeated where it is used, unless it is long."""
        self.texts[node] = value
        if not isinstance(value, ast.Constant) and len(expression_text(value)) > INLINE:
            value = self.strong(node)
            self._assign(node, value, expression_text(value))

    def _assign(self, node: Node, value: ast.expr, text: str) -> None:
        """The assignment; the longest operands of what is too long for a line are assigned before it."""
        stem = "index" if node in self._checks else node.op.name
        target = self._targets.get(node)
        while len(text) + len(target or stem) > WIDTH - 7:
            inline = [operand for operand in self.graph.operands(node) if self._inline.get(operand, 0) > _SHORT]
            if not inline:
                break
            self._name(max(inline, key=lambda operand: self._inline[operand]))
            value = self._checked_value(node)
            text = expression_text(value)
        if node in self._repeating:
            value = self._once(node, value)
            text = expression_text(value)
        target = self._assign_in_place(node, target, value)
        if target is None:
            target = self._targets.get(node) or self.names.number(stem)
            also = self._also.get(node, ())
            self.statements.append(Statement(target, value, text, self.comment(node), also, node=node))
        self.texts[node] = ast.Name(target, ast.Load())
        self._inline.pop(node, None)

    def _assign_in_place(self, node: Node, target: str | None, value: ast.expr) -> str | None:
        """Compute a large array in as few arrays as may be, and give its name; None where one expression does it.

        From its end inwards the expression is taken apart as long as one operand is an array that nobody else needs:
        a part of the expression, or a variable that is read for the last time and is not the user's.
        """
        if not is_large(node) or node in self._checks or (self.room is not None and node in self.room.given):
            return None
        inner, part, way = node, value, list[_Step]()
        while not isinstance(part, ast.Name) and (operand := self._spent(inner, part, variables=target is None)):
            way.insert(0, (inner, part, operand))
            inner, part = operand, self.texts[operand]
        if not is_new(inner) or not any(self._update(*step, "").saves for step in way):
            return None
        self.in_place.update((inner, operand) for inner, _, operand in way)
        return self._write_in_place(node, target, part, way)

    def _write_in_place(self, node: Node, target: str | None, part: ast.expr, way: Sequence[_Step]) -> str:
        """The array as it begins, unless it is a variable, and what changes it; the name that it has in the end.

        In functions that are to be read, a call that changes an array gives it a new name: of ``exp_1 = np.exp(add_1,
        out=add_1)`` both names say what they hold, until nobody reads the first one any more.
        """
        calls = [step for step in way if self.room is None and not self._update(*step, "").operator]
        held = [*(operand for _, _, operand in calls), node]
        begun = [part.id] if isinstance(part, ast.Name) else []
        numbered = [self.names.number(x.op.name) for x in held[len(begun) : len(held) - 1]]
        last = [target or self.names.number(node.op.name)] if calls or not begun else []
        first, *others = [*begun, *numbered, *last]
        comment, also, name, later = self.comment(node), self._also.get(node, ()), first, iter(others)
        if not begun:
            text = expression_text(part)
            self.statements.append(Statement(name, part, text, comment, () if others else also, node=node))
        for step in way:
            found = self._update(*step, name)
            name, operator = (next(later), "=") if step in calls else (name, found.operator)
            named = also if operator == "=" and name == others[-1] else ()
            text = expression_text(found.value)
            self.statements.append(Statement(name, found.value, text, comment, named, operator))
        root = self._memory_of.get(first, first)
        self._memory_of.update(dict.fromkeys([first, *others], root))
        return name

    def _spent(self, node: Node, value: ast.expr, *, variables: bool) -> Node | None:
        """The operand in whose memory an elementwise node may be computed; a variable only if it may be."""
        for operand in self.graph.operands(node) if is_new(node) else ():
            text = self.texts[operand]
            if operand.type != node.type or not is_new(operand) or self._uses[operand] > 1:
                continue
            if operand not in self._inline and not (variables and self._is_own_variable(operand)):
                continue
            if update(value, text, "", same_shape=True):
                return operand
        return None

    def _is_own_variable(self, node: Node) -> bool:
        """Whether a node is a variable of this function that the model has no name for."""
        users = any(name in self._user_names for name in self.graph.names.get(node, ()))
        return isinstance(self.texts[node], ast.Name) and node not in self.leaves and not users

    def _update(self, node: Node, value: ast.expr, operand: Node, target: str) -> Update:
        """The statement that makes what an array holds, an operand of a node, into the node."""
        same_shape = all(x.tensor.shape in ((), node.tensor.shape) for x in self.graph.operands(node))
        found = update(value, self.texts[operand], target, same_shape=same_shape)
        assert found is not None
        return found

    def _name(self, operand: Node) -> None:
        """Assign what stood inside its user."""
        self._assign(operand, self.texts[operand], expression_text(self.texts[operand]))

    def _checked_value(self, node: Node) -> ast.expr:
        """The NumPy text of a node, with the check that it needs as a label or an index."""
        value = self._value(node)
        for check in self._checks.get(node, ()):
            value = check.text(as_strong(node, value))
        return value

    def _value(self, node: Node) -> ast.expr:
        """The NumPy text of a node; an operand that it would repeat is assigned before."""
        value, repeated = self._text(node)
        if not repeated:
            return value
        again = [operand for operand in self.graph.operands(node) if self._is_inline(operand, repeated)]
        for operand in again:
            self._name(operand)
        if again:
            value, repeated = self._text(node)
        self._repeating.update([node] if repeated else [])
        return value

    def _once(self, node: Node, value: ast.expr) -> ast.expr:
        """The text with parts that it repeats assigned before it: what the body of an elementwise function shares."""
        while node in self._repeating and (repeated := shared_parts(value)):
            target = self.names.number(node.op.name)
            self.statements.append(Statement(target, repeated[0], expression_text(repeated[0]), self.comment(node)))
            value = with_part(value, repeated[0], ast.Name(target, ast.Load()))
        return value

    def _is_inline(self, operand: Node, texts: list[ast.expr]) -> bool:
        return operand in self._inline and any(self.texts[operand] is text for text in texts)

    def _text(self, node: Node) -> tuple[ast.expr, list[ast.expr]]:
        """The NumPy text of a node, and which of its parts stand in it several times."""
        if node in self.leaves or node in self._ends:
            return self._ends.get(node) or self.texts[node], []
        given = [self.texts[operand] for operand in self.graph.operands(node)]
        value = op_text(self.graph, node, given)
        if self.room is not None:
            value = quickest(value, [operand.type for operand in self.graph.operands(node)])
        if node in self._returned and isinstance(node.type, TensorType) and not node.type.shape and is_array(value):
            value = subscript(value, ast.Tuple([], ast.Load()))
        return value, shared_parts(value, given)

    def _write_region(self, region: Region) -> None:
        """What the region reads gets names, so that no block computes it again."""
        for operand in external_operands(self.graph, region):
            if not isinstance(self.texts[operand], ast.Name) and not is_literal(self.texts[operand]):
                self._name(operand)
        place = Place(self.graph, self.texts, self.names, self._targets, self._also, self.comment)
        written = written_region(region, place)
        self.statements += written.statements
        self.texts |= written.results
        self._own_memory.update(dict.fromkeys(written.results, True))

    def _write_scan(self, node: Node) -> None:
        """The carries and arrays as they begin, and the loop."""
        scan = Scan.of(node)
        operands = self.graph.operands(node)
        for operand in dict.fromkeys(operands[scan.carries :]):
            if not isinstance(self.texts[operand], ast.Name) and not is_literal(self.texts[operand]):
                self._name(operand)
        items = {cast(int, user.attrs["index"]): user for user, _ in self.graph.users(node)}
        carried = [self._carry_variable(items.get(k), scan.step.name(x)) for k, x in enumerate(scan.carried)]
        arrays = {k: self._array_variable(item) for k, item in items.items() if k >= scan.carries}
        comment, variable = self.comment(node), self.names.take("t")
        firsts = [self._first(operand) for operand in operands[: scan.carries]]
        self.statements += [assignment(name, x, comment) for name, x in zip(carried, firsts, strict=True)]
        for k, array in sorted(arrays.items()):
            self.statements.append(assignment(array, empty(items[k].tensor), comment))
        places = [ast.Name(self.names.take(scan.step.name(x)), ast.Load()) for x in scan.scanned]
        texts = [*(ast.Name(name, ast.Load()) for name in carried), *places]
        texts += [self.texts[operand] for operand in operands[scan.carries + len(places) :]]  # type: ignore[misc]
        inside = self.steps[node] = Body(
            scan.step,
            dict(zip(scan.step.inputs, texts, strict=True)),
            self.names,
            user_names=self._user_names,
            comment=self.comment.inside(node, scan.step),
            checks=self._checks_of,
        )
        outputs = [*scan.step.outputs.values()]
        before = {arrays[len(outputs) + k]: texts[k] for k in range(scan.carries) if len(outputs) + k in arrays}
        given = [self.texts[operand] for operand in operands[scan.carries :]]
        slices = [assignment(x.id, element(array, variable), ()) for x, array in zip(places, given, strict=False)]
        body = updates(
            [*stores(before, variable, ()), *slices, *inside.statements],
            {name: inside.strong(out) for name, out in zip(carried, outputs, strict=False)},
            {arrays[k]: inside.strong(out) for k, out in enumerate(outputs) if k in arrays},
            variable,
        )
        if body:
            self.statements.append(Loop(range_text(variable, scan.length, reverse=scan.reverse), tuple(body), comment))
        self._settle_memory(node, scan, items, inside)

    def _carry_variable(self, item: Node | None, wanted: str) -> str:
        """The variable of a carry: what its last value is called, where the step calls it so too."""
        if item is None or self._targets.get(item) != wanted:
            name = self.names.take(wanted)
            if item is not None:
                self._ends[item] = ast.Name(name, ast.Load())
            return name
        self.texts[item] = ast.Name(wanted, ast.Load())
        return wanted

    def _array_variable(self, item: Node) -> str:
        name = self._targets.get(item) or self.names.number("steps")
        self.texts[item] = self._ends[item] = ast.Name(name, ast.Load())
        return name

    def _first(self, operand: Node) -> ast.expr:
        value = self.strong(operand)
        return subscript(value, ast.Tuple([], ast.Load())) if not operand.tensor.shape and is_array(value) else value

    def _settle_memory(self, node: Node, scan: Scan, items: Mapping[int, Node], inside: Body) -> None:
        """A carry is new when a step makes it so, and there is a step or what it begins with is new."""
        seen: set[Node] = set()
        for k, out in enumerate(scan.step.outputs.values()):
            root, fresh = inside._origin(out)
            first = self.graph.operands(node)[k] if k < scan.carries else node
            begun = at_least(scan.length, 1) is True or (self._uses[first] == 1 and self._origin(first)[1])
            if k in items:
                self._own_memory[items[k]] = k >= scan.carries or (fresh and root not in seen and begun)
            seen.add(root)
        self._own_memory.update((item, True) for k, item in items.items() if k >= scan.carries)
