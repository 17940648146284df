"""The results as a table, and as a page with the machine, the versions and the date."""

from __future__ import annotations

import datetime
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

from tests.benchmarks.case import Case
from tests.benchmarks.rounds import Settings, Times

Results = Mapping[str, Mapping[str, Times]]
"""Of each case, by name, the times of its contenders, by name."""

_PACKAGES = ("graphc", "numpy", "jax", "torch", "autograd")


def rows(cases: Mapping[str, Case], results: Results, contenders: Sequence[str]) -> list[list[str]]:
    """A header; then for each case graphc's time, the time of each other as a ratio to it turned round, and the aim.

    A cell holds graphc's time divided by that contender's: below 1 graphc is faster.
    """
    others = [name for name in contenders if name != "graphc"]
    found = [["case", "graphc", *(f"of {name}" for name in others), "aim", ""]]
    for name, times in results.items():
        own = times["graphc"]
        cells = [
            f"{own.ratio(times[other]):.2f}" if other in times and times[other].medians else "" for other in others
        ]
        found.append([name, _shown(own), *cells, *_aim(cases[name], times)])
    return found


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

{_markdown(rows(cases, results, contenders))}

{_machine(settings)}

The times themselves:

{_markdown(absolute(results))}
"""


def write(path: Path, text: str) -> None:
    """Replace what the page has of the last run; what else it says was written by hand."""
    before, _, rest = path.read_text(encoding="utf-8").partition(_START)
    _, _, after = rest.partition(_END)
    path.write_text(f"{before}{_START}\n{text}\n{_END}{after}", encoding="utf-8")


_START, _END = "<!-- measured: written by python -m tests.benchmarks --write -->\n", "<!-- end measured -->\n"


def _aim(case: Case, times: Mapping[str, Times]) -> list[str]:
    """The aim of the module, and of the one that is reassociated, and whether they are met."""
    aims = {"graphc": case.target, "graphc reassociated": case.reassociated}
    texts, verdicts = [], []
    for who, (limit, other) in ((who, aim) for who, aim in aims.items() if aim is not None):
        if all(name in times and times[name].medians for name in (who, other)):
            texts.append(f"{limit:g} {other}{who.removeprefix('graphc')}")
            verdicts.append("met" if times[who].ratio(times[other]) <= limit else "missed")
    return [", ".join(texts), ", ".join(verdicts)]


def _shown(times: Times) -> str:
    return times.problem or _duration(times.median)


def _duration(seconds: float) -> str:
    if seconds != seconds:
        return ""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} µs"


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
