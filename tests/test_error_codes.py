"""The table of error codes: complete, well formed, and its examples are Python's syntax."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from graphc.error_codes import CODES, explain

PACKAGE = Path(__file__).parents[1] / "graphc"


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_every_code_in_the_sources_is_explained(path: Path) -> None:
    used = re.findall(r"\bGC[0-9]{3}\b", path.read_text(encoding="utf-8"))
    assert [code for code in used if code not in CODES] == []


def test_codes_are_in_order_and_in_families() -> None:
    assert list(CODES) == sorted(CODES)
    assert all(re.fullmatch(r"GC[0-6][0-9]{2}", code) for code in CODES)


@pytest.mark.parametrize("code", CODES)
def test_explanation_is_well_formed(code: str) -> None:
    found = CODES[code]
    assert found.title[0].islower() and not found.title.endswith(".")
    assert found.text[0].isupper() or found.text[0] == "`"
    assert found.text.endswith(".")
    assert found.example != found.fix


@pytest.mark.parametrize("code", [code for code, found in CODES.items() if found.language != "shell"])
def test_example_and_fix_are_python_syntax(code: str) -> None:
    ast.parse(CODES[code].fix)
    if code == "GC001":
        with pytest.raises(SyntaxError):
            ast.parse(CODES[code].example)
    else:
        ast.parse(CODES[code].example)


def test_explain_shows_example_and_fix() -> None:
    assert explain("GC601") == (
        "GC601: an input is not used\n\n"
        "It stays in the signature, but no output depends on it: often a slip, so graphc\n"
        "says so. A warning only.\n\n"
        "Wrong:\n\n"
        "    X: Input[N, 3]\n    weight: Input[N]\n    w: Param[3] = normal()\n"
        "    loss: Output = mean((X @ w) ** 2)\n\n"
        "Right:\n\n"
        "    X: Input[N, 3]\n    weight: Input[N]\n    w: Param[3] = normal()\n"
        "    loss: Output = mean(weight * (X @ w) ** 2)"
    )


@pytest.mark.parametrize("code", ["GC209", "nonsense", ""])
def test_unknown_code_names_known_ones(code: str) -> None:
    with pytest.raises(ValueError, match=rf"such as .*GC20\d.*; found '{code}'"):
        explain(code)
