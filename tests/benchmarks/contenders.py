"""Who takes part: graphc's generated modules, NumPy by hand, and the peers; each gives the call that is timed."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import util
from pathlib import Path
from types import ModuleType

import graphc
from graphc.backends.regions import Optimize
from tests.benchmarks import frameworks, memory
from tests.benchmarks.case import Arrays, Call, Case, Result


@dataclass(frozen=True)
class Contender:
    """One way to compute.

    Attributes
    ----------
    call : callable
        ``call(case, variables, data)``.
    needs : str
        The package without which it cannot take part.
    exact : bool
        Whether its results are those of the case.
    written : str
        The attribute of a case that it needs, which not every case has.
    memory : callable, optional
        ``memory(case, variables, data)`` gives the bytes that a call takes beside its arguments.
    """

    call: Callable[[Case, Arrays, Arrays], Call]
    needs: str = "numpy"
    exact: bool = True
    written: str = ""
    memory: Callable[[Case, Arrays, Arrays], int] | None = None


def _module(case: Case, folder: str, optimize: Optimize, reassociate: bool) -> ModuleType:
    """The generated module, imported from a file as its users do."""
    path = Path(folder) / "generated.py"
    compiled = partial(graphc.compile, optimize=optimize, reassociate=reassociate)
    compiled(case.model, dtype=case.dtype, optimizer=case.optimizer or None).write(path)
    spec = util.spec_from_file_location("generated", path)
    assert spec is not None and spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _generated(
    case: Case, variables: Arrays, data: Arrays, optimize: Optimize = "readable", reassociate: bool = False
) -> Call:
    with tempfile.TemporaryDirectory() as folder:
        module = _module(case, folder, optimize, reassociate)
    if not case.optimizer:
        given = partial(module.value_and_grad, *([variables] if hasattr(module, "init_params") else []))
        inputs = data if hasattr(module, "init_params") else {**variables, **data}
        return _again(given, inputs) if optimize == "speed" else lambda: given(**inputs)  # type: ignore[no-any-return]

    def advance(state: tuple[Arrays, Arrays], done: int) -> tuple[Result, tuple[Arrays, Arrays]]:
        # What a loop of training does: the first step leaves the arrays that it is given to their owner.
        out = {"out": state} if optimize == "speed" and done > 1 else {}
        params, remembered, loss = module.train_step(*state, **data, **out)
        return (loss, params), (params, remembered)

    return frameworks.steps_of_training((variables, module.init_state(variables)), advance)


def _again(function: Callable[..., Result], inputs: Arrays) -> Call:
    """Calls that write their gradient over that of the call before, as a loop may that is done with it."""
    out: Arrays | None = None

    def call() -> Result:
        nonlocal out
        loss, out = function(**inputs, out=out)
        return loss, out

    return call


def _written(how: str) -> Callable[[Case, Arrays, Arrays], Call]:
    """What an attribute of a case has."""
    return lambda case, variables, data: getattr(case, how)(variables, data)  # type: ignore[no-any-return]


def _in_numpy(call: Callable[[Case, Arrays, Arrays], Call], needs: str = "numpy", written: str = "") -> Contender:
    """A contender whose arrays are all NumPy's, which says what memory they take."""
    return Contender(call, needs, written=written, memory=lambda case, *arrays: memory.traced(call(case, *arrays)))


CONTENDERS: Mapping[str, Contender] = {
    "graphc": _in_numpy(_generated),
    "graphc for speed": _in_numpy(partial(_generated, optimize="speed")),
    "graphc reassociated": _in_numpy(partial(_generated, optimize="speed", reassociate=True)),
    "numpy": _in_numpy(_written("by_hand")),
    "plain numpy": _in_numpy(_written("plain"), written="plain"),
    "products": Contender(_written("products"), exact=False, written="products"),
    "jax": Contender(frameworks.jax_call, "jax", memory=frameworks.jax_memory),
    "torch": Contender(frameworks.torch_call, "torch"),
    "torch.compile": Contender(frameworks.torch_compiled_call, "torch"),
    "pytensor": Contender(frameworks.pytensor_call, "pytensor"),
    "autograd": _in_numpy(frameworks.autograd_call, "autograd"),
}
"""By the names of the table's columns."""


def takes_part(name: str, case: Case) -> bool:
    """Whether a contender can compute a case here."""
    contender = CONTENDERS[name]
    if contender.written and getattr(case, contender.written) is None:
        return False
    if name == "graphc reassociated" and not any(name in aim.by for aim in case.aims):
        return False
    if name == "autograd" and case.optimizer:
        return False
    return util.find_spec(contender.needs) is not None
