"""What the machine has of what graphc uses: a look around in, findings with the command that helps out."""

from __future__ import annotations

import platform
import shutil
import subprocess
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

CORE = ("numpy", "sympy", "networkx", "graphviz", "click")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked for.

    Attributes
    ----------
    name, found : str
        What, and its version or state; ``found`` is empty for what is missing.
    ok : bool
    remedy : str
        What to do when it is not, and why.
    optional : bool
        Whether graphc compiles models without it.
    """

    name: str
    found: str
    ok: bool
    remedy: str = ""
    optional: bool = False

    def __str__(self) -> str:
        state = "ok" if self.ok else "no, not needed" if self.optional else "BROKEN"
        line = f"{self.name:<12} {self.found or 'missing':<28} {state}"
        return line if self.ok else f"{line}\n{'':<13}{self.remedy}"


def examine() -> list[Finding]:
    """Look at everything, the core first and last a model that is compiled and run."""
    python = Finding("python", platform.python_version(), True)
    return [python, *map(_package, CORE), _pygraphviz(), _dot(), _pictures(), _matplotlib(), _pyarrow(), _compiling()]


def _package(name: str) -> Finding:
    found = _version(name)
    return Finding(name, found, bool(found), f"pip install {name}")


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _pygraphviz() -> Finding:
    from graphc.backends.drawing import GET_GRAPHVIZ, layout_engine

    ok = layout_engine() == "pygraphviz"
    return Finding("pygraphviz", _version("pygraphviz"), ok, f"{GET_GRAPHVIZ}  (pictures; brings Graphviz)", True)


def _dot() -> Finding:
    found = ""
    if shutil.which("dot"):
        found = subprocess.run(["dot", "-V"], capture_output=True, text=True, check=False).stderr.strip()
        found = found.removeprefix("dot - graphviz version ").split(" ")[0]
    return Finding("dot", found, bool(found), "only used for pictures where pygraphviz is missing", optional=True)


def _pictures() -> Finding:
    from graphc.backends.drawing import GET_GRAPHVIZ, layout
    from graphc.errors import GraphcError

    try:
        ok = layout("digraph { a -> b }", "svg").rstrip().endswith(b"</svg>")
    except (GraphcError, ImportError, OSError):
        ok = False
    return Finding("pictures", "svg, png, pdf, dot" if ok else "dot only", ok, GET_GRAPHVIZ, optional=True)


def _matplotlib() -> Finding:
    from graphc.plotting.axes import GET_MATPLOTLIB, OLDEST, matplotlib_version

    ok = (matplotlib_version() or (0, 0)) >= OLDEST
    return Finding("matplotlib", _version("matplotlib"), ok, f"{GET_MATPLOTLIB}  (plots)", optional=True)


def _pyarrow() -> Finding:
    from graphc.training.parquet_table import GET_PYARROW

    found = _version("pyarrow")
    return Finding("pyarrow", found, bool(found), f"{GET_PYARROW}  (data in Parquet files)", optional=True)


def _compiling() -> Finding:
    from graphc.compiler import compile

    remedy = "pip install --force-reinstall graphc"
    try:
        found = compile("(x + y) * z").value_and_grad(x=2.0, y=3.0, z=4.0)
    except Exception as fault:  # whatever it is, a doctor reports it
        return Finding("compiling", f"{type(fault).__name__}: {fault}", False, remedy)
    ok = (float(found[0]), {name: float(value) for name, value in found[1].items()}) == (20.0, _GRADIENT)
    return Finding("compiling", "(x + y) * z and its gradient", ok, remedy)


_GRADIENT = {"x": 4.0, "y": 4.0, "z": 5.0}
