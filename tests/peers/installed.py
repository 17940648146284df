"""Which of the other libraries are there to compare with."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterable

import pytest

from tests.peers.peer import Peer

NAMES = ("autograd", "torch", "jax")


def marks(name: str) -> list[pytest.MarkDecorator]:
    """What skips a test that needs a library, where it is missing."""
    if importlib.util.find_spec(name) is not None:
        return []
    return [pytest.mark.skip(reason=f"{name} is not installed: pip install 'graphc[peers]'")]


def installed(names: Iterable[str]) -> list[object]:
    """Libraries as parameters of a test."""
    return [pytest.param(name, marks=marks(name)) for name in names]


def peer(name: str) -> Peer:
    """A library with its table of ops."""
    found: Peer = importlib.import_module(f"tests.peers.{name}_peer").PEER
    return found
