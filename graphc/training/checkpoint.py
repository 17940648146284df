"""Trainings as files that are whole or not there: what `fit` needs to go on as if nothing had happened."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from graphc.atomic import write_atomic
from graphc.diagnostics import Diagnostic
from graphc.errors import GraphcError
from graphc.point import read_npz
from graphc.training.history import Epoch, Progress

_PARTS = ("params", "state", "best")


def fingerprint(settings: Mapping[str, Any], arrays: Mapping[str, Any]) -> str:
    """A text that tells one training from another: its settings and the numbers it starts from."""
    digest = hashlib.sha256(repr(sorted(settings.items())).encode())
    for name, value in arrays.items():
        array = np.ascontiguousarray(value)
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        # No copy: the array may be a file that is larger than the memory.
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def write_checkpoint(path: str | os.PathLike[str], mark: str, progress: Progress) -> None:
    """Save a training; a file that was there is replaced in one step."""
    parts = {part: getattr(progress, part) for part in _PARTS}
    arrays = {f"{part}/{name}": np.asarray(value) for part, held in parts.items() for name, value in held.items()}
    arrays |= {"history": np.array(progress.history, np.float64).reshape(-1, len(Epoch._fields))}
    arrays |= {"best_epoch": np.array(progress.best_epoch), "fingerprint": np.array(mark)}
    write_atomic(path, npz_bytes(arrays))


def read_checkpoint(path: str | os.PathLike[str], mark: str) -> Progress:
    """A training as it was saved.

    Raises
    ------
    GraphcError
        GC515 when the file is no checkpoint, or that of a training with other data or settings.
    """
    try:
        arrays = read_npz(path)
        found = str(arrays["fingerprint"])
        rows = [Epoch(int(epoch), int(steps), *rest) for epoch, steps, *rest in arrays["history"].tolist()]
        best = int(arrays["best_epoch"])
    except (ValueError, OSError, KeyError, TypeError) as fault:
        raise GraphcError(
            Diagnostic("GC515", f"expected a checkpoint of graphc in {path}, found none: {fault}")
        ) from None
    if found != mark:
        message = f"expected the checkpoint of this training in {path}, found one with another model, data or settings"
        raise GraphcError(Diagnostic("GC515", message))
    held = {part: _part(arrays, part) for part in _PARTS}
    return Progress(held["params"], held["state"], tuple(rows), held["best"], best)


def npz_bytes(arrays: Mapping[str, Any]) -> bytes:
    """Arrays as the content of a ``.npz`` file, the same bytes each time.

    That of `numpy.savez`, to which no array can be given that is called as one of its own arguments.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.asanyarray(array), allow_pickle=False)
    return buffer.getvalue()


def _part(arrays: Mapping[str, Any], part: str) -> dict[str, Any]:
    return {name.removeprefix(f"{part}/"): value[()] for name, value in arrays.items() if name.startswith(f"{part}/")}
