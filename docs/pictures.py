"""The pictures that pages show: the pages in, DOT texts by name out, each made by the command that its page shows."""

from __future__ import annotations

import contextlib
import re
import shlex
import tempfile
from pathlib import Path

from click.testing import CliRunner

from docs.pages import NAMED_MODEL, PAGES, SHOWN_PICTURE
from graphc.cli import main

_DRAWN = re.compile(r"^\$ graphc (?P<arguments>draw .*-o )(?P<name>\w+)\.svg$", re.MULTILINE)


def commands(page: str) -> dict[str, list[str]]:
    """The arguments of graphc that draw each picture which a page shows; they end before the name of the file."""
    drawn = {match["name"]: shlex.split(match["arguments"]) for match in _DRAWN.finditer(page)}
    return {name: drawn[name] for name in SHOWN_PICTURE.findall(page)}


def pictures() -> dict[str, str]:
    """The DOT text of each picture by its name; one that several pages show is the same on all."""
    found: dict[str, str] = {}
    for path in PAGES:
        page = path.read_text(encoding="utf-8")
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            for model in NAMED_MODEL.finditer(page):
                Path(model["name"]).write_text(model["text"], encoding="utf-8")
            for name, arguments in commands(page).items():
                text = CliRunner().invoke(main, [*arguments, "-"], catch_exceptions=False).stdout
                assert found.setdefault(name, text) == text, f"{path.name} draws another {name}.svg"
    return found
