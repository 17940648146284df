"""Checkpointing: a scan over segments of steps, each a scan, so that the reverse pass keeps one carry per segment.

The carries inside a segment are computed again when the reverse pass comes to it, and forgotten after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from graphc.builder import Builder
from graphc.graph import Graph
from graphc.op import OPS
from graphc.ops.indexing import Slice
from graphc.size import Size, divide
from graphc.value import Value


@dataclass(frozen=True)
class Scanned:
    """The attributes of a scan that is to be applied."""

    step: Graph
    carries: int
    xs: int
    length: Size
    reverse: bool

    def apply(self, operands: Sequence[Value]) -> list[Value]:
        """The last carries, then what is stacked."""
        attrs = {"step": self.step, "carries": self.carries, "xs": self.xs}
        result = OPS["scan"](*operands, **attrs, length=self.length, reverse=self.reverse)
        return [OPS["item"](result, index=k) for k in range(len(self.step.outputs))]


def segmented(scan: Scanned, operands: Sequence[Value], steps: int) -> list[Value]:
    """A scan in segments of so many steps; those that are left over are a scan of their own."""
    count = divide(scan.length, steps)
    main = count * steps
    rest = scan.length - main
    split = scan.carries + scan.xs
    xs, captured = operands[scan.carries : split], operands[split:]
    # The segments come first in the order of the steps.
    start = rest if scan.reverse else 0
    folded = [OPS["reshape"](_part(x, start, main), shape=(count, steps, *x.shape[1:])) for x in xs]
    whole = replace(scan, step=_segment(scan, steps), length=count)
    found = whole.apply([*operands[: scan.carries], *folded, *captured])
    carry = found[: scan.carries]
    ys = [OPS["reshape"](y, shape=(main, *y.shape[2:])) for y in found[scan.carries :]]
    if rest == 0:
        return [*carry, *ys]
    left = [_part(x, 0 if scan.reverse else main, rest) for x in xs]
    last = replace(scan, length=rest).apply([*carry, *left, *captured])
    pairs = zip(ys, last[scan.carries :], strict=True)
    joined = [OPS["concatenate"](*((y, z) if not scan.reverse else (z, y)), axis=0) for y, z in pairs]
    return [*last[: scan.carries], *joined]


def _part(x: Value, start: Size, size: Size) -> Value:
    items = (Slice(start, start + size, 1), *(Slice(0, n, 1) for n in x.shape[1:]))
    return OPS["index"](x, items=items)


def _segment(scan: Scanned, steps: int) -> Graph:
    """The step of the outer scan: a scan over one segment."""
    builder = Builder()
    inputs = []
    for position, node in enumerate(scan.step.inputs):
        scanned = scan.carries <= position < scan.carries + scan.xs
        type = replace(node.tensor, shape=(steps, *node.tensor.shape)) if scanned else node.tensor
        name = scan.step.name(node)
        inputs.append(builder.input(f"{name}_segment" if scanned else name, type))
    spans = [span for node in scan.step.outputs.values() for span in scan.step.spans.get(node, ())][:1]
    with builder.at(spans):
        results = replace(scan, length=steps).apply(inputs)
    return builder.finish({f"out_{k}": value.node for k, value in enumerate(results)}, doc=scan.step.doc)
