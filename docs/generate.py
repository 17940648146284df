"""Writes what in docs/ follows from the code: tables of operations, accuracy, conventions, errors, rules; pictures.

Run as ``python -m docs.generate``; ``generated_texts`` gives the same as a dict, by which a test finds stale pages.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Mapping
from pathlib import Path

# Plots of what was learned are the same with however many threads. Read when NumPy loads.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from docs.accuracy_page import accuracy_page
from docs.conventions_page import conventions_page
from docs.derivatives_page import derivatives_page
from docs.errors_page import errors_page
from docs.markdown_text import code, table
from docs.operations_page import operations_page
from docs.pictures import pictures
from docs.plots import plot_pictures
from docs.stability_page import stability_section
from graphc import tensor_type
from graphc.backends import drawing
from graphc.frontends import arithmetic, elementwise, session
from graphc.frontends.library import public_library
from graphc.ops import joining

DOCS = Path(__file__).parent


def generated_texts() -> dict[str, str]:
    """The text of each generated file, by its path in docs/."""
    sections = {
        "language.md": {"library": library_section(), "limits": limits_section()},
        "stability.md": {"rules": stability_section()},
    }
    written = {page: _with_sections(page, found) for page, found in sections.items()}
    drawn = {f"figures/{name}.dot": text for name, text in pictures().items()}
    pages = {
        "operations.md": operations_page(),
        "derivatives.md": derivatives_page(),
        "conventions.md": conventions_page(),
        "accuracy.md": accuracy_page(),
        "errors.md": errors_page(),
    }
    return {**pages, **written, **drawn}


def main() -> None:
    """Write the files, and each picture as SVG beside its DOT text."""
    for path, text in generated_texts().items():
        (DOCS / path).write_text(text, encoding="utf-8")
        if path.endswith(".dot"):
            svg = drawing.layout(text, "svg")
            (DOCS / path).with_suffix(".svg").write_bytes(svg)
    for name, text in plot_pictures().items():
        (DOCS / "figures" / "plots" / name).write_text(text, encoding="utf-8")


def _with_sections(name: str, sections: Mapping[str, str]) -> str:
    page = (DOCS / name).read_text(encoding="utf-8")
    for section, text in sections.items():
        page = _replaced(page, section, text)
    return page


def _replaced(page: str, name: str, section: str) -> str:
    """A page with the part between the comments ``<!-- name -->`` and ``<!-- end name -->`` replaced."""
    start, end = f"<!-- {name}: written by docs/generate.py -->\n", f"<!-- end {name} -->\n"
    before, _, rest = page.partition(start)
    _, _, after = rest.partition(end)
    assert after or page.endswith(end), f"the page has no place for {name}"
    return f"{before}{start}\n{section}\n{end}{after}"


def library_section() -> str:
    """The tables of the library, by file."""
    files = dict.fromkeys(function.source for function in public_library().values())
    parts = []
    for source in files:
        tree = ast.parse(source.text)
        rows = [
            [code(f"{part.name}({ast.unparse(part.args)})"), " ".join((ast.get_docstring(part) or "").split())]
            for part in tree.body
            if isinstance(part, ast.FunctionDef) and part.name in public_library()
        ]
        title = source.name.removesuffix(".gc").capitalize()
        parts.append(f"### {title}\n\n{ast.get_docstring(tree)}\n\n{table(['function', 'is'], rows)}")
    return "\n".join(parts)


def limits_section() -> str:
    """The bounds of the language."""
    rows = [
        ("characters in a model", session.MAX_TEXT),
        ("nesting of expressions and blocks, also in `a + b + c + …`", session.MAX_DEPTH),
        ("steps to read a model and those that it uses, loops unrolled", session.MAX_STEPS),
        ("functions that call each other", session.MAX_CALLS),
        ("items of a list, rounds of one loop", session.MAX_ITEMS),
        ("characters in a text", session.MAX_STRING),
        ("bits of a whole number", arithmetic.MAX_INT.bit_length()),
        ("terms of a size", arithmetic.MAX_TERMS),
        ("axes of a tensor, as in NumPy", tensor_type.MAX_AXES),
        ("sections of a `split`", joining.MAX_SECTIONS),
        ("operations of an `@elementwise` function", elementwise.MAX_OPERATIONS),
        ("nodes of a picture (`.dot` has no limit)", drawing.MOST_NODES),
    ]
    return table(["at most", "how many"], [[what, f"{number:,}"] for what, number in rows])


if __name__ == "__main__":
    main()
