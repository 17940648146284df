"""Wire pictures: which numbers are where, that steps move nothing, and that no name makes Graphviz complain."""

from __future__ import annotations

import re

import pytest

import graphc
from graphc.backends.dot import dot
from graphc.backends.drawing import layout, layout_engine
from graphc.backends.palette import THEMES
from graphc.steps import steps_of

needs_graphviz = pytest.mark.skipif(layout_engine() is None, reason="no layout engine is installed")
FIGURE = "((x + y) + (x * y)) * z"


def tables(text: str) -> dict[str, tuple[str, str]]:
    """What is above and below each wire, by its id."""
    found = {}
    for id, label in re.findall(r"^\t(w\w+) \[label=<(<TABLE.*?</TABLE>)>", text, re.MULTILINE):
        above, *_, below = (re.sub("<[^>]*>", "", cell) for cell in re.findall(r"<TD.*?</TD>", label))
        found[id] = (above.strip("\xa0"), below.strip("\xa0"))
    return found


def figure(**options: object) -> str:
    model = graphc.compile(FIGURE)
    return dot(model.at(x=2, y=3, z=4), **options)  # type: ignore[arg-type]


def test_every_number_of_the_figure_is_on_its_wire() -> None:
    assert tables(figure()) == {
        "w0": ("2", "4 + 12 = 16"),
        "w0_3_0": ("2", "4"),
        "w0_4_0": ("2", "12"),
        "w1": ("3", "4 + 8 = 12"),
        "w1_3_1": ("3", "4"),
        "w1_4_1": ("3", "8"),
        "w2": ("4", "11"),
        "w3": ("5", "4"),
        "w4": ("6", "4"),
        "w5": ("11", "4"),
        "w6": ("44", "1"),
    }


def test_the_legend_speaks_of_junctions_where_there_are_some() -> None:
    assert "junction ●" in figure()
    assert "junction ●" not in dot(graphc.compile("(x + y) * z").joint)


def test_the_slide_with_gradients_39_and_8() -> None:
    model = graphc.compile("w1**3 * w2 + 3 * w1")
    found = tables(dot(model.at(w1=2, w2=3)))
    assert (found["w0"], found["w1"]) == (("2", "36 + 3 = 39"), ("3", "8"))


@needs_graphviz
def test_steps_show_more_and_move_nothing() -> None:
    model = graphc.compile(FIGURE)
    at = model.at(x=2, y=3, z=4)
    count = len(steps_of(model.joint))
    places, shown = set(), []
    for step in range(count + 1):
        text = dot(at, step=step)
        plain = layout(text, "svg").decode()
        circles = re.findall(r'<ellipse[^>]* (cx="[^"]*" cy="[^"]*")', plain)
        rules = re.findall(r'<polygon fill="#7b8794" stroke="none" (points="[^"]*")', plain)
        places.add((*circles, *rules))
        shown.append(sum(bool(cell) for pair in tables(text).values() for cell in pair))
    assert len(places) == 1
    assert len(next(iter(places))) == 8 + 2 + 11
    assert shown == sorted(shown)
    assert (shown[0], shown[-1]) == (0, 22)


def test_the_step_has_a_ring_and_its_numbers_are_underlined() -> None:
    text = figure(step=11)
    assert re.findall(r"^\t(n\d+) \[.*penwidth=4 ", text, re.MULTILINE) == ["n4"]
    assert re.findall(r"<U>(.*?)</U>", text) == ["12", "8"]
    assert tables(text)["w0"] == ("2", "")


def test_without_numbers_wires_carry_names() -> None:
    text = dot(graphc.compile("x: Input; y: Input; g = x + y; f: Output = g * g").joint)
    assert tables(text)["w2"] == ("g", "∂g")


def test_a_loss_that_is_used_and_given_out() -> None:
    model = graphc.compile("x: Input; a: Output = x * 3; loss: Output = a * a")
    found = tables(dot(model.at(x=2)))
    assert found["w2"] == ("6", "6 + 6 = 12")
    assert found["w2_a"] == ("6", "")


def test_tensors_and_large_graphs_are_blocks() -> None:
    assert "TABLE" not in dot(graphc.compile("x: Input[3]; f: Output = sum(x * x)").joint)
    long = "x: Input; " + "; ".join(f"x{k + 1} = sin({f'x{k}' if k else 'x'})" for k in range(90))
    assert "TABLE" not in dot(graphc.compile(f"{long}; f: Output = x90 * 1").joint)


@pytest.mark.parametrize("theme", THEMES)
def test_themes_use_their_own_colours_only(theme: str) -> None:
    known = THEMES[theme]
    colours = {known.page, known.ink, known.muted, known.wire, known.thin, known.kept, known.value, known.gradient}
    colours |= {colour for look in known.looks.values() for colour in (look.line, look.fill, look.text)}
    assert set(re.findall(r"#[0-9A-F]{6}", figure(theme=theme))) <= colours


@needs_graphviz
@pytest.mark.parametrize(
    "name", ['<>&"\\{}|', "\\N", "\\", "<B>b</B>", "emoji 🙂", "a\nb\x07", "x" * 200, "%0", "node"]
)
def test_no_name_makes_graphviz_complain(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    from graphc.autodiff import differentiate
    from graphc.builder import Builder
    from graphc.tensor_type import TensorType

    b = Builder()
    x = b.input(name, TensorType("float64"))
    y = x * 2.0
    b.name(y.node, name + "y")
    graph = b.finish({name + "f": (y * x).node})
    layout(dot(differentiate(graph, [name + "f"], {name: x.node}), title=name), "svg")
    assert [line for line in capfd.readouterr().err.splitlines() if not line.startswith("Fontconfig")] == []


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("f: Output = (x + y) * z", "below the wire: gradient ∂f/∂wire"),
        ("g = x + y\nf: Output = g * z", "above the wire: name   ·   below the wire: "),
    ],
)
def test_without_numbers_the_legend_says_what_there_is(text: str, start: str) -> None:
    model = graphc.compile(f"x: Input\ny: Input\nz: Input\n{text}")
    assert legend(dot(model.joint)).startswith(start)
    assert legend(dot(model.at(x=1, y=2, z=3))).startswith("above the wire: value   ·   below the wire: ")


def legend(text: str) -> str:
    return re.sub("<[^<>]+>", "", text.partition("<<BR/>")[2].partition("> labelloc")[0])
