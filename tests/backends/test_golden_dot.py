"""Golden DOT files, updated by ``--update-golden``, and that no name, style, theme or view makes Graphviz complain."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

import graphc
from graphc.autodiff import Joint, differentiate
from graphc.backends.difference import MOST_SHAPES
from graphc.backends.dot import STYLES, Drawn, dot
from graphc.backends.drawing import layout, layout_engine
from graphc.backends.palette import THEMES
from graphc.builder import Builder
from graphc.op import OPS
from graphc.tensor_type import TensorType

ROOT = Path(__file__).parents[2]
EXAMPLES, GOLDEN = ROOT / "examples", ROOT / "tests" / "golden" / "dot"

needs_graphviz = pytest.mark.skipif(layout_engine() is None, reason="no layout engine is installed")


def example(name: str) -> graphc.Model:
    return graphc.compile(EXAMPLES / f"{name}.gc")


PICTURES: dict[str, Callable[[], str]] = {
    "figure1": lambda: dot(example("figure1").at(x=2, y=3, z=4), title="figure1"),
    "figure2": lambda: dot(example("figure2").at(x=2, y=3, z=4), title="figure2"),
    "slide": lambda: dot(graphc.compile("w1**3 * w2 + 3 * w1").at(w1=2, w2=3), title="slide"),
    "two_layer_network": lambda: dot(example("two_layer_network").joint, title="two_layer_network"),
    "diff": lambda: dot(example("two_layer_network").change(1), view="diff", title="diff"),
    "folded": lambda: dot(example("mlp").joint, depth=0, title="folded"),
}


@pytest.mark.parametrize("name", PICTURES)
def test_the_golden_picture_is_what_is_written(name: str, request: pytest.FixtureRequest) -> None:
    path, text = GOLDEN / f"{name}.dot", PICTURES[name]()
    if request.config.getoption("--update-golden"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), "run pytest --update-golden and read the difference"


NASTY = ['<>&"\\{}|', "emoji 🙂 ñ 漢字", "<B>b</B>", "\\N\\", "a\nb\x07", "%0", "", "v" * 200]


def nasty(name: str, shape: tuple[int, ...]) -> Joint:
    """A model of that name all over, in a layer of that name."""
    b = Builder()
    x, w = b.input(name, TensorType("float64", shape)), b.param(f"{name}w", TensorType("float64", shape))
    with b.at(scopes=[(name,)]):
        y = OPS["tanh"](x * w + 1.0)
        b.name(y.node, f"{name}y")
        z = y * y * w
    for axis in reversed(range(len(shape))):
        z = OPS["sum"](z, axis=axis)
    return differentiate(b.finish({f"{name}f": z.node}), [f"{name}f"], {name: x.node, f"{name}w": w.node})


def complaints(text: str, capfd: pytest.CaptureFixture[str]) -> list[str]:
    capfd.readouterr()
    assert layout(text, "svg").rstrip().endswith(b"</svg>")
    # What fontconfig says is about the machine's fonts.
    return [line for line in capfd.readouterr().err.splitlines() if not line.startswith("Fontconfig")]


@needs_graphviz
@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("name", NASTY, ids=range(len(NASTY)))
def test_no_name_makes_graphviz_complain(name: str, theme: str, capfd: pytest.CaptureFixture[str]) -> None:
    for style in STYLES:
        joint = nasty(name, () if style == "wire" else (3, 2))
        for view in ("joint", "forward", "gradient"):
            for depth in ("all", 0):
                look = {"style": style, "view": view, "theme": theme, "depth": depth}
                assert complaints(dot(joint, title=name, **look), capfd) == []  # type: ignore[arg-type]


@needs_graphviz
@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.gc")), ids=lambda path: path.stem)
def test_no_example_makes_graphviz_complain(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model = graphc.compile(path)
    drawn: Drawn = model.joint if model.losses else model.graph
    texts = [dot(drawn, style="block", theme=theme) for theme in THEMES] + [dot(drawn, style="block", depth=0)]
    texts += [dot(model.change(), theme="dark")]
    # A rule inside of a scan, or no rule at all, is no change of the graph.
    with contextlib.suppress(ValueError):
        texts += [dot(model.change(1), theme="dark")]
    assert [complaints(text, capfd) for text in texts] == [[]] * len(texts)


def test_shapes_of_very_many_arrows_are_tooltips() -> None:
    text = dot(graphc.compile(EXAMPLES / "bundle_adjustment.gc").change(None))
    arrows = [line for line in text.splitlines() if " -> " in line]
    assert len(arrows) > MOST_SHAPES
    assert any('tooltip=" p×3"' in arrow for arrow in arrows)
    assert not any("[label=" in arrow for arrow in arrows)


def test_boxes_never_overlap() -> None:
    from graphc.backends.diagram import diagram_of
    from graphc.backends.grid import grid_of
    from graphc.backends.layers import with_layers
    from graphc.backends.placing import place

    for path in EXAMPLES.glob("*.gc"):
        model = graphc.compile(path)
        diagram = with_layers(diagram_of(model.joint if model.losses else model.graph, "joint"))
        placed = place(diagram, grid_of(diagram), {"head": 36, "body": 52, "aside": 28})
        for row in placed.rows:
            assert all(left.right + 10 < right.left for left, right in pairwise(row))
        tops = [max(box.top for box in row) for row in placed.rows]
        bottoms = [min(box.bottom for box in row) for row in placed.rows]
        assert all(bottom - 20 > top for bottom, top in zip(bottoms[:-1], tops[1:], strict=True))
