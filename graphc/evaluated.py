"""A model at a point: the value of every node of a graph, the gradient by it, and what flows back along each edge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Unpack

from graphc.autodiff import Edge, Joint
from graphc.graph import Graph, Node
from graphc.tensor_type import TensorType

if TYPE_CHECKING:
    import os
    from pathlib import Path

    import numpy as np

    from graphc.backends.dot import Look
    from graphc.derivation import Derivation


@dataclass(frozen=True, eq=False)
class Evaluated:
    """A graph with the numbers on it.

    Attributes
    ----------
    name : str
        Of the model.
    graph : Graph
        The graph as written, or the joint graph with its gradient.
    joint : Joint or None
        The gradient's place in the graph; None for a model without a loss.
    values : mapping of Node to array
        By nodes of ``graph``; nodes with several results have their `item` nodes instead.

    Examples
    --------
    >>> import graphc
    >>> at = graphc.compile("x: Input; y: Input; a = x + y; f: Output = a * (x * y)").at(x=2, y=3)
    >>> print(at["a"], at["f"], at.gradient("a"), at.gradient("x"))
    5.0 30.0 6.0 21.0
    """

    name: str
    graph: Graph
    joint: Joint | None
    values: Mapping[Node, np.ndarray]

    def __getitem__(self, name: str) -> np.ndarray:
        """The value of a name of the model.

        Raises
        ------
        KeyError
            When no value is called so.
        """
        return self.values[self._named(name)]

    def gradient(self, name: str) -> np.ndarray:
        """The gradient of the loss by a variable, or by another named value of the model, of its shape.

        Raises
        ------
        KeyError
            When no value is called so, or no gradient reaches it on the way to what is differentiated by.
        """
        if self.joint and name in self.joint.gradients:
            return self.values[self.joint.graph.outputs[self.joint.gradients[name]]]
        found = self.gradients.get(self._named(name))
        if found is None:
            asked = ", ".join(self.joint.gradients) if self.joint else "nothing"
            raise KeyError(f"no gradient reaches {name} on the way to {asked}; wrt= of compile() asks for others")
        return found

    @cached_property
    def gradients(self) -> Mapping[Node, np.ndarray]:
        """By forward nodes of ``graph``: the gradient of the loss with respect to each that it flows through."""
        cotangents = self.joint.cotangents if self.joint else {}
        return {node: self.values[cotangent] for node, cotangent in cotangents.items()}

    @cached_property
    def contributions(self) -> Mapping[Edge, np.ndarray]:
        """By edge, (user, operand position): what that path adds to the gradient by the operand."""
        sent = self.joint.contributions if self.joint else {}
        return {edge: self.values[cotangent] for edge, cotangent in sent.items()}

    def draw(self, path: str | os.PathLike[str], *, frames: bool = False, **look: Unpack[Look]) -> Path:
        """Draw the graph with its numbers; see `graphc.Model.draw`.

        ``step=k`` shows what is known after k steps of the two passes, ``frames=True`` one step after the other.
        """
        from graphc.backends.drawing import draw

        return draw(path, self, title=self.name, frames=frames, **look)

    def derive(self, *names: str) -> Derivation:
        """The derivation of the gradient with the numbers put in; see `graphc.Model.derive`."""
        from graphc.derivation import derive

        if self.joint is None:
            raise ValueError("expected a scalar loss to derive, found none")
        return derive(self.joint, names or tuple(self.joint.gradients), self)

    def __repr__(self) -> str:
        return f"<graphc values of {len(self.values)} nodes at {self.point_text}>"

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        """For notebooks: the picture with the numbers, the listing where there are no pictures."""
        return dict(self._mime_bundle)

    @cached_property
    def _mime_bundle(self) -> dict[str, str]:
        from graphc.backends.notebook import mime_bundle

        return mime_bundle(repr(self), self.graph, lambda: self, self.name)

    @property
    def point_text(self) -> str:
        """The inputs and parameters in short, as ``x=2, W=float64[64, 10]``."""
        seeds = set(self.joint.seeds.values()) if self.joint else set()
        leaves = (*self.graph.inputs, *self.graph.params)
        given = [node for node in leaves if node not in seeds]
        return ", ".join(f"{node.attrs['name']}={_short(self.values[node])}" for node in given)

    @cached_property
    def _names(self) -> Mapping[str, Node]:
        """The value that a name is bound to last, as at the end of the model."""
        return {name: node for node in self.graph.nodes for name in self.graph.names.get(node, ())}

    def _named(self, name: str) -> Node:
        if name not in self._names:
            raise KeyError(f"the model has no value {name}, it has {', '.join(self._names)}")
        return self._names[name]


def evaluated(
    name: str, drawn: Graph | Joint, params: Mapping[str, Any] | None, inputs: Mapping[str, Any]
) -> Evaluated:
    """Compute every node of a graph, in one generated function.

    Parameters
    ----------
    name : str
        Of the model.
    drawn : Graph or Joint
        A joint graph is evaluated for cotangents of 1.
    params : mapping of str to array, optional
    inputs : mapping of str to array

    Raises
    ------
    TypeError, ValueError
        When an argument is missing, or has the wrong type or shape; as by the generated module.
    """
    import numpy as np

    from graphc.backends.numpy_module import Program, argument_names, emit_module, load_module

    joint = drawn if isinstance(drawn, Joint) else None
    graph = drawn.graph if isinstance(drawn, Joint) else drawn
    outputs = {f"v{node.serial}": node for node in graph.nodes if isinstance(node.type, TensorType)}
    whole = _with_outputs(graph, outputs)
    module = load_module(emit_module(Program(name, "To look at every value.", whole, {}, together=whole)), name)
    called = argument_names(whole)
    given = {called[key]: value for key, value in {**_seeds(joint), **inputs}.items()}
    with np.errstate(all="ignore"):
        found = module.evaluate(*([params or {}] if graph.params else []), **given)
    values = {node: np.asarray(value) for node, value in zip(outputs.values(), found, strict=True)}
    return Evaluated(name, graph, joint, values)


def _short(value: np.ndarray) -> str:
    return f"{value:g}" if not value.shape else f"{value.dtype}[{', '.join(map(str, value.shape))}]"


def _seeds(joint: Joint | None) -> dict[str, Any]:
    return {str(seed.attrs["name"]): 1.0 for seed in joint.seeds.values()} if joint else {}


def _with_outputs(graph: Graph, outputs: Mapping[str, Node]) -> Graph:
    return Graph(
        graph.operand_table, graph.inputs, graph.params, outputs, graph.names, graph.spans, graph.scopes, graph.doc
    )
