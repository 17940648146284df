"""All cases, by name."""

from __future__ import annotations

from collections.abc import Mapping

from tests.benchmarks.case import Case
from tests.benchmarks.cases import elementwise, fits, geometry, networks

CASES: Mapping[str, Case] = {
    case.name: case for family in (networks, elementwise, fits, geometry) for case in family.CASES
}
