"""Draw deep networks and print what it costs, as a table: ``python -m tests.benchmarks.deep_pictures [LAYERS…]``.

A time is the best of three, from the compiled model to the file, layout included.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Unpack

import graphc
from graphc.backends.dot import Look
from tests.benchmarks.deep_network import deep_network


def seconds(text: str, name: str, folder: Path, runs: int = 3, **look: Unpack[Look]) -> float:
    """The time of one picture; every run has a model of its own, which remembers nothing."""
    times = []
    for _ in range(runs):
        model = graphc.compile(text)
        assert model.joint.graph.nodes
        start = time.perf_counter()
        model.draw(folder / name, **look)
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    """Print a row for each number of layers."""
    print("| layers | nodes of both passes | folded | every node | every node, as DOT |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for layers in [int(argument) for argument in sys.argv[1:]] or [10, 30, 100, 300, 1000]:
            text = deep_network(layers)
            nodes = len(graphc.compile(text).joint.graph.nodes)
            folded = seconds(text, "folded.svg", folder)
            opened = seconds(text, "opened.svg", folder, depth="all")
            dot = seconds(text, "opened.dot", folder, depth="all")
            print(f"| {layers:,} | {nodes:,} | {folded:.2f} s | {opened:.2f} s | {dot:.2f} s |", flush=True)


if __name__ == "__main__":
    main()
