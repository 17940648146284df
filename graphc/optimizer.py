"""Which optimiser, and with what: a call in the model language, such as ``adam(lr=0.1 * warmup(step, 100))``."""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from graphc.diagnostics import Diagnostic
from graphc.errors import GraphcError
from graphc.frontends.library import library
from graphc.frontends.values import Function

FILE = "optimizers.gc"
COMMON = ("l1", "l2", "clip", "clip_norm", "weight_decay", "max_norm", "average", "regularized")
"""What every optimiser takes beside its own options."""

REGULARIZERS = ("l1", "l2", "weight_decay", "max_norm")
"""Options about parameters themselves, which may be for some of them alone: those that `regularized` names."""

SHARES = ("decay", "beta1", "beta2", "average")
"""Options that say how much of what is remembered stays."""

_LONGEST = 1_000


@dataclass(frozen=True, init=False)
class Optimizer:
    """An optimiser of the library with its options, of which each may be an expression of ``step``.

    Parameters
    ----------
    name : str
        ``gradient_descent``, ``gradient_ascent``, ``momentum``, ``nesterov``, ``adagrad``, ``rmsprop``, ``adam`` or
        ``adamw``.
    **options : number or str
        Those of its function in ``optimizers.gc``, and for all: ``l1`` and ``l2`` add so many times the sum of absolute
        values, or of squares, of every parameter to what is minimised; ``clip`` bounds the elements of gradients,
        ``clip_norm`` the norm of all of them together; ``weight_decay`` takes a share off the parameters themselves;
        ``max_norm`` bounds the norm of the weights into each unit; ``average`` is the decay of an average of the
        parameters that is kept beside them. A text is an expression of the model language in which ``step`` is the
        number of the step, 1 at first. ``regularized`` is a text of another kind: the names of the parameters that
        ``l1``, ``l2``, ``weight_decay`` and ``max_norm`` are for, with ``*`` for any letters: ``"W, *_W"``.

    Raises
    ------
    GraphcError
        GC417 when there is no such optimiser or option, or an option is neither a number nor an expression.

    Examples
    --------
    >>> print(Optimizer("adam", lr="0.1 * warmup(step, 100)", clip_norm=1.0))
    adam(lr=0.1 * warmup(step, 100), clip_norm=1.0)
    >>> Optimizer.parse("momentum(lr=0.1)") == Optimizer("momentum", lr=0.1)
    True
    """

    name: str
    options: tuple[tuple[str, str], ...]

    def __init__(self, name: str, **options: float | str) -> None:
        known = optimizers()
        if name not in known:
            raise _refusal(f"expected an optimiser among {', '.join(known)}, found {name}", name, known)
        takes = dict.fromkeys((*own_options(known[name]), *COMMON))
        for option in options:
            if option not in takes:
                message = f"{name} takes {', '.join(takes)}, found no option {option}"
                raise _refusal(message, option, takes)
        own = own_options(known[name])
        if "regularized" in options and not {*REGULARIZERS}.intersection({*options, *own}):
            raise _refusal(f"regularized is for {', '.join(REGULARIZERS)}, expected one of these, found none")
        texts = {option: _text(option, value) for option, value in options.items()}
        for option, text in texts.items():
            _check_range(option, text)
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "options", tuple(texts.items()))

    def __str__(self) -> str:
        quoted = {option: repr(text) if option == "regularized" else text for option, text in self.options}
        given = ", ".join(f"{option}={text}" for option, text in quoted.items())
        return f"{self.name}({given})" if given else self.name

    @staticmethod
    def parse(text: str) -> Optimizer:
        """The optimiser that a text names or calls."""
        match _expression("an optimiser", text):
            case ast.Name(id=name):
                return Optimizer(name)
            case ast.Call(func=ast.Name(id=name), args=[], keywords=keywords) if all(k.arg for k in keywords):
                names = [str(keyword.arg) for keyword in keywords]
                if len(set(names)) == len(names):
                    return Optimizer(name, **{str(k.arg): _content(k.value) for k in keywords})
        raise _refusal(f"expected an optimiser such as adam or adam(lr=0.01), found {text[:80]!r}")

    def with_option(self, name: str, value: float | str) -> Optimizer:
        """The same optimiser with one option, in place of its own."""
        return Optimizer(self.name, **{**dict(self.options), name: value})

    @property
    def numbers(self) -> dict[str, str]:
        """The options that are numbers or expressions, which are all but `regularized`."""
        return {option: text for option, text in self.options if option != "regularized"}

    @property
    def averages(self) -> bool:
        """Whether it keeps an average of the parameters."""
        return "average" in dict(self.options)

    @property
    def ascends(self) -> bool:
        """Whether it makes for the maximum of the loss."""
        return self.name == "gradient_ascent"

    @property
    def regularized(self) -> list[str]:
        """The names, with ``*`` for any letters, of the parameters that `REGULARIZERS` are for."""
        return dict(self.options).get("regularized", "*").split(", ")

    def regularizes(self, parameter: str) -> bool:
        """Whether `REGULARIZERS` are for this parameter."""
        return any(fnmatchcase(parameter, pattern) for pattern in self.regularized)


def chosen_optimizer(given: str | Optimizer | None) -> Optimizer:
    """The optimiser that is asked for; Adam when none is."""
    if isinstance(given, Optimizer):
        return given
    if given is not None and not isinstance(given, str):
        raise _refusal(f"expected an optimiser such as adam or adam(lr=0.01), found {str(given)[:80]}")
    return Optimizer.parse("adam" if given is None else given)


def optimizers() -> Mapping[str, Function]:
    """The functions of the library that make a step, by name."""
    return {
        name: function
        for name, function in library().items()
        if function.source.name == FILE and function.parameters[:2] == ["param", "gradient"]
    }


def slots(function: Function) -> list[str]:
    """What an optimiser remembers of a parameter."""
    return [argument.arg for argument in function.definition.args.args[2:]]


def own_options(function: Function) -> list[str]:
    """The options of an optimiser, ``lr`` among them."""
    return [argument.arg for argument in function.definition.args.kwonlyargs if argument.arg != "step"]


def _content(node: ast.expr) -> str:
    """The text of an option; of one in quotes, what is between them."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ast.unparse(node)


def _text(option: str, value: object) -> str:
    """An option as an expression of the language, always in the same words; that of names as a list of them."""
    if option == "regularized":
        names = [name.strip() for name in str(value).split(",")]
        if len(str(value)) > _LONGEST or not all(re.fullmatch(r"[\w.*]+", name) for name in names):
            found = f"found {str(value)[:80]!r}"
            raise _refusal(f"expected names of parameters, such as 'W, *_W', for regularized, {found}")
        return ", ".join(names)
    if isinstance(value, str):
        # The header of a module tells options apart by a pair of hyphens.
        return ast.unparse(_expression(option, value)).replace("--", "- -").replace("\n", " ")
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = float("nan")
    if not abs(number) < float("inf"):
        raise _refusal(f"expected a number or an expression of step for {option}, found {str(value)[:80]}")
    return repr(number)


def _check_range(option: str, text: str) -> None:
    """Refuse a number that no optimiser makes sense of: a negative one, and decays that forget nothing."""
    try:
        number = float(text)
    except ValueError:
        return
    if number < 0 or (option in SHARES and number >= 1):
        expected = "a number from 0 to below 1" if option in SHARES else "a number that is not negative"
        hint = "gradient_ascent goes uphill" if option == "lr" else ""
        raise _refusal(f"expected {expected} for {option}, found {text}", hint=hint)


def _expression(what: str, text: str) -> ast.expr:
    try:
        if len(text) > _LONGEST:
            raise ValueError
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise _refusal(f"expected an expression for {what}, found {text[:80]!r}") from None


def _refusal(message: str, name: str = "", known: Mapping[str, object] | None = None, hint: str = "") -> GraphcError:
    close = difflib.get_close_matches(name, known or {}, n=1)
    return GraphcError(Diagnostic("GC417", message, hint=f"did you mean {close[0]}?" if close else hint))
