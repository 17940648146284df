"""Words of the front end's tests: read a text, list its errors, and a folder of models."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

import graphc.ops  # noqa: F401
from graphc.errors import GraphcError
from graphc.frontends.text import parse_model
from graphc.graph import Graph, verify
from graphc.source import Source


def read(text: str, folder: Path | None = None, static: Mapping[str, object] | None = None) -> Graph:
    """The graph of a model, verified."""
    graph = parse_model(Source("m.gc", text), folder=folder, static=static).graph
    verify(graph)
    return graph


def errors(text: str, folder: Path | None = None) -> list[str]:
    """The errors of a model: place, code, message."""
    with pytest.raises(GraphcError) as caught:
        parse_model(Source("m.gc", text), folder=folder)
    return [f"{d.span} {d.code} {d.message}" for d in caught.value.diagnostics]


def places(text: str, folder: Path | None = None) -> list[str]:
    """Line, column and code of the errors of a model."""
    return [" ".join(error.removeprefix("m.gc:").split(" ")[:2]) for error in errors(text, folder)]


def ops(graph: Graph) -> list[str]:
    """The ops of a graph that compute, in order."""
    return [node.op.name for node in graph.nodes if node.op.name not in ("input", "param", "const", "size")]


def params(graph: Graph) -> list[str]:
    """Names and types of a graph's parameters."""
    return [f"{node.attrs['name']}: {node.type}" for node in graph.params]
