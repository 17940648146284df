"""Pictures: what is in the DOT text, that Graphviz takes it without a word, and what happens without Graphviz."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from graphc.autodiff import Joint, differentiate
from graphc.backends import dot as pictures
from graphc.backends import drawing
from graphc.backends.drawing import draw, layout, layout_engine
from graphc.backends.picture import VIEWS
from graphc.builder import Builder
from graphc.errors import GraphcError
from graphc.graph import Graph
from graphc.op import OPS
from graphc.size import named_size
from graphc.tensor_type import TensorType

SCALAR = TensorType("float64")
dot = partial(pictures.dot, style="block")
NASTY = [
    '<>&"\\{}|',
    "&amp;",
    "\\N",
    "\\",
    "<B>bold</B>",
    "<unclosed",
    "emoji 🙂 ñ 漢字",
    "a\nb\tc\x07",
    "two  spaces ",
    "x" * 200,
    "-->",
    "%0",
    "node",
]

needs_graphviz = pytest.mark.skipif(layout_engine() is None, reason="no layout engine is installed")


def figure1() -> Graph:
    b = Builder()
    x, y, z = (b.input(name, SCALAR) for name in "xyz")
    g = x + y
    b.name(g.node, "g")
    f = g * z
    b.name(f.node, "f")
    return b.finish({"f": f.node})


def network() -> Graph:
    b = Builder()
    n = named_size("N")
    x = b.input("X", TensorType("float64", (n, 64)))
    w = b.param("W", TensorType("float64", (64, 10)))
    h = OPS["relu"](x @ w)
    b.name(h.node, "h")
    loss = OPS["sum"](h * h) * 0.5
    b.name(loss.node, "loss")
    return b.finish({"loss": loss.node, "h": h.node})


def joint(graph: Graph) -> Joint:
    loss = next(iter(graph.outputs))
    return differentiate(graph, [loss], {str(leaf.attrs["name"]): leaf for leaf in graph.params or graph.inputs})


def boxes(text: str) -> dict[str, str]:
    """The attributes of each node, by id."""
    return dict(re.findall(r"^\t+(n\d+|out_\w+) \[(.*)\]$", text, re.MULTILINE))


def arrows(text: str) -> list[tuple[str, str]]:
    return re.findall(r"^\t(n\d+) -> (n\d+) \[", text, re.MULTILINE)


def test_forward_has_a_box_per_node_and_an_edge_per_operand() -> None:
    text = dot(figure1())
    assert sorted(boxes(text)) == ["n0", "n1", "n2", "n3", "n4", "out_f"]
    assert arrows(text) == [("n0", "n3"), ("n1", "n3"), ("n3", "n4"), ("n2", "n4")]
    assert "g = x + y" in text
    assert "f = g × z" in text


def test_a_node_used_twice_by_another_has_two_edges() -> None:
    b = Builder()
    x = b.input("x", SCALAR)
    assert arrows(dot(b.finish({"f": (x * x).node}))) == [("n0", "n1"), ("n0", "n1")]


def test_the_joint_picture_tells_roles_apart_by_shape_and_class() -> None:
    text = dot(joint(network()))
    looks = boxes(text)
    of = {re.search(r"class=(\w+)", look)[1]: look for look in looks.values()}
    assert set(of) == {"input", "param", "forward", "output", "backward", "gradient"}
    assert "style=filled" in of["param"]
    assert 'style="rounded,filled"' in of["input"]
    assert "style=filled" in of["gradient"]
    assert "penwidth=2 " in of["gradient"]
    assert "penwidth=2.4" in of["output"]
    assert "∂W" in of["gradient"]
    assert "<B>∂loss</B>" in text


def test_edges_carry_shapes_and_scalar_graphs_carry_none() -> None:
    assert 'label="N×64"' in dot(network())
    assert "scalar" not in dot(figure1())


def test_an_edge_of_several_results_carries_their_shapes() -> None:
    b = Builder()
    factors = OPS["qr"](b.input("X", TensorType("float64", (5, 3))))
    text = dot(b.finish({"q": OPS["item"](factors, index=0).node}))
    assert 'label="5×3, 3×3"' in text


def test_gradient_edges_are_written_upwards_and_drawn_backwards() -> None:
    graph = joint(figure1())
    seed = next(iter(graph.seeds.values()))
    text = dot(graph)
    edges = re.findall(rf"^\t(n\d+) -> n{seed.serial} \[(.*)\]$", text, re.MULTILINE)
    assert len(edges) == 2
    assert all("dir=back" in attributes for _, attributes in edges)
    assert "style=dashed" in text


def test_views_show_what_they_say() -> None:
    graph = joint(figure1())
    forward, gradient, both = (boxes(dot(graph, view=view)) for view in ("forward", "gradient", "joint"))
    assert sorted(forward) == ["n0", "n1", "n2", "n3", "n4", "out_f"]
    assert set(forward) | set(gradient) == set(both)
    assert "n4" not in gradient, "the value of f is not needed for its gradient"
    assert len(both) == len(graph.graph.nodes) + 1


def test_one_cotangent_of_several_values_has_all_their_names() -> None:
    assert "∂x = ∂y = ∂g" in dot(joint(figure1()))


def test_a_gradient_that_is_an_input_stays_an_input() -> None:
    b = Builder()
    x, y = b.input("x", SCALAR), b.input("y", SCALAR)
    text = dot(joint(b.finish({"f": (x + y).node})))
    seed = boxes(text)["n3"]
    assert "∂x = ∂y" in seed


def test_outputs_have_a_thick_box_of_their_own() -> None:
    b = Builder()
    x = b.input("x", SCALAR)
    text = dot(b.finish({"f": x.node, "g": x.node}))
    assert re.findall(r"^\tn0 -> (\w+)", text, re.MULTILINE) == ["out_f", "out_g"]
    assert "penwidth=2.4" in boxes(text)["out_f"]


def test_unused_inputs_are_drawn() -> None:
    b = Builder()
    x, _ = b.input("x", SCALAR), b.input("unused", SCALAR)
    assert "unused" in dot(b.finish({"f": (x * 2.0).node}))


def test_long_formulas_are_cut_and_whole_in_the_tooltip() -> None:
    b = Builder()
    x = b.input("v" * 150, SCALAR)
    text = dot(b.finish({"f": (x + x).node}))
    assert "v" * 150 + " + " + "v" * 150 in text
    assert max(map(len, re.findall(r">([^<>]*)</FONT>", text))) <= 52


@needs_graphviz
@pytest.mark.parametrize("name", NASTY, ids=range(len(NASTY)))
@pytest.mark.parametrize("view", VIEWS)
def test_no_name_makes_graphviz_complain(name: str, view: str, capfd: pytest.CaptureFixture[str]) -> None:
    b = Builder()
    x = b.input(name, TensorType("float64", (named_size(name), 2)))
    w = b.param(f"{name}2", TensorType("float64", (2,)))
    h = OPS["relu"](x @ w) * 2.0
    b.name(h.node, name + name)
    f = OPS["sum"](h)
    graph = joint(b.finish({name + "f": f.node}))
    picture = layout(dot(graph, view=view, title=name), "svg").decode()  # type: ignore[arg-type]
    # What fontconfig says is about the machine's fonts.
    said = [line for line in capfd.readouterr().err.splitlines() if not line.startswith("Fontconfig")]
    assert said == []
    assert picture.rstrip().endswith("</svg>")
    if name.isprintable() and len(name) < 40:
        import xml.etree.ElementTree as ElementTree

        texts = "\n".join(ElementTree.fromstring(picture).itertext())
        wanted = f"∂{name}2" if view != "forward" else f"{name}2"
        assert wanted in texts.replace("\xa0", " ").replace("\u200b", "")


def test_the_text_is_the_same_under_every_hash_seed() -> None:
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import {Path(__file__).stem} as test; "
    code += "print(test.dot(test.joint(test.network())))"
    root = Path(__file__).parents[2]
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(root), "PYTHONIOENCODING": "utf-8"},
            cwd=root,
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(found) == 1


@needs_graphviz
@pytest.mark.parametrize(
    ("format", "magic"), [("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF"), ("dot", b"// ")]
)
def test_formats(format: str, magic: bytes, tmp_path: Path) -> None:
    target = draw(tmp_path / f"g.{format}", joint(figure1()))
    assert target.read_bytes().startswith(magic) or (format == "dot" and b"digraph" in target.read_bytes())
    assert os.listdir(tmp_path) == [f"g.{format}"]


@needs_graphviz
def test_svg_groups_have_the_ids_of_the_listing() -> None:
    picture = layout(dot(figure1()), "svg").decode()
    assert 'id="n4" class="node forward"' in picture


def test_dot_files_need_no_graphviz(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "layout_engine", lambda: None)
    assert "digraph" in draw(tmp_path / "g.dot", figure1()).read_text(encoding="utf-8")


def test_without_graphviz_the_error_names_both_and_one_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "layout_engine", lambda: None)
    with pytest.raises(GraphcError) as error:
        draw(tmp_path / "g.svg", figure1())
    (found,) = error.value.diagnostics
    assert found.code == "GC404"
    assert "pygraphviz" in found.message
    assert "dot" in found.message
    assert 'pip install "pygraphviz>=2.0"' in found.hint
    assert not (tmp_path / "g.svg").exists()


@pytest.mark.parametrize("name", ["g.bmp", "g", "g.svg.exe", ".svg"])
def test_other_formats_are_refused_before_anything_is_laid_out(name: str, tmp_path: Path) -> None:
    with pytest.raises(GraphcError) as error:
        draw(tmp_path / name, figure1())
    assert error.value.diagnostics[0].code == "GC403"
    assert os.listdir(tmp_path) == []


def test_other_views_are_refused(tmp_path: Path) -> None:
    with pytest.raises(GraphcError) as error:
        draw(tmp_path / "g.dot", figure1(), view="sideways")
    assert error.value.diagnostics[0].message == "expected the view forward, gradient, joint or diff, found 'sideways'"


def test_graphs_beyond_reading_are_refused(tmp_path: Path) -> None:
    b = Builder()
    x = b.input("x", SCALAR)
    for _ in range(drawing.MOST_NODES):
        x = -x
    graph = b.finish({"f": x.node})
    with pytest.raises(GraphcError) as error:
        draw(tmp_path / "g.svg", graph)
    assert error.value.diagnostics[0].code == "GC401"
    draw(tmp_path / "g.dot", graph)


def test_a_program_that_fails_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "dot"
    program.write_text("#!/bin/sh\necho 'syntax error in line 1' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(drawing, "layout_engine", lambda: "dot")
    with pytest.raises(GraphcError, match="syntax error in line 1"):
        draw(tmp_path / "g.svg", figure1())
