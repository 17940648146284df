"""What notebooks show of models, with and without Graphviz; one real notebook is run by a real kernel."""

from __future__ import annotations

import base64
import time
from pathlib import Path

import pytest

import graphc
import graphc as gx
from graphc.backends import drawing, notebook
from graphc.backends.drawing import layout_engine

needs_graphviz = pytest.mark.skipif(layout_engine() is None, reason="no layout engine is installed")
DEEP = "x: Input\n" + "\n".join(f"x = tanh(x) * {number}.5" for number in range(40)) + "\nf: Output = x"


@gx.model
def traced(x, y):  # type: ignore[no-untyped-def]
    a = x + y
    return gx.sin(a) * y


def warned() -> graphc.Model:
    with pytest.warns(graphc.GraphcWarning):
        return graphc.compile("x: Input\nw: Param[3]\nunused: Input\nf: Output = sum(sign(w)) * x")


MODELS = {
    "expression": lambda: graphc.compile("(x + y) * z"),
    "traced": lambda: traced,
    "derived": lambda: gx.grad("sin(x) * y"),
    "second derivative": lambda: gx.hessian("x ** 3"),
    "no loss": lambda: graphc.compile("X: Input[N, 2]\ns: Output = X * 2\nt: Output = X + 1", gradient=False),
    "no gradient": lambda: graphc.compile("x * y", gradient=False),
    "warnings": warned,
    "constant": lambda: graphc.compile("x: Input\nc: Output = 2.5\nf: Output = x", gradient=False),
    "point": lambda: graphc.compile("(x + y) * z").at(x=2, y=3, z=4),
    "point without a loss": lambda: graphc.compile("X: Input[N]\ns: Output = X * 2", gradient=False).at(X=[1.0, 2.0]),
}


@needs_graphviz
@pytest.mark.parametrize("name", MODELS)
def test_small_graphs_are_a_listing_and_a_picture(name: str) -> None:
    model = MODELS[name]()
    bundle = model._repr_mimebundle_(include=None, exclude=None)
    assert list(bundle) == ["text/plain", "image/svg+xml", "image/png"]
    head, *listed = bundle["text/plain"].splitlines()
    assert head == repr(model)
    assert listed[0].startswith("%0 ")
    assert bundle["image/svg+xml"].startswith("<svg ")
    assert bundle["image/svg+xml"].rstrip().endswith("</svg>")
    assert base64.b64decode(bundle["image/png"]).startswith(b"\x89PNG")


@needs_graphviz
def test_it_is_made_once_and_handed_out_as_a_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    for shown in (graphc.compile("x * y"), graphc.compile("x * y").at(x=2, y=3)):
        first = shown._repr_mimebundle_()
        first.clear()
        with monkeypatch.context() as patch:
            patch.setattr(notebook, "layout", lambda *_: pytest.fail("laid out again"))
            assert "image/png" in shown._repr_mimebundle_()


@needs_graphviz
def test_numbers_are_in_the_picture_of_a_point() -> None:
    assert ">20<" in graphc.compile("(x + y) * z").at(x=2, y=3, z=4)._repr_mimebundle_()["image/svg+xml"]


@needs_graphviz
def test_large_graphs_are_one_line_and_no_pixels() -> None:
    bundle = graphc.compile(DEEP)._repr_mimebundle_()
    assert list(bundle) == ["text/plain", "image/svg+xml"]
    assert bundle["text/plain"].count("\n") == 0


def test_huge_graphs_are_text_at_once() -> None:
    lines = "\n".join(f"x = tanh(x) * {number}.5" for number in range(600))
    model = graphc.compile(f"x: Input\n{lines}\nf: Output = x")
    started = time.perf_counter()
    bundle = model._repr_mimebundle_()
    assert time.perf_counter() - started < 0.5
    assert list(bundle) == ["text/plain"]
    assert bundle["text/plain"].splitlines() == [
        repr(model),
        "no picture: the graph is too large for a notebook; draw() writes it to a file",
    ]


def test_a_picture_that_cannot_be_folded_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notebook, "_LONGEST", 100)
    assert "too large" in graphc.compile("x * y")._repr_mimebundle_()["text/plain"]


def test_without_graphviz_a_line_says_how_to_get_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "layout_engine", lambda: None)
    bundle = graphc.compile("x * y")._repr_mimebundle_()
    assert list(bundle) == ["text/plain"]
    *listed, last = bundle["text/plain"].splitlines()
    assert len(listed) == 1 + 3 + 1
    assert last.startswith("no picture: expected pygraphviz 2.0 or the program dot")
    assert 'pip install "pygraphviz>=2.0"' in last


def test_whatever_fails_is_a_line_of_text(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> bytes:
        raise OSError("lost\nits fonts")

    monkeypatch.setattr(notebook, "layout", broken)
    text = graphc.compile("x * y")._repr_mimebundle_()["text/plain"]
    assert text.splitlines()[-1] == "no picture: OSError: lost its fonts"


CELLS = {
    "import graphc as gx\nmodel = gx.compile('(x + y) * z')\nmodel": True,
    "model.at(x=2, y=3, z=4)": True,
    "@gx.model\ndef traced(x, w: gx.param[3] = gx.zeros()):\n    return gx.sum(w * x)\ntraced": True,
    "gx.grad('sin(x) * y')": True,
    "display(gx.compile('X: Input[N]\\ns: Output = X * 2', gradient=False))": True,
    "gx.compile('x: Input\\nu: Input\\nf: Output = x * x')": True,
    "from graphc.backends import drawing\ndrawing.layout_engine = lambda: None\ngx.compile('x * y')": False,
}
"""By cell, whether what it shows has pictures."""


@needs_graphviz
@pytest.mark.slow
def test_a_notebook_shows_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    pages = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    client = nbclient.NotebookClient(
        pages, kernel_name="python3", timeout=120, resources={"metadata": {"path": tmp_path}}
    )
    client.execute()
    nbformat.validate(pages)
    for cell, pictured in zip(pages.cells, CELLS.values(), strict=True):
        (output,) = [found for found in cell.outputs if found.output_type in ("execute_result", "display_data")]
        assert output.data["text/plain"].startswith("<graphc ")
        assert sorted(output.data) == ["image/png", "image/svg+xml", "text/plain"][0 if pictured else 2 :]
        if pictured:
            assert base64.b64decode(output.data["image/png"]).startswith(b"\x89PNG")
            assert output.data["image/svg+xml"].startswith("<svg ")
    assert any("GraphcWarning" in found.get("text", "") for cell in pages.cells for found in cell.outputs)
