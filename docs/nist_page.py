"""The page of NIST's nonlinear problems: how SciPy's methods fit them with a generated Jacobian.

Run as ``python -m docs.nist_page``; counts of calls depend a little on the machine's linear algebra, so no test
compares the page with what it would be today. ``tests/test_nist.py`` holds every fit to what the page says of it.
"""

from __future__ import annotations

from pathlib import Path

from docs.markdown_text import table
from docs.nist_models import CANNOT, FORMULAS, METHODS, Fit, fit, read

PAGE = """\
# Nonlinear least squares: NIST's reference problems

<!-- Written by `python -m docs.nist_page`. -->

The 27 problems of nonlinear regression of NIST's
[Statistical Reference Datasets](https://www.itl.nist.gov/div898/strd/nls/nls_main.shtml) have certified parameters, to
11 digits, and two starting points each: one far off, one near. Here each was compiled from its formula as text, in the
list of `docs/nist_models.py`, with `--with jacobian,flat`, and fitted by `scipy.optimize.least_squares` with
`residuals_flat` and the exact Jacobian of `jacobian_flat`, `x_scale="jac"` and all tolerances at 1e-15.

*Digits* are those of the worst parameter that agree with the certified ones, at most 11; *calls* count residuals and
Jacobians. A test runs all fits: {least} digits, rounded, or more{but}.

{rows}
{reasons}
Another test compares every generated Jacobian, at both starting points, with complex steps through the same formula:
they agree to 11 digits.
"""
LEAST_DIGITS = 6


def nist_page() -> str:
    """The text of the page."""
    header = ["dataset", "level", *(f"start {start + 1}, {method}" for start in (0, 1) for method in METHODS)]
    rows = [
        [name, read(name).level, *(_shown(fit(name, start, method)) for start in (0, 1) for method in METHODS)]
        for name in FORMULAS
    ]
    reasons = "".join(
        f"{name} from start {start + 1}, `{method}`: {why}.\n" for (name, start, method), why in CANNOT.items()
    )
    but = ", but for what is said below the table" if CANNOT else ""
    return PAGE.format(least=LEAST_DIGITS, but=but, rows=table(header, rows), reasons=reasons)


def _shown(found: Fit) -> str:
    return f"{found.digits:.1f} digits, {found.residuals} + {found.jacobians} calls"


if __name__ == "__main__":
    Path(__file__).with_name("nist.md").write_text(nist_page(), encoding="utf-8")
