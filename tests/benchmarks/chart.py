"""The ratios of a run as a picture: a row for each case, a mark for each contender."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path

from tests.benchmarks.rounds import Times

_MARKS = "osD^vP*X<>"


def plot(results: Mapping[str, Mapping[str, Times]], contenders: Sequence[str], path: Path) -> None:
    """Draw how long each contender takes for what graphc does in 1; right of the line it takes longer."""
    from matplotlib import pyplot

    fig, ax = pyplot.subplots(figsize=(9, 0.42 * len(results) + 1.4), layout="constrained")
    cases = list(results)
    others = [name for name in contenders if name != "graphc"]
    for name, mark in zip(others, cycle(_MARKS), strict=False):
        found = [
            (1 / results[case]["graphc"].ratio(results[case][name]), row)
            for row, case in enumerate(cases)
            if name in results[case] and results[case][name].medians and results[case]["graphc"].medians
        ]
        if found:
            ax.plot(*zip(*found, strict=True), mark, label=name, markersize=7, alpha=0.85)
    ax.axvline(1, color="#1f2933", linewidth=1)
    ax.set_xscale("log")
    ticks = [0.25, 0.5, 1, 2, 4, 8, 16]
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.set_yticks(range(len(cases)), cases)
    ax.invert_yaxis()
    ax.grid(axis="x", alpha=0.3)
    ax.set_xlabel("time, where the generated module takes 1")
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    fig.savefig(path, dpi=110)
    pyplot.close(fig)
