"""What holds for all tests: reproducible examples from hypothesis, no time limit on them, golden modules left alone."""

from __future__ import annotations

import pytest
from hypothesis import settings

# Golden modules are read and run by their own tests.
collect_ignore = ["golden"]

settings.register_profile("graphc", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None, print_blob=True)
settings.load_profile("graphc")


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--update-golden`` writes the golden modules anew instead of comparing with them."""
    parser.addoption("--update-golden", action="store_true", help="write tests/golden anew")
