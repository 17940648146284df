"""Formulas in three spellings at once: LaTeX, MathML and plain text with Unicode signs."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from html import escape

from graphc.graph import Graph, Node
from graphc.tensor_type import TensorType

SUM, PRODUCT, SIGN, MATRIX_PRODUCT, POWER, ATOM = range(6)
"""How tightly a term holds together: what is looser than its place asks for is written in brackets."""

_GREEK = {unicodedata.name(letter).split()[-1].lower(): letter for letter in "αβγδεζηθικμνξπρστυφχψω"} | {"lambda": "λ"}
_LATEX_FUNCTIONS = frozenset(
    {"sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh", "coth", "exp", "log", "max", "min", "det"}
)
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_NAME = re.compile(r"(.*?[^\d_])_?(\d+)")
_LATEX_SPECIAL = {letter: rf"\{letter}" for letter in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "^": r"\^{}",
    "~": r"\~{}",
}
_INFIX = {
    "+": ("+", SUM),
    "−": ("-", SUM),
    "//": (r"\mathbin{/\!/}", PRODUCT),
    "%": (r"\bmod", PRODUCT),
    "=": ("=", SUM),
    "≠": (r"\ne", SUM),
    "<": ("<", SUM),
    "≤": (r"\le", SUM),
    ">": (">", SUM),
    "≥": (r"\ge", SUM),
    "∧": (r"\land", SUM),
    "∨": (r"\lor", SUM),
    "⊻": (r"\oplus", SUM),
}


@dataclass(frozen=True)
class Term:
    """A formula, or a part of one.

    Attributes
    ----------
    latex, mathml, text : str
        MathML is presentation markup, without the ``math`` element around it.
    level : int
        From ``SUM``, the loosest, to ``ATOM``.
    slash : bool
        Whether it is a quotient, which plain text has on one line.
    """

    latex: str
    mathml: str
    text: str
    level: int = ATOM
    slash: bool = False


def symbol(name: str) -> Term:
    """A variable; digits at the end become an index, names of Greek letters the letter.

    Examples
    --------
    >>> print(symbol("W2").latex, symbol("dense_b").latex, symbol("theta").latex, symbol("x10").text)
    W_{2} \\mathit{dense\\_b} \\theta x₁₀
    """
    stem, index = name, ""
    if found := _NAME.fullmatch(name):
        stem, index = found.groups()
    latex = rf"\{stem}" if stem in _GREEK else stem if len(stem) == 1 else rf"\mathit{{{latex_escaped(stem)}}}"
    letter = _GREEK.get(stem, stem)
    mathml = f"<mi>{escape(letter)}</mi>"
    if not index:
        return Term(latex, mathml, letter)
    return Term(
        f"{latex}_{{{index}}}",
        f"<msub>{mathml}<mn>{index}</mn></msub>",
        f"{letter}{index.translate(_SUBSCRIPTS)}",
    )


def primed(term: Term, count: int) -> Term:
    """A symbol with primes; more than three are counted.

    Examples
    --------
    >>> primed(symbol("Z"), 2).text, primed(symbol("h"), 4).latex
    ('Z″', 'h^{(4)}')
    """
    if not count:
        return term
    marks = "′″‴"[count - 1] if count <= 3 else f"⁽{count}⁾".translate(_SUPERSCRIPTS)
    latex = "'" * count if count <= 3 else f"^{{({count})}}"
    return Term(term.latex + latex, f"<msup>{term.mathml}<mo>{marks}</mo></msup>", term.text + marks)


def numeral(text: str) -> Term:
    """A number as `graphc.backends.numbers.number` writes it."""
    digits, e, exponent = text.partition("e")
    level = SIGN if text.startswith("−") else ATOM
    if not e:
        return Term(text.replace("−", "-"), f"<mn>{text}</mn>", text, level)
    power = exponent.replace("−", "-")
    latex = rf"{digits.replace('−', '-')} \cdot 10^{{{power}}}"
    return Term(latex, f"<mn>{digits}</mn><mo>·</mo><msup><mn>10</mn><mn>{exponent}</mn></msup>", text, PRODUCT)


def words(text: str) -> Term:
    """Plain words in a formula."""
    return Term(rf"\text{{{latex_escaped(text)}}}", f"<mtext>{escape(text)}</mtext>", text)


def partial(of: Term, by: Term) -> Term:
    """A partial derivative.

    Examples
    --------
    >>> print(partial(symbol("L"), symbol("W2")).text, partial(symbol("L"), symbol("x")).latex)
    ∂L/∂W₂ \\frac{\\partial L}{\\partial x}
    """
    inner = bracketed(by, ATOM)
    return Term(
        rf"\frac{{\partial {of.latex}}}{{\partial {inner.latex}}}",
        f"<mfrac><mrow><mo>∂</mo>{of.mathml}</mrow><mrow><mo>∂</mo>{inner.mathml}</mrow></mfrac>",
        f"∂{of.text}/∂{inner.text}",
    )


def bracketed(term: Term, level: int) -> Term:
    """A term where at least that level is needed, in brackets if it is looser."""
    if term.level >= level:
        return term
    mathml = f"<mrow><mo>(</mo>{term.mathml}<mo>)</mo></mrow>"
    return Term(rf"\left({term.latex}\right)", mathml, f"({term.text})")


def equation(*sides: Term) -> Term:
    """Terms with signs of equality between them."""
    mathml = "<mo>=</mo>".join(side.mathml for side in sides)
    return Term(" = ".join(s.latex for s in sides), mathml, " = ".join(s.text for s in sides), SUM)


def added(terms: Sequence[Term]) -> Term:
    """A sum; the minus signs of later terms take the place of plus signs."""
    total = terms[0]
    for term in terms[1:]:
        # A term that starts with its sign needs no other.
        if term.text.startswith("−") and term.level in (SIGN, PRODUCT):
            text = f"{total.text} − {term.text[1:]}"
            total = Term(f"{total.latex} {term.latex}", f"{total.mathml}{term.mathml}", text, SUM)
        else:
            total = _infix(total, term, "+", "+", SUM)
    return total


def product(left: Term, right: Term, sign: str = "·") -> Term:
    """A product, of elements where the sign is ⊙."""
    latex = {"·": r" \cdot ", "⊙": r" \odot "}[sign]
    a, b = bracketed(left, PRODUCT), bracketed(right, PRODUCT if right.level != SIGN else ATOM)
    b = replace(b, text=f"({b.text})") if b.slash else b
    return Term(
        f"{a.latex}{latex}{b.latex}", f"{a.mathml}<mo>{sign}</mo>{b.mathml}", f"{a.text} {sign} {b.text}", PRODUCT
    )


def matrix_product(left: Term, right: Term) -> Term:
    """A product of matrices, without a sign; it holds together more tightly than one of elements.

    Examples
    --------
    >>> x, y, z = symbol("x"), symbol("y"), symbol("z")
    >>> matrix_product(x, product(y, z, "⊙")).text, product(matrix_product(x, y), z, "⊙").text
    ('x (y ⊙ z)', 'x y ⊙ z')
    """
    a, b = (
        replace(side, text=f"({side.text})") if side.slash else bracketed(side, MATRIX_PRODUCT)
        for side in (left, right)
    )
    latex, mathml = rf"{a.latex} \, {b.latex}", f"{a.mathml}<mo>&#8290;</mo>{b.mathml}"
    return Term(latex, mathml, f"{a.text} {b.text}", MATRIX_PRODUCT)


def fraction(above: Term, below: Term) -> Term:
    """A quotient."""
    a, b = bracketed(above, PRODUCT), bracketed(below, POWER)
    mathml = f"<mfrac><mrow>{above.mathml}</mrow><mrow>{below.mathml}</mrow></mfrac>"
    return Term(rf"\frac{{{above.latex}}}{{{below.latex}}}", mathml, f"{a.text} / {b.text}", PRODUCT, slash=True)


def power(base: Term, exponent: Term) -> Term:
    """A power."""
    b = bracketed(base, ATOM)
    mathml = f"<msup><mrow>{b.mathml}</mrow><mrow>{exponent.mathml}</mrow></msup>"
    text = {"2": "²", "3": "³"}.get(exponent.text) or f"^{bracketed(exponent, ATOM).text}"
    return Term(rf"{{{b.latex}}}^{{{exponent.latex}}}", mathml, f"{b.text}{text}", POWER)


def transposed(term: Term) -> Term:
    """The transpose of a matrix."""
    t = bracketed(term, ATOM)
    mathml = f"<msup><mrow>{t.mathml}</mrow><mo>⊤</mo></msup>"
    return Term(rf"{{{t.latex}}}^{{\top}}", mathml, f"{t.text}ᵀ", POWER)


def negated(term: Term) -> Term:
    """The negative."""
    t = bracketed(term, PRODUCT)
    return Term(f"-{t.latex}", f"<mo>−</mo>{t.mathml}", f"−{t.text}", SIGN)


def call(name: str, arguments: Sequence[Term], index: str = "") -> Term:
    """A function of terms; ``index`` is written below its name: the axes of a sum.

    Examples
    --------
    >>> print(call("sin", [symbol("x")]).latex, call("softmax", [symbol("z")], "1").text)
    \\sin\\left(x\\right) softmax₁(z)
    """
    latex = rf"\{name}" if name in _LATEX_FUNCTIONS else rf"\operatorname{{{latex_escaped(name)}}}"
    latex = r"\sigma" if name == "σ" else latex
    mathml = f"<mi>{escape(name)}</mi>"
    if index:
        latex, mathml = f"{latex}_{{{index}}}", f"<msub>{mathml}<mtext>{escape(index)}</mtext></msub>"
    inside = "<mo>,</mo>".join(argument.mathml for argument in arguments)
    return Term(
        rf"{latex}\left({', '.join(argument.latex for argument in arguments)}\right)",
        f"{mathml}<mrow><mo>(</mo>{inside}<mo>)</mo></mrow>",
        f"{name}{index.translate(_SUBSCRIPTS)}({', '.join(argument.text for argument in arguments)})",
    )


def matrix(rows: Sequence[Sequence[Term]]) -> Term:
    """A matrix of terms."""
    latex = r" \\ ".join(" & ".join(cell.latex for cell in row) for row in rows)
    table = "".join(f"<mtr>{''.join(f'<mtd>{cell.mathml}</mtd>' for cell in row)}</mtr>" for row in rows)
    texts = ["[" + ", ".join(cell.text for cell in row) + "]" for row in rows]
    return Term(
        rf"\begin{{bmatrix}} {latex} \end{{bmatrix}}",
        f"<mrow><mo>[</mo><mtable>{table}</mtable><mo>]</mo></mrow>",
        texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]",
    )


def applied(graph: Graph, node: Node, operands: Sequence[Term]) -> Term:
    """What a node computes, in the terms of its operands; the op's label says how it is written."""
    label = node.op.label
    if node.op.implicit:
        return operands[0]
    if len(operands) == 2 and not node.attrs:
        left, right = operands
        if label in _INFIX:
            return _infix(left, right, label, *_INFIX[label])
        # A cross product shares its sign with the product of numbers.
        if label in _BINARY and (label != "×" or node.op.elementwise is not None):
            shaped = all(_is_shaped(operand) for operand in graph.operands(node))
            return product(left, right, "⊙") if label == "×" and shaped else _BINARY[label](left, right)
    if len(operands) == 1 and (label in _UNARY) and (label != "T" or node.attrs.get("axes", (1, 0)) == (1, 0)):
        return _UNARY[label](operands[0])
    return call(node.op.name, operands, _axes(node))


def latex_escaped(text: str) -> str:
    """Text with what LaTeX takes for commands escaped."""
    return "".join(_LATEX_SPECIAL.get(letter, letter) for letter in text)


def _infix(left: Term, right: Term, sign: str, latex: str, level: int) -> Term:
    # The right side of a difference or remainder keeps its brackets; so do sides that are comparisons.
    a, b = bracketed(left, level), bracketed(right, level if sign == "+" and right.level != SIGN else level + 1)
    b = bracketed(right, ATOM) if right.level == SIGN else b
    return Term(
        f"{a.latex} {latex} {b.latex}",
        f"{a.mathml}<mo>{escape(sign)}</mo>{b.mathml}",
        f"{a.text} {sign} {b.text}",
        level,
    )


def _root(term: Term) -> Term:
    return Term(rf"\sqrt{{{term.latex}}}", f"<msqrt>{term.mathml}</msqrt>", f"√{bracketed(term, ATOM).text}")


_BINARY: dict[str, Callable[[Term, Term], Term]] = {
    "×": product,
    "÷": fraction,
    "xʸ": power,
    "@": matrix_product,
}
_UNARY: dict[str, Callable[[Term], Term]] = {
    "−": negated,
    "²": lambda term: power(term, numeral("2")),
    "√": _root,
    "T": transposed,
    "σ": lambda term: call("σ", [term]),
}


def _is_shaped(node: Node) -> bool:
    return isinstance(node.type, TensorType) and bool(node.type.shape)


def _axes(node: Node) -> str:
    """The axes of a reduction, where it has not gone over all of them."""
    axis = node.attrs.get("axis")
    axes = (axis,) if isinstance(axis, int) else axis if isinstance(axis, tuple) else ()
    return ",".join(map(str, axes)) if isinstance(node.type, TensorType) and node.type.shape else ""
