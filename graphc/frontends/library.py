"""The library that is written in the model language: its functions by name."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from graphc.frontends.syntax import illegal
from graphc.frontends.values import Function
from graphc.source import Source

FILES = (
    *("activations.gc", "layers.gc", "noise.gc", "convolution.gc", "losses.gc", "initializers.gc", "functions.gc"),
    *("algebra.gc", "gradients.gc", "shapes.gc", "optimizers.gc"),
)


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
                function = Function(definition, source, None, _defaults(definition.args))
                if definition.decorator_list:
                    functions[_ruled(definition)].gradient = function
                else:
                    assert definition.name not in functions, definition.name
                    functions[definition.name] = function
    return functions


def _ruled(rule: ast.FunctionDef) -> str:
    """The function that ``@gradient_of(function)`` is for."""
    (decorator,) = rule.decorator_list
    assert isinstance(decorator, ast.Call) and isinstance(decorator.args[0], ast.Name)
    return decorator.args[0].id


def public_library() -> Mapping[str, Function]:
    """Those that are for models; names that start with an underscore are for other functions of the library."""
    return {name: function for name, function in library().items() if not name.startswith("_")}


def _defaults(arguments: ast.arguments) -> dict[str, object]:
    """The library's defaults are literals."""
    positional = [*arguments.posonlyargs, *arguments.args][-len(arguments.defaults) or len(arguments.args) :]
    named = zip([*positional, *arguments.kwonlyargs], [*arguments.defaults, *arguments.kw_defaults], strict=True)
    return {argument.arg: ast.literal_eval(default) for argument, default in named if default is not None}
