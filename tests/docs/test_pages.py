"""The documentation is right: every block of code runs and prints what the page says, every link has a target."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.pages import GALLERY, NAMED_MODEL, PAGES
from tests.docs.blocks import Block, Page, anchors, blocks, close_figures, links
from tests.docs.refresh import RUN, refreshed

# Blocks of other packages, run where these are installed: tests/peers/test_pages.py.
PEERS = ("python autograd", "python jax", "python torch")

ROOT = Path(__file__).parents[2]

# These install packages, which needs a network; .ci/run runs the README's second one on a copy of the checkout.
NOT_RUN = {
    "README.md": (
        "python3 -m venv .venv && .venv/bin/pip install '.[draw]' && .venv/bin/graphc demo\n",
        "python3 -m venv .venv && .venv/bin/pip install '.[test]' && "
        '.venv/bin/python -m pytest -n auto -m "not slow"\n',
    ),
    "docs/plots.md": ("pip install '.[plot]'\n",),
    "docs/errors.md": (
        "pip install 'pygraphviz>=2.0' && graphc draw digits.gc -o digits.svg\n",
        "pip install 'pygments>=2.17' && graphc report digits.gc -o digits.html\n",
        "pip install 'pyarrow>=17' && graphc train digits.gc --data digits.parquet\n",
    ),
    # Pictures of a browser, which differ from machine to machine.
    "docs/pictures.md": (
        'chromium --headless --hide-scrollbars --window-size=1280,800 --screenshot=report_figure2.png "file://$PWD/figure2.html#step=11"\n'
        'chromium --headless --hide-scrollbars --window-size=1280,1080 --screenshot=report_network.png "file://$PWD/network.html#step=16"\n',
    ),
    "docs/report.md": ("pip install '.[report]'\n",),
}
# Text that no block prints: what a command says where something is not installed.
PLAIN = {"docs/errors.md": 3}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working directory, from which modules are imported and forgotten."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    close_figures()
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", PAGES, ids=_name)
def test_blocks_do_what_the_page_says(path: Path, folder: Path) -> None:
    page = Page(_name(path))
    for block in blocks(_read(path)):
        if block.language in RUN:
            page.check(block)


@pytest.mark.parametrize("path", PAGES, ids=_name)
def test_what_is_not_run_is_listed(path: Path) -> None:
    others = [block for block in blocks(_read(path)) if block.language not in (*RUN, *PEERS)]
    assert tuple(block.text for block in others if block.language == "sh") == NOT_RUN.get(_name(path), ())
    assert [block.language for block in others if block.language != "sh"] == ["text"] * PLAIN.get(_name(path), 0)


@pytest.mark.parametrize("path", PAGES, ids=_name)
def test_links_have_targets(path: Path) -> None:
    for link in links(_read(path)):
        if "://" in link:
            continue
        file, _, anchor = link.partition("#")
        target = path.parent / file if file else path
        assert target.exists(), link
        assert not anchor or anchor in anchors(_read(target)), link


def test_every_page_is_linked_from_another() -> None:
    linked = {(path.parent / link.partition("#")[0]).resolve() for path in PAGES for link in links(_read(path))}
    assert [_name(path) for path in PAGES if path.resolve() not in linked] == []


@pytest.mark.parametrize("path", PAGES, ids=_name)
def test_a_table_of_contents_is_complete(path: Path) -> None:
    text = _read(path)
    listed = set(re.findall(r"^\* \[[^]]+\]\(#([^)]+)\)", text, re.MULTILINE))
    assert not listed or anchors(text, "##") <= listed


@pytest.mark.parametrize("path", GALLERY, ids=_name)
def test_the_models_of_a_gallery_page_are_examples(path: Path) -> None:
    for model in NAMED_MODEL.finditer(_read(path)):
        shown = model["text"].removeprefix(f"# {model['name']}\n")
        assert shown == _read(ROOT / "examples" / model["name"]), f"{model['name']} is another on {path.name}"


def test_the_gallery_lists_its_pages() -> None:
    index = ROOT / "docs" / "gallery" / "README.md"
    assert sorted(set(links(_read(index))) & {path.name for path in GALLERY}) == [
        path.name for path in GALLERY if path != index
    ]


WRONG = [
    Block("python", "print(1)\n", output=Block("text", "2\n")),
    Block("python", ">>> 1 + 1\n3\n"),
    Block("gc", "x: Input\nloss: Output = y\n"),
    Block("console", "$ graphc explain GC402\nGC402: something else\n"),
]


@pytest.mark.parametrize("block", WRONG, ids=lambda block: block.text.split("\n")[0])
def test_a_wrong_block_is_noticed(block: Block, folder: Path) -> None:
    with pytest.raises(AssertionError, match=r"page\.md"):
        Page("page.md").check(block)


def test_refreshing_replaces_what_is_wrong(folder: Path) -> None:
    page = "```python\nprint(1 + 1)\n```\n\n```text\n{}\n```\n\n```python\nprint(5)\n```\n"
    assert refreshed(page.format(3), "page.md") == page.format(2)
    assert refreshed(page.format("..."), "page.md") == page.format("...")
