"""What holds for all tests: reproducible examples from hypothesis, no time limit on them, golden modules left alone."""

from __future__ import annotations

import os
import secrets

import pytest
from hypothesis import settings

# Several processes test at once: threads of each one's BLAS only wait for those of the others. Read when NumPy loads.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# Golden modules are read and run by their own tests.
collect_ignore = ["golden"]

settings.register_profile("graphc", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None, database=None)
settings.load_profile("graphc")


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--update-golden`` writes the golden modules anew instead of comparing with them."""
    parser.addoption("--update-golden", action="store_true", help="write tests/golden anew")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """``--hypothesis-profile=search`` tries other examples than every run does, from a seed that can be given again."""
    if config.getoption("--hypothesis-profile", "") == "search" and config.getoption("--hypothesis-seed") is None:
        config.option.hypothesis_seed = str(secrets.randbelow(2**32))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say the seed."""
    seed = config.getoption("--hypothesis-seed", None)
    if seed is not None:
        terminalreporter.write_line(f"hypothesis started at --hypothesis-seed={seed}")
