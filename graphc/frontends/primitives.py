"""The language's own functions on static values, and those that make layers, initialisers and models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, cast

from graphc.errors import GraphcError
from graphc.frontends.calls import call_op
from graphc.frontends.scan import SCAN
from graphc.frontends.session import MAX_ITEMS, Session, failure
from graphc.frontends.used import use_model
from graphc.frontends.values import Arguments, Function, Instance, Primitive, describe
from graphc.op import OPS
from graphc.ops.leaves import Initializer
from graphc.size import SizeExpr
from graphc.value import Value


def _range(session: Session, arguments: Arguments) -> range:
    bounds = [_whole(value, arguments) for value in arguments.values]
    if not 1 <= len(bounds) <= 3 or (len(bounds) == 3 and bounds[2] == 0):
        raise _refusal("range", arguments)
    result = range(*bounds)
    if len(result) > MAX_ITEMS:
        message = f"a loop has at most {MAX_ITEMS} rounds, this range has {len(result)}"
        raise failure("GC401", message, arguments.node, arguments.frame)
    return result


def _whole(value: object, arguments: Arguments) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    message = f"expected a whole number that is known while the model is read, found {describe(value)}"
    raise failure("GC106", message, arguments.node, arguments.frame)


def _length(session: Session, arguments: Arguments) -> object:
    (value,) = arguments.values
    if isinstance(value, Value) and value.shape:
        return value.shape[0]
    if isinstance(value, (list, tuple, range, str)):
        return len(value)
    raise _refusal("len", arguments)


def _zip(session: Session, arguments: Arguments) -> list[object]:
    return list(zip(*(_items(value, arguments) for value in arguments.values), strict=False))


def _enumerate(session: Session, arguments: Arguments) -> list[object]:
    return list(enumerate(_items(arguments.values[0], arguments)))


def _reversed(session: Session, arguments: Arguments) -> list[object]:
    return list(_items(arguments.values[0], arguments))[::-1]


def _list(session: Session, arguments: Arguments) -> list[object]:
    return list(_items(arguments.values[0], arguments))


def _tuple(session: Session, arguments: Arguments) -> tuple[object, ...]:
    return tuple(_items(arguments.values[0], arguments))


def _items(value: object, arguments: Arguments) -> list[object] | tuple[object, ...] | range:
    if isinstance(value, (list, tuple, range)):
        return value
    raise failure(
        "GC106", f"expected a list, a tuple or a range, found {describe(value)}", arguments.node, arguments.frame
    )


def _int(session: Session, arguments: Arguments) -> object:
    return int(_finite(arguments))


def _float(session: Session, arguments: Arguments) -> object:
    return float(_finite(arguments))


def _finite(arguments: Arguments) -> int | float:
    (value,) = arguments.values
    if isinstance(value, (int, float)) and abs(value) <= 2**63 - 1:
        return value
    message = f"expected a plain number, found {describe(value)}; write cast(x, int64) for a tensor"
    raise failure("GC106", message, arguments.node, arguments.frame)


MAX_SHOWN = 64
"""Items of a list that is shown as a text: as many as a tensor has axes."""


def _text(session: Session, arguments: Arguments) -> str:
    (value,) = arguments.values
    items = value if isinstance(value, (list, tuple)) else (value,)
    plain = (str, bool, int, float, SizeExpr, type(None))
    if len(items) <= MAX_SHOWN and all(isinstance(item, plain) for item in items):
        return str(value)
    raise failure("GC106", f"expected numbers or sizes, found {describe(value)}", arguments.node, arguments.frame)


def _is_instance(session: Session, arguments: Arguments) -> bool:
    """Whether a value is of a kind, or one of several; a free size is no number yet."""
    value, given = arguments.values
    kinds = [getattr(kind, "name", "") for kind in (given if isinstance(given, tuple) else (given,))]
    if not all(kind in _KINDS for kind in kinds):
        raise _refusal("isinstance", arguments)
    return any(type(value) is _KINDS[kind] for kind in kinds)


_KINDS: Mapping[str, type] = {"int": int, "float": float, "str": str, "list": list, "tuple": tuple}


def _initializer(session: Session, arguments: Arguments) -> Initializer:
    kind, low, high = arguments.values
    for value in (low, high):
        if not isinstance(value, (int, float)):
            raise failure(
                "GC106",
                f"expected a plain number for an initialiser, found {describe(value)}",
                arguments.node,
                arguments.frame,
            )
    return Initializer(
        cast("Literal['constant', 'normal', 'uniform']", kind), float(cast(float, low)), float(cast(float, high))
    )


def _instance(session: Session, arguments: Arguments) -> Instance:
    """Make a layer whose calls share their parameters: it is called with tensors."""
    if not arguments.values or not isinstance(arguments.values[0], (Function, Instance)):
        found = describe(arguments.values[0]) if arguments.values else "nothing"
        raise failure("GC103", f"instance takes (layer, ...), found {found}", arguments.node, arguments.frame)
    keywords = dict(arguments.keywords)
    name = keywords.pop("name", "")
    if not isinstance(name, str) or (name and not name.isidentifier()):
        raise failure(
            "GC103",
            f'expected a name such as "block" for name=, found {describe(name)}',
            arguments.node,
            arguments.frame,
        )
    call = arguments.frame.call
    params = call.shared if call.shared is not None else {}
    scope = (*call.scope, name) if name else ()
    return Instance(arguments.values[0], arguments.values[1:], keywords, params, scope)


def _einsum(session: Session, arguments: Arguments) -> object:
    """The op has its operands first; people write the spec before them."""
    if len(arguments.values) < 2 or arguments.keywords or not isinstance(arguments.values[0], str):
        raise _refusal("einsum", arguments)
    spec, *operands = arguments.values
    return call_op(session, OPS["einsum"], Arguments(arguments.node, arguments.frame, (operands,), {"spec": spec}))


def _refusal(name: str, arguments: Arguments) -> GraphcError:
    found = ", ".join(map(describe, arguments.values)) or "nothing"
    takes = PRIMITIVES[name].takes
    return failure(
        "GC103", f"{name} takes ({takes}), found {found}", arguments.node, arguments.frame, f"{name}({takes})"
    )


def _plain(name: str, takes: str, run: Callable[[Session, Arguments], object], counts: range) -> Primitive:
    """A function that takes so many arguments without a name, and none with."""

    def checked(session: Session, arguments: Arguments) -> object:
        if arguments.keywords or len(arguments.values) not in counts:
            raise _refusal(name, arguments)
        return run(session, arguments)

    return Primitive(name, takes, checked)


PRIMITIVES: Mapping[str, Primitive] = {
    primitive.name: primitive
    for primitive in (
        _plain("range", "stop, or start, stop, step", _range, range(1, 4)),
        _plain("len", "items", _length, range(1, 2)),
        _plain("zip", "items, ...", _zip, range(1, 9)),
        _plain("enumerate", "items", _enumerate, range(1, 2)),
        _plain("reversed", "items", _reversed, range(1, 2)),
        _plain("list", "items", _list, range(1, 2)),
        _plain("tuple", "items", _tuple, range(1, 2)),
        _plain("int", "number", _int, range(1, 2)),
        _plain("float", "number", _float, range(1, 2)),
        _plain("str", "value", _text, range(1, 2)),
        _plain("isinstance", "value, kind", _is_instance, range(2, 3)),
        _plain("initializer", "kind, low, high", _initializer, range(3, 4)),
        SCAN,
        Primitive("einsum", "spec, x, ...", _einsum),
        Primitive("instance", "layer, ..., name=None", _instance),
        Primitive("use", "file, params=None, frozen=False, name=None", use_model),
    )
}
