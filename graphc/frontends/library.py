"""The library that is written in the model language: its functions by name."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from graphc.frontends.syntax import illegal
from graphc.frontends.values import Function
from graphc.source import Source

FILES = ("activations.gc", "layers.gc", "losses.gc", "initializers.gc", "functions.gc", "algebra.gc", "shapes.gc")


@cache
def library() -> Mapping[str, Function]:
    """The library's functions.

    Examples
    --------
    >>> library()["dense"].source.name
    'layers.gc'
    """
    functions: dict[str, Function] = {}
    for file in FILES:
        source = Source(file, (files("graphc") / "library" / file).read_text(encoding="utf-8"))
        tree = ast.parse(source.text)
        assert not illegal(source, tree), illegal(source, tree)
        for definition in tree.body:
            if isinstance(definition, ast.FunctionDef):
                assert definition.name not in functions, definition.name
                functions[definition.name] = Function(definition, source, None, _defaults(definition.args))
    return functions


def _defaults(arguments: ast.arguments) -> dict[str, object]:
    """The library's defaults are literals."""
    positional = [*arguments.posonlyargs, *arguments.args][-len(arguments.defaults) or len(arguments.args) :]
    named = zip([*positional, *arguments.kwonlyargs], [*arguments.defaults, *arguments.kw_defaults], strict=True)
    return {argument.arg: ast.literal_eval(default) for argument, default in named if default is not None}
