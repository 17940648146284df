"""Graph values as ordinary Python and NumPy code sees them, while a function is traced."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from graphc.diagnostics import Diagnostic
from graphc.errors import GraphcError
from graphc.frontends import arithmetic
from graphc.frontends.annotations import InitializerCall
from graphc.frontends.call_sites import CallSites
from graphc.frontends.names import operation
from graphc.frontends.session import failure, is_size, settled
from graphc.frontends.statements import run
from graphc.frontends.values import Frame, Function, Instance, Primitive, Task, UsedModel, describe
from graphc.op import OPS, Op
from graphc.ops.leaves import Array
from graphc.size import SizeExpr
from graphc.tensor_type import DType
from graphc.value import Operand, Value

INITIALIZERS = "initializers.gc"

TRACE: ContextVar[CallSites | None] = ContextVar("trace", default=None)
"""The trace that runs now."""


@dataclass(frozen=True, slots=True, eq=False)
class TracedValue(Value):
    """A graph value with the rest of NumPy's protocol; what needs a number refuses at the user's line."""

    # NumPy's `==` compares elements; identity is the hash, so that values can be looked up.
    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"<graph value {self.type}>"

    @property
    def shape(self) -> Any:
        """The sizes of its axes: numbers, and free sizes that can be computed with."""
        return tuple(map(_traced, self.type.shape))

    @property
    def dtype(self) -> DType:
        """The name of its dtype."""
        return self.type.dtype

    @property
    def T(self) -> Any:  # noqa: N802 as in NumPy
        """The axes in reverse order."""
        return called(OPS["transpose"], [self])

    @property
    def size(self) -> Any:
        """The number of elements."""
        return _traced(self.type.size)

    def apply_op(self, op: Op, operands: Sequence[Any], attrs: Mapping[str, object]) -> Any:
        """Apply an op at the user's line."""
        trace = _trace(op.name)
        node, frame = trace.here(operands)
        given = [_given(trace, _as_array(operand), node, frame) for operand in operands]
        for operand in given:
            if not (isinstance(operand, (Value, bool, float)) or is_size(operand)):
                message = f"expected a tensor or a number as an operand of {op.name}, found {describe(operand)}"
                raise failure("GC106", message, node, frame)
        return _traced(trace.session.apply(node, frame, op, given, **attrs))

    def __getattr__(self, name: str) -> Any:
        """Methods that are functions of the language: ``x.sum(axis=0)`` is ``sum(x, axis=0)``."""
        op = operation(_METHODS.get(name, name)) if name in _METHODS else None
        if op is None:
            if name.startswith("__"):
                raise AttributeError(name)
            refuse("GC101", f"a graph value has no .{name}: it has {', '.join(_ATTRIBUTES)}", [self])
        return lambda *values, **attrs: _method(op, self, values, attrs)

    def __eq__(self, other: object) -> Any:
        return False if other is None else OPS["equal"](self, other)  # type: ignore[arg-type]

    def __ne__(self, other: object) -> Any:
        return True if other is None else OPS["not_equal"](self, other)  # type: ignore[arg-type]

    def __floordiv__(self, other: Operand) -> Value:
        return OPS["floor_divide"](self, other)

    def __rfloordiv__(self, other: Operand) -> Value:
        return OPS["floor_divide"](other, self)

    def __mod__(self, other: Operand) -> Value:
        return OPS["mod"](self, other)

    def __rmod__(self, other: Operand) -> Value:
        return OPS["mod"](other, self)

    def __and__(self, other: Operand) -> Value:
        return OPS["logical_and"](self, other)

    def __rand__(self, other: Operand) -> Value:
        return OPS["logical_and"](other, self)

    def __or__(self, other: Operand) -> Value:
        return OPS["logical_or"](self, other)

    def __ror__(self, other: Operand) -> Value:
        return OPS["logical_or"](other, self)

    def __xor__(self, other: Operand) -> Value:
        return OPS["logical_xor"](self, other)

    def __rxor__(self, other: Operand) -> Value:
        return OPS["logical_xor"](other, self)

    def __invert__(self) -> Value:
        return OPS["logical_not"](self)

    def __abs__(self) -> Value:
        return OPS["abs"](self)

    def __round__(self) -> Value:
        return OPS["round"](self)

    def __pos__(self) -> Value:
        return self

    def __getitem__(self, index: object) -> Any:
        parts = list(index) if isinstance(index, tuple) else [index]
        trace = _trace("[]")
        node, frame = trace.here([self, *parts])
        given = [_given(trace, part, node, frame) for part in (self, *parts)]
        names = {str(position): part for position, part in enumerate(given)}
        items: list[ast.expr] = [_name(name, node) for name in names]
        brackets = ast.Subscript(items[0], _at(ast.Tuple(items[1:], ast.Load()), node), ast.Load())
        return _traced(run(trace.session, Task(_at(brackets, node), Frame(names, frame.call))))

    def __len__(self) -> int:
        size = self.type.shape[0] if self.ndim else None
        if isinstance(size, int):
            return size
        found = "a scalar" if size is None else f"the size {size}, which is not known while the model is traced"
        return refuse("GC106", f"len needs an axis whose size is a number, found {found}; write x.shape[0]", [self])

    def __iter__(self) -> Iterator[TracedValue]:
        if self.ndim and isinstance(self.type.shape[0], int):
            return iter([self[position] for position in range(self.type.shape[0])])
        return refuse("GC106", f"expected a first axis whose size is a number to loop over, found {self.type}", [self])

    def __bool__(self) -> bool:
        message = (
            f"expected a static condition, found a tensor {self.type}: `if`, `while`, `and` and `or` need what is known"
            " while the model is traced; write gx.where(c, a, b), & or |"
        )
        return refuse("GC106", message, [self])

    def __float__(self) -> float:
        return refuse("GC106", _NO_NUMBER.format(self.type), [self])

    def __int__(self) -> int:
        return refuse("GC106", _NO_NUMBER.format(self.type), [self])

    def __index__(self) -> int:
        return refuse("GC106", _NO_NUMBER.format(self.type), [self])

    def __array__(self, *args: object, **kwargs: object) -> NoReturn:
        refuse("GC106", f"expected an array, found a tensor {self.type} that has no elements yet", [self])

    def __array_ufunc__(self, ufunc: Any, method: str, *operands: Any, **options: Any) -> Any:
        from graphc.frontends.numpy_functions import call_ufunc

        return call_ufunc(ufunc, method, operands, options)

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        from graphc.frontends.numpy_functions import call_function

        return call_function(function, args, options)


_NO_NUMBER = (
    "expected a plain number, found a tensor {}, whose elements are not known while the model is traced; functions of"
    " math are np.exp, gx.exp and so on for tensors"
)
_METHODS = {
    **{name: name for name in ("sum", "mean", "prod", "max", "min", "var", "std", "argmax", "argmin", "cumsum")},
    **{name: name for name in ("reshape", "transpose", "squeeze", "clip", "round")},
    "astype": "cast",
    "dot": "matmul",
}
_ATTRIBUTES = ("shape", "ndim", "size", "dtype", "T", *_METHODS)


@dataclass(frozen=True)
class GraphFunction:
    """A function of the language, for graph values: an operation, a function of the library, or a layer.

    Attributes
    ----------
    name : str
    target : object
        What it is in the language.
    """

    name: str
    target: object

    def __call__(self, *values: object, **keywords: object) -> Any:
        """Apply it at the caller's line; an initialiser outside of a trace waits for the shape of its parameter.

        Raises
        ------
        GraphcError
            When the arguments do not fit.
        """
        is_initializer = isinstance(self.target, Function) and self.target.source.name == INITIALIZERS
        if is_initializer and TRACE.get() is None:
            return InitializerCall(self.name, values, tuple(keywords.items()))
        return called(self.target, values, keywords, self.name)

    def __repr__(self) -> str:
        return f"<graphc function {self.name}>"


def called(
    target: object, values: Sequence[object], keywords: Mapping[str, object] | None = None, name: str = ""
) -> Any:
    """What a function of the language gives for these arguments, at the user's line."""
    trace, named = _trace(name or getattr(target, "name", "")), dict(keywords or {})
    node, frame = trace.here([*values, *named.values()])
    given = {str(p): _given(trace, value, node, frame) for p, value in enumerate(values)}
    given |= {f"{key}=": _given(trace, value, node, frame) for key, value in named.items()}
    arguments: list[ast.expr] = [_name(str(position), node) for position in range(len(values))]
    options = [_at(ast.keyword(key, _name(f"{key}=", node)), node) for key in named]
    syntax = _at(ast.Call(_name("f", node), arguments, options), node)
    return _traced(run(trace.session, Task(syntax, Frame({"f": target, **given}, frame.call))))


@dataclass(frozen=True, slots=True, eq=False)
class TracedSize:
    """A free size in traced Python: arithmetic and comparisons, refused where the answer depends on the size."""

    held: SizeExpr

    __hash__ = object.__hash__

    def __add__(self, other: Any) -> Any:
        return _sized("+", "add", self, other)

    def __radd__(self, other: Any) -> Any:
        return _sized("+", "add", other, self)

    def __sub__(self, other: Any) -> Any:
        return _sized("-", "sub", self, other)

    def __rsub__(self, other: Any) -> Any:
        return _sized("-", "sub", other, self)

    def __mul__(self, other: Any) -> Any:
        return _sized("*", "mul", self, other)

    def __rmul__(self, other: Any) -> Any:
        return _sized("*", "mul", other, self)

    def __truediv__(self, other: Any) -> Any:
        return _sized("/", "div", self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return _sized("/", "div", other, self)

    def __floordiv__(self, other: Any) -> Any:
        return _sized("//", "floor_divide", self, other)

    def __mod__(self, other: Any) -> Any:
        return _sized("%", "mod", self, other)

    def __pow__(self, other: Any) -> Any:
        return _sized("**", "power", self, other)

    def __neg__(self) -> Any:
        return _sized("*", "mul", self, -1)

    def __eq__(self, other: object) -> bool:
        return _compared("==", self, other)

    def __ne__(self, other: object) -> bool:
        return _compared("!=", self, other)

    def __lt__(self, other: object) -> bool:
        return _compared("<", self, other)

    def __le__(self, other: object) -> bool:
        return _compared("<=", self, other)

    def __gt__(self, other: object) -> bool:
        return _compared(">", self, other)

    def __ge__(self, other: object) -> bool:
        return _compared(">=", self, other)

    def __index__(self) -> int:
        return refuse(
            "GC106", f"expected a whole number, found the size {self}, which is not known before the model runs"
        )

    def __bool__(self) -> bool:
        return _compared("!=", self, 0)

    def __str__(self) -> str:
        return str(self.held)

    __repr__ = __str__


def _sized(symbol: str, op: str, left: Any, right: Any) -> Any:
    if isinstance(left, Value) or isinstance(right, Value):
        return NotImplemented
    trace = _trace("a size")
    node, frame = trace.here(())
    held = [_given(trace, operand, node, frame) for operand in (left, right)]
    result = settled(node, frame, lambda: arithmetic.binary(symbol, *held))
    return called(OPS[op], held) if result is None else _traced(result)


def _compared(symbol: str, left: Any, right: Any) -> bool:
    if right is None or isinstance(right, str):
        return symbol == "!="
    trace = _trace("a size")
    node, frame = trace.here(())
    held = [_given(trace, operand, node, frame) for operand in (left, right)]
    return bool(settled(node, frame, lambda: arithmetic.compare(symbol, *held)))


def refuse(code: str, message: str, operands: Sequence[object] = (), hint: str = "") -> NoReturn:
    """Raise an error at the user's line."""
    trace = TRACE.get()
    if trace is None:
        raise GraphcError(Diagnostic(code, message, hint=hint))
    raise failure(code, message, *trace.here(operands), hint=hint)


def _trace(name: str) -> CallSites:
    trace = TRACE.get()
    if trace is None:
        message = f"{name} is for graph values: expected it in a function that is traced, `@graphc.model def f(x): ...`"
        raise GraphcError(Diagnostic("GC106", message))
    return trace


def _method(op: Op, value: TracedValue, values: tuple[object, ...], attrs: Mapping[str, object]) -> Any:
    if op.name in ("reshape", "transpose") and values and all(is_size(v) or isinstance(v, TracedSize) for v in values):
        values = (values,)
    return called(op, [value, *values], attrs)


def _given(trace: CallSites, value: object, node: ast.Call, frame: Frame) -> Any:
    """A Python value as the language knows it: arrays become constants, NumPy's numbers Python's."""
    if isinstance(value, (GraphFunction, TracedSize)):
        return value.target if isinstance(value, GraphFunction) else value.held
    if isinstance(value, slice):
        return slice(*(_given(trace, part, node, frame) for part in (value.start, value.stop, value.step)))
    if isinstance(value, Value):
        if value.builder is not trace.session.builder:
            raise failure(
                "GC106", f"expected a tensor of this model, found a tensor {value.type} of another", node, frame
            )
        # Library code sees no more of it than of the values of a text.
        return Value(value.builder, value.node)
    if isinstance(value, (list, tuple)):
        return (
            type(value)(_given(trace, item, node, frame) for item in value) if type(value) in (list, tuple) else value
        )
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.dtype) or (isinstance(value, type) and issubclass(value, (bool, int, float, np.generic))):
        return np.dtype(value).name
    return _constant(trace, value, node, frame) if isinstance(value, np.ndarray) else value


def _as_array(operand: Any) -> Any:
    """Lists of numbers beside a tensor, as NumPy takes them."""
    return np.asarray(operand) if isinstance(operand, (list, tuple)) else operand


def _constant(
    trace: CallSites, array: np.ndarray[Any, Any], node: ast.Call, frame: Frame
) -> Value | bool | int | float:
    kind = array.dtype.kind
    if kind not in "biuf":
        raise failure("GC106", f"expected an array of numbers, found one of dtype {array.dtype}", node, frame)
    if not array.ndim:
        number: bool | int | float = array.item()
        return number
    dtype: DType = {"b": "bool", "f": trace.session.float_dtype}.get(kind, "int64")
    stored = np.ascontiguousarray(array, dtype=np.dtype(dtype).newbyteorder("<"))
    held = Array(dtype, tuple(map(int, array.shape)), stored.tobytes())
    return trace.session.apply(node, frame, OPS["array"], [], array=held)


def _traced(value: object) -> Any:
    """A result of the language as Python code is to see it."""
    if isinstance(value, Value):
        return TracedValue(value.builder, value.node)
    if isinstance(value, SizeExpr):
        return TracedSize(value)
    if isinstance(value, (Function, Instance, UsedModel, Primitive, Op)):
        return GraphFunction(str(getattr(value, "name", "") or getattr(value, "base", "")), value)
    if isinstance(value, (list, tuple)):
        return type(value)(map(_traced, value))
    return value


def _name(name: str, node: ast.AST) -> ast.expr:
    return ast.copy_location(ast.Name(name, ast.Load()), node)


def _at(syntax: Any, node: ast.AST) -> Any:
    return ast.copy_location(syntax, node)
