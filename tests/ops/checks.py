"""What must hold of any op: plain functions over an `Op`, so that an op is tested by being listed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from typing import get_args

import mpmath
import numpy as np

from graphc.autodiff import backpropagate, differentiate
from graphc.builder import Builder, rebuild
from graphc.errors import GraphcError
from graphc.graph import Graph, Node, verify
from graphc.op import OPS, Conventions, Op, Sample
from graphc.rewrite.engine import rewrite
from graphc.rewrite.sets import SIMPLIFY
from graphc.symbolic import between_jumps, mathematics, partials
from graphc.tensor_type import DType, TensorType, TupleType
from graphc.value import Value
from tests.evaluate import evaluate

Arrays = dict[str, np.ndarray]

SHAPES: dict[int, tuple[tuple[tuple[int, ...], ...], ...]] = {
    1: (((5,),), ((),), ((1, 1),), ((0, 3),)),
    2: (((3, 1), (1, 4)), ((), (3,)), ((2, 3), ()), ((), ()), ((2, 1), (3,)), ((0, 2), (1,))),
    3: (((3, 1), (1, 4), ()), ((), (3,), (2, 1)), ((), (), ()), ((2,), (2,), (2,)), ((0,), (1,), ())),
}


@dataclass(frozen=True)
class Case:
    """An op applied to inputs ``x0``, ``x1``, …: outputs ``y0``, … and, where it is differentiable, ``loss``.

    The loss is the sum of the results weighted by the inputs ``w0``, ….
    """

    graph: Graph
    values: Arrays
    variables: tuple[str, ...]


def cases(op: Op, dtype: DType = "float64") -> Iterator[Case]:
    """The op on all its samples, in a float type."""
    generator = np.random.default_rng(0)
    if op.elementwise is None:
        for sample in op.samples:
            drawn = [_drawn(operand, sample.domain, generator) for operand in sample.operands]
            yield _case(op, [np.asarray(x) for x in sample.made(*drawn)] if sample.made else drawn, sample, dtype)
        return
    for shapes in SHAPES[op.arity or 0]:
        yield _case(op, elementwise_operands(op, shapes, generator), Sample(()), dtype)


def elementwise_operands(
    op: Op, shapes: tuple[tuple[int, ...], ...], generator: np.random.Generator
) -> list[np.ndarray]:
    """Operands of an elementwise op drawn from its domain; bools where it takes bools."""
    assert op.elementwise is not None
    bools = {"logical": len(shapes), "where": 1}.get(op.elementwise.coercion, 0)
    drawn = [generator.uniform(low, high, s) for s, (low, high) in zip(shapes, op.elementwise.domain, strict=True)]
    return [np.asarray(x > 0 if position < bools else x) for position, x in enumerate(drawn)]


def _drawn(operand: object, domain: tuple[float, float], generator: np.random.Generator) -> np.ndarray:
    if isinstance(operand, TensorType):
        return np.asarray(generator.uniform(*domain, operand.shape))
    return np.asarray(operand, dtype="int64")


def _case(op: Op, arrays: list[np.ndarray], sample: Sample, dtype: DType) -> Case:
    builder = Builder(float_dtype=dtype)
    values: Arrays = {}
    operands = []
    for position, array in enumerate(arrays):
        kind: DType = {"f": dtype, "i": "int64", "b": "bool"}[array.dtype.kind]  # type: ignore[assignment]
        operands.append(builder.input(f"x{position}", TensorType(kind, array.shape)))
        values[f"x{position}"] = array
    result = builder.apply(op, operands, sample.attrs)
    results = _results(result)
    outputs = {f"y{k}": part.node for k, part in enumerate(results)}
    variables = tuple(f"x{p}" for p, x in enumerate(operands) if x.type.is_float)
    if variables and all(part.type.is_float for part in results) and _has_derivative(op):
        loss = None
        for k, part in enumerate(results):
            weight = builder.input(f"w{k}", part.type)
            values[f"w{k}"] = np.asarray(np.random.default_rng(k + 1).uniform(0.5, 1.5, part.shape))
            term = OPS["sum"](part * weight)
            loss = term if loss is None else loss + term
        assert loss is not None
        outputs["loss"] = loss.node
    return Case(builder.finish(outputs), values, variables if "loss" in outputs else ())


def _results(result: Value) -> list[Value]:
    if isinstance(result.node.type, TupleType):
        return [OPS["item"](result, index=k) for k in range(len(result.node.type.items))]
    return [result]


def _has_derivative(op: Op) -> bool:
    if op.elementwise is not None:
        return any(partial is not None for partial in partials(op))
    return op.vjp is not None and op.name != "stop_gradient"


def gradient(graph: Graph, output: str, names: tuple[str, ...]) -> tuple[Graph, tuple[str, ...]]:
    """The joint graph of an output, and those of the names that it depends on."""
    inputs = {str(node.attrs["name"]): node for node in graph.inputs}
    reached = []
    for name in names:
        try:
            differentiate(graph, [output], {name: inputs[name]})
        except GraphcError:
            continue
        reached.append(name)
    if not reached:
        return graph, ()
    joint = differentiate(graph, [output], {name: inputs[name] for name in reached}).graph
    verify(joint)
    return joint, tuple(reached)


def check_types(op: Op) -> None:
    """The text runs and gives the inferred shape and dtype, in float64 and in float32."""
    for case, dtype in product(cases(op), ("float64", "float32")):
        verify(case.graph)
        with np.errstate(all="ignore"):
            found = evaluate(case.graph, case.values, dtype=dtype)
        for name, node in case.graph.outputs.items():
            expected = dtype if node.tensor.is_float else node.tensor.dtype
            assert np.asarray(found[name]).dtype == expected, (op, name)
            assert np.shape(found[name]) == node.tensor.shape, (op, name)


def check_float32(op: Op) -> None:
    """Value and gradient in float32 have that dtype, the right shape, and float64's values."""
    for case in cases(op):
        if not case.variables:
            continue
        joint, names = gradient(case.graph, "loss", case.variables)
        wide, narrow = (
            evaluate(joint, {**case.values, "d_loss": np.float64(1)}, dtype=dtype) for dtype in ("float64", "float32")
        )
        for name in (f"d_{name}" for name in names):
            assert np.asarray(narrow[name]).dtype == "float32", (op, name)
            assert np.shape(narrow[name]) == case.values[name[2:]].shape, (op, name)
            np.testing.assert_allclose(narrow[name], wide[name], rtol=2e-3, atol=2e-4, err_msg=str(op))


def check_declared_types(op: Op) -> None:
    """The gradient by a float32 is declared as one: the step of a scan would not take another."""
    if op.higher_order:
        return
    for case, conventions in product(cases(op, "float32"), get_args(Conventions)):
        _, names = gradient(case.graph, "loss", case.variables)
        inputs = {str(node.attrs["name"]): node for node in case.graph.inputs}
        wrt = {name: inputs[name] for name in names}
        joint = differentiate(case.graph, ["loss"], wrt, conventions=conventions).graph if wrt else case.graph
        for name in names:
            assert joint.outputs[f"d_{name}"].tensor.dtype == "float32", (op, name, conventions)


def check_first_derivative(op: Op) -> None:
    """The gradient against central differences."""
    for case in cases(op):
        joint, names = gradient(case.graph, "loss", case.variables)
        if names:
            found = evaluate(joint, {**case.values, "d_loss": np.float64(1)})
            _compare(op, lambda values, g=case.graph: evaluate(g, values)["loss"], case, names, found)


def check_second_derivative(op: Op) -> None:
    """The gradient of the gradient in some direction, against central differences of the gradient."""
    for case in cases(op):
        joint, names = gradient(bent(case.graph), "loss", case.variables) if case.variables else (case.graph, ())
        if not names:
            continue
        graph = directed(joint, names)
        values = {**case.values, "d_loss": np.asarray(1.0)}
        values |= {f"u_{n}": np.random.default_rng(9).uniform(0.5, 1.5, case.values[n].shape) for n in names}
        second, reached = gradient(graph, "slope", names)
        found = evaluate(second, {**values, "d_slope": np.float64(1)}) if reached else {}
        _compare(op, lambda v, g=graph: evaluate(g, v)["slope"], Case(graph, values, names), names, found)


def bent(graph: Graph) -> Graph:
    """The graph of a case with a loss that is quadratic in the results: an op that is linear has a curvature too."""
    builder = Builder()
    mapping = rebuild(graph, builder)
    weights = {str(node.attrs["name"]): builder.value(mapping[node]) for node in graph.inputs}
    loss = None
    for name, node in graph.outputs.items():
        if name != "loss":
            term = OPS["sum"](OPS["square"](builder.value(mapping[node])) * weights[f"w{name[1:]}"])
            loss = term if loss is None else loss + term
    assert loss is not None
    return builder.finish({"loss": loss.node})


def directed(joint: Graph, names: tuple[str, ...]) -> Graph:
    """The derivative in a direction, whose parts are inputs ``u_<name>``, as the output ``slope``."""
    builder = Builder(intern=True)
    mapping = rebuild(joint, builder)
    slope = None
    for name in names:
        found = builder.value(mapping[joint.outputs[f"d_{name}"]])
        term = OPS["sum"](found * builder.input(f"u_{name}", found.type))
        slope = term if slope is None else slope + term
    assert slope is not None
    return builder.finish({"slope": slope.node})


def _compare(
    op: Op, function: Callable[[Arrays], object], case: Case, names: tuple[str, ...], found: Mapping[str, object]
) -> None:
    generator = np.random.default_rng(5)
    for name in names:
        at = case.values[name]
        # Element by element where that is cheap, so that a permuted gradient cannot hide.
        for element in range(min(at.size, 6)):
            direction = np.zeros(at.size)
            direction[generator.integers(at.size) if at.size > 6 else element] = 1.0
            step = 1e-5 * direction.reshape(at.shape)
            ahead, behind = (float(np.asarray(function({**case.values, name: at + s}))) for s in (step, -step))
            slope = np.sum(np.asarray(found.get(f"d_{name}", 0.0)) * step) / 1e-5
            np.testing.assert_allclose(slope, (ahead - behind) / 2e-5, rtol=2e-5, atol=2e-6, err_msg=f"{op} {name}")


def check_mathematics(op: Op) -> None:
    """The text of an elementwise op against its SymPy expression, at 50 digits."""
    function = reference(op)
    with mpmath.workdps(50):
        for operands in _points(op, 12):
            expected = function(*operands)
            assert close(text_value(op, operands), expected, 1e-14), (op, operands)


def check_partials(op: Op) -> None:
    """Hand-written partials against SymPy's, at points of the domain."""
    assert op.elementwise is not None
    derived = replace(op, elementwise=replace(op.elementwise, partials=None))
    for position, operands in product(range(op.arity or 0), _points(op, 5)):
        found, expected = (_partial_value(which, position, operands) for which in (op, derived))
        assert close(found, expected, 1e-13), (op, position, operands)


def check_higher_derivatives(op: Op) -> None:
    """All second and third derivatives of an elementwise op of numbers, simplified as in modules, against SymPy's."""
    assert op.elementwise is not None
    if op.elementwise.coercion not in ("number", "float"):
        return
    found = rewrite(_derivatives(op, 3), SIMPLIFY).graph
    for operands in _points(op, 3):
        values = evaluate(found, {f"x{k}": np.asarray(x) for k, x in enumerate(operands)})
        for order in (2, 3):
            for by in product(range(op.arity or 0), repeat=order):
                with mpmath.workdps(50):
                    expected = _derivative(op, by)(*map(mpmath.mpf, operands))
                value = float(np.asarray(values.get(_derivative_name(by), 0.0)))
                assert close(value, expected, 1e-11), (op, by, operands)


def _derivatives(op: Op, order: int) -> Graph:
    """The derivatives of an elementwise op by each sequence of its operands, those that are zero left out."""
    builder = Builder(intern=True)
    operands = [builder.input(f"x{k}", TensorType("float64")) for k in range(op.arity or 0)]
    level = {(): builder.apply(op, operands)}
    made = dict(level)
    for _ in range(order):
        level = {
            (*by, k): builder.value(node)
            for by, value in level.items()
            for k, node in _slopes(builder, value, operands)
        }
        made |= level
    return builder.finish({_derivative_name(by): value.node for by, value in made.items()})


def _slopes(builder: Builder, value: Value, operands: list[Value]) -> Iterator[tuple[int, Node]]:
    variables = {str(k): operand.node for k, operand in enumerate(operands)}
    found = backpropagate(builder, [(value.node, builder.constant(1.0).node)], variables).nodes
    yield from ((k, found[operand.node]) for k, operand in enumerate(operands) if operand.node in found)


def _derivative_name(by: tuple[int, ...]) -> str:
    return "y" + "".join(map(str, by))


@cache
def _derivative(op: Op, by: tuple[int, ...]) -> Callable[..., object]:
    import sympy

    expression, symbols = mathematics(op)
    for k in by:
        expression = between_jumps(sympy.diff(expression, symbols[k]))
    return sympy.lambdify(symbols, expression, [_WORDS, "mpmath"])


_WORDS = {"Heaviside": lambda x, at_zero=0.5: 1 if x > 0 else 0 if x < 0 else at_zero}


def reference(op: Op) -> Callable[..., object]:
    """The mathematics of an elementwise op as a function of mpmath numbers."""
    import sympy

    expression, symbols = mathematics(op)
    function = sympy.lambdify(symbols, expression, [_WORDS, "mpmath"])
    return lambda *operands: function(*map(mpmath.mpf, operands))


def _points(op: Op, count: int) -> list[tuple[float, ...]]:
    drawn = elementwise_operands(op, ((count,),) * (op.arity or 0), np.random.default_rng(3))
    return [tuple(float(x[k]) for x in drawn) for k in range(count)]


def _applied(op: Op, operands: tuple[float, ...]) -> tuple[Builder, Value, list[Value], Arrays]:
    assert op.elementwise is not None
    builder = Builder()
    bools = {"logical": len(operands), "where": 1}.get(op.elementwise.coercion, 0)
    kinds = ["bool" if p < bools else "float64" for p in range(len(operands))]
    values = [builder.input(f"x{p}", TensorType(kind)) for p, kind in enumerate(kinds)]
    arrays = {f"x{p}": np.asarray(x) for p, x in enumerate(operands)}
    return builder, builder.apply(op, values), values, arrays


def text_value(op: Op, operands: tuple[float, ...], dtype: str = "float64") -> float:
    """An elementwise op at a point, by its text."""
    builder, result, _, arrays = _applied(op, operands)
    with np.errstate(all="ignore"):
        return float(np.asarray(evaluate(builder.finish({"y": result.node}), arrays, dtype=dtype)["y"]))


def _partial_value(op: Op, position: int, operands: tuple[float, ...]) -> float:
    builder, result, values, arrays = _applied(op, operands)
    partial = partials(op)[position]
    if partial is None:
        return 0.0
    factor = partial(result, *values)
    node = (builder.constant(1.0) * factor).node
    return float(np.asarray(evaluate(builder.finish({"p": node}), arrays)["p"]))


def gradient_at(op: Op, operands: tuple[float, ...], dtype: str = "float64") -> list[float]:
    """The gradient of an elementwise op at a point, by the compiler's reverse mode."""
    builder, result, _, arrays = _applied(op, operands)
    graph = builder.finish({"y": result.node})
    joint, names = gradient(graph, "y", tuple(arrays))
    with np.errstate(all="ignore"):
        found = evaluate(joint, {**arrays, "d_y": np.asarray(1.0)}, dtype=dtype)
    return [float(np.asarray(found[f"d_{name}"])) if name in names else 0.0 for name in arrays]


def close(found: float, expected: object, tolerance: float) -> bool:
    """Whether a float is a number up to a relative error, counted from 1 for small numbers."""
    number = float(mpmath.mpf(expected)) if not isinstance(expected, bool) else float(expected)
    return abs(found - number) <= tolerance * max(1.0, abs(number))


EXTREMES = (0.0, -0.0, 1e4, -1e4, 1e300, -1e300)


def check_extremes(op: Op) -> None:
    """Of one operand: where value and derivative are finite by mathematics, they are found, not an overflow or NaN."""
    if op.arity != 1 or op.elementwise is None or op.elementwise.coercion == "logical":
        return
    function = reference(op)
    for x, dtype in product(EXTREMES, ("float64", "float32")):
        if dtype == "float32" and abs(x) > 1e30:
            continue
        largest = 1e308 if dtype == "float64" else 1e38
        tolerance = 1e-13 if dtype == "float64" else 1e-5
        with mpmath.workdps(700):
            expected = _finite(function, x, largest)
            slope = _slope(function, x, largest)
        if expected is not None:
            assert close(text_value(op, (x,), dtype), expected, tolerance), (op, x)
        if slope is not None and _has_derivative(op):
            assert close(gradient_at(op, (x,), dtype)[0], slope, tolerance), (op, x, dtype)


def check_not_a_number(op: Op) -> None:
    """NaN in, NaN out, but for comparisons and steps that select."""
    if op.elementwise is None or op.elementwise.coercion not in ("number", "float") or op.name == "step":
        return
    assert np.isnan(text_value(op, (float("nan"),) * (op.arity or 0))), op


def _finite(function: Callable[..., object], x: float, largest: float) -> object:
    try:
        found = function(x)
    except (ZeroDivisionError, ValueError, OverflowError):
        return None
    return found if mpmath.isfinite(found) and mpmath.im(found) == 0 and abs(found) < largest else None


def _slope(function: Callable[..., object], x: float, largest: float) -> object:
    """The derivative, where the one-sided differences agree."""
    step = mpmath.mpf(10) ** -30
    points = [_finite(lambda d: function(mpmath.mpf(x) + d), d, mpmath.inf) for d in (-step, 0, step)]
    if any(point is None for point in points):
        return None
    behind, here, ahead = points
    left, right = (here - behind) / step, (ahead - here) / step
    agree = abs(left - right) <= 1e-12 * max(1, abs(left))
    return (left + right) / 2 if agree and abs(left) < largest else None


CHECKS = (check_types, check_float32, check_declared_types, check_first_derivative, check_second_derivative)
ELEMENTWISE_CHECKS = (
    check_mathematics,
    check_partials,
    check_higher_derivatives,
    check_extremes,
    check_not_a_number,
)
