"""What ``help`` shows of the language's functions: their own docstrings, not that of the class they are made of."""

from __future__ import annotations

import pydoc

import pytest

import graphc
from graphc.frontends.traced_calls import GraphFunction
from graphc.functions import FUNCTIONS


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_says_how_it_is_called_and_what_it_computes(name: str) -> None:
    first, empty, *rest = (FUNCTIONS[name].__doc__ or "").splitlines()
    assert first.startswith(f"{name}(") and first.endswith(")")
    assert not empty and rest


def test_an_operation_has_its_convention() -> None:
    assert graphc.clip.__doc__ == (
        "clip(x, y, z)\n\nx limited to the range from y to z\n\nConvention: clip'(bound) = 1\n"
        "with conventions='jax': clip'(bound) = 1/2"
    )


def test_a_function_of_the_library_has_its_defaults() -> None:
    assert str(graphc.leaky_relu.__doc__).startswith("leaky_relu(x, slope=0.01)\n\nx where it is positive")


def test_help_shows_the_function_and_not_its_class() -> None:
    shown = pydoc.plain(pydoc.render_doc(graphc.relu))
    assert "relu(x)" in shown and "max(x, 0)" in shown and "__call__" not in shown
    assert str(GraphFunction.__doc__).startswith("A function of the language")
