"""The NumPy back end: a compiled program in, one module out as text that needs NumPy alone."""

from __future__ import annotations

import hashlib
import linecache
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType

from graphc.autodiff import gradient_names
from graphc.backends.graph_text import graph_text
from graphc.backends.numpy_backward import backward_body, backward_function
from graphc.backends.numpy_check import MAIN, check_function
from graphc.backends.numpy_derivatives import DerivativeFunction, derivative_function
from graphc.backends.numpy_flat import FLAT_NAMES, Residuals, flat_functions
from graphc.backends.numpy_function import (
    EntryFunction,
    Results,
    Scope,
)
from graphc.backends.numpy_header import (
    array_constant,
    conventions_of,
    function_docstring,
    initializer_lines,
    keys_text,
    listed,
    literal_text,
    module_docstring,
    table_lines,
)
from graphc.backends.numpy_layout import expression_lines, joined_lines
from graphc.backends.numpy_lines import dict_lines
from graphc.backends.numpy_names import USED_BUILTINS, Names
from graphc.backends.numpy_runtime import copied_functions, runtime_names
from graphc.backends.numpy_spelling import Spelling
from graphc.backends.numpy_statements import Body
from graphc.backends.numpy_training import TRAINING_NAMES, state_table, training_functions
from graphc.backends.numpy_work import KEPT, is_wide, state_lines
from graphc.backends.regions import Optimize
from graphc.collector import collector_paused
from graphc.diagnostics import Diagnostic
from graphc.errors import GraphcError
from graphc.graph import Graph, Node, subgraphs
from graphc.op import OPS, Conventions
from graphc.partition import Split, reached
from graphc.size import size_names
from graphc.tensor_type import TensorType
from graphc.training_step import TrainingStep


@dataclass(frozen=True, eq=False)
class Program:
    """What a module is made of.

    Attributes
    ----------
    name : str
    provenance : str
        Where the module comes from, in a line of its header.
    raw : Graph
        The model as written: its signature, types, places, and what its ops ask of sizes and labels.
    outputs : mapping of str to Graph
        For each output a graph of what it needs.
    split : Split, optional
        Forward and backward; without it neither is written.
    value_and_grad : Graph, optional
        The loss, then the gradient by each variable.
    losses : tuple of str
        The outputs that are differentiated.
    variables : tuple of str
        What they are differentiated with respect to.
    conventions : {"graphc", "torch", "jax"}
        Whose derivatives hold at kinks, for the header.
    together : Graph, optional
        All outputs, for a program without gradient.
    extras : sequence of str
        What the module has on request beside derivatives: ``flat``, ``train_step``, ``check``, ``graph``.
    derivatives : sequence of DerivativeFunction
        The derivatives that it has on request.
    moved : mapping of str to Node
        The variables that are inputs or parameters of ``raw``, for the extras that move them.
    training : TrainingStep, optional
        One step, for ``train_step``.
    optimize : {"readable", "speed"}
        Whether functions compute by blocks of rows where that is quicker.
    reassociate : bool
        Whether sums and products are regrouped where that may lose digits; the docstring says so.
    """

    name: str
    provenance: str
    raw: Graph
    outputs: Mapping[str, Graph]
    split: Split | None = None
    value_and_grad: Graph | None = None
    losses: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    conventions: Conventions = "graphc"
    together: Graph | None = None
    extras: Sequence[str] = ()
    derivatives: Sequence[DerivativeFunction] = ()
    moved: Mapping[str, Node] = field(default_factory=dict)
    training: TrainingStep | None = None
    optimize: Optimize = "readable"
    reassociate: bool = False

    @property
    def gradients(self) -> dict[str, str]:
        """From variables to what their gradients are called among the outputs of a graph."""
        return gradient_names(self.raw.outputs, self.variables)


PASSED = ("# Layouts of arguments that fitted, with what their labels stay below.", "_PASSED = {}")
"""What the entry check remembers."""
GRAPH = "_GRAPH"
"""The name of the graph's text in modules that carry it."""


@collector_paused()
def emit_module(program: Program) -> str:
    """The text of the module of a program; the same for the same program, always.

    Examples
    --------
    >>> from graphc.builder import Builder
    >>> from graphc.tensor_type import TensorType
    >>> b = Builder()
    >>> x = b.input("x", TensorType("float64"))
    >>> graph = b.finish({"f": (x * x + 1.0).node})
    >>> text = emit_module(Program("square", "By hand.", graph, {"f": graph}))
    >>> load_module(text, "square").f(3.0)
    np.float64(10.0)
    """
    scope = _scope(program)
    functions = [*_functions(program, scope), *_extra_functions(program, scope)]
    tables = table_lines("_INPUTS", scope.raw, scope.raw.inputs, scope.arguments)
    if program.raw.params:
        tables += ["", *table_lines("_PARAMS", scope.raw, scope.raw.params, {})]
    constants = [line for array, name in scope.arrays.items() for line in array_constant(name, array)]
    helpers = copied_functions([line for block in (*functions, constants) for line in block])
    outputs = _outputs_class(program) if program.split or program.together else []
    blocks = [*([outputs] if outputs else []), *functions]
    if program.training:
        tables += ["", *state_table(program.training)]
    if program.raw.inputs or program.raw.params:
        blocks += [tables, [*PASSED]]
    blocks += [state] if (state := state_lines(functions)) else []
    kept = _has_wide_arrays(program, scope)
    blocks += [[*KEPT]] if kept else []
    blocks += helpers
    # A saved array is made when the module is loaded, after the function that makes it.
    blocks += [constants] if constants else []
    blocks += [[f"{GRAPH} = {literal_text(graph_text(program.raw))}"]] if "graph" in program.extras else []
    blocks += [MAIN] if "check" in program.extras else []
    conventions = conventions_of(program.raw, program.losses, program.variables, program.conventions)
    styles = (program.optimize, program.reassociate)
    doc = module_docstring(program.raw, program.provenance, conventions, _lacking(program), *styles)
    standard = ["import base64"] if any("base64." in line for block in blocks for line in block) else []
    standard += ["import contextlib"] if kept else []
    standard += ["import math"] if any("math.isfinite(" in line for block in functions for line in block) else []
    standard += ["import sys"] if kept else []
    standard += ["from typing import NamedTuple"] if outputs else []
    imports = [*standard, *([""] if standard else []), "import numpy as np"]
    head = "\n".join([doc, "", *imports])
    return "\n\n\n".join([head, *("\n".join(block) for block in blocks)]) + "\n"


def _lacking(program: Program) -> str:
    if program.split is None and program.together is None:
        return "Compiled without gradient: a function for each output, nothing else."
    if program.split is None:
        return "A function for each output, and evaluate for all of them in one pass."
    if program.value_and_grad is None:
        return "There is no value_and_grad, because what is differentiated is not one scalar."
    return ""


def load_module(text: str, name: str) -> ModuleType:
    """A generated module, loaded in this process; tracebacks show its lines."""
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    filename = f"<graphc {name} {digest}>"
    module = ModuleType(name)
    module.__file__ = filename
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    exec(compile(text, filename, "exec"), vars(module))
    return module


def argument_names(raw: Graph) -> dict[str, str]:
    """What the inputs of a model are called as arguments: their names, unless Python has another use for them.

    Examples
    --------
    >>> from graphc.builder import Builder
    >>> from graphc.tensor_type import TensorType
    >>> b = Builder()
    >>> x = b.input("lambda", TensorType("float64"))
    >>> argument_names(b.finish({"f": x.node}))
    {'lambda': 'lambda_'}
    """
    names = Names(runtime_names(), builtins=USED_BUILTINS)
    return {str(node.attrs["name"]): names.take(str(node.attrs["name"])) for node in raw.inputs}


def function_names(outputs: Iterable[str]) -> dict[str, str]:
    """What the functions of outputs are called."""
    names = Names(runtime_names())
    return {name: names.take(name) for name in outputs}


def _scope(program: Program) -> Scope:
    raw = program.raw
    graphs = _graphs(program)
    arrays: dict[object, str] = {}
    names = Names(runtime_names())
    for graph in graphs:
        for node in graph.nodes:
            if node.op is OPS["array"] and node.attrs["array"] not in arrays:
                arrays[node.attrs["array"]] = names.take(f"_{graph.name(node) or 'array'}")
    sizes = {n: None for node in (*raw.inputs, *raw.params) for s in node.tensor.shape for n in size_names(s)}
    types = [node.type for node in (*raw.inputs, *raw.params, *raw.nodes) if getattr(node.type, "is_float", False)]
    return Scope(
        raw=raw,
        arguments=argument_names(raw),
        sizes=_size_names(sizes, argument_names(raw).values()),
        arrays=arrays,
        reserved=frozenset({*runtime_names(), *arrays.values()}),
        user_names=frozenset(_user_names(raw)),
        dtype=str(getattr(types[0], "dtype", "float64")) if types else "float64",
        speed=program.optimize == "speed",
        rows=_row_sizes(raw),
    )


def _graphs(program: Program) -> list[Graph]:
    """What the functions of a module compute."""
    graphs = [*program.outputs.values(), *([program.value_and_grad] if program.value_and_grad else [])]
    graphs += [program.together] if program.together else []
    graphs += [function.derivative.graph for function in program.derivatives]
    graphs += [program.training.graph] if program.training else []
    return [*graphs, *([program.split.forward, program.split.backward] if program.split else [])]


def _has_wide_arrays(program: Program, scope: Scope) -> bool:
    """Whether a module may make arrays that are large."""
    nodes = (node for graph in _graphs(program) for node in graph.nodes)
    return any(isinstance(node.type, TensorType) and is_wide(node.type, scope.rows) for node in nodes)


def _row_sizes(raw: Graph) -> frozenset[str]:
    """The named sizes that are numbers of rows of data: those of the first axes of inputs."""
    return frozenset(name for node in raw.inputs for size in node.tensor.shape[:1] for name in size_names(size))


def _user_names(raw: Graph) -> Iterator[str]:
    """The names in a model, also those in the steps of its scans."""
    pending = [raw]
    while pending:
        graph = pending.pop()
        yield from (name for found in graph.names.values() for name in found)
        pending += [step for node in graph.nodes for step in subgraphs(node)]


def _size_names(sizes: Iterable[str], taken: Iterable[str]) -> dict[str, str]:
    names = Names([*runtime_names(), *taken])
    return {name: names.take(name) for name in sizes}


def _functions(program: Program, scope: Scope) -> list[list[str]]:
    found: list[list[str]] = []
    if program.raw.params:
        found.append(initializer_lines(program.raw, scope.sizes, scope.dtype))
    names = function_names(program.outputs)
    found += [_output_function(scope, names[name], name, graph)[0] for name, graph in program.outputs.items()]
    if program.split:
        found += _two_halves(program, scope, program.split)
    if program.together:
        found.append(_together(scope, program.together))
    if program.value_and_grad:
        found.append(_value_and_grad(program, scope, program.value_and_grad))
    return found


def _extra_functions(program: Program, scope: Scope) -> list[list[str]]:
    """Derivatives on request, and what moves the variables.

    Raises
    ------
    GraphcError
        GC411 when the model has no such functions.
    """
    _refuse_taken_names(program)
    wanted = [extra for extra in ("flat", "train_step", "check") if extra in program.extras]
    for extra in wanted:
        if reason := _cannot(program, extra):
            raise GraphcError(Diagnostic("GC411", f"{extra} {reason}"))
    found = [derivative_function(scope, function) for function in program.derivatives]
    loss = program.losses[0] if program.value_and_grad else ""
    if "flat" in wanted:
        found += flat_functions(scope, loss, program.moved, program.derivatives, _residuals(program, scope))
    if program.training:
        found += training_functions(scope, loss, program.training)
    if "check" in wanted:
        found.append(check_function(scope, loss, program.moved, program.derivatives))
    return found


def _residuals(program: Program, scope: Scope) -> Residuals | None:
    """The function whose Jacobian the module has."""
    output = next((found.output for found in program.derivatives if "jacobian" in found.name), None)
    if output is None:
        return None
    function = function_names(program.outputs)[output]
    return Residuals(function, _output_function(scope, function, output, program.outputs[output])[1])


def _refuse_taken_names(program: Program) -> None:
    derivatives = [function.name for function in program.derivatives]
    added = {name: [name] for name in derivatives}
    added |= {"flat": [*FLAT_NAMES, *(f"{name}_flat" for name in derivatives)], "check": ["check"]}
    added |= {"train_step": [*TRAINING_NAMES]}
    outputs = function_names(program.outputs).values()
    for extra in (*derivatives, *(name for name in ("flat", "train_step", "check") if name in program.extras)):
        if taken := [name for name in added[extra] if name in outputs]:
            message = f"gives the module a function {taken[0]}, expected no output of this name, found one"
            raise GraphcError(Diagnostic("GC411", f"{extra} {message}"))


def _cannot(program: Program, extra: str) -> str:
    if program.value_and_grad is None and (extra == "train_step" or not program.derivatives):
        return "needs value_and_grad, expected one scalar loss, found none"
    if fixed := [name for name in program.variables if name not in program.moved]:
        return f"moves inputs and parameters, expected these to differentiate by, found {', '.join(fixed)}"
    return "" if program.moved else "moves inputs and parameters, expected a float to differentiate by, found none"


def _output_function(scope: Scope, function: str, name: str, graph: Graph) -> tuple[list[str], list[str]]:
    """The lines of the function of an output, and the inputs that it takes."""
    inputs = [str(node.attrs["name"]) for node in graph.inputs]
    entry = EntryFunction(scope, function, graph, inputs, reached(scope.raw, [scope.raw.outputs[name]]))
    result = entry.body.results(graph.outputs)[name]

    def returning(spelling: Spelling) -> list[str]:
        return expression_lines("return ", result, spelling)

    lines = entry.lines(function_docstring(f"The output {name}, {scope.raw.outputs[name].type}."), returning)
    return lines, entry.inputs


def _two_halves(program: Program, scope: Scope, split: Split) -> list[list[str]]:
    """``forward`` and ``backward``."""
    graph, raw = split.forward, program.raw
    entry = _forward_entry(program, scope, split)
    outputs = entry.body.results({name: graph.outputs[name] for name in raw.outputs})
    residuals = {name: entry.body.strong(graph.outputs[name]) for name in split.residuals}
    doc = function_docstring(_backward_doc(program))
    backward = backward_function(scope, split, _residual_names(entry, split), program.gradients, doc)

    def returning(spelling: Spelling) -> list[str]:
        fields = field_names(raw.outputs)
        values = [f"{fields[name]}={spelling(value)}" for name, value in outputs.items()]
        carried = [*(spelling(value) for value in residuals.values()), *(scope.sizes[n] for n in backward.sizes)]
        carried += [spelling.float_text] if backward.dtype else []
        held = f"({', '.join(carried)}{',' if len(carried) == 1 else ''})"
        line = joined_lines("return Outputs(", values, f"), {held}")
        if len(line) == 1:
            return line
        return [
            *joined_lines("residuals = (", carried, ",)" if len(carried) == 1 else ")"),
            *joined_lines("return Outputs(", values, "), residuals"),
        ]

    text = "The outputs, and what backward needs: references to arguments and results, no copies."
    return [entry.lines(function_docstring(text), returning, backward.sizes), backward.lines]


def _forward_entry(program: Program, scope: Scope, split: Split) -> EntryFunction:
    keep = [split.forward.outputs[name] for name in split.residuals]
    inputs = [str(node.attrs["name"]) for node in program.raw.inputs]
    # Residuals have the same names in backward, beside the cotangents that it takes.
    seeds = [f"d_{name}" for name in program.losses]
    return EntryFunction(scope, "forward", split.forward, inputs, program.raw.nodes, keep=keep, taken=seeds)


def _residual_names(entry: EntryFunction, split: Split) -> dict[str, str]:
    """What residuals are called in ``forward``, by their names in the split."""
    values = {name: entry.body.strong(split.forward.outputs[name]) for name in split.residuals}
    return {name: getattr(value, "id", name) for name, value in values.items()}


def _backward_doc(program: Program) -> str:
    cotangent = "its cotangent" if len(program.losses) == 1 else "their cotangents, None for zeros"
    keys = keys_text(program.raw, program.variables)
    return f"The gradient of {listed(program.losses)} for {cotangent}: a dict with {keys}."


def _value_and_grad(program: Program, scope: Scope, graph: Graph) -> list[str]:
    (loss,) = program.losses
    entry = _gradient_entry(program, scope, graph)
    results = entry.body.results(_loss_and_gradients(program, graph))
    value = results.pop("")

    def returning(spelling: Spelling) -> list[str]:
        return dict_lines(f"return {spelling(value)}, {{", results, spelling)

    doc = function_docstring(f"{loss} and its gradient, a dict with {keys_text(program.raw, program.variables)}.")
    return entry.lines(doc, returning)


def _gradient_entry(program: Program, scope: Scope, graph: Graph) -> EntryFunction:
    (loss,) = program.losses
    inputs = [str(node.attrs["name"]) for node in program.raw.inputs]
    source = reached(program.raw, [program.raw.outputs[loss]])
    results = Results([program.gradients])
    given = results if {*program.variables} <= program.moved.keys() else None
    return EntryFunction(scope, "value_and_grad", graph, inputs, source, forward=[loss], results=given)


def _loss_and_gradients(program: Program, graph: Graph) -> dict[str, Node]:
    """What is returned, the loss without a name."""
    gradients = {name: graph.outputs[output] for name, output in program.gradients.items()}
    return {"": graph.outputs[program.losses[0]], **gradients}


def _together(scope: Scope, graph: Graph) -> list[str]:
    entry = _together_entry(scope, graph)
    results = entry.body.results(graph.outputs)
    fields = field_names(graph.outputs)

    def returning(spelling: Spelling) -> list[str]:
        values = [f"{fields[name]}={spelling(value)}" for name, value in results.items()]
        return joined_lines("return Outputs(", values, ")")

    return entry.lines(function_docstring("All outputs in one pass."), returning)


def _together_entry(scope: Scope, graph: Graph) -> EntryFunction:
    inputs = [str(node.attrs["name"]) for node in scope.raw.inputs]
    return EntryFunction(scope, "evaluate", graph, inputs, scope.raw.nodes)


def function_bodies(program: Program) -> dict[str, tuple[Body, Mapping[str, Node]]]:
    """The statements of the functions that compute all outputs or the gradient, and what each returns."""
    scope = _scope(program)
    found: dict[str, tuple[Body, Mapping[str, Node]]] = {}
    if split := program.split:
        entry = _forward_entry(program, scope, split)
        found["forward"] = entry.body, {name: split.forward.outputs[name] for name in program.raw.outputs}
        body = backward_body(scope, split, _residual_names(entry, split)).body
        found["backward"] = body, {name: split.backward.outputs[d] for name, d in program.gradients.items()}
    if program.together:
        found["evaluate"] = _together_entry(scope, program.together).body, program.together.outputs
    if graph := program.value_and_grad:
        found["value_and_grad"] = _gradient_entry(program, scope, graph).body, _loss_and_gradients(program, graph)
    return found


def field_names(outputs: Iterable[str]) -> dict[str, str]:
    """What outputs are called in ``Outputs``, whose fields cannot start with an underscore."""
    names = Names(builtins=())
    return {name: names.take(name.lstrip("_") or "output") for name in outputs}


def _outputs_class(program: Program) -> list[str]:
    fields = field_names(program.raw.outputs)
    types = {name: node.tensor for name, node in program.raw.outputs.items()}
    kinds = {name: "ndarray" if type.shape else "generic" for name, type in types.items()}
    return [
        "class Outputs(NamedTuple):",
        '    """What the model computes."""',
        "",
        *(f"    {fields[name]}: np.{kinds[name]}  # {type}" for name, type in types.items()),
    ]
