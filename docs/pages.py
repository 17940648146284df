"""The pages of the documentation that are written by hand, and what a page has of models and pictures."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).parent
PAGES = (DOCS.parent / "README.md", *sorted(DOCS.rglob("*.md")))
GALLERY = tuple(sorted((DOCS / "gallery").glob("*.md")))

NAMED_MODEL = re.compile(r"^```gc\n(?P<text># (?P<name>\w+\.gc)\n.*?)^```$", re.MULTILINE | re.DOTALL)
SHOWN_PICTURE = re.compile(r"\((?:docs/|\.\./)?figures/(\w+)\.svg\)")
SHOWN_PLOT = re.compile(r"\((?:docs/|\.\./)?figures/plots/(\w+\.svg)\)")
SAVED_PLOT = re.compile(r'savefig\("(\w+\.svg)"\)\n')
