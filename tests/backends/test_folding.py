"""Folded block pictures: what is one box, how often, with whose parameters, and that nothing unequal is merged."""

from __future__ import annotations

import re
import time

import pytest

import graphc
from graphc.backends.dot import dot
from graphc.backends.drawing import layout, layout_engine
from graphc.backends.placing import BAND_LETTER


def heads(model: graphc.Model, **look: object) -> dict[str, list[str]]:
    """By the first words of each box: all its lines."""
    text = dot(model.joint, style="block", **look)  # type: ignore[arg-type]
    found = {}
    for label in re.findall(r"^\t+(?:n\d+|layer_n\w+) \[label=<(.*?)> ?(?:class|color)", text, re.MULTILINE):
        lines = [re.sub("<[^>]*>", "", line) for line in label.split("<BR/>")]
        found[lines[0]] = lines
    return found


def network(layer: str, count: int = 12, before: str = "") -> graphc.Model:
    return graphc.compile(
        f"X: Input[N, 16]\nt: Input[N, 16]\n{before}h = X\nfor i in range({count}):\n    {layer}\n"
        "loss: Output = mean((h - t) ** 2)"
    )


def repeated(model: graphc.Model) -> bool:
    return re.search(r"×\d+ \(", dot(model.joint, style="block", depth=0)) is not None


def test_equal_layers_are_one_box() -> None:
    found = heads(network("h = tanh(dense(h, 16))"), depth=0)
    assert found["dense + tanh  → N×16"][1:] == ["3 ops · 272 parameters", "×12 (own parameters)"]
    assert found["dense + tanh′"][1:] == ["4 ops", "∂dense_W, ∂dense_b"]
    assert sum("dense" in head for head in found) == 2


def test_layers_that_share_their_parameters_say_so() -> None:
    found = heads(network("h = tanh(layer(h))", before="layer = instance(dense, 16)\n"), depth=0)
    layers = [lines for head, lines in found.items() if "→" in head]
    assert [lines[-1] for lines in layers] == ["×12 (same parameters)"]


def test_other_attributes_and_skips_are_not_merged() -> None:
    unequal = network("h = leaky_relu(dense(h, 16), 0.1 * (i + 1))", 3)
    assert not repeated(unequal)
    model = graphc.compile(
        "X: Input[N, 16]\na = dense(X, 16)\nb = dense(a, 16)\nc = dense(b, 16)\nloss: Output = mean(a * b * c)"
    )
    assert not repeated(model)


def test_a_period_of_several_boxes_is_a_band() -> None:
    model = network("h = h + tanh(dense(dense(h, 8), 16))")
    assert "×12 (own parameters)" in dot(model.joint, depth=0)


@pytest.mark.parametrize("view", ["joint", "forward"])
def test_no_arrow_crosses_the_title_of_a_band(view: str) -> None:
    text = dot(network("h = h + tanh(dense(dense(h, 8), 16))").joint, view=view, depth=0)  # type: ignore[typeddict-item]
    band = text[text.index("×12") :]
    middle, height = (float(found) for found in re.findall(r'lp="?([-\d.]+),([-\d.]+)', band)[0])
    end = middle + BAND_LETTER / 2 * len("×12 (own parameters)")
    lefts = []
    for way in re.findall(r'-> .*pos="([^"]*)"', text):
        xs, ys = zip(*re.findall(r"(-?[\d.]+),(-?[\d.]+)", way), strict=True)
        if min(map(float, ys)) < height < max(map(float, ys)):
            lefts.append(min(map(float, xs)))
    assert len(lefts) >= 2
    assert min(lefts) > end


def test_pictures_fold_beyond_120_boxes_and_depth_unfolds() -> None:
    small, large = network("h = tanh(dense(h, 16))", 3), network("h = tanh(dense(h, 16))", 40)
    assert "layer_n" not in dot(small.joint)
    assert "layer_n" in dot(large.joint)
    assert "layer_n" not in dot(large.joint, depth="all")


@pytest.mark.skipif(layout_engine() is None, reason="no layout engine is installed")
def test_300_layers_are_quick() -> None:
    joint = network("h = tanh(dense(h, 16))", 300).joint
    for depth, seconds in ((None, 2), ("all", 10)):
        start = time.process_time()
        layout(dot(joint, depth=depth), "svg")  # type: ignore[arg-type]
        assert time.process_time() - start < seconds
