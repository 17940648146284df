"""What a rule changed: the graphs right before and after it, what is kept, and the picture of it."""

from __future__ import annotations

import re

import pytest

import graphc
from graphc.backends.dot import dot
from graphc.graph import verify

NETWORK = """
X: Input[N, n]
y: Input[N, int64]
W: Param[n, 10]
logits = X @ W
loss: Output = mean(sum(-log(softmax(logits)) * one_hot(y, 10), axis=1))
"""


def test_a_rule_is_shown_with_what_it_removed_and_added() -> None:
    change = graphc.compile(NETWORK).change(1)
    assert change.firing is not None
    assert change.firing.rule == "log_of_softmax"
    assert [node.op.name for node in change.removed] == ["softmax", "log"]
    assert [node.op.name for node in change.added] == ["log_softmax"]


def test_every_firing_has_a_change_and_whole_graphs() -> None:
    model = graphc.compile(NETWORK)
    for number, firing in enumerate(model.rewrites, 1):
        change = model.change(number)
        assert change.firing == firing
        assert change.removed or change.added
        verify(change.before)
        verify(change.after)
        assert all(new.op is old.op and new.type == old.type for new, old in change.kept.items())


def test_rules_that_fire_within_one_another_are_one_change() -> None:
    model = graphc.compile(NETWORK)
    nested = [model.change(number) for number in range(1, len(model.rewrites) + 1) if model.change(number).others]
    assert nested
    assert all(change.others and change.firing for change in nested)


def test_all_rules_together() -> None:
    change = graphc.compile(NETWORK).change()
    assert {"softmax", "log"} <= {node.op.name for node in change.removed}
    assert "log_softmax" in {node.op.name for node in change.added}


def test_forward_only_models_have_changes() -> None:
    model = graphc.compile("x: Input[3]; f: Output = -(-x)", gradient=False)
    assert [node.op.name for node in model.change(1).removed] == ["neg", "neg"]


def test_a_rule_inside_of_a_scan_is_no_change_of_the_graph() -> None:
    text = """
x: Input[T]
w: Param
def step(h, x):
    h = log(1 + exp(h * w)) + x
    return h, h
h, _ = scan(step, 0.0, x)
loss: Output = log(1 + exp(h))
"""
    model = graphc.compile(text)
    assert [firing.rule for firing in model.rewrites][:2] == ["softplus", "softplus"]
    with pytest.raises(ValueError, match="1 is a guard or in a scan"):
        model.change(1)
    assert model.change(2).firing == model.rewrites[1]


@pytest.mark.parametrize("number", [0, -1, 99])
def test_there_are_as_many_changes_as_firings(number: int) -> None:
    with pytest.raises(ValueError, match=rf"expected a rewrite from 1 to \d+, found {number}"):
        graphc.compile(NETWORK).change(number)


def test_where_no_rule_fired_there_is_no_number() -> None:
    with pytest.raises(ValueError, match="expected no number, for no rule fired, found 1"):
        graphc.compile("x * y").change(1)


def test_the_picture_tells_kept_removed_and_added_apart() -> None:
    text = dot(graphc.compile(NETWORK).change(1), view="diff")
    kinds = dict(re.findall(r"^\t(\w+) \[.* class=(\w+) ", text, re.MULTILINE))
    assert sorted(kinds.values()) == ["added", "kept", "kept", "removed", "removed"]
    assert "<S>softmax</S>" in text
    assert "−2 nodes  +1 node<" in text
    assert text.count("style=dashed") == 3
    assert "6</FONT>" in text, "the line of the model"
