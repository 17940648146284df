"""The update of parameters as a text in the model language, a few lines for each of them, by what an optimiser says."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from graphc.diagnostics import Diagnostic
from graphc.errors import GraphcError
from graphc.optimizer import COMMON, Optimizer, optimizers, own_options, slots

STEPS = "steps_done"
"""The entry of the state that counts the steps."""


@dataclass(frozen=True)
class Parameter:
    """A parameter, and what the text calls it, its gradient, and what is remembered of it.

    Attributes
    ----------
    slots : mapping of str to str
        From entries of the state that are zeros at first to what the text calls them.
    averages : mapping of str to str
        The same for the entry that is the parameter at first, where there is one.
    results : tuple of str
        The new values of the parameter and of all these.
    """

    name: str
    local: str
    gradient: str
    slots: dict[str, str]
    averages: dict[str, str]
    results: tuple[str, ...]


def named_parameters(optimizer: Optimizer, names: Iterable[str]) -> list[Parameter]:
    """The parameters, with names that no two share, nor one with what the text is written in.

    Raises
    ------
    GraphcError
        GC417 when the optimiser's options name another parameter.
    """
    names = list(names)
    for pattern in optimizer.regularized:
        if not any(fnmatchcase(name, pattern) for name in names):
            message = f"expected names among {', '.join(names)} for regularized, found {pattern}"
            raise GraphcError(Diagnostic("GC417", message))
    words = re.findall(r"\w+", " ".join(optimizer.numbers.values()))
    taken = {optimizer.name, *words, *COMMON, *_LOCAL.values(), *_WORDS}

    def name_for(wanted: str) -> str:
        name = re.sub(r"\W", "_", wanted)
        while name in taken or keyword.iskeyword(name):
            name += "_"
        taken.add(name)
        return name

    found = []
    for name in names:
        zeros = [f"{slot}_{name}" for slot in slots(optimizers()[optimizer.name])]
        averages = [f"average_{name}"] if optimizer.averages else []
        entries = {entry: name_for(entry) for entry in (*zeros, *averages)}
        results = tuple(name_for(f"new_{old}") for old in (name, *entries))
        local, gradient = name_for(name), name_for(f"d_{name}")
        first, last = ({entry: entries[entry] for entry in part} for part in (zeros, averages))
        found.append(Parameter(name, local, gradient, first, last, results))
    return found


_LOCAL = {option: f"{option}_factor" for option in ("l1", "l2", "max_norm")}
"""What the text calls options where functions have their names."""

_WORDS = (
    *("lr", "step", STEPS, "gradient_norm", "grad", "clip_by_value", "clip_by_norm", "global_norm", "decay_weights"),
    "moving_average",
)


def update_text(optimizer: Optimizer, parameters: Sequence[Parameter]) -> str:
    """The update in the model language."""
    function = optimizers()[optimizer.name]
    options = {"lr": repr(function.defaults["lr"]), **optimizer.numbers}
    # What is no plain number is computed once, under its name.
    computed = {name: _LOCAL.get(name, name) for name, text in options.items() if not _is_number(text)}
    lines = ["step = steps_done + 1", *(f"{local} = {options[name]}" for name, local in computed.items())]
    options |= computed
    sign = "-" if optimizer.ascends else "+"
    for p in parameters:
        for penalty in ("l1", "l2"):
            if penalty in options and optimizer.regularizes(p.name):
                added = f"grad({options[penalty]} * {penalty}({p.local}), {p.local})"
                lines.append(f"{p.gradient} = {p.gradient} {sign} {added}")
        if "clip" in options:
            lines.append(f"{p.gradient} = clip_by_value({p.gradient}, {options['clip']})")
    if "clip_norm" in options:
        lines.append(f"gradient_norm = global_norm([{', '.join(p.gradient for p in parameters)}])")
        clipped = f"clip_by_norm({{0}}, gradient_norm, {options['clip_norm']})"
        lines += [f"{p.gradient} = {clipped.format(p.gradient)}" for p in parameters]
    for p in parameters:
        lines += _step_lines(optimizer, p, options)
    return "\n".join(lines)


def _step_lines(optimizer: Optimizer, p: Parameter, options: Mapping[str, str]) -> list[str]:
    """The step of a parameter; after it come its constraint and its average."""
    function = optimizers()[optimizer.name]
    own, regularized = own_options(function), optimizer.regularizes(p.name)
    numbers = {"step": "step"} if "step" in function.parameters else {}
    numbers |= {name: text for name, text in options.items() if name in own}
    param, (new, *remembered) = p.local, p.results
    if "weight_decay" in own and not regularized:
        numbers["weight_decay"] = "0"
    elif "weight_decay" in options and "weight_decay" not in own and regularized:
        param = f"decay_weights({p.local}, {options['lr']}, {options['weight_decay']})"
    called = ", ".join([param, p.gradient, *p.slots.values(), *(f"{name}={text}" for name, text in numbers.items())])
    lines = [f"{', '.join([new, *remembered[: len(p.slots)]])} = {optimizer.name}({called})"]
    if "max_norm" in options and regularized:
        lines.append(f"{new} = max_norm({new}, {options['max_norm']})")
    for average, result in zip(p.averages.values(), remembered[len(p.slots) :], strict=True):
        lines.append(f"{result} = moving_average({average}, {new}, {options['average']})")
    return lines


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
