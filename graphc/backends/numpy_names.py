"""Names in generated modules: valid, close to the user's, and never two things under one name."""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections.abc import Iterable

# A list of its own: what Python has built in depends on its version, generated text does not.
_BUILTINS = """
abs aiter all anext any ascii bin bool breakpoint bytearray bytes callable chr classmethod compile complex copyright
credits delattr dict dir divmod enumerate eval exec exit filter float format frozenset getattr globals hasattr hash help
hex id input int isinstance issubclass iter len license list locals map max memoryview min next object oct open ord pow
print property quit range repr reversed round set setattr slice sorted staticmethod str sum super tuple type vars zip
ArithmeticError MemoryError TypeError ValueError
"""
_MODULE_NAMES = """
np base64 contextlib math sys NamedTuple Outputs init_params forward backward value_and_grad evaluate params residuals
rng rest dtype _INPUTS _PARAMS _STATE _PASSED _GRAPH _BLOCK _WORK
"""
BUILTINS = frozenset(_BUILTINS.split())
MODULE_NAMES = frozenset(_MODULE_NAMES.split())
# Built-in names that generated functions use: an argument cannot have them.
USED_BUILTINS = frozenset(["bool", "divmod", "int", "range", "reversed", "ValueError"])


def python_name(name: str) -> str:
    """A valid identifier near a name.

    Examples
    --------
    >>> python_name("lambda"), python_name("conv.W"), python_name("2nd")
    ('lambda_', 'conv_W', '_2nd')
    """
    text = re.sub(r"\W", "_", unicodedata.normalize("NFKC", name)) or "_"
    text = text if text.isidentifier() else f"_{text}"
    return f"{text}_" if keyword.iskeyword(text) else text


class Names:
    """The names of one scope; each is given once.

    Examples
    --------
    >>> names = Names(["h"])
    >>> names.take("h"), names.take("sum"), names.number("add"), names.number("add")
    ('h_2', 'sum_', 'add_1', 'add_2')
    """

    def __init__(self, taken: Iterable[str] = (), *, builtins: Iterable[str] = BUILTINS) -> None:
        self._builtins = frozenset(builtins)
        self._taken = {*taken}
        self._counts: dict[str, int] = {}

    def take(self, wanted: str) -> str:
        """The wanted name or, where that is impossible or taken, one near it."""
        name = python_name(wanted)
        if name in self._builtins or name in MODULE_NAMES:
            name += "_"
        return name if self._add(name) else self.number(name, start=2)

    def take_numbered(self, wanted: str) -> str:
        """As `take`, of a name that may end in a number: where it is taken, the next free number.

        Examples
        --------
        >>> names = Names(["d_h_2"])
        >>> names.take_numbered("d_h_2"), names.take_numbered("d_W")
        ('d_h_3', 'd_W')
        """
        name = python_name(wanted)
        return name if self._add(name) else self.number(re.sub(r"_\d+$", "", name), start=2)

    def number(self, stem: str, *, start: int = 1) -> str:
        """The first free one of stem_1, stem_2, …"""
        while True:
            count = self._counts[stem] = self._counts.get(stem, start - 1) + 1
            if self._add(f"{stem}_{count}"):
                return f"{stem}_{count}"

    def _add(self, name: str) -> bool:
        free = name not in self._taken
        self._taken.add(name)
        return free
