"""The page in a browser: stepping, numbers, linked panes, and everything that only a browser can say."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import graphc
from graphc.backends.numbers import number
from graphc.data import load_digits
from tests.report.pages import FIGURE, POINTS, deep_network

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytest.importorskip("pygraphviz")
sync_api = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install playwright")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
if CHROMIUM is None:
    pytest.skip("needs Chromium: apt-get install chromium", allow_module_level=True)

ARGUMENTS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
DIGITS = """\
X: Input[N, 64]
y: Input[N, int64]
W: Param[64, 10] = glorot_uniform()
b: Param[10] = zeros()
logits = X @ W + b
loss: Output = mean(-log_softmax(logits)[arange(N), y])
"""
HOSTILE = """\
"</script><script>document.title = 1</script> {{data}} & \\\\ | 😀"
x: Input
f: Output = x * x
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def figure(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of the report of the figure."""
    path = tmp_path_factory.mktemp("report") / "figure.html"
    return graphc.compile(FIGURE).report(path, *POINTS).as_uri()


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of the report of a classifier with real data."""
    images, labels = load_digits()
    path = tmp_path_factory.mktemp("report") / "digits.html"
    values = {"X": images[:20].reshape(20, 64) / 16, "y": labels[:20].astype(np.int64)}
    return graphc.compile(DIGITS).report(path, values).as_uri()


@pytest.fixture
def opened(browser: Browser) -> Iterator[Any]:
    """Opens an address; afterwards nothing but that was asked for, and the console is empty."""
    contexts, said, asked = [], [], []

    def open_page(address: str, **options: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1360, "height": 820}, **options})
        contexts.append(context)
        shown = context.new_page()
        shown.on("console", lambda message: said.append(message.text))
        shown.on("pageerror", lambda error: said.append(str(error)))
        shown.on("request", lambda request: asked.append(request.url.split("#")[0]))
        shown.goto(address)
        return shown

    yield open_page
    for context in contexts:
        context.close()
    assert said == []
    assert [url for url in asked if not url.startswith(("file:", "data:,", "about:srcdoc"))] == []
    assert len([url for url in asked if url.startswith("file:")]) <= len(contexts)


def counted(shown: Page) -> str:
    return shown.locator("#r-count").inner_text()


def written(shown: Page, kind: str) -> dict[str, str]:
    """The numbers on wires that can be seen."""
    script = (
        "(texts) => texts.filter((t) => !t.classList.contains('later')).map((t) => [t.parentNode.id, t.textContent])"
    )
    return dict(shown.locator(f"svg .wire .{kind}").evaluate_all(script))


def test_stepping_by_button_key_and_address(opened: Any, figure: str) -> None:
    shown = opened(figure)
    assert counted(shown) == "step 1 / 14"
    shown.get_by_role("button", name="next step").click()
    assert (counted(shown), shown.url.split("#")[1]) == ("step 2 / 14", "step=2")
    shown.keyboard.press("ArrowRight")
    shown.keyboard.press("ArrowRight")
    assert counted(shown) == "step 4 / 14"
    shown.go_back()
    sync_api.expect(shown.locator("#r-count")).to_have_text("step 3 / 14")
    shown.keyboard.press("ArrowLeft")
    assert counted(shown) == "step 2 / 14"
    shown.keyboard.press("End")
    assert counted(shown) == "step 14 / 14"
    assert shown.get_by_role("button", name="next step").is_disabled()
    shown.keyboard.press("Home")
    assert counted(shown) == "step 1 / 14"
    shown.evaluate("location.hash = 'step=12'")
    sync_api.expect(shown.locator("#r-count")).to_have_text("step 12 / 14")
    shown.go_back()
    sync_api.expect(shown.locator("#r-count")).to_have_text("step 1 / 14")
    shown.get_by_role("link", name="step 9", exact=True).click()
    assert counted(shown) == "step 9 / 14"
    assert counted(opened(f"{figure}#step=13&set=2")) == "step 13 / 14"
    assert counted(opened(f"{figure}#step=99")) == "step 14 / 14"
    assert counted(opened(f"{figure}#step=<b>")) == "step 1 / 14"


def test_playing_and_pausing(opened: Any, figure: str) -> None:
    shown = opened(figure)
    shown.clock.install()
    shown.keyboard.press(" ")
    shown.clock.run_for(2500)
    assert counted(shown) == "step 3 / 14"
    shown.keyboard.press(" ")
    shown.clock.run_for(5000)
    assert counted(shown) == "step 3 / 14"
    shown.get_by_role("button", name="play").click()
    shown.clock.run_for(60000)
    assert counted(shown) == "step 14 / 14"
    assert "play" in shown.locator("#r-play").inner_text()


def test_tabs_keep_to_one_pass(opened: Any, figure: str) -> None:
    shown = opened(figure)
    shown.get_by_role("button", name="backward", exact=True).click()
    assert counted(shown) == "step 8 / 14"
    shown.keyboard.press("Home")
    assert counted(shown) == "step 8 / 14"
    shown.get_by_role("button", name="forward", exact=True).click()
    shown.keyboard.press("End")
    assert counted(shown) == "step 7 / 14"
    assert written(shown, "gradient") == {}
    shown.evaluate("location.hash = 'step=12'")
    sync_api.expect(shown.locator("#r-count")).to_have_text("step 12 / 14")
    assert shown.get_by_role("button", name="both").get_attribute("aria-pressed") == "true"


@pytest.mark.parametrize("case", [0, 1])
def test_numbers_appear_as_numpy_has_them(opened: Any, figure: str, case: int) -> None:
    shown = opened(figure)
    shown.get_by_label("values").select_option(str(case))
    x, y, z = (np.float64(POINTS[case][name]) for name in "xyz")
    shown.keyboard.press("ArrowRight")
    assert written(shown, "value") == dict.fromkeys(("w0", "w0_3_0", "w0_4_0"), number(x)) | dict.fromkeys(
        ("w1", "w1_3_1", "w1_4_1"), number(y)
    )
    shown.keyboard.press("End")
    values = written(shown, "value")
    assert (values["w3"], values["w4"], values["w5"]) == (number(x + y), number(x * y), number(x + y + x * y))
    gradients = written(shown, "gradient")
    assert gradients["w2"] == number(x + y + x * y)
    assert gradients["w0"].endswith(f"= {number((1 + y) * z)}")
    assert gradients["w0_4_0"] == number(z * y)
    shown.keyboard.press("Home")
    assert set(written(shown, "value")) == {"w0", "w0_3_0", "w0_4_0"}
    assert written(shown, "gradient") == {}


def test_the_current_step_is_marked_in_all_panes(opened: Any, figure: str) -> None:
    shown = opened(f"{figure}#step=11")
    assert shown.locator("svg .current").get_attribute("id") == "n4"
    assert shown.locator("svg text.new").all_text_contents() == ["12", "8"]
    assert shown.locator("#r-model .current").inner_text() == "x * y"
    assert [text.strip() for text in shown.locator("#r-module .current").all_inner_texts()] == [
        "d_y = mul_1 + mul_1 * x",
        "d_x = mul_1 + mul_1 * y",
    ]
    assert "one path to x" in shown.locator("#r-maths").inner_text()
    assert shown.locator("#r-live").inner_text().startswith("step 11 of 14, backward: ∂f/∂v₂ · y = 4 · 3 = 12")


@pytest.mark.parametrize(
    "place",
    ["#n3", "#r-model [data-nodes~=n3]", "#r-module [data-nodes~=n3]", "#r-steps [data-nodes~=n3]"],
    ids=["graph", "model", "module", "maths"],
)
def test_hovering_marks_the_same_node_everywhere(opened: Any, digits: str, place: str) -> None:
    shown = opened(digits)
    node = shown.locator("svg #n3")
    target = shown.locator(place).first
    target.hover(position={"x": 3, "y": 3} if place == "#n3" else None)
    for pane in ("#r-model", "svg", "#r-module", "#r-steps"):
        assert shown.locator(f"{pane} .marked[data-nodes~=n3]").count() >= 1, pane
    assert "marked" in (node.get_attribute("class") or "")
    shown.mouse.move(1350, 815)
    target.click(position={"x": 3, "y": 3} if place == "#n3" else None)
    shown.mouse.move(700, 20)
    assert "marked" in (node.get_attribute("class") or "")
    shown.keyboard.press("Escape")
    assert shown.locator(".marked").count() == 0


def test_a_model_without_steps_is_shown(opened: Any, tmp_path: Path) -> None:
    shown = opened(graphc.compile("f: Output = 3.0", gradient=False).report(tmp_path / "r.html").as_uri())
    for key in ("ArrowRight", "End", " ", "Home"):
        shown.keyboard.press(key)
    assert "Output = 3.0" in shown.locator("#r-model").inner_text()


def test_focus_marks_and_tells_too(opened: Any, digits: str) -> None:
    shown = opened(digits)
    shown.locator("#r-graph .pane").focus()
    shown.keyboard.press("Tab")
    assert shown.locator("svg .marked").count() == 1
    assert shown.get_by_role("tooltip").is_visible()


def test_search_finds_names_operations_and_shapes(opened: Any, digits: str) -> None:
    shown = opened(digits)
    shown.keyboard.press("/")
    shown.keyboard.type("logits")
    assert "found" in shown.locator("#r-found").inner_text()
    shown.keyboard.press("Enter")
    assert shown.locator("#r-found").inner_text().startswith("1 of ")
    assert counted(shown).startswith("step 1 ")
    for wanted in ("matmul", "n×10", "LOSS"):
        shown.get_by_role("searchbox").fill(wanted)
        assert shown.locator("svg .marked").count() > 0, wanted
    shown.get_by_role("searchbox").fill("no such thing")
    assert (shown.locator("#r-found").inner_text(), shown.locator(".marked").count()) == ("0 found", 0)


def test_an_array_is_told_with_a_strip_and_images(opened: Any, digits: str) -> None:
    shown = opened(digits)
    shown.locator("svg #n0").hover()
    tip = shown.get_by_role("tooltip")
    images, _ = load_digits()
    X = images[:20] / 16
    assert f"20×64, min {number(X.min())}, mean {number(X.mean())}, max {number(X.max())}" in tip.inner_text()
    assert tip.locator("canvas").count() == 11
    pixel = "canvas => [...canvas.getContext('2d').getImageData(3, 3, 1, 1).data]"
    share = np.round(127 * X[0, 3, 3]) / 127
    expected = [255 + (end - 255) * share for end in (0, 77, 65)]
    assert np.allclose(tip.locator("canvas").nth(1).evaluate(pixel)[:3], expected, atol=1)


def test_a_value_is_not_told_before_its_step(opened: Any, digits: str) -> None:
    shown = opened(digits)
    box = shown.locator("svg .output").first
    box.hover()
    assert "known from step" in shown.get_by_role("tooltip").inner_text()
    shown.keyboard.press("End")
    shown.mouse.move(1350, 815)
    box.hover()
    assert "known from step" not in shown.get_by_role("tooltip").inner_text()
    assert shown.locator("svg .later").count() == 0


NAMED = """\
heading "((x + y) + (x * y)) * z" [level=1]
button "next step"
button "previous step" [disabled]
button "▶ play"
button "both" [pressed]
searchbox "search names, operations and shapes"
combobox "values"
list "all steps"
status: "step 1 of 14, forward: x = 2 (given)"
group "graph of ((x + y) + (x * y)) * z"
img "%3 x + y: float64[]"
region "Model"
""".splitlines()


def test_screen_readers_have_names_for_everything(opened: Any, figure: str) -> None:
    shown = opened(figure)
    snapshot = shown.locator("body").aria_snapshot()
    for line in NAMED:
        assert line in snapshot, f"{line}\n{snapshot}"
    assert snapshot.count("listitem") == 14


def test_a_sandboxed_frame_of_a_notebook(opened: Any, tmp_path: Path) -> None:
    outer = tmp_path / "notebook.html"
    frame = graphc.compile(FIGURE).show(*POINTS)._repr_html_()
    outer.write_text(f"<!DOCTYPE html><title>{escape('n')}</title>{frame}", encoding="utf-8")
    shown = opened(outer.as_uri())
    inner = shown.frame_locator("iframe")
    inner.get_by_role("button", name="next step").click()
    assert inner.locator("#r-count").inner_text() == "step 2 / 14"
    inner.get_by_role("link", name="step 12", exact=True).click()
    assert inner.locator("#r-count").inner_text() == "step 12 / 14"
    assert shown.url == outer.as_uri()


def test_dark_by_system_and_by_button(opened: Any, figure: str) -> None:
    color = "getComputedStyle(document.body).backgroundColor"
    shown = opened(figure, color_scheme="dark")
    assert shown.evaluate(color) == "rgb(20, 24, 31)"
    assert shown.locator("svg .value").first.evaluate("t => getComputedStyle(t).fill") == "rgb(76, 201, 160)"
    shown.get_by_role("button", name="light or dark").click()
    assert shown.evaluate(color) == "rgb(255, 255, 255)"
    shown.get_by_role("button", name="light or dark").click()
    shown.emulate_media(media="print")
    assert shown.evaluate(color) == "rgb(255, 255, 255)"


def test_print_has_all_steps_and_no_buttons(opened: Any, figure: str) -> None:
    shown = opened(figure)
    shown.emulate_media(media="print")
    assert not [button for button in shown.locator("button").all() if button.is_visible()]
    assert all(item.is_visible() for item in shown.locator("ol:not([hidden]) li").all())
    pane = "p => p.scrollHeight <= p.clientHeight"
    assert shown.locator("#r-steps .pane").evaluate(pane)
    assert shown.locator("svg .value").last.evaluate("t => getComputedStyle(t).visibility") == "visible"


def test_nothing_moves(opened: Any, digits: str) -> None:
    """Nor does it for those who have not asked for reduced motion: a fade of thousands of boxes takes half a second."""
    duration = "g => getComputedStyle(g).transitionDuration"
    assert opened(digits).locator("svg g").first.evaluate(duration) == "0s"
    assert opened(digits, reduced_motion="reduce").locator("svg g").first.evaluate(duration) == "0s"


@pytest.mark.parametrize("width", [320, 420, 1360])
def test_no_width_scrolls_the_page_sideways(opened: Any, figure: str, digits: str, width: int) -> None:
    for address in (figure, digits):
        shown = opened(f"{address}#step=9", viewport={"width": width, "height": 800})
        assert shown.evaluate("document.documentElement.scrollWidth") <= width


def test_hostile_names_are_text(opened: Any, tmp_path: Path) -> None:
    path = tmp_path / "a<b>&'c'.gc"
    path.write_text(
        '"</script><script>document.title = 1</script> {{data}} & \\\\ | 😀"\nx: Input\nf: Output = x * x\n',
        encoding="utf-8",
    )
    shown = opened(graphc.compile(path).report(tmp_path / "r.html", x=3).as_uri())
    assert shown.title() == "a<b>&'c'"
    assert "</script><script>document.title = 1</script> {{data}}" in shown.locator("#r-model").inner_text()


def test_a_large_network_is_there_within_a_second(browser: Browser, tmp_path: Path) -> None:
    model = graphc.compile(deep_network(207))
    assert len(model.joint.graph.nodes) >= 2700
    address = model.report(tmp_path / "deep.html", X=np.full((3, 4), 0.3)).as_uri()
    took = [_first_step(browser, address) for _ in range(3)]
    assert min(took) < 1, took


def _first_step(browser: Browser, address: str) -> float:
    """Seconds that the page's own thread has worked when the first step by key is done, laid out and painted.

    Not by the clock: what else the machine does is no property of the page.
    """
    # Waiting for what a page computes evaluates text in it, which the page itself forbids.
    shown = browser.new_page(bypass_csp=True)
    devices = shown.context.new_cdp_session(shown)
    devices.send("Performance.enable", {"timeDomain": "threadTicks"})
    shown.add_init_script(_PRESSED)
    shown.goto(address)
    shown.wait_for_function("window.painted", polling=100)
    assert counted(shown).startswith("step 2 /")
    metrics = {found["name"]: found["value"] for found in devices.send("Performance.getMetrics")["metrics"]}
    shown.close()
    return float(metrics["TaskDuration"])


_PRESSED = """addEventListener("DOMContentLoaded", () => {
    dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight" }));
    requestAnimationFrame(() => setTimeout(() => { window.painted = true; }));
});"""
