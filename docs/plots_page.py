"""The pictures of the page on plots: the page in, the files that its code saves out."""

from __future__ import annotations

import contextlib
import re
import tempfile
from pathlib import Path

PAGE = Path(__file__).parent / "plots.md"
_METADATA = re.compile(r" *<metadata>.*?</metadata>\n", re.DOTALL)


def plot_pictures() -> dict[str, str]:
    """The SVG texts by file name; the same each time for one version of Matplotlib."""
    import matplotlib as mpl
    from matplotlib import pyplot

    mpl.use("agg")
    names: dict[str, object] = {}
    settings = {"svg.hashsalt": "graphc", "savefig.pad_inches": 0.1, "font.size": 11}
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder), mpl.rc_context(settings):
        for language, text in re.findall(r"```(gc|python)\n(.*?)```\n", PAGE.read_text(encoding="utf-8"), re.DOTALL):
            if language == "gc":
                Path(text.split("\n")[0].removeprefix("# ")).write_text(text, encoding="utf-8")
            else:
                exec(text, names)
        pyplot.close("all")
        # The metadata has the date.
        return {path.name: _METADATA.sub("", path.read_text(encoding="utf-8")) for path in Path().glob("*.svg")}
