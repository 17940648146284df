"""The page as a text: what it holds, that its numbers are the model's, that no name breaks it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import graphc
from graphc.backends.numbers import number
from graphc.cli import main
from graphc.errors import GraphcError
from graphc.report.data import array_data, script_json
from graphc.steps import steps_of
from tests.report.pages import FIGURE, POINTS, Parsed

pytest.importorskip("pygraphviz")
SOFTMAX = Path(__file__).parents[2] / "examples" / "two_class_softmax.gc"
HOSTILE = """\
"<script>alert(1)</script> & <!-- \\"' {{data}} 😀"
x: Input[N, 3]        # </pre></script><img src=x onerror=alert(1)>
größe: Param[3] = ones()
loss: Output = mean(x @ größe)    # \\\\{}| 🙂
"""


@pytest.fixture(scope="module")
def figure() -> Parsed:
    return Parsed(graphc.compile(FIGURE).show(*POINTS).html)


def test_it_is_one_file_that_may_load_nothing(figure: Parsed) -> None:
    policy = next(found["content"] for tag, found in figure.elements if found.get("http-equiv"))
    assert policy.startswith("default-src 'none'; ")
    for kind in ("style", "script"):
        digest = base64.b64encode(hashlib.sha256(figure.texts[kind].encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    for _, attributes in figure.elements:
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
        assert attributes.get("href", "#").startswith(("#", "data:"))
        assert "src" not in attributes


def test_every_id_is_there_once_and_every_node_is_known(figure: Parsed) -> None:
    ids = [found["id"] for _, found in figure.elements if "id" in found]
    assert len(ids) == len(set(ids))
    assert set(figure.with_nodes()) <= set(figure.data["nodes"])
    for step in figure.data["steps"]:
        assert {step["node"], *step["values"], *step["gradients"]} <= set(ids)


def test_steps_are_those_of_the_two_passes(figure: Parsed) -> None:
    steps = steps_of(graphc.compile(FIGURE).joint)
    assert [step["node"] for step in figure.data["steps"]] == [f"n{step.node.serial}" for step in steps]
    assert [step["backward"] for step in figure.data["steps"]] == [False] * 7 + [True] * 7
    words = [found["data-words"] for tag, found in figure.elements if "data-words" in found]
    assert len(words) == 2 * len(steps)
    assert words[0] == "x = 2 (given)"
    assert words[10] == (
        "∂f/∂v₂ · y = 4 · 3 = 12 (product rule, one path to x); ∂f/∂v₂ · x = 4 · 2 = 8 (product rule, one path to y)"
    )


def test_each_wire_is_written_in_the_step_that_knows_it(figure: Parsed) -> None:
    steps = figure.data["steps"]
    assert [step["values"] for step in steps[:4]] == [
        ["w0", "w0_3_0", "w0_4_0"],
        ["w1", "w1_3_1", "w1_4_1"],
        ["w2"],
        ["w3"],
    ]
    assert [step["gradients"] for step in steps[7:]] == [
        ["w6"], ["w5", "w2"], ["w3", "w4"], ["w0_4_0", "w1_4_1"], ["w0_3_0", "w1_3_1"], ["w1"], ["w0"],
    ]  # fmt: skip


@pytest.mark.parametrize("case", [0, 1])
def test_numbers_are_those_of_the_model(figure: Parsed, case: int) -> None:
    at = graphc.compile(FIGURE).at(POINTS[case])
    wires = figure.data["cases"][case]["wires"]
    assert wires["w6"] == [number(at["f"]), "1"]
    for wire, name in (("w0", "x"), ("w1", "y"), ("w2", "z")):
        assert wires[wire][0] == number(at[name])
        assert wires[wire][1].split("= ")[-1] == number(at.gradient(name))


def test_arrays_are_those_of_the_model() -> None:
    model = graphc.compile(SOFTMAX)
    values = {"z1": np.arange(15.0).reshape(5, 3), "y": [0, 1, 1, 0, 1], "theta": np.eye(3, 2)}
    at = model.at(values)
    data = Parsed(model.show(at).html).data
    arrays = data["cases"][0]["arrays"]
    for name in ("z2", "theta"):
        (id,) = (id for id, node in data["nodes"].items() if node["label"].split(" = ")[0] == name)
        assert arrays[id]["numbers"] == [[number(item) for item in row] for row in at[name]]
        gradient = arrays[data["nodes"][id]["gradient"]]["numbers"]
        assert gradient == [[number(item) for item in row] for row in at.gradient(name)]


def test_code_lines_carry_the_nodes_of_the_values_that_they_assign() -> None:
    model = graphc.compile(SOFTMAX)
    html = model.show().html
    graph = model.joint.graph
    z2 = next(node for node in graph.nodes if graph.name(node) == "z2")
    assert f'<span class="line" data-nodes="n{z2.serial}" tabindex="0">    z2 = z1 @ theta</span>' in html
    (line,) = (line for line in html.split("\n") if "    d_z2 = " in line)
    assert f"n{model.joint.cotangents[z2].serial}" in line.split('"')[3].split()
    assert f"n{z2.serial}" not in line.split('"')[3].split()


def test_a_large_array_is_summed_up_with_a_strip_and_images() -> None:
    data = array_data(np.arange(128.0).reshape(2, 64))
    assert data["summary"] == "2×64, min 0, mean 63.5, max 127"
    assert len(base64.b64decode(data["strip"]["bytes"])) == 2 * data["strip"]["width"] == 64  # type: ignore[index]
    images = base64.b64decode(data["images"]["bytes"])  # type: ignore[index]
    assert (images[0], images[127], len(images)) == (127, 254, 128)


@pytest.mark.parametrize(
    "value",
    [
        np.full((5, 16), np.nan), np.full(30, np.inf), np.full(30, -np.inf), np.zeros((0, 3)), np.ones((2, 0, 16)),
        np.full(30, 1e308), np.full(30, True), np.array(True), np.array(np.nan), np.arange(40) - 20,
        np.zeros((3, 3, 25)), np.full(30, 5e-324),
    ],
    ids=str,
)  # fmt: skip
def test_any_array_can_be_shown(value: np.ndarray) -> None:
    with np.errstate(all="raise"):
        data = array_data(value)
    if "strip" in data:
        strip = base64.b64decode(data["strip"]["bytes"])  # type: ignore[index]
        assert (255 in strip) == bool(np.isnan(value.astype(float)).any())


def test_names_cannot_leave_their_place(tmp_path: Path) -> None:
    path = tmp_path / "<b>&'x'.gc"
    path.write_text(HOSTILE, encoding="utf-8")
    page = Parsed(graphc.compile(path).show(x=np.ones((2, 3))).html)
    tags = [tag for tag, _ in page.elements]
    assert tags.count("script") == 2
    assert tags.count("style") == tags.count("pre") - 1 == 1
    assert "img" not in tags
    assert "größe" in {node["label"] for node in page.data["nodes"].values()}
    assert "{{data}}" in re.sub("<[^>]*>", "", page.html)


def test_a_text_in_the_data_cannot_end_the_script() -> None:
    text = script_json({"a": "</script><!--<script>", "b": "<S"})
    assert not [bad for bad in ("</", "<!", "<s", "<S") if bad in text]
    assert '"a"' in text
    assert json.loads(text) == {"a": "</script><!--<script>", "b": "<S"}


def test_the_same_model_gives_the_same_bytes() -> None:
    first, second = (graphc.compile(FIGURE).show(*POINTS).html for _ in range(2))
    assert first == second


def test_a_model_without_numbers_and_one_without_a_gradient() -> None:
    named = Parsed(graphc.compile(FIGURE).show().html)
    assert named.data["cases"] == [{"name": "no numbers", "wires": named.data["cases"][0]["wires"], "arrays": {}}]
    forward = Parsed(graphc.compile("v: Input[N]; w: Output = v * 2", gradient=False).show(v=[1.0, 2.0]).html)
    assert [step["backward"] for step in forward.data["steps"]] == [False, False]
    assert "def evaluate(v):" in re.sub("<[^>]*>", "", forward.html)


def test_the_name_of_a_parameter_and_its_shape_stand_side_by_side() -> None:
    shown = Parsed(graphc.compile("W: Param[64, 10] = zeros()\nloss: Output = mean(W ** 2)").show().html)
    places = [(found["x"], found["y"]) for tag, found in shown.elements if tag == "text"]
    assert len(set(places)) == len(places) > 10


def test_an_op_with_several_results_and_a_model_without_steps() -> None:
    spectral = graphc.compile("A: Input[n, n]\nloss: Output = sum(eigh(A)[0])").show(A=np.eye(3))
    assert "∂loss/∂A = " in spectral.html
    assert Parsed(graphc.compile("f: Output = 3.0", gradient=False).show().html).data["steps"] == []


def test_points_of_another_model_are_refused() -> None:
    at = graphc.compile("x * 2").at(x=1)
    with pytest.raises(ValueError, match="points of this model"):
        graphc.compile("x * 3").show(at)


def test_notebooks_get_a_frame_that_is_on_its_own() -> None:
    frame = Parsed(graphc.compile("x * y").show(x=1, y=2)._repr_html_())
    ((tag, attributes),) = frame.elements
    assert (tag, attributes["sandbox"]) == ("iframe", "allow-scripts")
    assert attributes["srcdoc"] == graphc.compile("x * y").show(x=1, y=2).html


def test_without_pygments_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pygments.lexers.python", None)
    with pytest.raises(GraphcError, match="expected pygments") as caught:
        graphc.compile("x * y").show()
    assert caught.value.diagnostics[0].code == "GC416"
    assert "pygments>=2.17" in caught.value.diagnostics[0].hint


def test_the_command_writes_the_same_page(tmp_path: Path) -> None:
    out = tmp_path / "r.html"
    arguments = ["report", "-e", FIGURE, "-o", str(out), "--at", "y=3,z=4", "--case", "x=2", "--case", "x=-1,y=5"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    model = graphc.compile(FIGURE)
    assert out.read_text(encoding="utf-8") == model.show({"x": 2}, {"x": -1, "y": 5}, y=3, z=4).html
    assert CliRunner().invoke(main, [*arguments[:3], "--at", "x=2,y=3,z=4"]).stdout == model.show(x=2, y=3, z=4).html


@pytest.mark.parametrize(
    ("values", "message"),
    [("x=1", "no value for inputs y, z"), ("x=1,y=2,z=3,w=4", "no input w"), ("x=(", "expected a number")],
)
def test_the_command_says_what_is_wrong_with_values(values: str, message: str) -> None:
    done = CliRunner().invoke(main, ["report", "-e", FIGURE, "--at", values])
    assert done.exit_code == 2
    assert message in done.stderr


def test_the_gradient_of_one_of_several_results_is_said_to_go_on() -> None:
    step = "def step(h, x):\n    return a * h + x, h\n"
    text = f"x: Input[T]\na: Param\n{step}h, hs = scan(step, 0.0, x)\nloss: Output = h * h\n"
    html = graphc.compile(text).show().html
    assert "the gradient of this result goes to scan as it is" in html
    assert "nothing to send on" not in html
