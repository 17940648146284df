"""Types of graph values: dtype and shape, with NumPy's broadcasting and promotion on symbolic sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from operator import mul
from typing import Literal, TypeAlias, get_args

from graphc.errors import TypeRuleError
from graphc.size import Size, never_equal

DType: TypeAlias = Literal["bool", "int32", "int64", "float32", "float64"]
Shape: TypeAlias = tuple[Size, ...]

DTYPES: tuple[DType, ...] = get_args(DType)
_ITEM_BYTES: dict[DType, int] = {"bool": 1, "int32": 4, "int64": 8, "float32": 4, "float64": 8}
MAX_AXES = 64
"""As in NumPy."""


@dataclass(frozen=True, slots=True)
class TensorType:
    """The dtype and the shape of an array.

    Examples
    --------
    >>> from graphc.size import named_size
    >>> str(TensorType("float64", (named_size("N"), 64)))
    'float64[N, 64]'
    """

    dtype: DType
    shape: Shape = ()

    def __post_init__(self) -> None:
        check_axes(len(self.shape))

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> Size:
        """The number of elements."""
        return _size(self.shape)

    @property
    def item_bytes(self) -> int:
        """The memory of an element."""
        return _ITEM_BYTES[self.dtype]

    @property
    def nbytes(self) -> Size:
        """The memory of all elements."""
        return self.size * self.item_bytes

    @property
    def is_float(self) -> bool:
        """Whether it can carry a derivative."""
        return self.dtype.startswith("float")

    @property
    def is_int(self) -> bool:
        """Whether its elements are integers (bool is not)."""
        return self.dtype.startswith("int")

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join(map(str, self.shape))}]"


@dataclass(frozen=True, slots=True)
class TupleType:
    """The type of an op with several results; `item` nodes project them."""

    items: tuple[TensorType, ...]

    @property
    def nbytes(self) -> Size:
        """The memory of all of them."""
        return sum((item.nbytes for item in self.items), 0)

    def __str__(self) -> str:
        return f"({', '.join(map(str, self.items))})"


Type: TypeAlias = TensorType | TupleType


def check_axes(count: int) -> None:
    """Refuse more axes than NumPy has.

    Raises
    ------
    TypeRuleError
        GC401.
    """
    if count > MAX_AXES:
        raise TypeRuleError("GC401", f"a tensor has at most {MAX_AXES} axes, this one would have {count}")


def product(sizes: Sequence[Size]) -> Size:
    """The product of sizes; 1 when there are none."""
    return reduce(mul, sizes, 1)


@lru_cache(maxsize=1024)
def _size(shape: Shape) -> Size:
    return product(shape)


def shape_text(shape: Shape) -> str:
    """A shape as people write it: ``N×64``; ``scalar`` for none.

    Examples
    --------
    >>> shape_text((3, 4)), shape_text(())
    ('3×4', 'scalar')
    """
    if len(shape) == 1:
        return str(shape[0])
    return "×".join(str(size) if str(size).isalnum() else f"({size})" for size in shape) if shape else "scalar"


def described(shape: Shape) -> str:
    """What an error says of a tensor with this shape, after its name.

    Examples
    --------
    >>> described((64, 10)), described((5,)), described(())
    ('is 64×10', 'has 5 elements', 'is a scalar')
    """
    if len(shape) == 1:
        return f"has {shape[0]} element{'' if shape[0] == 1 else 's'}"
    return f"is {shape_text(shape)}" if shape else "is a scalar"


def promote(dtypes: Sequence[DType]) -> DType:
    """The dtype of a result of these; a float beats any integer, so a float32 model stays float32.

    Examples
    --------
    >>> promote(["int64", "float32"])
    'float32'
    """
    return max(dtypes, key=DTYPES.index)


def broadcast_shapes(shapes: Sequence[Shape]) -> Shape:
    """NumPy's broadcasting; a size is stretched only when it is the number 1, a named size never is.

    Raises
    ------
    TypeRuleError
        GC202 when two sizes of an axis differ, or are not known to be equal.
    """
    if shapes and shapes.count(shapes[0]) == len(shapes):
        return shapes[0]
    result: list[Size] = [1] * max(map(len, shapes), default=0)
    chosen = [0] * len(result)
    for position, shape in enumerate(shapes):
        offset = len(result) - len(shape)
        for axis, size in enumerate(shape, offset):
            if result[axis] == 1 and size != 1:
                result[axis], chosen[axis] = size, position
            elif size not in (1, result[axis]):
                raise _broadcast_error(shapes, chosen[axis], position, axis - len(result))
    return tuple(result)


def _broadcast_error(shapes: Sequence[Shape], left: int, right: int, axis: int) -> TypeRuleError:
    sizes = shapes[left][axis], shapes[right][axis]
    found = f"{sizes[0]} and {sizes[1]}" + ("" if never_equal(*sizes) else ", which may differ")
    return TypeRuleError(
        "GC202",
        f"shapes {shape_text(shapes[left])} and {shape_text(shapes[right])} do not broadcast: axis {axis} is {found}",
        f"{{{left}}} {described(shapes[left])}, {{{right}}} {described(shapes[right])}",
    )
