"""The engine: what may fire and where, what is protected, folded, merged, recorded; that cost is linear."""

from __future__ import annotations

import numpy as np
import pytest

from graphc.autodiff import differentiate
from graphc.builder import Builder
from graphc.graph import verify
from graphc.ops import OPS
from graphc.rewrite.engine import MAX_FIRINGS, Firing, rewrite
from graphc.rewrite.pattern import ANY, FLOAT, Rule, attr, once, var
from graphc.rewrite.sets import RULE_SETS, SIMPLIFY
from graphc.source import Source, Span
from graphc.tensor_type import TensorType
from graphc.value import Value
from tests.evaluate import evaluate

F, V = TensorType("float64"), TensorType("float64", (3,))
x, y = var("x"), var("y")
negative = -x
DOUBLE_NEGATION = Rule("double_negation", -negative, x)
LOG_EXP = Rule("log_exp", OPS["log"](OPS["exp"](x)), x)


def names(firings: tuple[Firing, ...]) -> list[str]:
    return [firing.rule for firing in firings]


def negated_twice(value: Value) -> Value:
    negated = -value
    return -negated


def test_rules_see_operands_that_are_already_simplified() -> None:
    b = Builder()
    a = b.input("a", V)
    found = rewrite(b.finish({"f": OPS["log"](negated_twice(OPS["exp"](a))).node}), [DOUBLE_NEGATION, LOG_EXP])
    assert found.graph.outputs["f"].op.name == "input"
    assert names(found.firings) == ["double_negation", "log_exp"]


def test_what_a_rule_makes_goes_through_the_rules_again() -> None:
    b = Builder()
    a = b.input("a", V)
    rules = [Rule("square_root_first", OPS["sqrt"](x), OPS["log"](OPS["exp"](x))), LOG_EXP]
    assert names(rewrite(b.finish({"f": OPS["sqrt"](a).node}), rules).firings) == ["log_exp", "square_root_first"]


def test_the_first_rule_that_fits_fires() -> None:
    b = Builder()
    graph = b.finish({"f": (b.input("a", V) * 2).node})
    rules = [Rule("first", x * 2, x + x), Rule("second", x * 2, x * 3)]
    assert names(rewrite(graph, rules).firings) == ["first"]


def test_commutative_operands_match_both_ways_and_others_do_not() -> None:
    b = Builder()
    a = b.input("a", V)
    graph = b.finish({"f": (2 + a).node, "g": (2 - a).node})
    rules = [Rule("sum", x + 2, x), Rule("difference", x - 2, x)]
    assert names(rewrite(graph, rules).firings) == ["sum"]
    assert rewrite(graph, [Rule("sum", x + 2, x, ordered=True)]).firings == ()


def test_the_same_hole_is_the_same_node() -> None:
    b = Builder()
    p, q = b.input("p", V), b.input("q", V)
    graph = b.finish({"f": (p - q).node, "g": (p - p).node, "h": ((p * q) / (q * p)).node})
    assert names(rewrite(graph, [Rule("itself", x - x, x)]).firings) == ["itself"]
    swapped = Rule("swapped", (x * y) / (y * x), x)
    assert names(rewrite(graph, [swapped]).firings) == ["swapped"]


def test_attributes_are_given_bound_or_left_open() -> None:
    b = Builder()
    a = b.input("a", TensorType("float64", (2, 3)))
    graph = b.finish({"f": OPS["sum"](-a, axis=1).node, "g": OPS["sum"](-a, axis=0, keepdims=True).node})
    bound = Rule("bound", OPS["sum"](-x, axis=attr("a"), keepdims=False), -OPS["sum"](x, axis=attr("a")))
    found = rewrite(graph, [bound])
    assert names(found.firings) == ["bound"]
    (total,) = found.graph.operands(found.graph.outputs["f"])
    assert total.attrs["axis"] == (1,)
    opened = Rule("open", OPS["sum"](-x), lambda x, result: None)
    assert rewrite(graph, [opened]).tried == 2


def test_a_rule_that_would_change_a_type_does_not_fire() -> None:
    b = Builder()
    a, row = b.input("a", F), b.input("row", V)
    graph = b.finish({"f": (a - row).node})
    found = rewrite(graph, [Rule("narrow", x - y, x)])
    assert found.firings == () and found.graph.outputs["f"].type == V
    verify(found.graph)


def test_firings_of_one_node_are_bounded() -> None:
    b = Builder()
    graph = b.finish({"f": (b.input("a", V) + b.input("b", V)).node})
    found = rewrite(graph, [Rule("for_ever", x + y, y + x)])
    assert 0 < len(found.firings) <= MAX_FIRINGS


def test_once_reads_the_uses_of_the_graph_that_is_read() -> None:
    b = Builder()
    a, c = b.input("a", V), b.input("c", V)
    rule = [Rule("negative", -once(x - y), y - x)]
    d = a - c
    assert names(rewrite(b.finish({"f": (-d).node}), rule).firings) == ["negative"]
    b = Builder()
    a, c = b.input("a", V), b.input("c", V)
    d = a - c
    assert rewrite(b.finish({"f": (-d).node, "g": d.node}), rule).firings == ()


@pytest.mark.parametrize(
    ("value", "folded"),
    [
        (lambda c: c(2.0) * c(3.0) + c(1), 7.0),
        (lambda c: OPS["exp"](c(0.0)), 1.0),
        (lambda c: c(1.0) / c(0.0), None),
        (lambda c: OPS["log"](c(-1.0)), None),
        (lambda c: OPS["exp"](c(1e3)), None),
        (lambda c: c(2**62) * c(4), None),
        (lambda c: c(3) * c(4), 12),
        (lambda c: c(1) < c(2), True),
        (lambda c: OPS["sigmoid"](c(0.0)), None),
    ],
)
def test_constants_are_folded_when_the_result_is_finite(value: object, folded: object) -> None:
    b = Builder()
    made: Value = value(b.constant)  # type: ignore[operator]
    node = rewrite(b.finish({"f": made.node}), []).graph.outputs["f"]
    assert node.type == made.node.type
    if folded is None:
        assert node.op.name != "const"
    else:
        assert node.attrs["value"] == folded and type(node.attrs["value"]) is type(folded)


def test_equal_nodes_become_one_and_keep_all_names() -> None:
    b = Builder()
    a = b.input("a", V)
    first, second = OPS["exp"](a), OPS["exp"](a)
    b.name(first.node, "first")
    b.name(second.node, "second")
    found = rewrite(b.finish({"f": first.node, "g": second.node}), [])
    assert found.graph.outputs["f"] is found.graph.outputs["g"]
    assert found.graph.names[found.graph.outputs["f"]] == ("first", "second")


def test_no_rule_looks_into_a_protected_node() -> None:
    b = Builder()
    a = b.input("a", V)
    inner = OPS["exp"](a)
    graph = b.finish({"f": OPS["log"](inner).node})
    assert names(rewrite(graph, [LOG_EXP]).firings) == ["log_exp"]
    found = rewrite(graph, [LOG_EXP], protect={inner.node})
    assert found.firings == () and found.mapping[inner.node].op.name == "exp"


def test_a_protected_node_can_be_replaced_as_a_whole() -> None:
    b = Builder()
    logits = b.input("z", V)
    p = OPS["log"](OPS["softmax"](logits))
    found = rewrite(b.finish({"f": (p * 2).node}), RULE_SETS["STABILITY"], protect={p.node})
    assert found.mapping[p.node].op.name == "log_softmax"


@pytest.mark.parametrize("variant", ["equal node", "operand"])
def test_the_gradient_of_a_protected_node_is_its_own(variant: str) -> None:
    """Merged with an equal node, or replaced by its operand, a variable would get that one's cotangent too."""
    b = Builder()
    a = b.input("a", F)
    h = OPS["exp"](a) if variant == "equal node" else a * 1
    other = OPS["exp"](a) if variant == "equal node" else a
    found = rewrite(b.finish({"f": (h * 3 + other * 5).node}), SIMPLIFY, protect={h.node})
    assert found.mapping[h.node] is not found.mapping[other.node]
    verify(found.graph)


def test_firings_say_where() -> None:
    source = Source("model.gc", "f = -(-a)\n")
    span = Span(source, 1, 5, 1, 10)
    b = Builder()
    a = b.input("a", V)
    with b.at((span,)):
        inner = -a
        f = -inner
    assert rewrite(b.finish({"f": f.node}), [DOUBLE_NEGATION]).firings == (Firing("double_negation", span),)


def test_the_mapping_leads_to_what_stands_for_a_node() -> None:
    b = Builder()
    a = b.input("a", V)
    inner = -a
    f = -inner
    found = rewrite(b.finish({"f": f.node}), [DOUBLE_NEGATION])
    assert found.mapping[f.node] is found.mapping[a.node] is found.graph.inputs[0]
    assert inner.node not in found.mapping


def chain(length: int) -> Value:
    b = Builder()
    value = b.input("a", V)
    for _ in range(length):
        value = -(value * 1 + 0.5 * OPS["relu"](value)) * 2
    return value


def test_rules_tried_grow_with_the_graph() -> None:
    """The same number for each further layer, and a depth far beyond Python's recursion limit."""
    counts = []
    for length in (50, 100, 1500):
        last = chain(length)
        graph = last.builder.finish({"f": OPS["sum"](last).node})
        joint = differentiate(graph, ["f"], {"a": graph.inputs[0]}).graph
        counts.append(rewrite(joint, SIMPLIFY).tried)
    per_layer = (counts[1] - counts[0]) / 50
    assert counts[2] - counts[1] == pytest.approx(per_layer * 1400, rel=0.01)
    assert per_layer < 100


def test_rewriting_keeps_values_and_gradients() -> None:
    last = chain(5)
    graph = last.builder.finish({"f": OPS["sum"](last).node})
    joint = differentiate(graph, ["f"], {"a": graph.inputs[0]}).graph
    after = rewrite(joint, SIMPLIFY).graph
    verify(after)
    point = {"a": np.array([-0.5, 0.0, 1.5]), "d_f": np.array(1.5)}
    for name, value in evaluate(joint, point).items():
        np.testing.assert_allclose(evaluate(after, point)[name], value, rtol=1e-12)


def test_kinds_tell_floats_from_integers() -> None:
    b = Builder()
    whole = b.input("n", TensorType("int64"))
    assert ANY.accepts(whole.node) and not FLOAT.accepts(whole.node)
