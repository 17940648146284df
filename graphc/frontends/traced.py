"""Graph values as ordinary Python and NumPy code sees them, while a function is traced."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from graphc.frontends import arithmetic
from graphc.frontends.names import operation
from graphc.frontends.session import failure, is_size, settled
from graphc.frontends.statements import run
from graphc.frontends.traced_calls import as_array, called, current_trace, handed, located, name_at, refuse, traced
from graphc.frontends.values import Frame, Task, describe
from graphc.op import OPS, Op
from graphc.size import SizeExpr
from graphc.tensor_type import DType
from graphc.value import Operand, Value


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
        return tuple(map(traced, self.type.shape))

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
        return traced(self.type.size)

    def apply_op(self, op: Op, operands: Sequence[Any], attrs: Mapping[str, object]) -> Any:
        """Apply an op at the user's line."""
        trace = current_trace(op.name)
        node, frame = trace.here(operands)
        given = [handed(trace, as_array(operand), node, frame) for operand in operands]
        for operand in given:
            if not (isinstance(operand, (Value, bool, float)) or is_size(operand)):
                message = f"expected a tensor or a number as an operand of {op.name}, found {describe(operand)}"
                raise failure("GC106", message, node, frame)
        return traced(trace.session.apply(node, frame, op, given, **attrs))

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
        trace = current_trace("[]")
        node, frame = trace.here([self, *parts])
        given = [handed(trace, part, node, frame) for part in (self, *parts)]
        names = {str(position): part for position, part in enumerate(given)}
        items: list[ast.expr] = [name_at(name, node) for name in names]
        brackets = ast.Subscript(items[0], located(ast.Tuple(items[1:], ast.Load()), node), ast.Load())
        return traced(run(trace.session, Task(located(brackets, node), Frame(names, frame.call))))

    def __setitem__(self, index: object, value: object) -> None:
        message = "a graph value is not changed in place: gx.where(c, a, b), np.stack or np.concatenate make a new one"
        refuse("GC106", message, [self])

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
        refuse("GC106", f"expected an array, found a tensor {self.type}; np.stack makes one of several tensors", [self])

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
    trace = current_trace("a size")
    node, frame = trace.here(())
    held = [handed(trace, operand, node, frame) for operand in (left, right)]
    result = settled(node, frame, lambda: arithmetic.binary(symbol, *held))
    return called(OPS[op], held) if result is None else traced(result)


def _compared(symbol: str, left: Any, right: Any) -> bool:
    if right is None or isinstance(right, str):
        return symbol == "!="
    trace = current_trace("a size")
    node, frame = trace.here(())
    held = [handed(trace, operand, node, frame) for operand in (left, right)]
    return bool(settled(node, frame, lambda: arithmetic.compare(symbol, *held)))


def _method(op: Op, value: TracedValue, values: tuple[object, ...], attrs: Mapping[str, object]) -> Any:
    if op.name in ("reshape", "transpose") and values and all(is_size(v) or isinstance(v, TracedSize) for v in values):
        values = (values,)
    return called(op, [value, *values], attrs)
