"""``@gradient_of(f)``: at each call of f its rule is read too, on a cotangent to come, and cut out as a graph."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from graphc.autodiff import differentiable_operands
from graphc.builder import Builder
from graphc.frontends.definitions import returned
from graphc.frontends.scopes import unused_name
from graphc.frontends.session import Session, failure, place_of
from graphc.frontends.values import Arguments, Call, Frame, Function, Returned, Steps, Task, describe
from graphc.gradient_rules import custom_op
from graphc.graph import Graph, Node
from graphc.passes import stabilise
from graphc.source import Span
from graphc.tensor_type import TensorType
from graphc.value import Value


def give_gradient(session: Session, rule: Function, frame: Frame) -> Steps:
    """Give a function the rule that stands below ``@gradient_of(function)``."""
    (decorator,) = rule.definition.decorator_list
    assert isinstance(decorator, ast.Call)
    target = yield Task(decorator.args[0], frame)
    if not isinstance(target, Function) or target.frame is None:
        found = f"the library's {target.name}" if isinstance(target, Function) else describe(target)
        message = f"expected a function that this model defines in @gradient_of, found {found}"
        raise failure("GC306", message, decorator.args[0], frame)
    if target.gradient is not None:
        related = ((place_of(target.gradient.definition, frame).spans[-1], "its first"),)
        raise failure("GC306", f"{target.name} has a gradient rule already", decorator, frame, related=related)
    if target in session.called:
        related = ((session.called[target], f"{target.name} is called here"),)
        message = f"{target.name} is called before its gradient rule: expected the rule right below the function"
        raise failure("GC306", message, decorator, frame, related=related)
    check_parameters(target.name, target.parameters, rule.name, rule.parameters, rule.definition, frame)
    target.gradient = rule
    return None


def check_parameters(
    name: str, arguments: Sequence[str], rule: str, parameters: Sequence[str], node: ast.AST, frame: Frame
) -> None:
    """A rule takes the cotangent and the arguments, and may take the result."""
    if len(parameters) - len(arguments) not in (1, 2):
        takes = ", ".join(["d", *arguments])
        message = (
            f"expected {rule}({takes}), or with the result of {name} as one more, found {len(parameters)} parameters"
        )
        raise failure("GC306", message, node, frame)


def call_with_rule(
    session: Session, function: Function, bound: Mapping[str, object], value: object, arguments: Arguments
) -> Steps:
    """The result of a call of a function that has a rule: what it computed, with the rule as its gradient."""
    rule = function.gradient
    assert rule is not None
    if function in session.ruled:
        message = f"the gradient of {function.name} calls {function.name}: expected the result as its last parameter"
        raise failure("GC306", message, arguments.node, arguments.frame)
    opened = open_rule(session, function.name, rule.name, bound, value, arguments.node, arguments.frame)
    if opened is None:
        return value
    outer = arguments.frame.call
    spans = place_of(arguments.node, arguments.frame).spans
    scope = (*outer.scope, unused_name(outer, rule.name))
    is_users = rule.frame is not None
    inner = Call(rule.source, rule.name, spans, scope, named=is_users)
    names = dict(zip(rule.parameters, opened.rule_arguments, strict=False))
    session.ruled.add(function)
    try:
        result = yield Task(rule.definition.body, Frame(names, inner, rule.frame))
    finally:
        session.ruled.discard(function)
    given = result.value if isinstance(result, Returned) else None
    place = Frame({}, Call(rule.source) if is_users else inner)
    return close_rule(session, opened, given, returned(rule.definition), place)


@dataclass(frozen=True, slots=True, eq=False)
class OpenRule:
    """A rule that is read: for which call, and from what."""

    function: str
    rule: str
    arguments: Mapping[str, object]
    value: Value
    ct: Value
    result: Value
    declared: int
    node: ast.AST
    frame: Frame

    @property
    def rule_arguments(self) -> tuple[object, ...]:
        """The cotangent, the arguments, the result."""
        return self.ct, *self.arguments.values(), self.result

    @property
    def related(self) -> tuple[tuple[Span, str], ...]:
        """What an error says of the call."""
        return ((place_of(self.node, self.frame).spans[0], f"for this call of {self.function}"),)

    @property
    def differentiable(self) -> dict[str, Value]:
        """The arguments that may get a cotangent."""
        return _float_tensors(self.arguments)


def open_rule(
    session: Session,
    function: str,
    rule: str,
    arguments: Mapping[str, object],
    value: object,
    node: ast.AST,
    frame: Frame,
) -> OpenRule | None:
    """Begin a rule for what a function computed; None when no argument is a float tensor."""
    tensors = _float_tensors(arguments)
    if not tensors:
        return None
    if not (isinstance(value, Value) and _is_float_tensor(value.node)):
        message = f"expected {function}, which has a gradient rule, to return one float tensor, found {describe(value)}"
        raise failure("GC306", message, node, frame)
    session.check_own([value, *tensors.values()], node, frame)
    builder = session.builder
    missed = _leaf_beside(builder, value.node, {tensor.node for tensor in tensors.values()})
    if missed is not None:
        name = next(iter(builder.names.get(missed, ())), "a value")
        message = (
            f"the gradient rule of {function} is for its arguments: expected {name}, which {function} also computes"
            " from, among them, or in stop_gradient"
        )
        raise failure("GC306", message, node, frame)
    ct, result = builder.placeholder(value.type), builder.placeholder(value.type)
    return OpenRule(function, rule, arguments, value, ct, result, len(builder.params), node, frame)


def close_rule(session: Session, opened: OpenRule, given: object, node: ast.AST, place: Frame) -> Value:
    """The call's result with the rule's cotangents, which were given at a place, as its gradient."""
    builder, tensors = session.builder, opened.differentiable
    if len(builder.params) > opened.declared:
        message = f"expected no parameters in the gradient rule {opened.rule}, found a declaration"
        raise failure("GC306", message, node, place, related=opened.related)
    found = {}
    for name, cotangent, part in _paired(opened, given, node, place):
        if name in tensors and cotangent is not None:
            found[name] = _checked(session, opened, name, cotangent, part, place)
    if not found:
        message = f"expected a cotangent for {' or '.join(tensors)} from {opened.rule}, found none"
        raise failure("GC306", message, node, place, related=opened.related)
    graph, captured = _cut_out(builder, opened, found)
    op = custom_op(opened.function, stabilise(graph, {})[0])
    operands = [opened.value, *tensors.values(), *map(builder.value, captured)]
    return session.apply(opened.node, opened.frame, op, operands)


def _paired(opened: OpenRule, given: object, node: ast.AST, place: Frame) -> Iterator[tuple[str, object, ast.AST]]:
    """Names of arguments, each with its cotangent: one for each argument, or for each that is a float tensor."""
    cotangents = given if isinstance(given, (tuple, list)) else (given,)
    parts: Sequence[ast.AST] = [node] * len(cotangents)
    if isinstance(node, (ast.Tuple, ast.List)) and len(node.elts) == len(cotangents):
        parts = node.elts
    for names in (list(opened.arguments), list(opened.differentiable)):
        if len(names) == len(cotangents):
            return iter(zip(names, cotangents, parts, strict=True))
    message = f"expected a cotangent each for {', '.join(opened.arguments)} from {opened.rule}, found {len(cotangents)}"
    raise failure("GC306", message, node, place, related=opened.related, hint="None stands for no gradient")


def _checked(session: Session, opened: OpenRule, name: str, cotangent: object, node: ast.AST, place: Frame) -> Value:
    type = opened.differentiable[name].type
    if isinstance(cotangent, (int, float)) and not type.shape:
        return session.builder.constant(float(cotangent), type.dtype)
    value = session.size_value(node, place, cotangent)
    if value is None or value.node.type != type:
        kind = describe(cotangent) if value is None else f"one {value.node.type}"
        message = f"expected a cotangent {type} for {name}, like {name} itself, found {kind}"
        raise failure("GC306", message, node, place, related=opened.related)
    return value


def _leaf_beside(builder: Builder, value: Node, arguments: set[Node]) -> Node | None:
    """An input or parameter that a value is differentiably computed from, but not through the arguments."""
    seen, stack = {value}, [value]
    while stack:
        node = stack.pop()
        if node in arguments:
            continue
        if node.op.name in ("input", "param"):
            return node
        operands = builder.operands(node)
        below = [operands[p] for p in differentiable_operands(node, operands) if operands[p] not in seen]
        seen.update(below)
        stack += below
    return None


def _cut_out(builder: Builder, opened: OpenRule, cotangents: Mapping[str, Value]) -> tuple[Graph, list[Node]]:
    """The graph of a rule, and what else of the model it reads, which are further inputs of it."""
    tensors = {name: value.node for name, value in opened.differentiable.items()}
    edge, start = {opened.ct.node, opened.result.node, *tensors.values()}, opened.ct.node.serial
    read = _read(builder, [value.node for value in cotangents.values()], edge, start)
    captured = [node for node in read if node.serial < start and node not in edge]
    taken = set(tensors)
    inputs = [(_unused("d", taken), opened.ct.node), (_unused("result", taken), opened.result.node), *tensors.items()]
    inputs += [(_unused(next(iter(builder.names.get(node, ())), "captured"), taken), node) for node in captured]
    rule = Builder(float_dtype=builder.float_dtype)
    mapping: dict[Node, Node] = {}
    for name, node in inputs:
        mapping[node] = rule.input(name, node.tensor).node
    for node in read:
        if node not in mapping:
            with rule.at(tuple(builder.spans.get(node, ())), tuple(builder.scopes.get(node, ()))):
                operands = tuple(mapping[operand] for operand in builder.operands(node))
                mapping[node] = rule.make(node.op, operands, node.attrs, node.type)
            rule.name(mapping[node], *builder.names.get(node, ()))
    return rule.finish({f"d_{name}": mapping[value.node] for name, value in cotangents.items()}), captured


def _read(builder: Builder, roots: Sequence[Node], edge: set[Node], start: int) -> list[Node]:
    """What nodes are computed from, in order, down to an edge and to what was there before."""
    seen, stack = set(roots), list(roots)
    while stack:
        node = stack.pop()
        if node in edge or node.serial < start:
            continue
        below = [operand for operand in builder.operands(node) if operand not in seen]
        seen.update(below)
        stack += below
    return sorted(seen, key=lambda node: node.serial)


def _unused(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def _float_tensors(arguments: Mapping[str, object]) -> dict[str, Value]:
    """The arguments that a gradient could reach; saved arrays are numbers too."""
    return {
        name: value
        for name, value in arguments.items()
        if isinstance(value, Value) and _is_float_tensor(value.node) and value.node.op.name not in _CONSTANT
    }


def _is_float_tensor(node: Node) -> bool:
    return isinstance(node.type, TensorType) and node.type.is_float


_CONSTANT = ("const", "size", "array")
