"""Markdown in; its fenced blocks, links and anchors out, and the blocks run as a reader would run them."""

from __future__ import annotations

import ast
import contextlib
import doctest
import io
import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner

import graphc
from graphc.cli import main
from graphc.diagnostics import render
from graphc.errors import GraphcError

_FENCE = re.compile(r"^```(?P<language>[\w-]*(?: \w+)?)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]\[]*(?:\[[^\]]*\][^\]\[]*)*\]\((?P<target>[^)\s]+)\)")
_NAME = re.compile(r"# (?P<name>[\w/]+\.gc)\n")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes
    ----------
    language, text : str
        The language of what needs a package that is not there in ordinary tests names it too: ``python jax``.
    start : int
        Where the text starts in the page.
    line : int
        The line of that.
    output : Block or None
        The text block that follows directly, which says what this one prints.
    """

    language: str
    text: str
    start: int = 0
    line: int = 1
    output: Block | None = None


def blocks(markdown: str) -> list[Block]:
    """The fenced blocks of a page, in order; a text block that says what another prints is not one of its own.

    Examples
    --------
    >>> [block.output.text for block in blocks("```python\\nprint(1)\\n```\\n\\n```text\\n1\\n```\\n")]
    ['1\\n']
    """
    result: list[Block] = []
    end = 0
    for match in _FENCE.finditer(markdown):
        start = match.start("text")
        block = Block(match["language"], match["text"], start, markdown.count("\n", 0, start) + 1)
        if block.language == "text" and result and not markdown[end : match.start()].strip():
            last = result[-1]
            result[-1] = Block(last.language, last.text, last.start, last.line, block)
        else:
            result.append(block)
        end = match.end()
    return result


def links(markdown: str) -> list[str]:
    """The targets of links and pictures outside code."""
    prose = re.sub(r"`[^`\n]*`", "", _FENCE.sub("", markdown))
    return [match["target"] for match in _LINK.finditer(prose)]


def anchors(markdown: str, level: str = "#+") -> set[str]:
    """The anchors of a page's headings, or of those of a level, as GitHub makes them."""
    headings = re.findall(rf"^{level} +(.*)$", _FENCE.sub("", markdown), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


class Page:
    """The names of a page's Python blocks, which later blocks see; the working directory holds its files."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.names: dict[str, object] = {"__name__": "__main__"}

    def expected(self, block: Block) -> str | None:
        """What the page says that a block prints, of a model nothing unless it says more; None when it does not say."""
        if block.language == "console":
            return block.text
        return block.output.text if block.output else "" if block.language == "gc" else None

    def printed(self, block: Block) -> str:
        """What a block prints; of commands, the block as it should be."""
        if block.language == "gc":
            return compiled(block.text)
        if block.language == "console":
            return "".join(f"$ {command}\n{called(command)}" for command in commands(block.text))
        if block.text.startswith(">>>"):
            self._check_examples(block)
            return ""
        # The place in the page is what a traceback shows.
        tree = ast.increment_lineno(ast.parse(block.text), block.line - 1)
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(compile(tree, self.name, "exec"), self.names)
        return out.getvalue()

    def check(self, block: Block) -> None:
        """Run a block; AssertionError when it does something else than the page says."""
        found, expected = self.printed(block), self.expected(block)
        where = f"{self.name}:{block.line}"
        assert expected is None or same(expected, found), f"{where}\nexpected\n{expected}\nfound\n{found}"

    def _check_examples(self, block: Block) -> None:
        examples = doctest.DocTestParser().get_doctest(block.text, {}, self.name, self.name, block.line)
        examples.globs = self.names
        report = io.StringIO()
        failed, _ = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(
            examples, out=report.write, clear_globs=False
        )
        assert not failed, f"{self.name}:{block.line}\n{report.getvalue()}"


def close_figures() -> None:
    """Forget the figures of a page, where it has drawn any."""
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        pyplot.close("all")


def same(expected: str, found: str) -> bool:
    """Whether two outputs are equal; ``...`` stands for anything."""
    return doctest.OutputChecker().check_output(expected, found, doctest.ELLIPSIS)


def compiled(text: str) -> str:
    """What compiling a model says: nothing, warnings or errors; it is written to the file that its first line names."""
    named = _NAME.match(text)
    path = Path(named["name"] if named else "model.gc")
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    try:
        diagnostics = graphc.compile(path).warnings
    except GraphcError as error:
        diagnostics = error.diagnostics
    return "".join(f"{render(diagnostic)}\n" for diagnostic in diagnostics)


def commands(text: str) -> list[str]:
    """The commands of a console block."""
    return re.findall(r"^\$ (.*)$", text, re.MULTILINE)


def called(command: str) -> str:
    """What a graphc command writes to standard output and standard error."""
    program, *arguments = shlex.split(command)
    assert program == "graphc", command
    result = CliRunner().invoke(main, arguments, prog_name="graphc", env={"COLUMNS": "100"})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output
