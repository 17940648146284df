"""Layout: DOT text in, a picture out, by `pygraphviz` in this process or else by the ``dot`` program."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from graphc.atomic import write_atomic
from graphc.autodiff import Joint
from graphc.backends.dot import STYLES, Drawn, Look, dot, subject
from graphc.backends.frames import animated, step_texts, without_repeats
from graphc.backends.palette import THEMES
from graphc.backends.picture import VIEWS
from graphc.diagnostics import Diagnostic
from graphc.errors import GraphcError

if TYPE_CHECKING:
    from graphc.graph import Graph

FORMATS = ("svg", "png", "pdf", "dot")
STEP = "{step}"
"""What stands for the number of the step in the name of a picture."""
MOST_NODES = 25000
"""Beyond this a layout takes minutes, and nobody could read it."""

GET_GRAPHVIZ = 'pip install "pygraphviz>=2.0"'
"""The one command that brings a layout engine: from 2.0 on its wheel holds Graphviz."""


def draw(
    path: str | os.PathLike[str],
    drawn: Drawn,
    *,
    title: str | None = None,
    frames: bool = False,
    **look: Unpack[Look],
) -> Path:
    """Draw a graph into a file, whose ending says the format.

    With ``frames``, an SVG goes through all steps of the two passes in a loop; with ``{step}`` in the name there is one
    picture per step, from 0, numbered with leading zeros. The path of the last picture is given back.

    Parameters
    ----------
    path : str or path
        Ends in ``.svg``, ``.png``, ``.pdf`` or ``.dot``; the last needs no Graphviz.
    drawn : Graph, Joint or Evaluated
    title : str, optional
        By default the name of the file without its ending.
    frames : bool
    **look
        See `graphc.backends.dot.dot`.

    Raises
    ------
    GraphcError
        GC401 for a graph that is too large or has too many steps, GC403 for a format, view, style or theme that there
        is not or that has no frames, GC404 when no layout engine is installed.
    """
    target = Path(path)
    format = picture_format(target)
    if format != "dot":
        check_size(subject(drawn))
    _check_look(look)
    title = title or target.stem
    if frames and STEP in target.name:
        return _draw_series(target, step_texts(drawn, title, **look), format)
    if frames:
        _check_animated(target, format)
        # In the end it is the picture without frames: nothing in it is marked as new.
        texts = (*step_texts(drawn, title, **look), dot(drawn, title=title, **look))
        picture = animated([layout(text, format) for text in without_repeats(texts)])
    else:
        picture = layout(dot(drawn, title=title, **look), format)
    write_atomic(target, picture)
    return target


def _check_animated(target: Path, format: str) -> None:
    if format != "svg":
        message = f"expected an .svg or {STEP} in the name of a picture with frames, found {target.name!r}"
        hint = f"`{target.stem}-{STEP}{target.suffix}` gives one picture per step"
        raise GraphcError(Diagnostic("GC403", message, hint=hint))


def _draw_series(target: Path, texts: Sequence[str], format: str) -> Path:
    digits = len(str(len(texts) - 1))
    for step, text in enumerate(texts):
        path = target.with_name(target.name.replace(STEP, f"{step:0{digits}}"))
        write_atomic(path, layout(text, format))
    return path


def picture_format(path: str | os.PathLike[str]) -> str:
    """The format that a file's ending asks for.

    Examples
    --------
    >>> picture_format("net.SVG")
    'svg'
    """
    format = Path(path).suffix.lower().removeprefix(".")
    if format not in FORMATS:
        message = (
            f"expected a picture that ends in {_or([f'.{known}' for known in FORMATS])}, found {Path(path).name!r}"
        )
        raise GraphcError(Diagnostic("GC403", message))
    return format


def check_size(drawn: Graph | Joint) -> None:
    """Refuse a graph that is too large for a picture, with GC401."""
    graph = drawn.graph if isinstance(drawn, Joint) else drawn
    if len(graph.nodes) > MOST_NODES:
        message = f"a picture has at most {MOST_NODES} nodes, found {len(graph.nodes)}"
        raise GraphcError(Diagnostic("GC401", message, hint="`.dot` files have no limit"))


def _check_look(look: Look) -> None:
    for option, known in (("view", VIEWS), ("style", STYLES), ("theme", tuple(THEMES))):
        found = look.get(option)
        if found is not None and found not in known:
            raise GraphcError(Diagnostic("GC403", f"expected the {option} {_or(known)}, found {found!r}"))


def layout(text: str, format: str) -> bytes:
    """The picture of a DOT text in one of `FORMATS`; DOT itself is passed on as it is.

    Raises
    ------
    GraphcError
        GC404 when neither pygraphviz nor ``dot`` is there, or Graphviz fails.
    """
    if format == "dot":
        return text.encode()
    engine = layout_engine()
    if engine is None:
        message = f"expected pygraphviz 2.0 or the program dot for {format} pictures, found neither"
        hint = f"`{GET_GRAPHVIZ}` brings Graphviz along; .dot files need neither"
        raise GraphcError(Diagnostic("GC404", message, hint=hint))
    return _by_pygraphviz(text, format) if engine == "pygraphviz" else _by_program(text, format)


def layout_engine() -> str | None:
    """What pictures are laid out by: ``pygraphviz``, ``dot``, or None when neither is installed."""
    if importlib.util.find_spec("pygraphviz") is not None and _is_current():
        return "pygraphviz"
    return "dot" if shutil.which("dot") else None


def _is_current() -> bool:
    """Whether pygraphviz is 2.0 or later; older ones need Graphviz's programs and write to its stderr."""
    from importlib.metadata import version

    return int(version("pygraphviz").split(".")[0]) >= 2


def _by_pygraphviz(text: str, format: str) -> bytes:
    import pygraphviz

    # It writes to stderr that large graphs take long.
    with contextlib.redirect_stderr(io.StringIO()):
        drawn = pygraphviz.AGraph(text).draw(format=format, prog="dot")
    assert isinstance(drawn, bytes)
    return drawn


def _by_program(text: str, format: str) -> bytes:
    done = subprocess.run(["dot", f"-T{format}"], input=text.encode(), capture_output=True, check=False)
    if done.returncode or not done.stdout:
        reason = done.stderr.decode(errors="replace").strip() or f"exit status {done.returncode}"
        raise GraphcError(Diagnostic("GC404", f"expected a picture from dot, found: {reason}"))
    return done.stdout


def _or(words: tuple[str, ...] | list[str]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"
