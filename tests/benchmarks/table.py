"""The results as a table, and as a page with the machine, the versions and the date."""

from __future__ import annotations

import datetime
import math
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

from tests.benchmarks.case import Aim, Case
from tests.benchmarks.rounds import Settings, Times

Results = Mapping[str, Mapping[str, Times]]
"""Of each case, by name, the times of its contenders, by name."""

_PACKAGES = ("graphc", "numpy", "jax", "torch", "pytensor", "autograd")


def rows(results: Results, contenders: Sequence[str]) -> list[list[str]]:
    """A header; then for each case graphc's time, and that divided by the time of each other: below 1 it is faster."""
    others = [name for name in contenders if name != "graphc"]
    found = [["case", "graphc", *(f"of {name}" for name in others)]]
    for name, times in results.items():
        own = times["graphc"]
        cells = [
            f"{own.ratio(times[other]):.2f}" if other in times and times[other].medians else "" for other in others
        ]
        found.append([name, _shown(own), *cells])
    return found


def aims(cases: Mapping[str, Case], results: Results, contenders: Sequence[str]) -> list[list[str]]:
    """What is aimed at for each case, and what each of graphc's modules that it is for comes to."""
    own = [name for name in contenders if any(name in aim.by for case in cases.values() for aim in case.aims)]
    return [["case", "aim", *own]] + [
        [name, f"{aim.most:g} of {aim.of}", *(_reached(aim, by, times) for by in own)]
        for name, times in results.items()
        for aim in cases[name].aims
    ]


def memory(results: Results, contenders: Sequence[str]) -> list[list[str]]:
    """The bytes that a call takes beside its arguments, as far as contenders can tell."""
    told = [name for name in contenders if any(name in x and x[name].memory is not None for x in results.values())]
    return [["case", *told]] + [
        [case, *(_size(times[name].memory) if name in times else "" for name in told)]
        for case, times in results.items()
        if any(taken.memory is not None for taken in times.values())
    ]


def text(table: Sequence[Sequence[str]]) -> str:
    """A table in columns, for the terminal."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) if not place else cell.rjust(width) for place, (cell, width) in enumerate(pairs))
        for pairs in (list(zip(row, widths, strict=True)) for row in table)
    ]
    return "\n".join(line.rstrip() for line in lines)


def absolute(results: Results) -> list[list[str]]:
    """The times themselves: the median of the rounds, and the smallest of all."""
    found = [["case", "contender", "median", "smallest", ""]]
    for case, times in results.items():
        for name, taken in times.items():
            found.append([case, name, _duration(taken.median), _duration(taken.least), taken.problem])
    return found


def section(cases: Mapping[str, Case], results: Results, contenders: Sequence[str], settings: Settings) -> str:
    """What the page says of one run: the ratios, the machine, the times themselves."""
    return f"""{settings.rounds} rounds in turns; processors for each contender: {settings.threads}.

{_markdown(rows(results, contenders))}

{_machine(settings)}

What is aimed at, and what it came to:

{_markdown(aims(cases, results, contenders))}

The memory that a call takes beside its arguments, results included:

{_markdown(memory(results, contenders))}

The times themselves:

{_markdown(absolute(results))}
"""


def write(path: Path, text: str) -> None:
    """Replace what the page has of the last run; what else it says was written by hand."""
    before, _, rest = path.read_text(encoding="utf-8").partition(_START)
    _, _, after = rest.partition(_END)
    path.write_text(f"{before}{_START}\n{text}\n{_END}{after}", encoding="utf-8")


_START, _END = "<!-- measured: written by python -m tests.benchmarks --write -->\n", "<!-- end measured -->\n"


def _reached(aim: Aim, by: str, times: Mapping[str, Times]) -> str:
    if by not in aim.by or by not in times or aim.of not in times:
        return ""
    ratio = times[by].ratio(times[aim.of])
    return "" if math.isnan(ratio) else f"{ratio:.2f} {'met' if ratio <= aim.most else 'missed'}"


def _shown(times: Times) -> str:
    return times.problem or _duration(times.median)


def _duration(seconds: float) -> str:
    if seconds != seconds:
        return ""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} µs"


def _size(memory: int | None) -> str:
    if memory is None:
        return ""
    return f"{memory / 1e6:.3g} MB" if memory >= 1e6 else f"{memory / 1e3:.3g} kB"


def _markdown(table: Sequence[Sequence[str]]) -> str:
    header, *body = (f"| {' | '.join(row)} |" for row in table)
    return "\n".join([header, "|---" * len(table[0]) + "|", *body])


def _machine(settings: Settings) -> str:
    versions = [f"{name} {metadata.version(name)}" for name in _PACKAGES if _installed(name)]
    today = datetime.datetime.now(tz=datetime.UTC).date()
    return (
        f"{today}: {_processor()}, {settings.threads} in use, {platform.system()}, Python {platform.python_version()}, "
        f"{', '.join(versions)}."
    )


def _installed(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
