"""Every rule of every set is tested by being listed: it fires on its own pattern and keeps its set's promise.

The pattern is built as a graph and evaluated before and after, value and gradient, at points of which the promise
speaks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from inspect import signature

import numpy as np
import pytest

from graphc.autodiff import differentiate
from graphc.builder import Builder
from graphc.errors import GraphcError
from graphc.graph import Graph, verify
from graphc.op import Conventions
from graphc.ops import OPS
from graphc.rewrite.engine import rewrite
from graphc.rewrite.pattern import FLOAT, Apply, Failure, Kind, Rule, Var, instantiate, var
from graphc.rewrite.sets import RULE_SETS, STABILISE
from graphc.tensor_type import TensorType
from graphc.value import Value
from tests.evaluate import evaluate
from tests.exact import exact_outputs

RULES = [pytest.param(name, rule, id=rule.name) for name, rules in RULE_SETS.items() for rule in rules]

# What stands in a hole for an attribute where the rule's example does not say.
ATTRIBUTES = {"axis": (1,), "other": (1,), "keepdims": True}
EXTREMES = (0.0, -0.0, 1.0, -1.0, 2.5, -2.5, 1e300, -1e300, 1e-300, -1e-300, np.inf, -np.inf, np.nan)
LARGE = (0.0, -0.0, 1.0, -2.5, 800.0, -800.0, 1e4, -1e4, 1e200, 1e-200, -1e-200)
TRIALS = 10

Point = Mapping[str, np.ndarray]


def of_set(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("rule", [pytest.param(rule, id=rule.name) for rule in RULE_SETS[name]])


def holes(pattern: object) -> dict[str, Kind]:
    """The holes of a pattern, in order."""
    if isinstance(pattern, Var):
        return {pattern.name: pattern.kind}
    operands = pattern.operands if isinstance(pattern, Apply) else ()
    return {name: kind for operand in operands for name, kind in holes(operand).items()}


def completed(pattern: object, known: Mapping[str, object]) -> object:
    """The pattern, with the attributes that it leaves open taken from the example."""
    if not isinstance(pattern, Apply):
        return pattern
    parameters = signature(pattern.op.normalize).parameters if pattern.op.normalize else {}
    names = [name for name, parameter in parameters.items() if parameter.kind is parameter.KEYWORD_ONLY]
    opened = {name: known[name] for name in names if name in known and name not in pattern.attrs}
    operands = tuple(completed(operand, known) for operand in pattern.operands)
    return replace(pattern, operands=operands, attrs={**pattern.attrs, **opened})


def as_graph(rule: Rule) -> Graph:
    """The rule's pattern as a graph with an input for each hole."""
    builder = Builder()
    known = {**ATTRIBUTES, **rule.example}
    for name, kind in holes(rule.pattern).items():
        known[name] = hole_value(builder, name, rule.example.get(name, kind.sample)).node
    return builder.finish({"f": instantiate(completed(rule.pattern, known), builder, known).node})


def hole_value(builder: Builder, name: str, sample: object) -> Value:
    if isinstance(sample, TensorType):
        return builder.input(name, sample)
    return sample(builder) if callable(sample) else builder.constant(sample)


def joint(graph: Graph, conventions: Conventions = "graphc") -> Graph:
    """The graph with the gradients of its float inputs, where it has any."""
    variables = {str(node.attrs["name"]): node for node in graph.inputs if node.tensor.is_float}
    if not variables or not graph.outputs["f"].tensor.is_float:
        return graph
    # A replacement may do without a variable; its gradient is then compared with zeros.
    return differentiate(graph, ["f"], variables, check=False, conventions=conventions).graph


def before_and_after(rule: Rule, conventions: Conventions = "graphc") -> tuple[Graph, Graph]:
    graph = as_graph(rule)
    found = rewrite(graph, [rule])
    assert [firing.rule for firing in found.firings][:1] == [rule.name], "the rule does not fire on its own pattern"
    verify(found.graph)
    assert found.graph.outputs["f"].type == graph.outputs["f"].type
    return joint(graph, conventions), joint(found.graph, conventions)


def points(graph: Graph, pool: tuple[float, ...] | None, *, low: float = -3.0, high: float = 3.0) -> Iterator[Point]:
    """Values for the inputs: drawn from a pool, the same for all elements at first, or from an interval."""
    rng = np.random.default_rng(7)
    for trial in range(TRIALS if pool is None else TRIALS + len(pool)):
        values = {}
        for node in graph.inputs:
            shape = node.tensor.shape
            if node.tensor.is_int:
                value = rng.integers(0, 2, shape)
            elif node.tensor.dtype == "bool":
                value = rng.integers(0, 2, shape).astype(bool)
            elif pool is None:
                value = rng.uniform(low, high, shape)
            elif trial < len(pool):
                value = np.full(shape, pool[trial])
            else:
                value = rng.choice(np.asarray(pool), shape)
            values[str(node.attrs["name"])] = np.asarray(value)
        yield values


Check = Callable[[np.ndarray, np.ndarray], None]


def hold(rule: Rule, pool: tuple[float, ...] | None, check: Check, *, dtype: str = "float64", **domain: float) -> None:
    before, after = before_and_after(rule)
    assert list(before.outputs) == list(after.outputs)
    with np.errstate(all="ignore"):
        for point in points(before, pool, **domain):
            old, new = evaluate(before, point, dtype=dtype), evaluate(after, point, dtype=dtype)
            for name in old:
                check(np.asarray(old[name]), np.asarray(new[name]))


def identical(old: np.ndarray, new: np.ndarray) -> None:
    np.testing.assert_array_equal(old, new)
    np.testing.assert_array_equal(np.signbit(old[~np.isnan(old)]), np.signbit(new[~np.isnan(new)]))


def equal_up_to_rounding(old: np.ndarray, new: np.ndarray) -> None:
    np.testing.assert_allclose(new, old, rtol=1e-14, atol=0)


def close(old: np.ndarray, new: np.ndarray) -> None:
    scale = np.max(np.abs(old), initial=1.0)
    np.testing.assert_allclose(new, old, rtol=1e-11, atol=1e-12 * scale)


@pytest.mark.parametrize(("name", "rule"), RULES)
def test_names_are_unique(name: str, rule: Rule) -> None:
    assert sum(other.name == rule.name for rules in RULE_SETS.values() for other in rules) == 1


@of_set("SHAPES")
def test_shapes_are_bit_identical(rule: Rule) -> None:
    graph = as_graph(rule)
    after = rewrite(graph, [rule]).graph
    with np.errstate(all="ignore"):
        for point in points(graph, EXTREMES):
            identical(np.asarray(evaluate(graph, point)["f"]), np.asarray(evaluate(after, point)["f"]))


# The extended range of longdouble keeps intermediates from overflowing, which the promise sets aside.
@pytest.mark.parametrize(
    "rule", [pytest.param(p.values[1], id=p.id) for p in RULES if p.values[0] in ("SHAPES", "ALGEBRA")]
)
def test_algebra_keeps_every_value_and_gradient(rule: Rule) -> None:
    hold(rule, EXTREMES, equal_up_to_rounding, dtype="longdouble")
    hold(rule, None, close)


@of_set("STABILITY")
def test_stability_is_equal_over_the_reals(rule: Rule) -> None:
    before, after = before_and_after(rule)
    with np.errstate(all="ignore"):
        for point in points(before, None):
            old, new = evaluate(before, point, dtype="longdouble"), evaluate(after, point)
            for name in old:
                known = np.isfinite(np.asarray(old[name]))
                close(np.asarray(old[name])[known], np.asarray(new[name])[known])


@of_set("STABILITY")
def test_stability_never_overflows_where_the_original_did_not(rule: Rule) -> None:
    before, after = before_and_after(rule)
    with np.errstate(all="ignore"):
        for point in points(before, LARGE):
            old, new = evaluate(before, point), evaluate(after, point)
            for name in old:
                assert np.all(np.isfinite(new[name]) | ~np.isfinite(old[name])), (point, old, new)


APPLIED_BEFORE = [param.values[1] for param in RULES if param.values[1] in STABILISE]


def keeps_kinks(rule: Rule, conventions: Conventions) -> bool:
    """Whether a rule keeps every gradient that is finite, at points where kinks are."""
    before, after = before_and_after(rule, conventions)
    with np.errstate(all="ignore"):
        for point in points(before, (0.0, -1.0, 1.0)):
            old, new = evaluate(before, point), evaluate(after, point)
            for name in old:
                known = np.isfinite(np.asarray(old[name]))
                if not np.allclose(np.asarray(old[name])[known], np.asarray(new[name])[known], rtol=1e-12):
                    return False
    return True


# Under graphc's own conventions the tests of each set say it.
@pytest.mark.parametrize("conventions", ["torch", "jax"])
def test_rules_before_differentiation_keep_the_conventions_at_kinks(conventions: Conventions) -> None:
    concerned = [r for r in APPLIED_BEFORE if any(conventions in n.op.alternatives for n in as_graph(r).nodes)]
    assert bool(concerned) is any(conventions in op.alternatives for op in OPS.values())
    assert [rule.name for rule in concerned if not keeps_kinks(rule, conventions)] == []


def test_a_rule_that_turns_a_kink_round_is_found() -> None:
    x = var("x", FLOAT)
    assert not keeps_kinks(Rule("absolute_of_negative", OPS["abs"](-x), OPS["abs"](x)), "jax")


# These bring an expression into the form that another rule repairs, or spare a mask.
REPAIR_NOTHING = {
    *("softmax_of_shifted", "log_softmax_of_shifted", "pick_by_counting"),
    *("same_branches", "maximum_of_same", "minimum_of_same"),
}


@of_set("STABILITY")
def test_stability_says_where_the_plain_form_fails(rule: Rule) -> None:
    assert (rule.fails is None) == (rule.name in REPAIR_NOTHING)
    if rule.fails is not None:
        check_failure(rule)


def test_a_wrong_failure_is_found() -> None:
    rules = {rule.name: rule for rule in RULE_SETS["STABILITY"]}
    for broken in (
        replace(rules["softplus"], fails=Failure("nowhere", {"x": 1.0})),
        replace(rules["softplus"], replacement=OPS["log"](1 + OPS["exp"](var("x")) * 1)),
        replace(rules["log_of_power"], replacement=2 * OPS["log"](var("x"))),
    ):
        with pytest.raises(AssertionError):
            check_failure(broken)


def check_failure(rule: Rule) -> None:
    """At the rule's point the pattern gives no number or a wrong one, value or gradient; the replacement is right."""
    assert rule.fails is not None
    before, after = before_and_after(rule)
    point = {"d_f": 1.0, **rule.fails.at}
    values = {}
    for node in before.inputs:
        kind = np.dtype(node.tensor.dtype)
        values[str(node.attrs["name"])] = np.broadcast_to(
            np.asarray(point[str(node.attrs["name"])], kind), node.tensor.shape
        )
    truth, limit = exact_outputs(before, values), exact_outputs(after, values)
    wrong = False
    with np.errstate(all="ignore"):
        old, new = evaluate(before, values), evaluate(after, values)
    for name in old:
        # Where the pattern has no number, as 0 * log(0), the replacement has its limit.
        expected = np.where(np.isnan(truth[name]), limit[name], truth[name])
        np.testing.assert_allclose(new[name], expected, rtol=1e-13, err_msg=f"{rule.name} {name}")
        wrong |= not np.allclose(old[name], expected, rtol=1e-8, atol=0)
    assert wrong, f"{rule.name} fails nowhere at its point"


@of_set("REASSOCIATE")
def test_reassociation_keeps_ordinary_values_and_gradients(rule: Rule) -> None:
    hold(rule, None, close)


@of_set("FAST_MATH")
def test_fast_math_is_equal_where_both_are_defined(rule: Rule) -> None:
    graph = as_graph(rule)
    found = rewrite(graph, [rule])
    assert [firing.rule for firing in found.firings] == [rule.name]
    for point in points(graph, None, low=0.2, high=3.0):
        close(np.asarray(evaluate(graph, point)["f"]), np.asarray(evaluate(found.graph, point)["f"]))


PROMISES: Mapping[str, tuple[Callable[[Rule], None], ...]] = {
    "SHAPES": (test_shapes_are_bit_identical,),
    "ALGEBRA": (test_algebra_keeps_every_value_and_gradient,),
    "STABILITY": (
        test_stability_is_equal_over_the_reals,
        test_stability_never_overflows_where_the_original_did_not,
    ),
    "REASSOCIATE": (test_reassociation_keeps_ordinary_values_and_gradients,),
}
BROKEN = [
    ("SHAPES", Rule("zero_added", var("x", FLOAT) + 0, var("x"))),
    ("SHAPES", Rule("twice", var("x", FLOAT) / 3, var("x") * (1 / 3))),
    ("ALGEBRA", next(rule for rule in RULE_SETS["FAST_MATH"] if rule.name == "cancel_factor")),
    ("ALGEBRA", next(rule for rule in RULE_SETS["FAST_MATH"] if rule.name == "subtract_itself")),
    ("ALGEBRA", Rule("loses_gradient", OPS["abs"](var("x", FLOAT)), OPS["stop_gradient"](OPS["abs"](var("x"))))),
    ("ALGEBRA", Rule("hides_negatives", OPS["exp"](OPS["log"](var("x", FLOAT))), var("x"))),
    ("STABILITY", Rule("overflows", OPS["softplus"](var("x", FLOAT)), OPS["log"](1 + OPS["exp"](var("x"))))),
    ("STABILITY", Rule("wrong", OPS["log"](1 + var("x", FLOAT)), OPS["log1p"](-var("x")))),
    ("REASSOCIATE", Rule("other_sign", var("x", FLOAT) - var("y", FLOAT), var("x") + var("y"))),
]


@pytest.mark.parametrize(("name", "rule"), [pytest.param(name, rule, id=rule.name) for name, rule in BROKEN])
def test_a_broken_rule_is_found(name: str, rule: Rule) -> None:
    with pytest.raises((AssertionError, GraphcError)):
        for check in PROMISES[name]:
            check(rule)
