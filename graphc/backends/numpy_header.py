"""The parts of a generated module around its functions: docstring, tables of arguments, initialisers, saved arrays."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence

from graphc.autodiff import carries_cotangent
from graphc.backends.expression_text import expression_text
from graphc.backends.numpy_function import declared_place
from graphc.backends.numpy_indices import entry_limits
from graphc.backends.numpy_layout import INDENT, WIDTH, filled_lines, joined_lines, printable, quoted
from graphc.backends.numpy_spelling import Spelling
from graphc.backends.regions import Optimize
from graphc.graph import Graph, Node
from graphc.numpy_text import literal
from graphc.op import OPS, Conventions
from graphc.ops.leaves import Array, Initializer
from graphc.size import size_names
from graphc.tensor_type import Shape, TensorType


def module_docstring(
    raw: Graph,
    provenance: str,
    conventions: Sequence[str],
    lacking: str = "",
    optimize: Optimize = "readable",
    reassociate: bool = False,
) -> str:
    """The docstring of a module: what the model says of itself, where it comes from, its signature, what it lacks."""
    title = raw.doc.strip().split("\n")[0]
    lines = [*([title, ""] if title else []), provenance, ""]
    tables = {
        "inputs": [f"{node.attrs['name']}: {node.type}" for node in raw.inputs],
        "params": [f"{node.attrs['name']}: {node.type}" for node in raw.params],
        "outputs": [f"{name}: {node.type}" for name, node in raw.outputs.items()],
        "at kinks": [*conventions],
    }
    for title, items in tables.items():
        rows = filled_lines(items, "   ", WIDTH - 9)
        lines += [f"{title if position == 0 else '':9}{row}" for position, row in enumerate(rows)]
    styles = [*(_SPEED if optimize == "speed" else ()), *([_REASSOCIATED] if reassociate else [])]
    lines += ["", *_FLOATS, *(["", *styles] if styles else []), *(["", lacking] if lacking else [])]
    return literal_text("\n".join(lines) + "\n")


_FLOATS = (
    "Floats are computed in the widest type among the arrays given, float32 or float64; numbers,",
    "lists and integers adapt. Nothing given is changed, nothing returned shares its memory.",
)
_SPEED = (
    "Written for speed: large arrays are computed by blocks of rows, and in work arrays that are kept.",
    "Only what is given as out is changed: results are written there, a gradient or (params, state).",
)
_REASSOCIATED = "Sums and products are regrouped: differences far smaller than their values' spread lose digits."


def function_docstring(text: str) -> str:
    """One line as a docstring."""
    return literal_text(text)


def literal_text(text: str) -> str:
    """A text in triple quotes, its lines as they are."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    shown = "".join(c if c == "\n" or c.isprintable() else c.encode("unicode_escape").decode() for c in escaped)
    # Quotes alone need no escape, but for one at the end.
    readable = shown if '"""' in text or text.endswith('"') else shown.replace('\\"', '"')
    return f'"""{readable}"""'


def keys_text(raw: Graph, variables: Iterable[str]) -> str:
    """What keys a dict with an entry for each variable has."""
    names = list(variables)
    return "the keys of params" if {node.attrs["name"] for node in raw.params} == {*names} else f"keys {listed(names)}"


def listed(names: Sequence[str]) -> str:
    """Names in a sentence, no longer than it can hold."""
    *most, last = names
    text = f"{', '.join(most)} and {last}" if most else last
    return text if len(text) <= 30 or not most else f"{names[0]} and {len(most)} more"


def conventions_of(
    raw: Graph, losses: Iterable[str], variables: Iterable[str], conventions: Conventions = "graphc"
) -> list[str]:
    """What holds at the kinks of the ops on the way from variables to losses."""
    wanted = set(variables)
    active = {node for node in raw.nodes if wanted.intersection(raw.names.get(node, ()))}
    needed = _moving(raw, [raw.outputs[loss] for loss in losses])
    found: dict[str, None] = {}
    for node in raw.nodes:
        if any(operand in active for operand in raw.operands(node)):
            active.add(node)
            if node in needed:
                found |= dict.fromkeys(_conventions_in(raw, node, conventions))
    return list(found)


def _moving(raw: Graph, outputs: Sequence[Node]) -> set[Node]:
    """What outputs are computed from through floats: no derivative goes through a condition."""
    found, stack = set(outputs), [*outputs]
    while stack:
        for operand in raw.operands(stack.pop()):
            if operand not in found and carries_cotangent(operand):
                found.add(operand)
                stack.append(operand)
    return found


def _conventions_in(graph: Graph, node: Node, conventions: Conventions) -> list[str]:
    """Those of a node; of an elementwise function, those of the ops that it is made from."""
    body = node.op.body
    if body is not None:
        return [text for part in body.nodes for text in _conventions_in(body, part, conventions)]
    text = node.op.convention_under(conventions)
    return [text] if text and not _is_plain_power(graph, node) else []


def _is_plain_power(raw: Graph, node: Node) -> bool:
    """Whether no operand can be at the kink of a power, which is where base and exponent are zero."""
    return node.op is OPS["power"] and any(
        operand.op is OPS["const"] and operand.attrs["value"] != 0 for operand in raw.operands(node)
    )


def table_lines(name: str, raw: Graph, nodes: Iterable[Node], called: Mapping[str, str]) -> list[str]:
    """The table of what arguments must be: dtype, shape, place and, of labels and indices, what they stay below."""
    limits = entry_limits(raw)
    rows = []
    for node in nodes:
        own = str(node.attrs["name"])
        below = "".join(f", {_item(limit)}" for limit in limits.get(node, ()))
        described = shape_text(node.tensor.shape)
        place = quoted(declared_place(raw, node))
        rows.append(f"{quoted(called.get(own, own))}: ({quoted(node.tensor.dtype)}, {described}, {place}{below})")
    return (
        joined_lines(f"{name} = {{", rows, "}", "")
        if not rows
        else [f"{name} = {{", *(f"{INDENT}{row}," for row in rows), "}"]
    )


def shape_text(shape: Shape) -> str:
    """A shape as the tables have it: ints, and named sizes as texts."""
    return f"({', '.join(map(_item, shape))}{',' * (len(shape) == 1)})"


def _item(value: object) -> str:
    return str(value) if isinstance(value, int) else quoted(str(value))


def initializer_lines(raw: Graph, sizes: Mapping[str, str], dtype: str) -> list[str]:
    """``init_params``: sizes of parameters that no number settles are its arguments."""
    spelling = Spelling(sizes, f"np.{dtype}")
    rows: list[str] = []
    for node in raw.params:
        init = node.attrs["init"]
        if isinstance(init, Initializer):
            told = printable(f"  # {init.text}") if init.text else ""
            lines = _initial(init, node.tensor, spelling)
            lines[0] = f"{quoted(str(node.attrs['name']))}: {lines[0]}"
            lines[-1] = f"{lines[-1]},{told}"
            rows += [f"{INDENT}{INDENT}{line}" for line in lines]
    absent = [str(node.attrs["name"]) for node in raw.params if not isinstance(node.attrs["init"], Initializer)]
    shapes = [node.tensor.shape for node in raw.params if isinstance(node.attrs["init"], Initializer)]
    needed = dict.fromkeys(name for shape in shapes for size in shape for name in size_names(size))
    arguments = ["rng=0", *(["*", *(sizes[n] for n in needed)] if needed else [])]
    doc = "New parameters; rng is a seed or a NumPy generator."
    absent_note = f"  # for the caller to give: {', '.join(absent)}" if absent else ""
    if absent and (rows or len(absent_note) > WIDTH - 2 * len(INDENT)):
        rows = [f"{INDENT}{INDENT}{absent_note.strip()}", *rows]
    draws = any("rng." in row for row in rows)
    return [
        f"def init_params({', '.join(arguments)}):",
        f"{INDENT}{literal_text(doc)}",
        *([f"{INDENT}rng = np.random.default_rng(rng)"] if draws else []),
        *([f"{INDENT}return {{", *rows, f"{INDENT}}}"] if rows else [f"{INDENT}return {{}}{absent_note}"]),
    ]


def _initial(init: Initializer, type: TensorType, spelling: Spelling) -> list[str]:
    if init.kind == "array":
        assert init.array is not None
        lines = array_lines(init.array)
        if init.array.dtype != type.dtype:
            lines[-1] += f".astype(np.{type.dtype})"
        return lines
    shape = spelling(literal(type.shape[0] if len(type.shape) == 1 else type.shape))
    single = ", dtype=np.float32" if type.dtype == "float32" else ""
    if init.kind == "constant":
        filled = {0.0: "zeros", 1.0: "ones"}.get(init.low)
        return [f"np.{filled}({shape}{single})" if filled else f"np.full({shape}, {_number(init.low)}{single})"]
    drawn = f"rng.{init.kind}({_number(init.low)}, {_number(init.high)}, {shape})"
    return [f"np.asarray({drawn}{single})" if single or not type.shape else drawn]


def _number(value: float) -> str:
    return expression_text(literal(float(value)))


def array_constant(name: str, array: object) -> list[str]:
    """The assignment of a saved array to a name of the module."""
    assert isinstance(array, Array)
    first, *rest = array_lines(array)
    return [f"{name} = {first}", *rest]


def array_lines(array: Array) -> list[str]:
    """A saved array as text: its bytes in base64."""
    text = base64.b64encode(array.data).decode()
    chunks = [text[start : start + 76] for start in range(0, len(text), 76)] or [""]
    saved = [f'{INDENT}base64.b64decode("{chunks[0]}"),']
    if len(chunks) > 1:
        saved = [f"{INDENT}base64.b64decode(", *(f'{INDENT}{INDENT}"{chunk}"' for chunk in chunks), f"{INDENT}),"]
    shape = f"({', '.join(map(str, array.shape))}{',' * (len(array.shape) == 1)})"
    return ["_array(", *saved, f"{INDENT}{quoted(array.dtype)},", f"{INDENT}{shape},", ")"]
