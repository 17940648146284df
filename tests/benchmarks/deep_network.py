"""Compile deep networks and print what it costs: ``python tests/benchmarks/deep_network.py [LAYERS…]``.

The largest of a few runs counts as noise, the smallest as the time.
"""

from __future__ import annotations

import sys
import time

import graphc


def deep_network(layers: int) -> str:
    """The text of a fully connected network of that many layers, each with its own weights and bias."""
    return f"""
X: Input[N, 16]
y: Input[N, int64]
h = X
for layer in range({layers}):
    h = tanh(dense(h, 16))
loss: Output = mean(cross_entropy(h, y))
"""


def measure(layers: int, runs: int = 3) -> tuple[float, int, int]:
    """Seconds from text to module text, nodes of the joint graph as written, and lines of the module."""
    graphc.compile("x * y")  # what is imported at first need is not what is measured
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        model = graphc.compile(deep_network(layers))
        text = model.source_text
        times.append(time.perf_counter() - start)
    return min(times), len(model.joint.graph.nodes), text.count("\n")


def main() -> None:
    """Print a row for each number of layers."""
    print(f"{'layers':>8} {'joint nodes':>12} {'module lines':>13} {'seconds':>8} {'µs/node':>8}")
    for layers in [int(argument) for argument in sys.argv[1:]] or [100, 1_000]:
        seconds, nodes, lines = measure(layers)
        print(f"{layers:>8} {nodes:>12} {lines:>13} {seconds:>8.2f} {1e6 * seconds / nodes:>8.1f}")


if __name__ == "__main__":
    main()
