"""Sizes of axes: an int, or a `SizeExpr`, the normal form of integer arithmetic on named sizes.

Named sizes are nonnegative integers, unknown until a generated function is called. Two sizes are equal when their
normal forms are; nothing is assumed of different names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache, reduce
from operator import mul
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Quotient:
    """The floor of a division that no polynomial can express, an atom of the normal form."""

    numerator: Size
    denominator: Size

    def __str__(self) -> str:
        denominator = _factor_text(self.denominator)
        shown = f"({denominator})" if denominator.count("//") and denominator[0] != "(" else denominator
        return f"{_factor_text(self.numerator)} // {shown}"


Atom: TypeAlias = str | Quotient
Monomial: TypeAlias = tuple[tuple[Atom, int], ...]


@dataclass(frozen=True)
class SizeExpr:
    """An integer polynomial of named sizes and quotients: ``((monomial, coefficient), …)``, sorted, without zeros.

    Examples
    --------
    >>> n = named_size("N")
    >>> (n + 1) * 2 - 2
    2*N
    >>> n * 6 // 3, n // 2
    (2*N, N//2)
    """

    terms: tuple[tuple[Monomial, int], ...]

    def __add__(self, other: Size) -> Size:
        return _collect([*_terms(self), *_terms(other)])

    def __mul__(self, other: Size) -> Size:
        return _collect([(_product(m, n), a * b) for m, a in _terms(self) for n, b in _terms(other)])

    def __neg__(self) -> Size:
        return self * -1

    def __sub__(self, other: Size) -> Size:
        return self + other * -1

    def __rsub__(self, other: int) -> Size:
        return self * -1 + other

    def __floordiv__(self, other: Size) -> Size:
        return divide(self, other)

    def __rfloordiv__(self, other: int) -> Size:
        return divide(other, self)

    def __mod__(self, other: Size) -> Size:
        return self - divide(self, other) * other

    __radd__, __rmul__ = __add__, __mul__

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The named sizes in it, sorted."""
        found = {name for monomial, _ in self.terms for atom, _ in monomial for name in _atom_names(atom)}
        return tuple(sorted(found))

    def __str__(self) -> str:
        return " + ".join(_term_text(m, c) for m, c in self.terms).replace("+ -", "- ").replace(" // ", "//")

    __repr__ = __str__


Size: TypeAlias = int | SizeExpr


def named_size(name: str) -> SizeExpr:
    """The size with this name."""
    return SizeExpr(((((name, 1),), 1),))


def size_names(size: Size) -> tuple[str, ...]:
    """The named sizes in a size, sorted."""
    return size.names if isinstance(size, SizeExpr) else ()


def divide(numerator: Size, denominator: Size) -> Size:
    """The floor of a quotient; exact where every term divides, else a `Quotient` atom.

    Raises
    ------
    ZeroDivisionError
        When the denominator is 0.
    """
    if isinstance(numerator, int) and isinstance(denominator, int):
        return numerator // denominator
    exact = exact_quotient(numerator, denominator)
    return _collect([(((Quotient(numerator, denominator), 1),), 1)]) if exact is None else exact


def exact_quotient(numerator: Size, denominator: Size) -> Size | None:
    """The quotient when it is exact for every value of the names, else None.

    Raises
    ------
    ZeroDivisionError
        When the denominator is 0.
    """
    if denominator == 0:
        raise ZeroDivisionError("a size is divided by 0")
    if numerator == denominator:
        return 1
    divisor = _terms(denominator)
    if len(divisor) != 1:
        return _polynomial_quotient(numerator, denominator)
    (monomial, coefficient) = divisor[0]
    quotients = [_term_quotient(term, monomial, coefficient) for term in _terms(numerator)]
    return None if None in quotients else _collect([term for term in quotients if term is not None])


def substitute(size: Size, values: Mapping[str, Size]) -> Size:
    """The size with its names replaced; names without a value stay.

    Examples
    --------
    >>> substitute(named_size("N") * 2 + 1, {"N": 3})
    7
    """
    if isinstance(size, int):
        return size
    total: Size = 0
    for monomial, coefficient in size.terms:
        factors = [_atom_value(atom, values) for atom, power in monomial for _ in range(power)]
        total = total + reduce(mul, factors, coefficient)
    return total


NOMINAL_SIZE = 256
"""What a named size counts for where costs are compared."""


@lru_cache(maxsize=1024)
def nominal(size: Size, each: int = NOMINAL_SIZE) -> int:
    """A size as a number to compare costs by: every named size counts for ``each``.

    Examples
    --------
    >>> nominal(2 * named_size("N") + 1)
    513
    """
    if isinstance(size, int):
        return size
    found = substitute(size, dict.fromkeys(size_names(size), each))
    assert isinstance(found, int)
    return found


def larger(left: Size, right: Size) -> Size:
    """The larger of two sizes; the one that is larger for nominal sizes where that depends on the values of names."""
    return left if nominal(left) >= nominal(right) else right


def at_least(size: Size, bound: int) -> bool | None:
    """Whether a size is at least ``bound``: True or False when that holds for every value of the names, else None.

    Examples
    --------
    >>> n = named_size("N")
    >>> at_least(n + 1, 1), at_least(n, 1), at_least(0 * n, 1)
    (True, None, False)
    """
    if isinstance(size, int):
        return size >= bound
    coefficients = [c for m, c in _terms(size) if m]
    constant = sum(c for m, c in _terms(size) if not m)
    if constant >= bound and all(c >= 0 for c in coefficients):
        return True
    if constant < bound and all(c <= 0 for c in coefficients):
        return False
    return None


def never_equal(left: Size, right: Size) -> bool:
    """Whether two sizes differ for every value of their names."""
    difference = left - right
    return at_least(difference, 1) is True or at_least(difference, 0) is False


def smaller(left: Size, right: Size) -> Size | None:
    """The smaller of two sizes; None where that depends on the values of their names.

    Examples
    --------
    >>> n = named_size("N")
    >>> smaller(n, n + 1), smaller(3, 2), smaller(n, 4)
    (N, 2, None)
    """
    if at_least(right - left, 0):
        return left
    return right if at_least(left - right, 0) else None


def _terms(size: Size) -> tuple[tuple[Monomial, int], ...]:
    if isinstance(size, SizeExpr):
        return size.terms
    return (((), int(size)),) if size else ()


def _collect(terms: list[tuple[Monomial, int]]) -> Size:
    sums: dict[Monomial, int] = {}
    for monomial, coefficient in terms:
        sums[monomial] = sums.get(monomial, 0) + coefficient
    kept = tuple(sorted(((m, c) for m, c in sums.items() if c), key=_term_order))
    if all(not monomial for monomial, _ in kept):
        return kept[0][1] if kept else 0
    return SizeExpr(kept)


def _term_order(term: tuple[Monomial, int]) -> tuple[int, str]:
    monomial = term[0]
    return -sum(power for _, power in monomial), str([(str(atom), power) for atom, power in monomial])


def _product(left: Monomial, right: Monomial) -> Monomial:
    powers = dict(left)
    for atom, power in right:
        powers[atom] = powers.get(atom, 0) + power
    return tuple(sorted(powers.items(), key=lambda item: str(item[0])))


def _term_quotient(term: tuple[Monomial, int], monomial: Monomial, coefficient: int) -> tuple[Monomial, int] | None:
    powers = dict(term[0])
    for atom, power in monomial:
        powers[atom] = powers.get(atom, 0) - power
    if term[1] % coefficient or any(power < 0 for power in powers.values()):
        return None
    return tuple((atom, power) for atom, power in powers.items() if power), term[1] // coefficient


def _polynomial_quotient(numerator: Size, denominator: Size) -> Size | None:
    """Long division by the leading term, which is right because the term order respects products of one atom."""
    quotient: Size = 0
    (lead, coefficient) = _terms(denominator)[0]
    for _ in range(len(_terms(numerator)) + 8):
        rest = numerator - quotient * denominator
        if rest == 0:
            return quotient
        step = _term_quotient(_terms(rest)[0], lead, coefficient)
        if step is None:
            return None
        quotient = quotient + _collect([step])
    return None


def _atom_names(atom: Atom) -> Iterator[str]:
    if isinstance(atom, str):
        yield atom
    else:
        yield from size_names(atom.numerator)
        yield from size_names(atom.denominator)


def _atom_value(atom: Atom, values: Mapping[str, Size]) -> Size:
    if isinstance(atom, str):
        return values[atom] if atom in values else named_size(atom)
    return divide(substitute(atom.numerator, values), substitute(atom.denominator, values))


def _factor_text(size: Size) -> str:
    single = isinstance(size, int) or (len(size.terms) == 1 and size.terms[0][1] == 1 and len(size.terms[0][0]) == 1)
    return str(size) if single else f"({size})"


def _term_text(monomial: Monomial, coefficient: int) -> str:
    factors = [_power_text(atom, power, alone=len(monomial) == 1 and abs(coefficient) == 1) for atom, power in monomial]
    if not factors:
        return str(coefficient)
    sign = {1: "", -1: "-"}.get(coefficient, f"{coefficient}*")
    return sign + "*".join(factors)


def _power_text(atom: Atom, power: int, *, alone: bool) -> str:
    text = str(atom) if isinstance(atom, str) or (alone and power == 1) else f"({atom})"
    return text if power == 1 else f"{text}**{power}"
