"""`Model`: a compiled model, the object that users hold."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from graphc.atomic import write_atomic
from graphc.autodiff import Joint, differentiate, gradient_names
from graphc.diagnostics import Diagnostic
from graphc.extras import requested
from graphc.free_sizes import refuse_other_than_numbers, refuse_unknown_sizes
from graphc.gradient_check import GradientReport, check_gradient
from graphc.graph import Graph, Node
from graphc.optimizer import Optimizer, chosen_optimizer
from graphc.passes import Compiled, expand_gradients
from graphc.products import Layout, whole_layout
from graphc.provenance import Provenance, checked_extras
from graphc.source import Source
from graphc.targets import named_variables
from graphc.training_step import TrainingStep, training_step

if TYPE_CHECKING:
    from types import ModuleType

    import numpy as np
    import sympy

    from graphc.backends.dot import Look
    from graphc.backends.numpy_derivatives import DerivativeFunction
    from graphc.backends.numpy_module import Program
    from graphc.changes import Change
    from graphc.derivation import Derivation
    from graphc.evaluated import Evaluated
    from graphc.model_cost import ModelCost
    from graphc.report import Page
    from graphc.rewrite.engine import Firing


@dataclass(frozen=True, eq=False)
class Model:
    """A compiled model.

    Attributes
    ----------
    source : Source
        The text that it was compiled from.
    graph : Graph
        The graph as written; ``graph.dag`` is the networkx DAG.
    warnings : tuple of Diagnostic
    losses : tuple of str
        The outputs that are differentiated.
    variables : tuple of str
        What they are differentiated with respect to.
    compiled : Compiled
        What the pipeline made of the graph.
    provenance : Provenance
        Where the model comes from, and the options it was compiled with.
    moved : mapping of str to Node
        The variables that are inputs or parameters.
    layout : Layout, optional
        What a call of the model gives, in the names of its outputs; by default the output, or all of them as a dict.
    idle : frozenset of str
        Inputs of the model that this one was derived from and that it does not take; given by name, they are left out.
    """

    source: Source
    graph: Graph
    warnings: tuple[Diagnostic, ...]
    losses: tuple[str, ...]
    variables: tuple[str, ...]
    compiled: Compiled
    provenance: Provenance
    moved: Mapping[str, Node]
    layout: Layout | None = None
    idle: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """The name of the source, without its ending."""
        return Path(self.source.name).stem.strip("<>")

    @property
    def rewrites(self) -> tuple[Firing, ...]:
        """The rules that fired and the guards of gradients, and where."""
        return self.compiled.firings

    @cached_property
    def passes(self) -> tuple[Firing, ...]:
        """What else changed the module: rules that fired in ``value_and_grad`` alone, and passes that have no rules.

        Equal parts are merged, values kept for the gradient or computed again, arrays changed in place, and regions
        computed by blocks.
        """
        from graphc.pass_entries import pass_entries

        marked = [replace(firing, did=firing.did or "in value_and_grad") for firing in self.compiled.seeded]
        return (*marked, *pass_entries(self._program()))

    @cached_property
    def joint(self) -> Joint:
        """The graph as written and its gradient, before any rule: what pictures and derivations show.

        Statements that are equal stay apart; ``grad(loss, x)`` in the model is written out.
        """
        conventions = self.provenance.options.conventions
        graph, mapping, _ = expand_gradients(self.graph, self.graph.nodes, conventions)
        wrt = {name: mapping[node] for name, node in named_variables(self.graph, self.variables).items()}
        joint = differentiate(graph, self.losses, wrt, distinct=graph.nodes, conventions=conventions)
        nodes = {old: joint.nodes[new] for old, new in mapping.items() if new in joint.nodes}
        return replace(joint, nodes=nodes)

    @cached_property
    def source_text(self) -> str:
        """The text of the generated module."""
        from graphc.backends.numpy_module import emit_module

        return emit_module(self._program())

    def _program(self) -> Program:
        """What the module is made of."""
        from graphc.backends.numpy_module import Program

        return Program(
            name=self.name,
            provenance=str(self.provenance),
            raw=self.graph,
            outputs=self.compiled.outputs,
            split=self.compiled.split,
            value_and_grad=self.compiled.value_and_grad,
            losses=self.losses,
            variables=self.variables,
            conventions=self.provenance.options.conventions,
            together=self.compiled.together,
            extras=self.provenance.options.with_,
            derivatives=self._derivatives(),
            moved=self.moved,
            training=self._training_step(),
            optimize=self.provenance.options.optimize,
            reassociate=self.provenance.options.reassociate,
        )

    def _training_step(self) -> TrainingStep | None:
        options = self.provenance.options
        if options.optimizer is None or self.compiled.value_and_grad is None:
            return None
        return training_step(
            self.graph,
            self.losses[0],
            named_variables(self.graph, self.variables),
            options.optimizer,
            conventions=options.conventions,
            reassociate=options.reassociate,
            dtype=options.dtype,
        )

    def _derivatives(self) -> list[DerivativeFunction]:
        options = self.provenance.options
        variables = named_variables(self.graph, self.variables)
        return requested(
            self.graph,
            self.losses,
            variables,
            options.of,
            options.with_,
            options.conventions,
            reassociate=options.reassociate,
        )

    @cached_property
    def module(self) -> ModuleType:
        """The generated module, loaded in this process."""
        from graphc.backends.numpy_module import load_module

        return load_module(self.source_text, self.name)

    def __call__(self, /, *args: Any, **inputs: Any) -> Any:
        """What the model computes, in one pass; arguments as in the generated module.

        A model with several outputs gives a dict; a derivative gives what its docstring says.

        On graph values, in a function that is traced, the model is a layer: its parameters become those of the traced
        model, named by what the model is called there and shared by its calls, unless a dict of them is given first.
        There ``output=`` chooses an output, a list of names several; only the inputs that these need are given.

        Examples
        --------
        >>> import graphc
        >>> print(graphc.compile("(x + y) * z")(x=2, y=3, z=4))
        20.0
        """
        from graphc.frontends.traced_models import call_traced, on_graph_values

        if on_graph_values(args, inputs):
            values = call_traced(self, self.name, self.graph, args, inputs)
            if "output" in inputs:
                return values[inputs["output"]] if isinstance(inputs["output"], str) else values
        else:
            found = self._call("evaluate" if self.compiled.split is None else "forward", *args, **inputs)
            values = dict(zip(self.graph.outputs, found if self.compiled.split is None else found[0], strict=True))
        return _laid_out(self.layout or whole_layout(self.graph), values)

    def init_params(self, rng: Any = 0) -> Any:
        """Parameters with the declared initialisers; see the generated module."""
        return self._call("init_params", rng)

    def forward(self, /, *args: Any, **inputs: Any) -> Any:
        """``(outputs, residuals)``; arguments as in the generated module."""
        return self._call("forward", *args, **inputs)

    def backward(self, /, *args: Any, **cotangents: Any) -> Any:
        """The gradients from the residuals; arguments as in the generated module."""
        return self._call("backward", *args, **cotangents)

    def value_and_grad(self, /, *args: Any, **inputs: Any) -> Any:
        """``(loss, gradients)`` in one pass; arguments as in the generated module."""
        return self._call("value_and_grad", *args, **inputs)

    def init_state(self, params: Any) -> Any:
        """What the optimiser remembers before the first step; the model is compiled with ``train_step``."""
        return self._call("init_state", params)

    def train_step(self, /, *args: Any, **inputs: Any) -> Any:
        """``(params, state, loss)``: a step of training, from the parameters, the state and the inputs."""
        return self._call("train_step", *args, **inputs)

    def averaged_params(self, params: Any, state: Any) -> Any:
        """The averages of the parameters, which an optimiser with ``average`` keeps in its state."""
        return self._call("averaged_params", params, state)

    def with_extras(self, with_: Sequence[str] = (), optimizer: str | Optimizer | None = None) -> Model:
        """The same model with more in its module; arguments as in `compile`."""
        before = self.provenance.options
        options = replace(before, **requested_extras([*before.with_, *with_], optimizer or before.optimizer))
        return self if options == before else replace(self, provenance=replace(self.provenance, options=options))

    @cached_property
    def for_speed(self) -> Model:
        """The same model with its module written for speed; see ``optimize`` of `compile`."""
        options = replace(self.provenance.options, optimize="speed")
        return replace(self, provenance=replace(self.provenance, options=options))

    def write(self, path: str | os.PathLike[str]) -> Path:
        """Write the generated module; the file is replaced in one step or not at all."""
        write_atomic(path, self.source_text)
        return Path(path)

    def check_grad(self, /, *args: Any, rng: int = 0, **inputs: Any) -> GradientReport:
        """Compare the gradient at a point with central differences, in float64.

        Parameters
        ----------
        *args, **inputs
            As for `value_and_grad`.
        rng : int
            The seed of the random directions; an input called so is given instead, where the model has one.

        Raises
        ------
        ValueError
            When the model is differentiated with respect to a value that it computes.

        Examples
        --------
        >>> import graphc
        >>> graphc.compile("sin(x) * y").check_grad(x=0.3, y=2.0).ok
        True
        """
        import numpy as np

        if any(node.attrs["name"] == "rng" for node in self.graph.inputs):
            inputs, rng = {**inputs, "rng": rng}, 0
        leaves = {node.attrs["name"] for node in (*self.graph.inputs, *self.graph.params)}
        if fixed := [name for name in self.variables if name not in leaves]:
            raise ValueError(f"check_grad() moves inputs and parameters, {', '.join(fixed)} is computed")
        names = [str(node.attrs["name"]) for node in self.graph.params]
        # A call says best what is wrong with arguments.
        self.value_and_grad(*args, **inputs)
        positional = list(args)
        given_params = {} if not names else positional.pop(0) if positional else inputs.pop("params")
        inputs |= zip((str(node.attrs["name"]) for node in self.graph.inputs), positional, strict=False)
        params = {name: np.asarray(value, np.float64) for name, value in given_params.items()}
        given = {name: _as_float64(value) for name, value in inputs.items()}
        _, gradients = self.value_and_grad(*([params] if names else []), **given)
        point = {**params, **given}

        def loss(values: Mapping[str, np.ndarray]) -> float:
            moved = {**point, **values}
            arguments = [{name: moved.pop(name) for name in names}] if names else []
            return float(self.value_and_grad(*arguments, **moved)[0])

        checked = {name: np.asarray(point[name]) for name in self.variables}
        return check_gradient(loss, checked, gradients, seed=rng)

    def at(self, /, *sources: Mapping[str, Any] | str | os.PathLike[str], **values: Any) -> Evaluated:
        """The model at a point: every value of the graph as written, and the gradient by each.

        Parameters
        ----------
        *sources : mapping, or path of a ``.npz`` file
            Values by name.
        **values
            Values of inputs and parameters by name; parameters that are not given come from their initialisers.

        Raises
        ------
        ValueError
            When a value is missing, has the wrong shape or belongs to nothing in the model.

        Examples
        --------
        >>> import graphc
        >>> at = graphc.compile("((x + y) + (x * y)) * z").at(x=2, y=3, z=4)
        >>> print(*(at.gradient(name) for name in "xyz"))
        16.0 12.0 11.0
        """
        from graphc.evaluated import evaluated
        from graphc.point import point_of, read_npz

        given: dict[str, Any] = {}
        for source in sources:
            given |= source if isinstance(source, Mapping) else read_npz(source)
        point = point_of(self, {**given, **values}, {}, 0)
        return evaluated(self.name, self.joint if self.losses else self.graph, point.params, point.inputs)

    def cost(self, sizes: Mapping[str, int] | None = None) -> ModelCost:
        """What lines and functions cost: arithmetic, memory traffic and peak memory; prints as a table.

        Parameters
        ----------
        sizes : mapping of str to int, optional
            Numbers for named sizes; costs are in the others.

        Raises
        ------
        GraphcError
            GC101 when the model has no such size, GC204 when it is given no whole number.

        Examples
        --------
        >>> import graphc
        >>> model = graphc.compile("X: Input[N, 3]; w: Param[3]; loss: Output = sum((X @ w) ** 2)")
        >>> forward = model.cost().function("forward")
        >>> forward.cost.flops, forward.peaks
        (8*N, (8*N,))
        >>> model.cost({"N": 100}).function("value_and_grad").cost.flops
        1500
        """
        from graphc.model_cost import model_cost

        refuse_other_than_numbers(sizes or {})
        refuse_unknown_sizes(self.graph, sizes or {})
        return model_cost(self._program(), dict(sizes or {}))

    def derive(self, *names: str, simplified: bool = False) -> Derivation:
        """The derivation of the gradient, the chain rule written out step by step.

        Parameters
        ----------
        *names : str
            The variables to derive by; all by default.
        simplified : bool
            Instead of the steps, what comes out of them in the end, as the module computes it: all variables.

        Raises
        ------
        ValueError
            When the model has no scalar loss, or is not differentiated by one of them.

        Examples
        --------
        >>> import graphc
        >>> print(graphc.compile("sin(x * y)").derive("x"))
        v₁ = x · y
        f = sin(v₁)
        ∂f/∂f = 1
        ∂f/∂v₁ = ∂f/∂f · cos(v₁)    (derivative of sin)
        ∂f/∂x = ∂f/∂v₁ · y          (product rule)
        """
        from graphc.derivation import closed_forms, derive

        if self.compiled.value_and_grad is None:
            raise ValueError("expected a scalar loss to derive, found none")
        if simplified:
            return closed_forms(
                self.compiled.value_and_grad, self.losses[0], gradient_names(self.graph.outputs, self.variables)
            )
        return derive(self.joint, names or self.variables)

    def to_sympy(self, output: str | None = None) -> sympy.Expr:
        """An output, or a derivative, of a model of scalars as a SymPy expression.

        Parameters
        ----------
        output : str, optional
            The name of an output, or ``d_<variable>`` for the derivative of the loss as it is compiled; the loss, or
            the only output, unless given.

        Raises
        ------
        GraphcError
            When there is a tensor, or an operation that is not elementwise, on the way to it.
        ValueError
            When there is no such output.

        Examples
        --------
        >>> import graphc
        >>> graphc.compile("x ** 2 * y").to_sympy(), graphc.compile("x ** 2 * y").to_sympy("d_x")
        (x**2*y, 2*x*y)
        """

        from graphc.backends.sympy_expression import to_sympy

        known = [*self.graph.outputs, *gradient_names(self.graph.outputs, self.variables).values()]
        name = output or (self.losses or known)[0]
        if name not in known or (output is None and len(self.losses) != 1 and len(known) != 1):
            raise ValueError(f"expected one of {', '.join(known)}, found {output}")
        if name in self.graph.outputs:
            return to_sympy(self.graph, name)
        gradient = self.compiled.value_and_grad
        if gradient is None:
            raise ValueError("expected a scalar loss for a derivative, found none")
        return to_sympy(gradient, name)

    def draw(self, path: str | os.PathLike[str], *, frames: bool = False, **look: Unpack[Look]) -> Path:
        """Draw the graph as written; the ending of the file chooses svg, png, pdf or dot.

        Parameters
        ----------
        path : str or path
        frames : bool
            Whether to go through the steps of the two passes: in an animated SVG, or, with ``{step}`` in the name of
            the file, in one picture per step, from 0. The path of the last is given back.
        **look
            ``view`` ("joint", the default, "forward", "gradient" or "diff"), ``style`` ("wire" or "block"), ``theme``
            ("light", "dark", "print" or "lecture") and what else `graphc.backends.dot.dot` takes. The diff shows what
            the rule did that fired as number ``step`` of `rewrites`, or all rules together.

        Raises
        ------
        GraphcError
            When the format is unknown or has no frames, or nothing that can lay out graphs is installed.
        """
        from graphc.backends.drawing import draw

        return draw(path, self._drawn(look), title=self.name, frames=frames, **look)

    def _drawn(self, look: Look) -> Graph | Joint | Change:
        """What a view is a picture of."""
        if look.get("view") == "diff":
            return self.change(look.get("step"))
        return self.graph if look.get("view") == "forward" or not self.losses else self.joint

    def change(self, number: int | None = None) -> Change:
        """What a rule changed, the graph before and after.

        Parameters
        ----------
        number : int, optional
            Its place in `rewrites`, from 1; by default, what all of them did to the graph as written.

        Raises
        ------
        ValueError
            When not as many rules fired.

        Examples
        --------
        >>> import graphc
        >>> change = graphc.compile("log(exp(x) + exp(y))").change(1)
        >>> change.firing.rule, [node.op.name for node in change.added]
        ('log_of_sum_of_two_exponentials', ['logaddexp'])
        """
        from graphc.changes import change_by_firing, change_by_pipeline

        variables, options = named_variables(self.graph, self.variables), self.provenance.options
        conventions, reassociate = options.conventions, options.reassociate
        if number is None:
            written = self.joint.graph if self.losses else self.graph
            return change_by_pipeline(written, self.graph, self.losses, variables, conventions, reassociate=reassociate)
        if not 1 <= number <= len(self.rewrites):
            there = f"a rewrite from 1 to {len(self.rewrites)}" if self.rewrites else "no number, for no rule fired"
            raise ValueError(f"expected {there}, found {number}")
        return change_by_firing(self.graph, self.losses, variables, number, conventions, reassociate=reassociate)

    def report(self, path: str | os.PathLike[str], /, *points: Mapping[str, Any] | Evaluated, **values: Any) -> Path:
        """Write the step-through report: one HTML page that shows model, graph, module and mathematics step by step.

        Parameters
        ----------
        path : str or path
        *points : mapping, or what `at` gives
            Values of inputs and parameters; several are several sets of values in the page. Without any, names take the
            place of numbers.
        **values
            Values that all the mappings share, or the only point.

        Raises
        ------
        ValueError
            As `at`.
        GraphcError
            When the graph is too large, or what lays out pictures or colours code is not installed.
        """
        return self.show(*points, **values).write(path)

    def show(self, /, *points: Mapping[str, Any] | Evaluated, **values: Any) -> Page:
        """The step-through report as an object that notebooks show in a frame; see `report`."""
        from graphc.evaluated import Evaluated
        from graphc.report import page_of

        given = points or (({},) if values else ())
        evaluated = [point if isinstance(point, Evaluated) else self.at({**values, **point}) for point in given]
        drawn = self.joint if self.losses else self.graph
        if any(at.graph is not (drawn.graph if isinstance(drawn, Joint) else drawn) for at in evaluated):
            raise ValueError("expected points of this model, found one of another")
        return page_of(self.source, self.name, drawn, self.source_text, evaluated)

    def __repr__(self) -> str:
        wrt = f", d({', '.join(self.losses)}) wrt {len(self.variables)} variables" if self.losses else ""
        return f"<graphc model {self.name}: {len(self.graph.nodes)} nodes{wrt}>"

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        """For notebooks: the picture of the graph and its gradient, the listing where there are no pictures."""
        return dict(self._mime_bundle)

    @cached_property
    def _mime_bundle(self) -> dict[str, str]:
        from graphc.backends.notebook import mime_bundle

        return mime_bundle(repr(self), self.graph, lambda: self._drawn({}), self.name)

    def _call(self, function: str, /, *args: Any, **kwargs: Any) -> Any:
        found = getattr(self.module, function, None)
        if found is None:
            reason = _LACKING.get(function, "it was compiled without a scalar loss")
            raise AttributeError(f"the module of {self.name} has no {function}(): {reason}")
        taken = {name: value for name, value in kwargs.items() if name not in self.idle}
        return found(*args, **{self._arguments.get(name, name): value for name, value in taken.items()})

    @cached_property
    def _arguments(self) -> dict[str, str]:
        """What the module calls inputs whose names Python has other uses for."""
        from graphc.backends.numpy_module import argument_names

        return argument_names(self.graph)


class Requested(TypedDict):
    """What a module has on request, as options."""

    with_: tuple[str, ...]
    optimizer: Optimizer | None


def requested_extras(with_: Sequence[str], optimizer: str | Optimizer | None) -> Requested:
    """What the module has on request: with an optimiser ``train_step``, and with that an optimiser."""
    extras = checked_extras(with_)
    if optimizer is not None:
        extras = checked_extras([*extras, "train_step"])
    return {"with_": extras, "optimizer": chosen_optimizer(optimizer) if "train_step" in extras else None}


_LACKING = {
    "init_params": "it has no parameters",
    **dict.fromkeys(("init_state", "train_step"), "it was compiled without an optimiser"),
    "averaged_params": "it was compiled without an optimiser that keeps averages, such as adam(average=0.99)",
}


def _laid_out(layout: Layout, values: Mapping[str, Any]) -> Any:
    if isinstance(layout, str):
        return values[layout]
    if isinstance(layout, tuple):
        return tuple(_laid_out(part, values) for part in layout)
    return {name: _laid_out(part, values) for name, part in layout.items()}


def _as_float64(value: Any) -> Any:
    import numpy as np

    array = np.asarray(value)
    return array.astype(np.float64) if array.dtype.kind == "f" else value
