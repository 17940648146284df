"""Numbers in block pictures: small values in full, ranges and strips of large ones, and steps that move nothing."""

from __future__ import annotations

import re

import numpy as np
import pytest

import graphc
from graphc.backends.dot import dot
from graphc.backends.drawing import layout, layout_engine
from graphc.evaluated import Evaluated
from graphc.steps import steps_of

X = np.array([[1.0, -2.0], [3.0, 4.0], [0.0, 5.0]])


def point() -> Evaluated:
    model = graphc.compile("X: Input[N, n]; w: Param[n]; h = tanh(X @ w); loss: Output = sum(h * h)")
    return model.at(X=X, w=np.array([0.5, 0.25]))


def rows(text: str, id: str) -> list[str]:
    label = re.search(rf"^\t+{id} \[label=<(.*?)</TABLE>> class=", text, re.MULTILINE)
    assert label is not None
    return [re.sub("<[^>]*>", "", row) for row in label[1].split("<TR><TD>")[1:]]


def test_small_values_are_written_out_and_large_ones_are_a_range_and_a_strip() -> None:
    text = dot(point())
    assert rows(text, "n1")[1:] == ["0.5, 0.25"]
    assert rows(text, "n0")[1] == "−2 … 5"
    strip = re.search(r"^\t+n0 \[.*$", text, re.MULTILINE)
    assert strip is not None
    assert len(re.findall(r'<TD WIDTH="4"', strip[0])) == X.size


def test_steps_show_more_and_move_nothing() -> None:
    at = point()
    assert at.joint is not None
    count = len(steps_of(at.joint))
    texts = [dot(at, step=step) for step in range(count + 1)]
    assert len({tuple(re.findall(r' (?:pos|lp|width|height)="?([^ "]*)', text)) for text in texts}) == 1
    grey = [len(re.findall(r'class=\w+ color="#8A96A5"', text)) for text in texts]
    assert grey == sorted(grey, reverse=True)
    assert grey[-1] == 0 < grey[0]
    assert texts[-1] == dot(at)


def test_boxes_without_numbers_light_up_too_and_constants_are_there_from_the_start() -> None:
    model = graphc.compile("x: Input[N]\nc: Output = 2.5\nloss: Output = sum(x * x)")
    texts = [dot(model.joint, step=step) for step in range(len(steps_of(model.joint)) + 1)]
    grey = [re.findall(r'^\t+(\w+) \[.*class=\w+ color="#8A96A5"', text, re.MULTILINE) for text in texts]
    assert [len(ids) for ids in grey] == sorted(map(len, grey), reverse=True)
    assert "n0" in grey[0]
    assert grey[-1] == []
    (constant,) = (node for node in model.joint.graph.nodes if "c" in model.joint.graph.names.get(node, ()))
    assert f"\tn{constant.serial} [" in texts[0]
    assert f"n{constant.serial}" not in grey[0]


@pytest.mark.skipif(layout_engine() is None, reason="no layout engine is installed")
def test_not_a_number_and_nothing_at_all_are_drawn(capfd: pytest.CaptureFixture[str]) -> None:
    model = graphc.compile("X: Input[N, n]; f: Output = sum(log(X) * 2)")
    for values in (np.full((3, 2), np.nan), np.full((2, 3), np.inf), np.ones((0, 4)), np.zeros((1, 9))):
        for theme in ("light", "dark", "print", "lecture"):
            layout(dot(model.at(X=values), theme=theme), "svg")
    said = [line for line in capfd.readouterr().err.splitlines() if not line.startswith("Fontconfig")]
    assert said == []
