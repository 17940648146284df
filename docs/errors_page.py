"""The page of error codes: the table of codes in, Markdown out, with the messages that the examples produce."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
import textwrap
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

from click.testing import CliRunner

import graphc
from docs.markdown_text import NOTE, fenced
from graphc.backends import drawing
from graphc.cli import main as cli
from graphc.diagnostics import render
from graphc.error_codes import CODES, Explanation
from graphc.errors import GraphcError

ERRORS = """\
# Errors

{note}
Every error and warning has a code; `graphc explain CODE` prints what stands here. The messages below are those that the
examples produce.

Some examples need other files beside them: a model that can be used as a layer, and saved parameters of this and of
another model.

```gc
# encoder.gc
X: Input[N, 64]
size: Output = mean(relu(dense(X, 16)))
```

```python
import graphc
import numpy as np

np.savez("encoder.npz", **graphc.compile("encoder.gc").init_params(0))
np.savez("decoder.npz", W=np.zeros((16, 64)))
```

```gc
# parts/encoder.gc
X: Input[N, 64]
size: Output = mean(relu(dense(X, 16)))
```

Those of the codes GC5xx call the module of this model:

```gc
# digits.gc
{digits}```

```python
digits = graphc.compile("digits.gc").module
params = digits.init_params(0)
X, y = np.zeros((5, 64)), np.zeros(5, dtype=np.int64)
```

{entries}"""


def errors_page() -> str:
    """The page of error codes, with the messages that their examples produce."""
    digits = (Path(__file__).parents[1] / "graphc" / "data" / "digits.gc").read_text(encoding="utf-8")
    page = ERRORS.format(note=NOTE, digits=digits, entries="")
    with _folder():
        names: dict[str, object] = {}
        for language, text in re.findall(r"```(gc|python)\n(.*?)```\n", page, re.DOTALL):
            if language == "gc":
                path = Path(text.split("\n")[0].removeprefix("# "))
                path.parent.mkdir(exist_ok=True)
                path.write_text(text, encoding="utf-8")
            else:
                exec(text, names)
        entries = [_error_entry(code, explanation, names) for code, explanation in CODES.items()]
    return page + "\n".join(entries)


@contextlib.contextmanager
def _folder() -> Iterator[None]:
    """A new folder as the working directory."""
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)


def _error_entry(code: str, explanation: Explanation, names: dict[str, object]) -> str:
    show = {"model": _model_example, "folder": _model_example, "python": _python_example, "shell": _shell_example}
    title = f"{explanation.title[0].upper()}{explanation.title[1:]}."
    text = "\n\n".join(textwrap.fill(line, 120) for line in f"{title} {explanation.text}".split("\n"))
    return f"## {code}\n\n{text}\n\n{show[explanation.language](code, explanation, names)}"


def _model_example(code: str, explanation: Explanation, names: dict[str, object]) -> str:
    message = _compiled(explanation.example)
    assert f"[{code}]" in message, (code, message)
    assert not _compiled(explanation.fix), code
    return f"{fenced('gc', explanation.example)}\n{fenced('text', message)}\nRight:\n\n{fenced('gc', explanation.fix)}"


def _compiled(text: str) -> str:
    Path("model.gc").write_text(text, encoding="utf-8")
    try:
        diagnostics = graphc.compile("model.gc").warnings
    except GraphcError as error:
        diagnostics = error.diagnostics
    return "".join(f"{render(diagnostic)}\n" for diagnostic in diagnostics)


def _python_example(code: str, explanation: Explanation, names: dict[str, object]) -> str:
    try:
        exec(explanation.example, names)
    except Exception as error:
        message = "".join(traceback.format_exception_only(error))
    session_text = f">>> {explanation.example}\nTraceback (most recent call last):\n    ...\n{message}"
    return f"{fenced('python', session_text)}\nRight:\n\n{fenced('python', f'result = {explanation.fix}{chr(10)}')}"


def _shell_example(code: str, explanation: Explanation, names: dict[str, object]) -> str:
    if code in _MISSING:
        # Only where something is missing that is there when this page is written.
        with _MISSING[code]():
            shown = fenced("text", _session(explanation.example))
        return f"{shown}\nRight:\n\n{fenced('sh', f'{explanation.fix}{chr(10)}')}"
    shown = fenced("console", _session(explanation.example))
    return f"{shown}\nRight:\n\n{fenced('console', _session(explanation.fix))}"


_MISSING: dict[str, Callable[[], contextlib.AbstractContextManager[object]]] = {
    "GC404": lambda: mock.patch.object(drawing, "layout_engine", lambda: None),
    "GC416": lambda: mock.patch.dict(sys.modules, {"pygments.lexers.python": None}),
    "GC418": lambda: mock.patch.dict(sys.modules, {"pyarrow": None}),
}


def _session(command: str) -> str:
    """A command and what it prints."""
    result = CliRunner().invoke(cli, command.split()[1:], prog_name="graphc")
    assert result.exception is None or isinstance(result.exception, SystemExit), command
    return f"$ {command}\n{result.output}"
