"""Sums of products over chosen axes: einsum, whose derivatives are einsums again, and tensordot."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from string import ascii_letters
from typing import TYPE_CHECKING

import numpy as np

from graphc.errors import TypeRuleError
from graphc.numpy_text import call, fill, method
from graphc.op import OPS, Op, OpCall, Sample, define
from graphc.ops import batch_rules
from graphc.ops.axes import Apart, described, normalize_axis, quoted
from graphc.ops.operand_text import as_float
from graphc.size import Size, larger, nominal
from graphc.tensor_type import TensorType, product, promote

if TYPE_CHECKING:
    from graphc.value import Value

Pairs = tuple[tuple[int, ...], tuple[int, ...]]

_TERM = re.compile(r"[A-Za-z]*(\.\.\.)?[A-Za-z]*")


def _einsum_attrs(*operands: TensorType, spec: object) -> dict[str, object]:
    """The spec without spaces, its result written out."""
    if not isinstance(spec, str):
        raise TypeRuleError("GC203", f"einsum needs a text such as 'ij,jk->ik' first, got {quoted(spec)}")
    inputs, arrow, output = spec.replace(" ", "").partition("->")
    terms = inputs.split(",")
    if not all(_TERM.fullmatch(term) for term in (*terms, output)):
        raise TypeRuleError("GC203", f"einsum takes letters, commas, one -> and ..., got {quoted(spec)}")
    if len(terms) != len(operands):
        raise TypeRuleError("GC203", f"einsum {quoted(spec)} is of {len(terms)} operands, got {len(operands)}")
    if not arrow:
        output = "..." * ("..." in inputs) + "".join(sorted(a for a in ascii_letters if inputs.count(a) == 1))
    _refuse_output(spec, inputs, output)
    return {"spec": f"{inputs}->{output}"}


def _refuse_output(spec: str, inputs: str, output: str) -> None:
    letters = output.replace("...", "")
    for letter in letters:
        if letter not in inputs or letters.count(letter) > 1:
            problem = "twice in its result" if letter in inputs else "in its result, but in no operand"
            raise TypeRuleError("GC203", f"einsum {quoted(spec)} has {letter} {problem}")
    if ("..." in inputs) != ("..." in output):
        raise TypeRuleError("GC203", f"einsum {quoted(spec)} needs ... on both sides of the arrow, or on none")


def _labels(spec: str, operands: Sequence[TensorType]) -> tuple[list[str], str]:
    """A letter for each axis of each operand and of the result; those of the ellipses are aligned at the last."""
    inputs, _, output = spec.partition("->")
    terms = inputs.split(",")
    free = "".join(a for a in reversed(ascii_letters) if a not in spec)
    longest = 0
    found = []
    for position, (term, operand) in enumerate(zip(terms, operands, strict=True)):
        rest = operand.ndim - len(term.replace("...", ""))
        if rest < 0 or (rest > 0 and "..." not in term):
            message = f"einsum's {term or 'term without letters'} is of {len(term.replace('...', ''))} axes, got "
            raise TypeRuleError("GC203", f"{message}{operand.ndim}", f"{{{position}}} {described(operand)}")
        if rest > len(free):
            raise TypeRuleError("GC401", f"einsum has at most {len(ascii_letters)} labels")
        longest = max(longest, rest)
        found.append(term.replace("...", free[:rest][::-1]))
    return found, output.replace("...", free[:longest][::-1])


def _sizes(spec: str, operands: Sequence[TensorType]) -> dict[str, Size]:
    """The size of each label; only those of the ellipses are broadcast."""
    terms, _ = _labels(spec, operands)
    found: dict[str, tuple[Size, int]] = {}
    for position, (term, operand) in enumerate(zip(terms, operands, strict=True)):
        for label, size in zip(term, operand.shape, strict=True):
            before, owner = found.setdefault(label, (size, position))
            stretched = label not in spec and 1 in (before, size)
            if before != size and not stretched:
                raise _size_error(label if label in spec else "...", before, size, (owner, position), operands)
            if before == 1:
                found[label] = size, position
    return {label: size for label, (size, _) in found.items()}


def _size_error(
    label: str, before: Size, size: Size, places: tuple[int, int], operands: Sequence[TensorType]
) -> TypeRuleError:
    shown = ", ".join(f"{{{p}}} {described(operands[p])}" for p in dict.fromkeys(places))
    rows = {p: described(operands[p]) for p in places}
    return TypeRuleError("GC203", f"einsum needs one size for {label}, got {before} and {size}", shown, rows)


def _einsum_type(*operands: TensorType, spec: str) -> TensorType:
    sizes = _sizes(spec, operands)
    dtype = promote([operand.dtype for operand in operands])
    shape = tuple(sizes[label] for label in _labels(spec, operands)[1])
    return TensorType("int64" if dtype == "bool" else dtype, shape)


def _einsum_text(c: OpCall, *operands: ast.expr, spec: str) -> ast.expr:
    """``np.einsum``; of several operands in an order that NumPy plans, by matrix products where there are some."""
    inputs, _, output = spec.partition("->")
    terms = inputs.split(",")
    settled = _settled(c, operands)
    if _is_inner(terms, output):
        return call("np.vecdot" if output else "np.vdot", *settled)
    planned = len(operands) > 1 and not _is_elementwise(terms, output)
    text = call("np.einsum", spec, *settled, optimize=True if planned else None)
    # Without a sum it is a view of the operand.
    view = len(operands) == 1 and set(inputs) == set(output)
    return method(text, "copy") if view and c.tensor.shape else text


def _is_inner(terms: Sequence[str], output: str) -> bool:
    """Whether two operands of the same labels are multiplied and added up along the last axis, or along all."""
    term = terms[0]
    same = len(terms) == 2 and terms[1] == term and "." not in term and len(set(term)) == len(term) > 0
    return same and output in (term[:-1], "")


def _is_elementwise(terms: Sequence[str], output: str) -> bool:
    """Whether one operand has all labels, and the result one of those of the other: there is no matrix product."""
    if len(terms) != 2 or "." in output:
        return False
    small, large = sorted(map(set, terms), key=len)
    return small <= large and bool(small & set(output))


def _settled(c: OpCall, operands: Sequence[ast.expr]) -> list[ast.expr]:
    """Operands in the dtype of the result: of bools NumPy would make an or."""
    if c.tensor.is_float:
        return [as_float(c, x, p) for p, x in enumerate(operands)]
    whole = fill("np.int64", {})
    return [method(x, "astype", whole) if c.operand(p).dtype == "bool" else x for p, x in enumerate(operands)]


def _apart(*operands: TensorType, spec: str) -> list[Apart]:
    """A label of the result stands for its axis, unless it is broadcast there."""
    terms, output = _labels(spec, operands)
    # Of a repeated label the first axis is enough: a diagonal is where the others agree with it.
    terms = ["".join(label if term.index(label) == a else "." for a, label in enumerate(term)) for term in terms]
    shape = _einsum_type(*operands, spec=spec).shape
    return [
        tuple(
            output.index(label) if label in output and size == shape[output.index(label)] else None
            for label, size in zip(term, x.shape, strict=True)
        )
        for term, x in zip(terms, operands, strict=True)
    ]


@dataclass(frozen=True)
class _Contraction:
    """A step of einsum: the labels of the operands that it multiplies, those of its result, what is left for later."""

    taken: tuple[str, ...]
    kept: str
    rest: tuple[str, ...]

    @property
    def labels(self) -> str:
        """All labels that indices run over."""
        return "".join(dict.fromkeys("".join(self.taken)))

    @property
    def alone(self) -> set[str]:
        """Those that NumPy sums away in one of two operands before it multiplies."""
        if len(self.taken) != 2:
            return set()
        return set.symmetric_difference(*map(set, self.taken)).difference(self.kept)


def _contractions(terms: Sequence[str], output: str, sizes: Mapping[str, Size]) -> Iterator[_Contraction]:
    """The steps that NumPy plans, for the nominal sizes."""
    left = list(terms)
    for places in _plan(terms, output, sizes):
        taken = [left.pop(place) for place in sorted(places, reverse=True)]
        labels = dict.fromkeys("".join(taken))
        kept = "".join(label for label in labels if label in output or any(label in term for term in left))
        yield _Contraction(tuple(taken), kept, tuple(left))
        left.append(kept)


def _plan(terms: Sequence[str], output: str, sizes: Mapping[str, Size]) -> list[tuple[int, ...]]:
    if len(terms) <= 2:
        return [tuple(range(len(terms)))]
    zero = np.zeros(())
    given = [np.broadcast_to(zero, [nominal(sizes[label]) for label in term]) for term in terms]
    return np.einsum_path(f"{','.join(terms)}->{output}", *given, optimize="greedy")[0][1:]


def _einsum_flops(y: TensorType, *operands: TensorType, spec: str) -> Size:
    """A product for each further operand of a step and a sum where a label goes, for each tuple of indices."""
    terms, output = _labels(spec, operands)
    sizes = _sizes(spec, operands)
    total: Size = 0
    for step in _contractions(terms, output, sizes):
        alone = step.alone
        arithmetic = len(step.taken) - 1 + (len(step.kept) < len(step.labels) - len(alone))
        total = total + product([sizes[label] for label in step.labels if label not in alone]) * arithmetic
        summed = [term for term in step.taken if alone.intersection(term)]
        total = total + sum((product([sizes[label] for label in term]) for term in summed), 0)
    return total


def _einsum_scratch(y: TensorType, *operands: TensorType, strided: Sequence[bool], spec: str) -> Size:
    """What is made of the operands for matrix products, and the results of steps before the last."""
    terms, output = _labels(spec, operands)
    sizes = _sizes(spec, operands)
    apart = {term for term, scattered in zip(terms, strided, strict=True) if scattered}
    most: Size = 0
    for step in _contractions(terms, output, sizes):
        made = [term for term in (*step.taken, *step.rest) if term not in terms]
        made += [term for term in step.taken if len(step.taken) == 2 and _is_copied(term, step, term in apart)]
        made += [step.kept] if step.rest else []
        elements = sum((product([sizes[label] for label in term]) for term in made), 0)
        most = larger(most, elements * y.item_bytes)
    return most


def _is_copied(term: str, step: _Contraction, strided: bool) -> bool:
    """Whether the labels of rows, columns or stacks, of which a matrix product has one each, are apart in memory."""
    shared = set.intersection(*map(set, step.taken))
    kinds = [(label in shared, label in step.kept) for label in term]
    if all(kind[1] for kind in kinds):
        return False
    several = len(set(kinds)) < len(kinds)
    return several and (strided or len(list(groupby(kinds))) > len(set(kinds)))


def _einsum_vjp(ct: Value, y: Value, *operands: Value, spec: str) -> tuple[Value | None, ...]:
    terms, output = _labels(spec, [x.type for x in operands])
    return tuple(
        _operand_cotangent(ct, output, k, terms, operands) if x.type.is_float else None for k, x in enumerate(operands)
    )


def _operand_cotangent(ct: Value, output: str, k: int, terms: Sequence[str], operands: Sequence[Value]) -> Value:
    """The sum of the cotangent times the other operands; a label of this operand alone was summed, and is spread."""
    x, unique = operands[k], "".join(dict.fromkeys(terms[k]))
    sizes = dict(zip(terms[k], x.shape, strict=True))
    parts = [(ct, output)]
    parts += [
        _narrowed(other, term, output) for p, (other, term) in enumerate(zip(operands, terms, strict=True)) if p != k
    ]
    around = {label: size for value, term in parts for label, size in zip(term, value.shape, strict=True)}
    held = "".join(label for label in unique if label in around and around[label] == sizes[label])
    found = _contracted([value for value, _ in parts], [term for _, term in parts], held)
    missing = tuple(place for place, label in enumerate(unique) if label not in held)
    if missing:
        spread = OPS["expand_dims"](found, axis=missing)
        found = OPS["broadcast_to"](spread, shape=tuple(sizes[label] for label in unique))
    return found if unique == terms[k] else _on_diagonal(found, unique, terms[k], sizes)


def _narrowed(x: Value, term: str, output: str) -> tuple[Value, str]:
    """An operand without its axes of size 1: a label that is broadcast belongs to the others."""
    ones = tuple(axis for axis, size in enumerate(x.shape) if size == 1)
    if not ones:
        return x, term
    return OPS["squeeze"](x, axis=ones), "".join(label for axis, label in enumerate(term) if axis not in ones)


def _contracted(values: Sequence[Value], terms: Sequence[str], output: str) -> Value:
    if len(values) == 1 and terms[0] == output:
        return values[0]
    return OPS["einsum"](*values, spec=f"{','.join(terms)}->{output}")


def _on_diagonal(x: Value, unique: str, term: str, sizes: dict[str, Size]) -> Value:
    """Zeros, but for the elements where all axes of a label have the same index."""
    free = iter(a for a in ascii_letters if a not in term)
    values, terms, target = [x], [unique], ""
    for label in term:
        if label not in target:
            target += label
            continue
        other = next(free)
        places = x.builder.apply(OPS["arange"], (), {"stop": sizes[label]})
        values.append(OPS["equal"](OPS["expand_dims"](places, axis=1), places))
        terms.append(label + other)
        target += other
    return _contracted(values, terms, target)


def _tensor(*shape: int) -> TensorType:
    return TensorType("float64", shape)


EINSUM = define(
    Op(
        "einsum",
        None,
        infer=_einsum_type,
        numpy=_einsum_text,
        vjp=_einsum_vjp,
        apart=_apart,
        normalize=_einsum_attrs,
        batching=batch_rules.einsum,
        flops=_einsum_flops,
        scratch=_einsum_scratch,
        label="einsum",
        samples=(
            Sample((_tensor(2, 3), _tensor(3, 4)), {"spec": "ij,jk->ik"}),
            Sample((_tensor(2, 3), _tensor(3, 4), _tensor(4, 2)), {"spec": "ij,jk,kl"}),
            Sample((_tensor(3), _tensor(4)), {"spec": "i,j->ij"}),
            Sample((_tensor(2, 3),), {"spec": "ij->ji"}),
            Sample((_tensor(2, 3),), {"spec": "ij->j"}),
            Sample((_tensor(3, 3),), {"spec": "ii"}),
            Sample((_tensor(3, 3), _tensor(3)), {"spec": "ii,i->i"}),
            Sample((_tensor(2, 2, 2),), {"spec": "iii->i"}),
            Sample((_tensor(3), _tensor(3), _tensor(3)), {"spec": "i,i,i->"}),
            Sample((_tensor(2, 1, 2, 3), _tensor(4, 3, 2)), {"spec": "...ij,...jk->...ik"}),
            Sample((_tensor(1, 3), _tensor(3)), {"spec": "ij,j->i"}),
            Sample((_tensor(2, 3), _tensor(4)), {"spec": "ij,k->k"}),
            Sample((_tensor(0, 3), _tensor(3, 2)), {"spec": "ij,jk->ik"}),
        ),
        doc="sum of products over labelled axes: einsum('ij,jk->ik', x, y); letters of one size, ... broadcast",
    )
)


def _tensordot_attrs(x: TensorType, y: TensorType, *, axes: object = 2) -> dict[str, object]:
    """The axes of both that are summed over, in pairs."""
    if isinstance(axes, int) and not isinstance(axes, bool) and 0 <= axes <= min(x.ndim, y.ndim):
        return {"axes": (tuple(range(x.ndim - axes, x.ndim)), tuple(range(axes)))}
    pair = [[side] if isinstance(side, int) else side for side in axes] if isinstance(axes, (list, tuple)) else []
    if len(pair) != 2 or not all(isinstance(side, (list, tuple)) for side in pair) or len(pair[0]) != len(pair[1]):
        message = f"tensordot needs a number of axes, or as many axes of each operand, got {quoted(axes)}"
        raise TypeRuleError("GC203", message, f"{{0}} {described(x)}, {{1}} {described(y)}")
    left, right = (tuple(normalize_axis(a, t.ndim) for a in side) for side, t in zip(pair, (x, y), strict=True))
    if len(set(left)) < len(left) or len(set(right)) < len(right):
        raise TypeRuleError("GC203", f"axes {quoted(axes)} name an axis twice")
    return {"axes": (left, right)}


def _tensordot_spec(x: TensorType, y: TensorType, axes: Pairs) -> str:
    if x.ndim + y.ndim > len(ascii_letters):
        raise TypeRuleError("GC401", f"tensordot has at most {len(ascii_letters)} axes, got {x.ndim + y.ndim}")
    left, right = ascii_letters[: x.ndim], list(ascii_letters[x.ndim : x.ndim + y.ndim])
    for a, b in zip(*axes, strict=True):
        right[b] = left[a]
    rest = [label for label in (*left, *right) if (label in left) != (label in right)]
    return f"{left},{''.join(right)}->{''.join(rest)}"


def _tensordot_type(x: TensorType, y: TensorType, *, axes: Pairs) -> TensorType:
    for a, b in zip(*axes, strict=True):
        if x.shape[a] != y.shape[b]:
            found = f"{x.shape[a]} on axis {a} and {y.shape[b]} on axis {b}"
            rows = {0: described(x), 1: described(y)}
            message = f"tensordot needs equal sizes where it sums, got {found}"
            raise TypeRuleError("GC203", message, f"{{0}} {rows[0]}, {{1}} {rows[1]}", rows)
    return _einsum_type(x, y, spec=_tensordot_spec(x, y, axes))


def _tensordot_text(c: OpCall, x: ast.expr, y: ast.expr, *, axes: Pairs) -> ast.expr:
    count, ndim = len(axes[0]), c.operand().ndim
    neighbours = axes == (tuple(range(ndim - count, ndim)), tuple(range(count)))
    return call("np.tensordot", *_settled(c, (x, y)), axes=count if neighbours else axes)


def _tensordot_batching(values: Sequence[Value], batched: Sequence[bool], *, axes: Pairs) -> Value:
    """As einsum, which has batches."""
    x, y = (TensorType(value.type.dtype, value.shape[has:]) for value, has in zip(values, batched, strict=True))
    return batch_rules.einsum(values, batched, spec=_tensordot_spec(x, y, axes))


TENSORDOT = define(
    Op(
        "tensordot",
        2,
        infer=_tensordot_type,
        numpy=_tensordot_text,
        vjp=lambda ct, y, a, b, *, axes: _einsum_vjp(ct, y, a, b, spec=_tensordot_spec(a.type, b.type, axes)),
        normalize=_tensordot_attrs,
        apart=lambda x, y, *, axes: _apart(x, y, spec=_tensordot_spec(x, y, axes)),
        batching=_tensordot_batching,
        flops=lambda z, x, y, *, axes: _einsum_flops(z, x, y, spec=_tensordot_spec(x, y, axes)),
        scratch=lambda z, x, y, *, axes, strided: _einsum_scratch(
            z, x, y, strided=strided, spec=_tensordot_spec(x, y, axes)
        ),
        samples=(
            Sample(
                (_tensor(2, 3, 4), _tensor(3, 4)),
            ),
            Sample((_tensor(2, 3), _tensor(3, 2)), {"axes": 1}),
            Sample((_tensor(2, 3), _tensor(3, 2)), {"axes": ((0, 1), (1, 0))}),
            Sample((_tensor(2), _tensor(3)), {"axes": 0}),
        ),
        doc="sum of products over the last axes of the first operand and the first of the second, or over given pairs",
    )
)
