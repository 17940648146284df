"""Random models in JAX, PyTorch and autograd.

The models are the same in every run. ``pytest tests/peers --hypothesis-profile=search`` tries others, and says from
which seed: ``--hypothesis-seed=`` with the profile tries these again. Of a failure the smallest model is printed.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

import graphc
from graphc.ops import OPS
from tests.peers.compared import check_against
from tests.peers.installed import NAMES, installed, peer
from tests.peers.models import MOVES, finished, models
from tests.peers.writer import RandomModel, Writer

pytestmark = [
    # Of gradients that are zero everywhere, and of labels that went with a statement that was too large.
    pytest.mark.filterwarnings("ignore::graphc.GraphcWarning"),
    # autograd's tanh has a derivative of 1 / cosh(x)**2.
    pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning"),
]

COMPILED = ("jax",)
"""It takes a fifth of a second for a model, the others some milliseconds."""


@pytest.mark.parametrize("name", installed(name for name in NAMES if name not in COMPILED))
@settings(max_examples=200, print_blob=True, report_multiple_bugs=False)
@given(model=models())
def test_random_models(name: str, model: RandomModel) -> None:
    check(name, model)


@pytest.mark.parametrize("name", installed(COMPILED))
@settings(max_examples=60, print_blob=True, report_multiple_bugs=False)
@given(model=models())
def test_fewer_random_models(name: str, model: RandomModel) -> None:
    check(name, model)


def check(name: str, random: RandomModel) -> None:
    """A model has the same value and gradient in a library, unless that lacks one of its ops."""
    other = peer(name)
    model = graphc.compile(random.text)
    assume(not any(node.op.name in other.none for node in model.graph.nodes))
    check_against(other, [model], [random.values])


MADE_BY_RULES = {"overlap_add", "scatter_slice", "scatter_add", "scatter_along_axis"}
"""Ops of derivative rules, which no text names; `test_ops` has them."""
WITHOUT_DERIVATIVE = {"param", "size", "array", "grad", "random_uniform", "random_normal", "resolution"}


def test_random_models_are_over_the_whole_table() -> None:
    found: set[str] = set()

    @settings(max_examples=15, derandomize=True, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(st.data())
    def collect(data: st.DataObject) -> None:
        writer = Writer(data.draw)
        for move in MOVES:
            move(writer)
            writer.forget_expressions()
        model = graphc.compile(finished(writer, 0).text, gradient=False)
        found.update(node.op.name for node in model.graph.nodes)

    collect()
    assert set(OPS) - found == MADE_BY_RULES | WITHOUT_DERIVATIVE
