"""Frames: what each moment of an animated SVG shows, series of pictures, and what has no frames."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np
import pytest

import graphc
from graphc.backends import frames
from graphc.backends.drawing import layout_engine
from graphc.backends.frames import step_texts, without_repeats
from graphc.errors import GraphcError
from graphc.evaluated import Evaluated
from graphc.steps import steps_of

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SVG = "{http://www.w3.org/2000/svg}"
EXAMPLES = Path(__file__).parents[2] / "examples"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_graphviz = pytest.mark.skipif(layout_engine() is None, reason="no layout engine is installed")


def figure() -> Evaluated:
    return graphc.compile("(x + y) * z").at(x=2, y=3, z=4)


def point() -> Evaluated:
    return graphc.compile("((x + y) + (x * y)) * z").at(x=2, y=3, z=4)


def network() -> Evaluated:
    text = "X: Input[N, n]\nw: Param[n]\nh = tanh(X @ w)\nloss: Output = sum(h * h)"
    return graphc.compile(text).at(X=np.array([[1.0, -2.0], [3.0, 4.0]]), w=np.array([0.5, 0.25]))


def shown(element: Element, frame: int | None) -> Iterator[tuple[object, ...]]:
    """What is to be seen of an SVG in a frame; of None, where nothing is animated."""
    moment = re.fullmatch(r"frames-\w+-(\d+)-(\d+)", element.get("class", ""))
    if moment and frame is None and element.get("visibility") == "hidden":
        return
    if moment and frame is not None and not int(moment[1]) <= frame < int(moment[2]):
        return
    kind = element.tag.removeprefix(SVG)
    if kind in ("polygon", "path", "text", "ellipse", "polyline"):
        yield (kind, element.text, *sorted(element.attrib.items()))
    for part in element:
        yield from shown(part, frame)


def seen(path: Path, frame: int | None = None) -> list[tuple[object, ...]]:
    return list(shown(ElementTree.parse(path).getroot(), frame))


@needs_graphviz
@pytest.mark.parametrize("model", [point, network], ids=["wire", "block"])
@pytest.mark.parametrize("theme", ["light", "print"])
def test_each_frame_is_the_picture_of_its_step(model: object, theme: str, tmp_path: Path) -> None:
    at: Evaluated = model()  # type: ignore[operator]
    assert at.joint is not None
    path = at.draw(tmp_path / "all.svg", frames=True, theme=theme)
    texts = without_repeats(step_texts(at, at.name, theme=theme))
    wanted: list[list[tuple[object, ...]]] = []
    for step in range(len(steps_of(at.joint)) + 1):
        picture = seen(at.draw(tmp_path / "one.svg", step=step, theme=theme))
        wanted += [picture] if picture not in wanted[-1:] else []
    assert len(wanted) == len(texts)
    for frame, picture in enumerate(wanted):
        assert seen(path, frame) == picture
    plain = seen(at.draw(tmp_path / "plain.svg", theme=theme))
    assert seen(path) == plain, "where nothing moves it is the picture without frames"
    last = re.findall(r"@keyframes frames-\w+-\d+-(\d+)\{", path.read_text(encoding="utf-8"))
    assert seen(path, max(map(int, last)) - 1) == plain


@needs_graphviz
def test_an_animated_picture_is_well_formed_and_keeps_ids_and_tooltips(tmp_path: Path) -> None:
    text = point().draw(tmp_path / "f.svg", frames=True).read_text(encoding="utf-8")
    ids = re.findall(r' id="([^"]*)"', text)
    assert len(ids) == len(set(ids))
    assert {"n0", "n3", "out_f"} <= set(ids)
    assert text.count("<svg ") == 1
    assert "ns0:" not in text
    assert 'xlink:title="%3 x + y: float64[]"' in text
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    assert style is not None
    assert style[1].strip().startswith("@media screen and (prefers-reduced-motion:no-preference){")
    shares = [float(share) for share in re.findall(r"([\d.]+)%", style[1])]
    assert 0 <= min(shares) < max(shares) < 100
    used = set(re.findall(r'class="(frames-\w+-\d+-\d+)"', text))
    assert used == set(re.findall(r"@keyframes ([\w-]+)", text))


@needs_graphviz
def test_two_pictures_of_one_page_do_not_share_styles(tmp_path: Path) -> None:
    names = set()
    for at in (figure(), point()):
        text = at.draw(tmp_path / "f.svg", frames=True).read_text(encoding="utf-8")
        names.add(re.search(r'class="(frames-\w+)"', text)[1])  # type: ignore[index]
    assert len(names) == 2


@needs_graphviz
def test_the_same_bytes_every_time(tmp_path: Path) -> None:
    assert len({point().draw(tmp_path / "f.svg", frames=True).read_bytes() for _ in range(2)}) == 1


@needs_graphviz
def test_without_numbers_names_appear(tmp_path: Path) -> None:
    model = graphc.compile("x: Input\ny: Input\ng = x + y\nf: Output = g * x")
    path = model.draw(tmp_path / "f.svg", frames=True)
    texts = [{text for kind, text, *_ in seen(path, frame) if kind == "text"} for frame in (2, 3)]
    assert texts[1] - texts[0] == {"g"}
    boxes = model.draw(tmp_path / "b.svg", frames=True, style="block")
    assert seen(boxes, 0) != seen(boxes, 1)


@needs_graphviz
def test_with_step_in_the_name_there_is_one_picture_per_step(tmp_path: Path) -> None:
    last = point().draw(tmp_path / "f{step}-{x}.png", frames=True)
    names = [f"f{step:02}-{{x}}.png" for step in range(15)]
    assert sorted(os.listdir(tmp_path)) == names
    assert last == tmp_path / names[-1]
    point().draw(tmp_path / "seven.png", step=7)
    assert (tmp_path / "seven.png").read_bytes() == (tmp_path / names[7]).read_bytes()


def test_a_series_of_dot_files_needs_no_graphviz(tmp_path: Path) -> None:
    figure().draw(tmp_path / "f-{step}.dot", frames=True)
    assert sorted(os.listdir(tmp_path)) == [f"f-{step}.dot" for step in range(9)]


def test_the_forward_view_has_forward_steps() -> None:
    at = point()
    assert len(step_texts(at, "f", view="forward")) == 1 + 3 + 4
    assert len(step_texts(at, "f")) == 1 + 14


def test_steps_that_a_folded_picture_does_not_show_are_left_out() -> None:
    model = graphc.compile(EXAMPLES / "mlp.gc")
    texts = step_texts(model.joint, "mlp", depth=0)
    assert 5 < len(without_repeats(texts)) < len(texts) == len(steps_of(model.joint)) + 1


@pytest.mark.parametrize(
    ("name", "look", "code", "message"),
    [
        ("f.png", {}, "GC403", "expected an .svg or {step} in the name of a picture with frames, found 'f.png'"),
        ("f.pdf", {}, "GC403", "expected an .svg or {step} in the name of a picture with frames, found 'f.pdf'"),
        ("f.dot", {}, "GC403", "expected an .svg or {step} in the name of a picture with frames, found 'f.dot'"),
        ("f.svg", {"step": 3}, "GC403", "expected all steps for frames, found step 3"),
        ("f-{step}.png", {"step": 0}, "GC403", "expected all steps for frames, found step 0"),
        ("f.svg", {"view": "diff"}, "GC403", "expected a view with steps for frames, found diff"),
    ],
)
def test_what_has_no_frames(name: str, look: dict[str, object], code: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(GraphcError) as error:
        graphc.compile("x * y").draw(tmp_path / name, frames=True, **look)  # type: ignore[arg-type]
    (found,) = error.value.diagnostics
    assert (found.code, found.message) == (code, message)
    assert os.listdir(tmp_path) == []


def test_too_many_steps_are_refused(tmp_path: Path) -> None:
    lines = "\n".join(f"x = tanh(x) * {number}.5" for number in range(frames.MOST_FRAMES // 2))
    with pytest.raises(GraphcError, match=f"fewer than {frames.MOST_FRAMES} steps") as error:
        graphc.compile(f"x: Input\n{lines}\nf: Output = x").draw(tmp_path / "f.svg", frames=True)
    assert error.value.diagnostics[0].code == "GC401"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install playwright")
    if CHROMIUM is None or layout_engine() is None:
        pytest.skip("needs Chromium and Graphviz")
    arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield started
        started.close()


VISIBLE = """\
[...document.querySelectorAll("text")].filter(t => getComputedStyle(t).visibility == "visible").map(t => t.textContent)
"""


def test_a_browser_goes_through_the_steps(browser: Browser, tmp_path: Path) -> None:
    path = figure().draw(tmp_path / "f.svg", frames=True)
    page = browser.new_page(reduced_motion="no-preference")
    page.goto(path.as_uri())
    for seconds, present, absent in ((0.5, [], ["2"]), (1.7, ["2"], ["3"]), (15.0, ["20", "5"], [])):
        page.evaluate(
            "at => document.getAnimations().forEach(it => { it.pause(); it.currentTime = at })", seconds * 1e3
        )
        texts = [text.strip().split(" = ")[-1] for text in page.evaluate(VISIBLE)]
        assert set(present) <= set(texts)
        assert not set(absent) & set(texts)


def test_nothing_moves_for_readers_who_want_less_motion(browser: Browser, tmp_path: Path) -> None:
    page = browser.new_page(reduced_motion="reduce")
    page.goto(figure().draw(tmp_path / "f.svg", frames=True).as_uri())
    assert page.evaluate("document.getAnimations().length") == 0
    moving, found = page.screenshot(), page.evaluate(VISIBLE)
    page.goto(figure().draw(tmp_path / "plain.svg").as_uri())
    assert (page.screenshot(), page.evaluate(VISIBLE)) == (moving, found)
