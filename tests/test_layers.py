"""Imports inside graphc go down the list of layers only; those in functions count, those for type checkers do not."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Each imports only from those before it; the modules of a package count as one layer.
LAYERS = (
    "atomic",
    "collector",
    "data",
    "source",
    "diagnostics",
    "errors",
    "error_codes",
    "option_names",
    "size",
    "tensor_type",
    "op",
    "graph",
    "value",
    "coercion",
    "refusals",
    "builder",
    "free_sizes",
    "symbolic",
    "numpy_text",
    "ops",
    "cost",
    "batching",
    "rewrite",
    "finite",
    "guards",
    "autodiff",
    "linearity",
    "forward",
    "gradient_rules",
    "partition",
    "passes",
    "changes",
    "steps",
    "products",
    "library",
    "frontends",
    "optimizer",
    "update_text",
    "training_step",
    "functions",
    "backends",
    "gradient_check",
    "targets",
    "sparsity",
    "blocks",
    "extras",
    "provenance",
    "point",
    "derivation",
    "evaluated",
    "model_cost",
    "pass_entries",
    "report",
    "compiled_model",
    "compiler",
    "opened",
    "calculus",
    "generated",
    "matrices",
    "vectorised",
    "plotting",
    "training",
    "__init__",
    "demo",
    "doctor",
    "loading",
    "train_progress",
    "train_command",
    "cli",
    "__main__",
)
PACKAGES = tuple(path.name for path in (ROOT / "graphc").iterdir() if path.is_dir())
MODULES = sorted((ROOT / "graphc").rglob("*.py"))


def layer_of(dotted: str) -> str:
    """The layer of a module or of a name in it, given with dots."""
    parts = dotted.split(".")
    known = len(parts) > 1 and (parts[1] in LAYERS or is_module(parts[1]))
    return parts[1] if known else "__init__"


def is_module(name: str) -> bool:
    """Whether graphc has a module or package of this name."""
    return (ROOT / "graphc" / f"{name}.py").exists() or name in PACKAGES


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and dotted name of each import of graphc, those under `if TYPE_CHECKING` left out."""
    if isinstance(tree, ast.If) and ast.unparse(tree.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
        children: list[ast.AST] = list(tree.orelse)
    else:
        children = list(ast.iter_child_nodes(tree))
        yield from ((tree.lineno, name) for name in imported(tree) if name.split(".")[0] == "graphc")
    for child in children:
        yield from imports(child)


def imported(node: ast.AST) -> list[str]:
    """The dotted names that a statement imports; a relative import counts as the last layer."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        module = "graphc.__main__" if node.level else str(node.module)
        return [f"{module}.{alias.name}" for alias in node.names]
    return []


def violations(layer: str, text: str) -> list[str]:
    """What a module of a layer imports from no earlier one."""
    allowed = LAYERS[: LAYERS.index(layer)] + ((layer,) if layer in PACKAGES else ())
    return [f"line {line}: {name}" for line, name in imports(ast.parse(text)) if layer_of(name) not in allowed]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_imports_go_down_only(path: Path) -> None:
    layer = layer_of(".".join(path.relative_to(ROOT).with_suffix("").parts))
    assert layer in LAYERS, f"{layer} is not in the list of layers"
    assert violations(layer, path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("from graphc.source import Span", []),
        ("import graphc.builder", ["line 1: graphc.builder"]),
        ("from graphc import builder", ["line 1: graphc.builder"]),
        ("from graphc import compile", ["line 1: graphc.compile"]),
        ("from .source import Span", ["line 1: graphc.__main__.Span"]),
        ("def f():\n    from graphc.cli import main", ["line 2: graphc.cli.main"]),
        ("if TYPE_CHECKING:\n    import graphc.builder\nelse:\n    import graphc.cli", ["line 4: graphc.cli"]),
        ("import numpy", []),
    ],
)
def test_an_import_up_the_list_is_found(text: str, found: list[str]) -> None:
    assert violations("op", text) == found
