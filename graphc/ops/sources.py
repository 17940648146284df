"""Tensors made of attributes alone or of a seed: counting and random numbers."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from graphc.errors import TypeRuleError
from graphc.numpy_text import call, float_dtype, method
from graphc.op import Op, OpCall, Sample, define
from graphc.ops.axes import is_size, quoted, shape_attr
from graphc.size import Size
from graphc.tensor_type import DType, Shape, TensorType

if TYPE_CHECKING:
    from graphc.value import Value


def _arange_attrs(*, stop: object) -> dict[str, object]:
    if not is_size(stop):
        raise TypeRuleError("GC203", f"arange needs a size, got {quoted(stop)}")
    return {"stop": stop}


def _arange_type(*, stop: Size) -> TensorType:
    return TensorType("int64", (stop,))


ARANGE = define(
    Op(
        "arange",
        0,
        infer=_arange_type,
        numpy=lambda c, *, stop: call("np.arange", stop),
        normalize=_arange_attrs,
        flops=0,
        samples=(Sample((), {"stop": 4}), Sample((), {"stop": 0})),
        doc="the integers from 0 up to a size",
    )
)


def _random_attrs(seed: TensorType, *, shape: object, site: object, dtype: str = "float64") -> dict[str, object]:
    if not isinstance(site, int):
        raise TypeRuleError("GC203", f"the site of a random call is an integer, got {quoted(site)}")
    return {"shape": shape_attr("a random tensor", shape), "site": site, "dtype": dtype}


def _random_type(seed: TensorType, *, shape: Shape, site: int, dtype: DType) -> TensorType:
    if not seed.is_int or seed.shape:
        raise TypeRuleError("GC204", f"a seed is an integer scalar, got {seed}", f"{{0}} is {seed}")
    return TensorType(dtype, shape)


def _random_vjp(ct: Value, y: Value, seed: Value, *, shape: Shape, site: int, dtype: DType) -> tuple[None]:
    return (None,)


def _random(name: str, draw: str, doc: str) -> Op:
    def text(c: OpCall, seed: ast.expr, *, shape: Shape, site: int, dtype: DType) -> ast.expr:
        whole = seed if isinstance(seed, ast.Constant) else call("int", seed)
        generator = call("np.random.default_rng", (whole, site))
        shown = shape[0] if len(shape) == 1 else shape
        return method(generator, draw, shown, dtype=float_dtype())

    return Op(
        name,
        1,
        _random_type,
        text,
        _random_vjp,
        normalize=_random_attrs,
        flops=10,
        samples=(Sample((7,), {"shape": (3, 4), "site": 0}), Sample((7,), {"shape": (), "site": 1})),
        doc=doc,
    )


RANDOM_UNIFORM = define(_random("random_uniform", "random", "uniform numbers from [0, 1), by seed and call site"))
RANDOM_NORMAL = define(_random("random_normal", "standard_normal", "standard normal numbers, by seed and call site"))
