"""The nonlinear problems of NIST's Statistical Reference Datasets as models, fitted with generated Jacobians."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
from scipy.optimize import least_squares

import graphc

DATA = Path(__file__).parents[1] / "tests" / "data" / "nist_strd"

_GAUSS = "b1 * exp(-b2 * x) + b3 * exp(-(x - b4) ** 2 / b5 ** 2) + b6 * exp(-(x - b7) ** 2 / b8 ** 2)"
_LANCZOS = "b1 * exp(-b2 * x) + b3 * exp(-b4 * x) + b5 * exp(-b6 * x)"
_CUBIC = "(b1 + b2 * x + b3 * x ** 2 + b4 * x ** 3) / (1 + b5 * x + b6 * x ** 2 + b7 * x ** 3)"
_WAVES = " + ".join(
    f"b{a} * cos(2 * pi * x / {period}) + b{b} * sin(2 * pi * x / {period})"
    for a, b, period in ((2, 3, "12"), (5, 6, "b4"), (8, 9, "b7"))
)

FORMULAS = {
    "Bennett5": "b1 * (b2 + x) ** (-1 / b3)",
    "BoxBOD": "b1 * (1 - exp(-b2 * x))",
    "Chwirut1": "exp(-b1 * x) / (b2 + b3 * x)",
    "Chwirut2": "exp(-b1 * x) / (b2 + b3 * x)",
    "DanWood": "b1 * x ** b2",
    "ENSO": f"b1 + {_WAVES}",
    "Eckerle4": "(b1 / b2) * exp(-0.5 * ((x - b3) / b2) ** 2)",
    "Gauss1": _GAUSS,
    "Gauss2": _GAUSS,
    "Gauss3": _GAUSS,
    "Hahn1": _CUBIC,
    "Kirby2": "(b1 + b2 * x + b3 * x ** 2) / (1 + b4 * x + b5 * x ** 2)",
    "Lanczos1": _LANCZOS,
    "Lanczos2": _LANCZOS,
    "Lanczos3": _LANCZOS,
    "MGH09": "b1 * (x ** 2 + x * b2) / (x ** 2 + x * b3 + b4)",
    "MGH10": "b1 * exp(b2 / (x + b3))",
    "MGH17": "b1 + b2 * exp(-x * b4) + b3 * exp(-x * b5)",
    "Misra1a": "b1 * (1 - exp(-b2 * x))",
    "Misra1b": "b1 * (1 - (1 + b2 * x / 2) ** (-2))",
    "Misra1c": "b1 * (1 - (1 + 2 * b2 * x) ** (-0.5))",
    "Misra1d": "b1 * b2 * x * (1 + b2 * x) ** (-1)",
    "Nelson": "b1 - b2 * x1 * exp(-b3 * x2)",
    "Rat42": "b1 / (1 + exp(b2 - b3 * x))",
    "Rat43": "b1 / (1 + exp(b2 - b3 * x)) ** (1 / b4)",
    "Roszman1": "b1 - b2 * x - atan(b3 / (x - b4)) / pi",
    "Thurber": _CUBIC,
}
"""The formula that each dataset is fitted by; Nelson's is that of log(y)."""

METHODS = ("lm", "trf")
CANNOT = {
    ("BoxBOD", 0, "lm"): "its first step leads to b2 = 111, where exp(-b2 * x) is zero in rounding, and with it a whole"
    " column of the Jacobian",
}
"""Fits that the method cannot do, by dataset, start and method, each with the reason."""


@dataclass(frozen=True)
class Dataset:
    """What a file of NIST says.

    Attributes
    ----------
    name, level : str
        ``level`` is that of difficulty: lower, average or higher.
    starts : tuple of ndarray
        Both starting points.
    certified : ndarray
        The parameters of the best fit, to 11 digits.
    y : ndarray
    predictors : dict of str to ndarray
    """

    name: str
    level: str
    starts: tuple[np.ndarray, ...]
    certified: np.ndarray
    y: np.ndarray
    predictors: dict[str, np.ndarray]


@dataclass(frozen=True)
class Fit:
    """How a fit went: the digits of the worst parameter, and how often residuals and Jacobian were called."""

    digits: float
    residuals: int
    jacobians: int


def read(name: str) -> Dataset:
    """A dataset, from its file."""
    text = (DATA / f"{name}.dat").read_text(encoding="ascii")
    level = re.search(r"(Lower|Average|Higher) Level of Difficulty", text)
    assert level is not None
    rows = re.findall(r"^ *b\d+ *= +(.+)$", text, re.MULTILINE)
    table = np.array([[float(number) for number in row.split()] for row in rows])
    lines = text[text.rindex("Data:") :].splitlines()[1:]
    y, *predictors = np.array([[float(number) for number in line.split()] for line in lines if line.strip()]).T
    names = ["x"] if len(predictors) == 1 else [f"x{k}" for k, _ in enumerate(predictors, 1)]
    observed = np.log(y) if name == "Nelson" else y
    named = dict(zip(names, predictors, strict=True))
    return Dataset(name, level[1].lower(), (table[:, 0], table[:, 1]), table[:, 2], observed, named)


def model_text(dataset: Dataset) -> str:
    """The residuals of a dataset as a model, with a parameter b1, b2, … each."""
    inputs = "".join(f"{name}: Input[N]\n" for name in dataset.predictors)
    params = "".join(f"b{k}: Param\n" for k, _ in enumerate(dataset.certified, 1))
    return f"{inputs}y: Input[N]\n{params}r: Output = {FORMULAS[dataset.name]} - y\n"


@cache
def module_of(name: str) -> ModuleType:
    """The generated module of a dataset's residuals."""
    return graphc.compile(model_text(read(name)), with_=["jacobian", "flat"]).module


def fit(name: str, start: int, method: str) -> Fit:
    """A fit from one of the starting points (0 or 1), by ``lm`` or ``trf`` of SciPy with the generated Jacobian."""
    dataset, module = read(name), module_of(name)
    data = (*dataset.predictors.values(), dataset.y)
    calls = {"residuals": 0, "jacobian": 0}
    # Far off a formula may overflow, and neither method takes an infinite residual.
    limit = 1e150

    def residuals(theta: np.ndarray) -> np.ndarray:
        calls["residuals"] += 1
        return np.nan_to_num(module.residuals_flat(theta, *data), nan=limit, posinf=limit, neginf=-limit)

    def jacobian(theta: np.ndarray) -> np.ndarray:
        calls["jacobian"] += 1
        return np.nan_to_num(module.jacobian_flat(theta, *data))

    with np.errstate(all="ignore"):
        found = least_squares(
            residuals,
            dataset.starts[start],
            jacobian,
            method=method,
            x_scale="jac",
            xtol=1e-15,
            ftol=1e-15,
            gtol=1e-15,
            max_nfev=20_000,
        )
    error = np.abs(found.x - dataset.certified) / np.abs(dataset.certified)
    digits = float(np.min(-np.log10(np.maximum(error, 1e-11))))
    return Fit(max(digits, 0.0), calls["residuals"], calls["jacobian"])
