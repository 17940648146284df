"""The page of derivatives: the rules of the table that every course prints, each beside what graphc derives for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace

import sympy

from docs.markdown_text import NOTE, code, table
from graphc.autodiff import differentiate
from graphc.backends.sympy_expression import to_sympy
from graphc.frontends.text import parse_model
from graphc.source import Source

DERIVATIVES = """\
# Derivatives

{note}
The table of derivatives that courses print, and what graphc derives for the same formula written as a model. Here u, v
and w stand for any expressions of x; the derivative was made by graphc, as a graph, and is printed through SymPy. A
test proves by SymPy that each is equal to the rule, for symbols u, v, w and for functions of x in their places.

{rows}
A model of scalars gives its formulas as SymPy expressions: `model.to_sympy()` is the loss and `model.to_sympy("d_x")`
its derivative, in the form that the generated module computes.
"""

Symbols = SimpleNamespace
"""The symbols of the rules: x, u, v, w, their derivatives du, dv, dw, and the constants a and n."""


@dataclass(frozen=True)
class DerivativeRule:
    """A rule of the table: its statement, the formula in the model language, and the derivative that it says."""

    statement: str
    formula: str
    derivative: Callable[[Symbols], sympy.Expr | int]


RULES = (
    DerivativeRule(r"\frac{d}{dx}(a) = 0", "a", lambda s: 0),
    DerivativeRule(r"\frac{d}{dx}(x) = 1", "x", lambda s: 1),
    DerivativeRule(r"\frac{d}{dx}(au) = a\frac{du}{dx}", "a * u", lambda s: s.a * s.du),
    DerivativeRule(
        r"\frac{d}{dx}(u + v - w) = \frac{du}{dx} + \frac{dv}{dx} - \frac{dw}{dx}",
        "u + v - w",
        lambda s: s.du + s.dv - s.dw,
    ),
    DerivativeRule(r"\frac{d}{dx}(uv) = u\frac{dv}{dx} + v\frac{du}{dx}", "u * v", lambda s: s.u * s.dv + s.v * s.du),
    DerivativeRule(
        r"\frac{d}{dx}\left(\frac{u}{v}\right) = \frac{1}{v}\frac{du}{dx} - \frac{u}{v^2}\frac{dv}{dx}",
        "u / v",
        lambda s: s.du / s.v - s.u / s.v**2 * s.dv,
    ),
    DerivativeRule(r"\frac{d}{dx}(u^n) = nu^{n-1}\frac{du}{dx}", "u ** n", lambda s: s.n * s.u ** (s.n - 1) * s.du),
    DerivativeRule(
        r"\frac{d}{dx}(\sqrt{u}) = \frac{1}{2\sqrt{u}}\frac{du}{dx}", "sqrt(u)", lambda s: s.du / (2 * sympy.sqrt(s.u))
    ),
    DerivativeRule(
        r"\frac{d}{dx}\left(\frac{1}{u}\right) = -\frac{1}{u^2}\frac{du}{dx}", "1 / u", lambda s: -s.du / s.u**2
    ),
    DerivativeRule(
        r"\frac{d}{dx}\left(\frac{1}{u^n}\right) = -\frac{n}{u^{n+1}}\frac{du}{dx}",
        "1 / u ** n",
        lambda s: -s.n / s.u ** (s.n + 1) * s.du,
    ),
    DerivativeRule(
        r"\frac{d}{dx}[f(u)] = \frac{d}{du}[f(u)]\frac{du}{dx}, \text{ here of erf}",
        "erf(u)",
        lambda s: sympy.erf(s.u).diff(s.u) * s.du,
    ),
    DerivativeRule(r"\frac{d}{dx}[\ln u] = \frac{1}{u}\frac{du}{dx}", "log(u)", lambda s: s.du / s.u),
    DerivativeRule(
        r"\frac{d}{dx}[\log_a u] = \log_a e\,\frac{1}{u}\frac{du}{dx}",
        "log(u, a)",
        lambda s: sympy.log(sympy.E, s.a) / s.u * s.du,
    ),
    DerivativeRule(r"\frac{d}{dx}e^u = e^u\frac{du}{dx}", "exp(u)", lambda s: sympy.exp(s.u) * s.du),
    DerivativeRule(r"\frac{d}{dx}a^u = a^u \ln a\,\frac{du}{dx}", "a ** u", lambda s: s.a**s.u * sympy.log(s.a) * s.du),
    DerivativeRule(
        r"\frac{d}{dx}(u^v) = vu^{v-1}\frac{du}{dx} + \ln u \cdot u^v\frac{dv}{dx}",
        "u ** v",
        lambda s: s.v * s.u ** (s.v - 1) * s.du + sympy.log(s.u) * s.u**s.v * s.dv,
    ),
    DerivativeRule(r"\frac{d}{dx}\sin u = \cos u\,\frac{du}{dx}", "sin(u)", lambda s: sympy.cos(s.u) * s.du),
    DerivativeRule(r"\frac{d}{dx}\cos u = -\sin u\,\frac{du}{dx}", "cos(u)", lambda s: -sympy.sin(s.u) * s.du),
    DerivativeRule(r"\frac{d}{dx}\tan u = \sec^2 u\,\frac{du}{dx}", "tan(u)", lambda s: sympy.sec(s.u) ** 2 * s.du),
    DerivativeRule(r"\frac{d}{dx}\cot u = -\csc^2 u\,\frac{du}{dx}", "cot(u)", lambda s: -(sympy.csc(s.u) ** 2) * s.du),
    DerivativeRule(
        r"\frac{d}{dx}\sec u = \sec u \tan u\,\frac{du}{dx}",
        "sec(u)",
        lambda s: sympy.sec(s.u) * sympy.tan(s.u) * s.du,
    ),
    DerivativeRule(
        r"\frac{d}{dx}\csc u = -\csc u \cot u\,\frac{du}{dx}",
        "csc(u)",
        lambda s: -sympy.csc(s.u) * sympy.cot(s.u) * s.du,
    ),
)

NAMES = ("x", "u", "v", "w", "a", "n")


def symbols() -> Symbols:
    """The symbols of the rules: positive, so that every formula has a value."""
    names = [*NAMES, "du", "dv", "dw"]
    return Symbols(**{name: sympy.Symbol(name, positive=not name.startswith("d"), real=True) for name in names})


def partials_of(formula: str, variables: Sequence[str], definitions: str = "") -> list[sympy.Expr]:
    """The derivatives that graphc derives for a formula.

    Parameters
    ----------
    formula : str
        In the model language, in the names of the rules.
    variables : sequence of str
        What to differentiate with respect to.
    definitions : str
        Lines of the model that make some of the names.
    """
    declared = "".join(f"{name}: Input\n" for name in NAMES if f"{name} =" not in definitions)
    graph = parse_model(Source("rule.gc", f"{declared}{definitions}f: Output = {formula}\n")).graph
    inputs = {str(node.attrs["name"]): node for node in graph.inputs}
    joint = differentiate(graph, ["f"], {name: inputs[name] for name in variables}, check=False)
    known = {**vars(symbols()), "d_f": sympy.Integer(1)}
    return [to_sympy(joint.graph, f"d_{name}", known) for name in variables]


def total_derivative(rule: DerivativeRule) -> sympy.Expr:
    """The derivative with respect to x that graphc derives, by symbols u, v, w and their derivatives."""
    s = symbols()
    by_x, *others = partials_of(rule.formula, "xuvw")
    return sum((partial * slope for partial, slope in zip(others, (s.du, s.dv, s.dw), strict=True)), by_x)


def derivatives_page() -> str:
    """The page of derivatives."""
    rows = [[f"${rule.statement}$", code(rule.formula), f"${_shown(rule)}$"] for rule in RULES]
    return DERIVATIVES.format(note=NOTE, rows=table(["rule", "formula", "graphc derives"], rows))


def _shown(rule: DerivativeRule) -> str:
    """The derivative that graphc derives: each partial derivative before the derivative of its variable."""
    found = zip(partials_of(rule.formula, "xuvw"), "xuvw", strict=True)
    terms = [_term(partial, name) for partial, name in found if partial != 0]
    return " + ".join(terms).replace("+ -", "- ") or "0"


def _term(partial: sympy.Expr, name: str) -> str:
    if name == "x":
        return str(sympy.latex(partial))
    slope = rf"\frac{{d{name}}}{{dx}}"
    if abs(partial) == 1:
        return slope if partial == 1 else f"-{slope}"
    negative = partial.could_extract_minus_sign()
    factor = -partial if negative else partial
    sign, text = "-" if negative else "", sympy.latex(factor, ln_notation=True)
    return rf"{sign}\left({text}\right) {slope}" if factor.is_Add else rf"{sign}{text} \, {slope}"
