"""Statements with their large arrays in memory that is there: work arrays of the module, or what the caller gives.

New memory is the system's to give, a page at a time, which takes longer than simple arithmetic on it. A work array is
used again in a function as soon as nobody needs what is in it, and by the next call.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeGuard

from graphc.backends.expression_text import expression_text
from graphc.backends.numpy_blocks import RUNTIME as BLOCKWISE
from graphc.backends.numpy_in_place import is_large
from graphc.backends.numpy_scan import Comment, Function, Loop, Statement, Written, assignment, dtype_text
from graphc.backends.regions import extent
from graphc.backends.slots import Life, slots
from graphc.backends.ufuncs import is_elementwise, takes_out, with_out
from graphc.graph import Node
from graphc.numpy_text import call, literal, subscript
from graphc.tensor_type import TensorType

BORROWED = "_borrowed"
"""The function that gives work arrays; what it gives goes back into ``_WORK``."""
GIVEN_PAIR = "_given_pair"
"""The function that gives a step of training its arrays, and keeps those that it changes where they are."""
_BLOCK = (
    "# Elements of a block: few enough for the cache, and enough to make calling NumPy for each block cheap.",
    "_BLOCK = 64_000",
)
_WORK = ("# Work arrays that no call is using, and arrays that the last step changed in place.", "_WORK = {}")
KEPT = (
    'if sys.platform == "linux":',
    "    # The C library returns freed arrays to the system, and every call pays for new pages,",
    "    # until as much as this has been freed at once; from then on it keeps them.",
    "    with contextlib.suppress(MemoryError):",
    "        np.empty(2**25 - 2**14, np.uint8)",
)
"""Of the GNU C library ``mallopt(3)`` tells, at ``M_MMAP_THRESHOLD``, that what is freed moves its limit."""
WIDE = 2**14
"""Elements from which on new memory costs more than a name for an old one."""


@dataclass(frozen=True)
class Room:
    """Where a function may put its large arrays.

    Attributes
    ----------
    function : str
        Its name, under which its work arrays are kept.
    rows : collection of str
        Named sizes that are numbers of rows, and may be large.
    given : mapping of Node to sequence of ast.expr
        Arrays of the caller for results: as many as a node is results.
    replaced : mapping of Node to Node
        Of such results, the leaf whose memory the array may be, because the result is its new value.
    """

    function: str
    rows: Collection[str] = ()
    given: Mapping[Node, Sequence[ast.expr]] = field(default_factory=dict)
    replaced: Mapping[Node, Node] = field(default_factory=dict)


@dataclass(frozen=True)
class Memory:
    """What the variables of a function are.

    Attributes
    ----------
    variables : mapping of Node to str
    roots : mapping of str to str
        The variables whose memory these show, mostly themselves.
    returned : collection of str
        Those whose memory is in what the function returns.
    """

    variables: Mapping[Node, str]
    roots: Mapping[str, str]
    returned: Collection[str]


@dataclass(frozen=True)
class Placed:
    """Statements with arrays for what they make.

    Attributes
    ----------
    statements : list of Statement or Loop
    kinds : tuple of TensorType
        The work arrays that they use.
    nodes : frozenset of Node
        What is in these, and in arrays of the caller.
    """

    statements: list[Written]
    kinds: tuple[TensorType, ...]
    nodes: frozenset[Node]


def state_lines(functions: Iterable[Sequence[str]]) -> list[str]:
    """What a module with some functions keeps between calls."""
    lines = [line for function in functions for line in function]
    blocks = any(f"{BLOCKWISE}(" in line for line in lines)
    works = blocks or any(f"{name}(" in line for line in lines for name in (BORROWED, GIVEN_PAIR))
    return [*(_BLOCK if blocks else ()), *(_WORK if works else ())]


def is_wide(type: TensorType, rows: Collection[str]) -> bool:
    """Whether an array may be so large that its memory matters."""
    return bool(type.shape) and extent(type.shape, rows) >= WIDE


def placed(statements: Sequence[Written], memory: Memory, work: str, room: Room) -> Placed:
    """Put what statements make into arrays that are there.

    Parameters
    ----------
    statements : sequence of Statement or Loop
    memory : Memory
    work : str
        A variable for the list of work arrays.
    room : Room
    """
    life = _Life([*statements], memory)
    given = _use_given(life, room)
    kept = {*memory.returned, *_passed_on(life)}
    return _use_work_arrays(life, work, room, kept, frozenset(given))


def freed(statements: Sequence[Written], memory: Memory) -> tuple[list[Written], dict[Node, tuple[Node, ...]]]:
    """Statements that forget large arrays when nobody needs them any more, before others are made.

    Returns
    -------
    statements : list of Statement or Loop
    before : dict of Node to tuple of Node
        For what is made after such a statement, what is forgotten before it.
    """
    life = _Life([*statements], memory)
    kept = {*memory.returned, *_passed_on(life)}
    views: dict[str, list[str]] = {}
    for name, root in memory.roots.items():
        views.setdefault(root, []).append(name)
    written: list[Written] = []
    before: dict[Node, tuple[Node, ...]] = {}
    held: dict[str, Node] = {}
    for position, statement in enumerate(life.statements):
        if _makes_large(statement, memory):
            assert statement.node is not None
            if dead := [name for name in held if life.last.get(name, -1) < position]:
                before[statement.node] = tuple(held.pop(name) for name in dead)
                names = [view for name in dead for view in sorted({*views.get(name, ()), name})]
                written.append(_deletion(names, statement.comment))
            if statement.target not in kept:
                held[statement.target] = statement.node
        written.append(statement)
    return written, before


def read_in(values: Iterable[ast.expr]) -> set[str]:
    """The variables in some expressions."""
    return {part.id for value in values for part in ast.walk(value) if isinstance(part, ast.Name)}


class _Life:
    """Statements, and for each variable that which makes it and the last that reads it or a view of it."""

    def __init__(self, statements: list[Written], memory: Memory) -> None:
        self.statements, self.memory = statements, memory
        self.last: dict[str, int] = {}
        self.made = {s.target: p for p, s in enumerate(statements) if _is_made(s)}
        for position, statement in enumerate(statements):
            # A function in the function is called by the next statement.
            until = position + isinstance(statement, Function)
            self.last.update((memory.roots.get(name, name), until) for name in _reads(statement))
        self.last.update((name, len(statements)) for name in memory.returned)


def _use_given(life: _Life, room: Room) -> set[Node]:
    """Results that are computed in the caller's arrays; others have to be stored there at the end."""
    found: set[Node] = set()
    for position, statement in enumerate(life.statements):
        node = statement.node if _is_made(statement) else None
        if node is None or node not in room.given:
            continue
        old = life.memory.variables.get(room.replaced.get(node, node), "")
        if node in room.replaced and not _is_spent(life, position, old):
            continue
        place: int | None = position
        while place is not None:
            made = life.statements[place]
            assert isinstance(made, Statement) and made.node is not None
            life.statements[place] = _into(made, room.given[node][0])
            found.add(made.node)
            place = _begun(life, place, old)
    return found


def _begun(life: _Life, position: int, old: str) -> int | None:
    """The statement that makes an operand which ends here, and could be in the memory of this result all along."""
    statement = life.statements[position]
    assert isinstance(statement, Statement) and statement.node is not None
    for name in sorted(_reads(statement)) if is_elementwise(statement.value) else ():
        place = life.made.get(name)
        if place is None or life.last[name] != position or name in life.memory.returned:
            continue
        begun = life.statements[place]
        assert isinstance(begun, Statement) and begun.node is not None
        if begun.node.type == statement.node.type and _is_spent(life, place, old) and not _is_empty(begun.value):
            return place
    return None


def _is_spent(life: _Life, position: int, old: str) -> bool:
    """Whether the array that a statement makes may be an old one's memory, because nobody reads that afterwards.

    Where a loop over blocks fills the array, each block reads its rows of the old one before it writes them.
    """
    statement, last = life.statements[position], life.last.get(old, -1)
    assert isinstance(statement, Statement)
    if not _is_empty(statement.value):
        return last < position or (last == position and is_elementwise(statement.value))
    filling = next(p for p in range(position, len(life.statements)) if isinstance(life.statements[p], Function))
    block = life.statements[filling]
    assert isinstance(block, Function)
    return last <= position or (last == filling + 1 and _reads_before_writing(block, old, statement.target))


def _reads_before_writing(block: Function, old: str, new: str) -> bool:
    """Whether a block reads rows of an array, as arguments of ufuncs, no later than it writes these of another."""
    body = [statement for statement in block.body if isinstance(statement, Statement)]
    slices = {statement.target for statement in body if statement.text.startswith(f"{old}[")}
    reads = [p for p, s in enumerate(body) if slices & _reads(s)]
    writes = [p for p, s in enumerate(body) if new in _reads(s)]
    whole = any(old in _reads(s) and s.target not in slices for s in body)
    plain = all(is_elementwise(body[p].value) for p in reads)
    return not whole and plain and len(writes) == 1 and max(reads, default=-1) <= writes[0]


def _passed_on(life: _Life) -> set[str]:
    """Variables that others may be names for: they are carried by a loop, or stand in a statement of no one node."""
    found: set[str] = set()
    for statement in life.statements:
        loop = isinstance(statement, Loop) and not isinstance(statement, Function)
        unknown = isinstance(statement, Statement) and statement.node is None and statement.operator == "="
        if loop or (unknown and not is_elementwise(statement.value)):  # type: ignore[union-attr]
            found.update(life.memory.roots.get(name, name) for name in _reads(statement))
    return found


def _use_work_arrays(life: _Life, work: str, room: Room, kept: Collection[str], given: frozenset[Node]) -> Placed:
    """Give each wide array a work array, from its statement to the last that reads it."""
    lives = [
        Life(
            _wide_kind(statement, room, kept, given),
            life.last.get(statement.target, position) if isinstance(statement, Statement) else position,
            isinstance(statement, Statement) and is_elementwise(statement.value),
        )
        for position, statement in enumerate(life.statements)
    ]
    places: dict[tuple[TensorType, int], int] = {}
    written, nodes = [*life.statements], set(given)
    for position, number in enumerate(slots(lives)):
        statement = written[position]
        if number is not None:
            assert isinstance(statement, Statement) and statement.node is not None
            place = places.setdefault((statement.node.tensor, number), len(places))
            written[position] = _into(statement, subscript(ast.Name(work, ast.Load()), literal(place)))
            nodes.add(statement.node)
    kinds = tuple(kind for kind, _ in places)
    return Placed(_around(written, work, room.function, kinds), kinds, frozenset(nodes))


def _wide_kind(statement: Written, room: Room, kept: Collection[str], given: frozenset[Node]) -> TensorType | None:
    """The type of the wide array that a statement makes for this function alone."""
    if not _is_made(statement) or statement.target in kept or statement.node is None or statement.node in given:
        return None
    return statement.node.tensor if is_wide(statement.node.tensor, room.rows) else None


def _around(body: list[Written], work: str, function: str, kinds: Sequence[TensorType]) -> list[Written]:
    """The statements between that which borrows the work arrays and that which gives them back."""
    if not kinds:
        return body
    rows = [ast.Tuple([literal(kind.shape), dtype_text(kind.dtype)], ast.Load()) for kind in kinds]
    borrowed = assignment(work, call(BORROWED, ast.Constant(function), *rows), ())
    return [borrowed, *body, assignment(f'_WORK["{function}"]', ast.Name(work, ast.Load()), ())]


def _is_made(statement: Written) -> TypeGuard[Statement]:
    """Whether a statement makes an array, in whose place there could be another."""
    if not isinstance(statement, Statement) or statement.node is None or statement.operator != "=":
        return False
    return _is_empty(statement.value) or takes_out(statement.value)


def _into(statement: Statement, array: ast.expr) -> Statement:
    """A statement with what it makes written into an array."""
    value = array if _is_empty(statement.value) else with_out(statement.value, array)
    return replace(statement, value=value, text=expression_text(value))


def _makes_large(statement: Written, memory: Memory) -> TypeGuard[Statement]:
    """Whether a statement makes an array, no view of one, that is large for all that is known of its sizes."""
    if not isinstance(statement, Statement) or statement.node is None or not is_large(statement.node):
        return False
    known = any(isinstance(size, int) for size in statement.node.tensor.shape)
    return known and memory.roots.get(statement.target, "") == statement.target


def _deletion(names: list[str], comment: Comment) -> Statement:
    return Statement("", ast.Name(names[0], ast.Load()), f"del {', '.join(names)}", comment, operator="")


def _is_empty(value: ast.expr) -> bool:
    return isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr == "empty"


def _reads(statement: Written) -> set[str]:
    """The variables that a statement reads or changes."""
    if isinstance(statement, Loop):
        found = {name for inner in statement.body for name in _reads(inner)} | _words(statement.text)
        return found | read_in(statement.returned if isinstance(statement, Function) else ())
    changed = statement.operator != "=" or not statement.target.isidentifier()
    return read_in([statement.value]) | (_words(statement.target) if changed else set())


def _words(text: str) -> set[str]:
    return {*re.findall(r"[^\W\d]\w*", text)}
