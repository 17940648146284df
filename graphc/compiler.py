"""`compile`: front end → passes → back end, and `Model`, the object that users hold."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from graphc.atomic import write_atomic
from graphc.autodiff import Joint, differentiate
from graphc.diagnostics import Diagnostic
from graphc.errors import GraphcError, GraphcWarning
from graphc.extras import KINDS, output_of, requested
from graphc.frontends.files import decoded
from graphc.frontends.session import MAX_TEXT
from graphc.frontends.text import Parsed, parse_model
from graphc.gradient_check import GradientReport, check_gradient
from graphc.graph import Graph, Node
from graphc.op import Conventions
from graphc.optimizer import Optimizer, chosen_optimizer
from graphc.passes import Compiled, expand_gradients, run_pipeline
from graphc.products import Layout, whole_layout
from graphc.provenance import Options, Provenance, checked_conventions, checked_dtype, checked_extras, digest_of
from graphc.size import size_names
from graphc.source import Source, Span
from graphc.targets import losses_of, named_variables, variables_of
from graphc.tensor_type import DType
from graphc.training_step import TrainingStep, training_step

VERSION = "0.1.0"

if TYPE_CHECKING:
    from types import ModuleType

    import numpy as np
    import sympy

    from graphc.backends.dot import Look
    from graphc.backends.numpy_derivatives import DerivativeFunction
    from graphc.changes import Change
    from graphc.derivation import Derivation
    from graphc.evaluated import Evaluated
    from graphc.report import Page
    from graphc.rewrite.engine import Firing


def compile(
    source: str | os.PathLike[str] | Callable[..., Any] | sympy.Basic | sympy.MatrixBase | Model,
    *,
    loss: str | Sequence[str] | None = None,
    wrt: str | Sequence[str] | None = None,
    dtype: DType = "float64",
    gradient: bool = True,
    training: bool = True,
    conventions: Conventions = "graphc",
    with_: Sequence[str] = (),
    of: str | None = None,
    sizes: Mapping[str, int] | None = None,
    optimizer: str | Optimizer | None = None,
) -> Model:
    """Compile a model to NumPy functions and their gradients.

    Parameters
    ----------
    source : str, path, callable, SymPy expression or matrix, or Model
        A file (a path, or a str that ends in ``.gc``), model text, or one expression; a Python function, which is run
        once on graph values; a SymPy expression, whose symbols are scalar inputs. A model is given back as it is.
    loss : str or sequence of str, optional
        The scalar output to differentiate: by default the one called ``loss``, else the only scalar output. A sequence
        names outputs of any shape, of which ``backward`` takes a cotangent each.
    wrt : str or sequence of str, optional
        What to differentiate with respect to: by default the parameters, or the float inputs of a model without any.
        Any named value of the model will do.
    dtype : {"float64", "float32"}
        The model's float type, for which the module is documented; modules compute in the type that they are given.
    gradient : bool
        Whether to differentiate at all.
    training : bool
        What the static name ``training`` is in the model: False for a module that predicts, without dropout. In a
        Python function, an argument of that name that has a default is it too, and off when either is.
    conventions : {"graphc", "torch", "jax"}
        Whose choice of derivative holds where a function has none, such as abs at 0; the module's header says what
        applies.
    with_ : sequence of str
        What else the module has: ``flat`` (``pack``, ``unpack`` and ``value_and_grad_flat``, for optimisers that want
        one vector), ``train_step`` (with ``init_state``: a step of training), ``check`` (a test of its gradient, which
        ``python module.py`` runs), ``graph`` (the graph, for `load`), and derivatives, each a function of its name:
        ``jvp``, ``vjp``, ``jacobian``, ``value_and_jacobian``, ``sparse_jacobian``, ``gauss_newton`` of an output,
        ``hvp``, ``hessian``, ``value_grad_hessian`` of the loss.
    of : str, optional
        The output that those of an output are of: the loss, or the only output, unless told.
    sizes : mapping of str to int, optional
        Numbers for free sizes, for which the module then is: ``sparse_jacobian`` needs all of them.
    optimizer : str or Optimizer, optional
        What makes the steps of ``train_step``: a name or a call, such as ``"adam"`` or ``"momentum(lr=0.1)"``; Adam
        unless given. With it the module has ``train_step``, asked for or not.

    Raises
    ------
    GraphcError
        With every error of the model that could be found, each with its place.

    Warns
    -----
    GraphcWarning
        For an unused input, a gradient that is zero everywhere; also in ``Model.warnings``.

    Examples
    --------
    >>> m = compile("(x + y) * z")
    >>> value, grads = m.value_and_grad(x=2, y=3, z=4)
    >>> print(value, *grads.values())
    20.0 4.0 4.0 5.0
    """
    if isinstance(source, Model):
        return source
    dtype = checked_dtype(dtype)
    for name, number in (sizes or {}).items():
        if type(number) is not int or number < 0:
            message = f"expected a whole number for the size {name}, found {number!r}"
            raise GraphcError(Diagnostic("GC204", message))
    text, parsed = _parsed(source, dtype, {"training": training, **(sizes or {})})
    if sizes:
        _check_sizes(source, text, dtype, sizes)
    if loss is None and text.name == "<sympy>":
        # The transposed Jacobian of a matrix is asked for by a cotangent.
        loss = [name for name, node in parsed.graph.outputs.items() if node.tensor.shape] or None
    options = Options(
        loss=loss if isinstance(loss, str) or loss is None else tuple(loss),
        wrt=(wrt,) if isinstance(wrt, str) else None if wrt is None else tuple(wrt),
        dtype=dtype,
        gradient=gradient,
        training=training,
        conventions=checked_conventions(conventions),
        of=of,
        sizes=tuple((sizes or {}).items()),
        **_extras(with_, optimizer),
    )
    model = compile_graph(parsed.graph, text, options, digest_of(text.text), parsed.warnings)
    for warning in model.warnings:
        warnings.warn(GraphcWarning(warning), stacklevel=2)
    return model


def compile_graph(
    graph: Graph, source: Source, options: Options, digest: str, found: tuple[Diagnostic, ...] = ()
) -> Model:
    """Compile a raw graph, with the digest of the text that it is from and what reading that has found."""
    losses = losses_of(graph, source, _asked_losses(graph, options)) if options.gradient else ()
    if options.of is not None:
        losses_of(graph, source, [options.of])
    variables = variables_of(graph, source, options.wrt, losses) if options.gradient else {}
    compiled = run_pipeline(graph, losses, variables, options.conventions)
    found = (*found, *_zero_warnings(graph, compiled.zero, losses))
    leaves = {*graph.inputs, *graph.params}
    moved = {name: node for name, node in variables.items() if node in leaves}
    provenance = Provenance(VERSION, source.name, digest, options)
    return Model(source, graph, found, losses, tuple(variables), compiled, provenance, moved)


def model(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Compile a Python function, as a decorator: it runs once, on graph values, and the name becomes its `Model`.

    Parameters
    ----------
    function : callable
        Its annotations declare inputs (``gx.f64["N", 3]``) and parameters (``gx.param[3] = gx.zeros()``). An argument
        without one is a float scalar, with a default besides it is static. What it returns is the output, or a tuple, a
        NamedTuple or a dict of outputs.
    **options
        As of `compile`: ``@graphc.model(wrt=["x"])``.

    Raises
    ------
    GraphcError
        At the line of the function.

    Examples
    --------
    >>> import graphc as gx
    >>> @gx.model
    ... def loss(X: gx.f64["N", 3], w: gx.param[3] = gx.zeros()):
    ...     return gx.mean((X @ w - 1) ** 2)
    >>> value, gradients = loss.value_and_grad(loss.init_params(), X=[[1.0, 2.0, 3.0]])
    >>> print(value, gradients["w"])
    1.0 [-2. -4. -6.]
    """
    if function is None:
        return partial(model, **options)
    return compile(function, **options)


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

    @property
    def name(self) -> str:
        """The name of the source, without its ending."""
        return Path(self.source.name).stem.strip("<>")

    @property
    def rewrites(self) -> tuple[Firing, ...]:
        """The rules that fired and the guards of gradients, and where."""
        return self.compiled.firings

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
        from graphc.backends.numpy_module import Program, emit_module

        return emit_module(
            Program(
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
            )
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
            dtype=options.dtype,
        )

    def _derivatives(self) -> list[DerivativeFunction]:
        options = self.provenance.options
        variables = named_variables(self.graph, self.variables)
        return requested(self.graph, self.losses, variables, options.of, options.with_, options.conventions)

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

        Examples
        --------
        >>> print(compile("(x + y) * z")(x=2, y=3, z=4))
        20.0
        """
        from graphc.frontends.traced_models import call_traced, on_graph_values

        if on_graph_values(args, inputs):
            values = call_traced(self, self.name, self.graph, args, inputs)
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

    def with_extras(self, with_: Sequence[str] = (), optimizer: str | Optimizer | None = None) -> Model:
        """The same model with more in its module; arguments as in `compile`."""
        before = self.provenance.options
        options = replace(before, **_extras([*before.with_, *with_], optimizer or before.optimizer))
        return self if options == before else replace(self, provenance=replace(self.provenance, options=options))

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
        >>> compile("sin(x) * y").check_grad(x=0.3, y=2.0).ok
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
        >>> at = compile("((x + y) + (x * y)) * z").at(x=2, y=3, z=4)
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
        >>> print(compile("sin(x * y)").derive("x"))
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
            return closed_forms(self.compiled.value_and_grad, self.losses[0], self.variables)
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
        >>> compile("x ** 2 * y").to_sympy(), compile("x ** 2 * y").to_sympy("d_x")
        (x**2*y, 2*x*y)
        """
        import sympy

        from graphc.backends.sympy_expression import to_sympy

        known = [*self.graph.outputs, *(f"d_{name}" for name in self.variables)]
        name = output or (self.losses or known)[0]
        if name not in known or (output is None and len(self.losses) != 1 and len(known) != 1):
            raise ValueError(f"expected one of {', '.join(known)}, found {output}")
        if name in self.graph.outputs:
            return to_sympy(self.graph, name)
        gradient = self.compiled.value_and_grad
        if gradient is None:
            raise ValueError("expected a scalar loss for a derivative, found none")
        seeds = {f"d_{loss}": sympy.Integer(1) for loss in self.losses}
        return to_sympy(gradient, name, seeds)

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
        >>> change = compile("log(exp(x) + exp(y))").change(1)
        >>> change.firing.rule, [node.op.name for node in change.added]
        ('log_of_sum_of_two_exponentials', ['logaddexp'])
        """
        from graphc.changes import change_by_firing, change_by_pipeline

        variables, conventions = named_variables(self.graph, self.variables), self.provenance.options.conventions
        if number is None:
            written = self.joint.graph if self.losses else self.graph
            return change_by_pipeline(written, self.graph, self.losses, variables, conventions)
        if not 1 <= number <= len(self.rewrites):
            raise ValueError(f"expected a rewrite from 1 to {len(self.rewrites)}, found {number}")
        return change_by_firing(self.graph, self.losses, variables, number, conventions)

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
        return found(*args, **{self._arguments.get(name, name): value for name, value in kwargs.items()})

    @cached_property
    def _arguments(self) -> dict[str, str]:
        """What the module calls inputs whose names Python has other uses for."""
        from graphc.backends.numpy_module import argument_names

        return argument_names(self.graph)


class _Extras(TypedDict):
    with_: tuple[str, ...]
    optimizer: Optimizer | None


def _extras(with_: Sequence[str], optimizer: str | Optimizer | None) -> _Extras:
    """What the module has on request: with an optimiser ``train_step``, and with that an optimiser."""
    extras = checked_extras(with_)
    if optimizer is not None:
        extras = checked_extras([*extras, "train_step"])
    return {"with_": extras, "optimizer": chosen_optimizer(optimizer) if "train_step" in extras else None}


_LACKING = {
    "init_params": "it has no parameters",
    **dict.fromkeys(("init_state", "train_step"), "it was compiled without an optimiser"),
}


def _parsed(source: Any, dtype: DType, static: Mapping[str, object]) -> tuple[Source, Parsed]:
    """What the front end of a source gives."""
    # SymPy takes long to import, and who has an expression has imported it.
    sp = sys.modules.get("sympy")
    if sp is not None and isinstance(source, (sp.Basic, sp.MatrixBase)):
        from graphc.frontends.sympy_expr import parse_sympy

        return parse_sympy(source, float_dtype=dtype)
    if isinstance(source, (str, os.PathLike)):
        text, folder = _read(source)
        return text, parse_model(text, folder=folder, float_dtype=dtype, static=static)
    from graphc.frontends.tracing import trace_function

    return trace_function(source, float_dtype=dtype, static=static)


def _read(source: str | os.PathLike[str]) -> tuple[Source, Path | None]:
    if isinstance(source, str) and not source.endswith(".gc"):
        return Source("<model>", source), None
    path = Path(source)
    try:
        with path.open("rb") as file:
            return Source(path.name, decoded(file, MAX_TEXT)), path.parent
    except OSError as fault:
        reason = (fault.strerror or str(fault)).lower()
        message = f"expected a model file at {path}, found none: {reason}"
        raise GraphcError(Diagnostic("GC402", message)) from None
    except UnicodeDecodeError as fault:
        message = f"expected UTF-8 text in {path}, found byte 0x{fault.object[fault.start]:02x} at {fault.start}"
        raise GraphcError(Diagnostic("GC402", message)) from None


def _asked_losses(graph: Graph, options: Options) -> str | Sequence[str] | None:
    """What to differentiate: where no output is a scalar and derivatives of one are asked for, that one."""
    scalar = any(not node.tensor.shape and node.tensor.is_float for node in graph.outputs.values())
    if options.loss is not None or scalar or not set(KINDS).intersection(options.with_):
        return options.loss
    output = output_of(graph, (), options.of)
    return None if output is None else [output]


def _check_sizes(given: Any, source: Source, dtype: DType, sizes: Mapping[str, int]) -> None:
    """Refuse numbers for what is no free size: the model, read once more without any, has the free ones."""
    try:
        graph = _parsed(given, dtype, {})[1].graph
    except GraphcError:
        # Only with numbers do its shapes fit.
        return
    leaves = (*graph.inputs, *graph.params)
    free = dict.fromkeys(name for node in leaves for size in node.tensor.shape for name in size_names(size))
    if unknown := [name for name in sizes if name not in free]:
        listed = ", ".join(free) or "none"
        message = f"expected one of the model's free sizes, found no {', '.join(unknown)}; there are {listed}"
        raise GraphcError(Diagnostic("GC101", message, Span(source, 1, 1, 1, 2)))


def _zero_warnings(graph: Graph, names: Sequence[str], losses: Sequence[str]) -> Iterator[Diagnostic]:
    nodes = named_variables(graph, names)
    for name in names:
        span = next(iter(graph.spans.get(nodes[name], ())), None)
        message = f"the gradient of {losses[0]} with respect to {name} is zero: all paths are piecewise constant"
        yield Diagnostic("GC602", message, span, severity="warning")


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
