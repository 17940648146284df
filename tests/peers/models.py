"""Random models over the op table, as text: values are shared, operands broadcast, and no point is at a kink or a pole.

All sizes are numbers; `tests.random_models` is for named and empty ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.peers import axis_moves, elementwise_moves, matrix_moves, shape_moves
from tests.peers.writer import MOST_AXES, RandomModel, Writer


def _held(w: Writer) -> None:
    name = w.value()
    w.add(f"stop_gradient({name}) * {name}", w.shapes[name])


MOVES = (*elementwise_moves.MOVES, *axis_moves.MOVES, *shape_moves.MOVES, *matrix_moves.MOVES, _held)


@st.composite
def models(draw: Callable[..., Any], most: int = 12) -> RandomModel:
    """Random models with up to so many moves, at a random point."""
    w = Writer(draw)
    w.input(w.shape(draw(st.integers(0, MOST_AXES))))
    for _ in range(most):
        if not draw(_moved(w)):
            break
    return finished(w, draw(st.integers(0, 2**16)))


@st.composite
def _moved(draw: Callable[..., Any], w: Writer) -> bool:
    """Make a move or stop: all draws of a move are one part, which hypothesis can leave out of a failing model."""
    if not draw(st.integers(0, 7)):
        return False
    draw(st.sampled_from(MOVES))(w)
    w.forget_expressions()
    return True


def finished(w: Writer, seed: int) -> RandomModel:
    """The model that was written, at a point that a seed gives."""
    generator = np.random.default_rng(seed)
    values = {name: np.asarray(generator.uniform(-2, 2, shape)) for name, shape in w.inputs.items()}
    values |= {name: np.asarray(generator.integers(0, n, shape)) for name, (shape, n) in w.labels.items()}
    declared = [f"{name}: Input{_bracketed(shape)}" for name, shape in w.inputs.items()]
    declared += [f"{name}: Input{_bracketed((*shape, 'int64'))}" for name, (shape, _) in w.labels.items()]
    ends = [name for name in w.shapes if name in w.inputs or name not in w.used]
    loss = " + ".join(f"sum(sin({name}))" for name in ends)
    return RandomModel("\n".join([*declared, *w.lines, f"loss: Output = {loss}"]), values)


def _bracketed(sizes: Sequence[object]) -> str:
    return f"[{', '.join(map(str, sizes))}]" if sizes else ""
