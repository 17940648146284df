"""The demo: real digits and a model text in; the generated module, trained and measured, and pictures out."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from graphc.atomic import write_atomic
from graphc.compiler import compile
from graphc.data import load_digits
from graphc.errors import GraphcError
from graphc.training.checkpoint import npz_bytes

if TYPE_CHECKING:
    from types import ModuleType

    from graphc.compiled_model import Model

EPOCHS, BATCH = 150, 32
OPTIMIZER = "gradient_descent(lr=0.3)"
NOISE = 0.3
"""Standard deviation of what is added to the pixels while training, which keeps a network from learning by heart."""

HELD_OUT = 5
"""One example in so many is kept for the measurement."""

Array = NDArray[Any]
Progress = Callable[[Iterable[int], int], Iterable[int]]


@dataclass(frozen=True)
class Split:
    """Images, scaled to 0…1 and flat, with their labels: for training and for the measurement."""

    train_images: Array
    train_labels: Array
    test_images: Array
    test_labels: Array


@dataclass(frozen=True)
class Outcome:
    """What a demo did.

    Attributes
    ----------
    accuracy : float
        On the examples that training did not see.
    written : tuple of Path
    """

    accuracy: float
    written: tuple[Path, ...]


def run_demo(
    folder: str | None = None, *, seed: int = 0, say: Callable[[str], object] = print, progress: Progress | None = None
) -> Outcome:
    """Compile the classifier of digits, train the generated module by gradient descent, and measure it.

    Parameters
    ----------
    folder : str, optional
        Where files are written; by default a new folder in the working directory.
    seed : int
        Of the split, of the parameters and of the batches.
    say : callable
        Receives lines of text.
    progress : callable, optional
        ``progress(steps, count)`` gives the steps, and may show how far they are.
    """
    target = _folder(folder)
    model_file, module_file = target / "digits.gc", target / "digits.py"
    write_atomic(model_file, files("graphc.data").joinpath("digits.gc").read_bytes())
    model = compile(model_file, optimizer=OPTIMIZER)
    model.write(module_file)
    say(f"compiled {model_file} ({len(model.graph.nodes)} nodes) to {module_file}, which needs NumPy alone")
    pictures = _draw(model, target, say)
    module = _load_file(module_file)
    data = split_digits(seed)
    say(f"training {module_file.name} on {len(data.train_labels)} handwritten digits, {EPOCHS} times over")
    params = train(module, data, seed, progress or (lambda steps, count: steps))
    params_file = target / "digits.npz"
    write_atomic(params_file, npz_bytes(params))
    accuracy = float(np.mean(module.probs(params, data.test_images).argmax(axis=1) == data.test_labels))
    say(f"accuracy on {len(data.test_labels)} digits that it has not seen: {accuracy:.1%}")
    written = (model_file, module_file, *pictures, params_file)
    say("\n".join(["wrote", *(f"  {path}" for path in written)]))
    return Outcome(accuracy, written)


def split_digits(seed: int) -> Split:
    """The digits, a fifth of every class held out; which ones is up to the seed."""
    images, labels = load_digits()
    flat = images.reshape(len(images), -1) / 16.0
    rng = np.random.default_rng(seed)
    held_out = np.zeros(len(labels), bool)
    for digit in range(10):
        members = rng.permutation(np.flatnonzero(labels == digit))
        held_out[members[: round(len(members) / HELD_OUT)]] = True
    classes = labels.astype(np.int64)
    return Split(flat[~held_out], classes[~held_out], flat[held_out], classes[held_out])


def train(module: ModuleType, data: Split, seed: int, progress: Progress) -> dict[str, Array]:
    """Parameters after the module's steps of training, each on a mini-batch of noisy images."""
    params: dict[str, Array] = module.init_params(seed)
    state = module.init_state(params)
    rng = np.random.default_rng(seed)
    count = len(data.train_labels)
    for _ in progress(range(EPOCHS), EPOCHS):
        order = rng.permutation(count)
        for start in range(0, count, BATCH):
            batch = order[start : start + BATCH]
            images = data.train_images[batch]
            noisy = images + NOISE * rng.standard_normal(images.shape)
            params, state, _ = module.train_step(params, state, noisy, data.train_labels[batch])
    return params


def _folder(name: str | None) -> Path:
    if name is not None:
        target = Path(name)
        target.mkdir(parents=True, exist_ok=True)
        return target
    number = 1
    while True:
        target = Path("graphc-demo" if number == 1 else f"graphc-demo-{number}")
        try:
            target.mkdir()
        except FileExistsError:
            number += 1
        else:
            return target


def _draw(model: Model, target: Path, say: Callable[[str], object]) -> list[Path]:
    """The pictures, or a line that says why there are none."""
    try:
        return [model.draw(target / f"digits-{view}.svg", view=view) for view in ("forward", "joint")]
    except GraphcError as error:
        say(f"no pictures: {error.diagnostics[0].message}; {error.diagnostics[0].hint}")
        return []


def _load_file(path: Path) -> ModuleType:
    """Import a module from its file, as a user would, though its folder is not on the path."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
