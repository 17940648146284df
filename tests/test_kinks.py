"""Every point of the kink table under each convention, and the table against the libraries that it speaks of."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import graphc
from docs.conventions_page import KINKS, Kink, Numbers, peers
from graphc.op import CONVENTIONS, Conventions

BY_CASE = {kink.case: kink for kink in KINKS}


def test_every_row_of_the_table_is_tried() -> None:
    assert list(peers()) == [kink.case for kink in KINKS]
    assert len(KINKS) == 35


@pytest.mark.parametrize("conventions", CONVENTIONS)
@pytest.mark.parametrize("kink", KINKS, ids=lambda kink: kink.case)
def test_gradient(kink: Kink, conventions: Conventions) -> None:
    np.testing.assert_array_equal(kink.found(conventions), kink.expected(conventions))


# A direction at an infinite input is no number.
FINITE = [kink for kink in KINKS if kink.case != "lse stable [1000,-inf]"]


@pytest.mark.parametrize("conventions", CONVENTIONS)
@pytest.mark.parametrize("kink", FINITE, ids=lambda kink: kink.case)
def test_forward_mode_gives_the_same(kink: Kink, conventions: Conventions) -> None:
    model = graphc.compile(kink.model, conventions=conventions, gradient=False)
    floats = {name: np.asarray(value, float) for name, value in kink.at.items() if name != "k"}
    found = []
    with np.errstate(all="ignore"):
        for name, value in floats.items():
            for position in range(value.size):
                unit = np.zeros(value.size)
                unit[position] = 1.0
                moved = {f"{n}_dot": np.zeros_like(v) for n, v in floats.items()}
                moved[f"{name}_dot"] = unit.reshape(value.shape)
                at = {n: np.asarray(v) for n, v in kink.at.items()}
                found.append(float(graphc.jvp(model, wrt=list(floats))(**at, **moved)[1]))
    expected = kink.expected(conventions)
    if kink.case == "(x**y) at (-2,3)":
        expected = (np.nan, np.nan)  # 0 times the NaN of the other direction
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("kink", KINKS, ids=lambda kink: kink.case)
def test_what_differs_from_a_peer_has_a_reason(kink: Kink) -> None:
    theirs = peers()[kink.case]
    defect = any(np.isnan(number) for numbers in theirs.values() for number in numbers)
    assert bool(kink.why) is defect


@pytest.mark.parametrize("kink", KINKS, ids=lambda kink: kink.case)
def test_own_choice_is_a_number_unless_all_peers_give_none(kink: Kink) -> None:
    theirs = np.array([*peers()[kink.case].values()])
    undefined = np.isnan(kink.graphc)
    assert np.isnan(theirs[:, undefined]).all()
    agreed = np.isfinite(theirs).all(axis=0) & (theirs == theirs[0]).all(axis=0)
    np.testing.assert_array_equal(np.array(kink.graphc)[agreed], theirs[0][agreed])


# the libraries themselves


def _gradient_torch(function: Callable[..., Any], at: Sequence[Any]) -> Numbers:
    torch = pytest.importorskip("torch", reason="the table is held to PyTorch where it is installed")
    values = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in at]
    torch.as_tensor(function(values)).backward()
    return tuple(float(number) for x in values for number in np.ravel(np.zeros(()) if x.grad is None else x.grad))


def _torch() -> SimpleNamespace:
    torch = pytest.importorskip("torch", reason="the table is held to PyTorch where it is installed")
    names = "abs sign where max sqrt hypot prod log arctan2 sinc floor logaddexp log1p exp sum tanh"
    own = {
        "maximum": lambda x, y: torch.maximum(x, torch.as_tensor(y, dtype=torch.float64)),
        "clip": torch.clamp,
        "norm": torch.linalg.norm,
        "sort": lambda v: torch.sort(v, stable=True)[0],
        "array": lambda v: torch.tensor(v, dtype=torch.float64 if isinstance(v[0], float) else torch.int64),
        "logsumexp": lambda v: torch.logsumexp(v, 0),
        "gradient": _gradient_torch,
    }
    return SimpleNamespace(**{name: getattr(torch, name) for name in names.split()}, **own)


def _numpy_like(module: Any, gradient: Callable[..., Any], logsumexp: Any, asarray: Callable[..., Any]) -> Any:
    names = "abs sign where maximum max clip sqrt hypot prod log arctan2 sinc floor sort logaddexp log1p exp sum tanh"
    own = {name: getattr(module, name) for name in names.split() if hasattr(module, name)}

    def found(function: Callable[..., Any], at: Sequence[Any]) -> Numbers:
        values = tuple(asarray(np.asarray(x, float)) for x in at)
        return tuple(float(n) for part in gradient(lambda v: function(v))(values) for n in np.ravel(part))

    return SimpleNamespace(**own, norm=module.linalg.norm, array=module.array, logsumexp=logsumexp, gradient=found)


def _jax() -> Any:
    jax = pytest.importorskip("jax", reason="the table is held to JAX where it is installed")
    jax.config.update("jax_enable_x64", True)
    return _numpy_like(importlib.import_module("jax.numpy"), jax.grad, jax.nn.logsumexp, jax.numpy.asarray)


def _autograd() -> Any:
    autograd = pytest.importorskip("autograd", reason="the table is held to autograd where it is installed")
    special = importlib.import_module("autograd.scipy.special")
    module = importlib.import_module("autograd.numpy")
    found = _numpy_like(module, autograd.grad, special.logsumexp, np.asarray)
    # autograd has no rule for hypot.
    found.hypot = lambda x, y: module.sqrt(x**2 + y**2)
    return found


PEERS = {"torch": _torch, "jax": _jax, "autograd": _autograd}

# Each case in the words of a library `m`, of the tuple of its float inputs.
FUNCTIONS: dict[str, Callable[[Any, Any], Any]] = {
    "abs'(0)": lambda m, v: m.abs(v[0]),
    "sign'(0)": lambda m, v: m.sign(v[0]) + 0 * v[0],
    "maximum(x,0)'(0)  relu": lambda m, v: m.maximum(v[0], 0.0),
    "where(x>0,x,0)'(0)": lambda m, v: m.where(v[0] > 0, v[0], 0.0),
    "maximum(x,x)'(1)": lambda m, v: m.maximum(v[0], v[0]),
    "max([1,2,2])": lambda m, v: m.max(v[0]),
    "clip(x,0,1) at 0,1": lambda m, v: m.sum(m.clip(v[0], 0.0, 1.0)),
    "sqrt'(0)": lambda m, v: m.sqrt(v[0]),
    "sqrt(x^2)'(0)": lambda m, v: m.sqrt(v[0] ** 2),
    "norm'(0,0)": lambda m, v: m.norm(v[0]),
    "hypot'(0,0)": lambda m, v: m.hypot(v[0], v[1]),
    "(x**2)'(0)": lambda m, v: v[0] ** 2,
    "(x**2.0)'(0)": lambda m, v: v[0] ** 2.0,
    "(x**0)'(0)": lambda m, v: v[0] ** 0,
    "(x**1)'(0)": lambda m, v: v[0] ** 1,
    "(x**0.5)'(0)": lambda m, v: v[0] ** 0.5,
    "(x**y) d/dx,dy at (0,2)": lambda m, v: v[0] ** v[1],
    "(x**y) at (-2,3)": lambda m, v: v[0] ** v[1],
    "(x**3)'(-2)": lambda m, v: v[0] ** 3,
    "prod [0,2,3]": lambda m, v: m.prod(v[0]),
    "prod [0,0,3]": lambda m, v: m.prod(v[0]),
    "where(x>0,log(x),0)'(0)": lambda m, v: m.where(v[0] > 0, m.log(v[0]), 0.0),
    "where(x>0,sqrt(x),0)'(0)": lambda m, v: m.where(v[0] > 0, m.sqrt(v[0]), 0.0),
    "x*log(x)'(0)": lambda m, v: v[0] * m.log(v[0]),
    "arctan2(0,0)": lambda m, v: m.arctan2(v[0], v[1]),
    "sinc'(0)": lambda m, v: m.sinc(v[0]),
    "floor'(0.5)": lambda m, v: m.floor(v[0]) + 0 * v[0],
    "sort ties [2,2,1]": lambda m, v: m.sum(m.sort(v[0]) * m.array([1.0, 2.0, 3.0])),
    "logaddexp(-inf,-inf)": lambda m, v: m.logaddexp(v[0], v[1]),
    "lse naive [1000,1000]": lambda m, v: m.log(m.sum(m.exp(v[0]))),
    "lse stable [1000,-inf]": lambda m, v: m.logsumexp(v[0]),
    "log1p(exp(800))": lambda m, v: m.log1p(m.exp(v[0])),
    "sigmoid(-800)": lambda m, v: 1 / (1 + m.exp(-v[0])),
    "x[[0,0,1]] sum (dup gather)": lambda m, v: m.sum(v[0][m.array([0, 0, 1])] ** 2),
    "nan input tanh": lambda m, v: m.tanh(v[0]),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize("case", FUNCTIONS)
def test_table_against_the_library(case: str, peer: str) -> None:
    library = PEERS[peer]()
    at = [value for name, value in BY_CASE[case].at.items() if name != "k"]
    with np.errstate(all="ignore"):
        found = library.gradient(lambda v: FUNCTIONS[case](library, v), at)
    np.testing.assert_array_equal(found, peers()[case][peer])
