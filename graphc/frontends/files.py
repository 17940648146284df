"""What a model reads from its own folder: other models and saved parameters."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from graphc.errors import TypeRuleError
from graphc.ops.leaves import Array
from graphc.tensor_type import DType

MAX_ARRAYS = 2**28


def inside(folder: Path | None, file: str) -> Path:
    """The path of a file that a model names, which is in the model's folder or below.

    Raises
    ------
    TypeRuleError
        GC402 when there is no such file, GC405 when the path leaves the folder, also by a link.
    """
    if folder is None:
        raise TypeRuleError(
            "GC402", f"expected a model that is a file, whose folder holds {file!r}; found text without a file"
        )
    parts = PurePosixPath(file)
    if "\0" in file or "\\" in file or ":" in file or parts.is_absolute() or ".." in parts.parts or not parts.parts:
        raise TypeRuleError("GC405", f"expected a path inside the model's folder, found {file[:100]!r}")
    root = folder.resolve()
    try:
        path = (root / file).resolve()
    except (OSError, RuntimeError):
        raise TypeRuleError("GC402", f"expected a file, {file[:100]!r} cannot be followed") from None
    if not path.is_relative_to(root):
        raise TypeRuleError("GC405", f"expected a path inside the model's folder, {file[:100]!r} is a link out of it")
    if not path.is_file():
        raise TypeRuleError("GC402", f"expected a file, found none at {file[:100]!r}")
    return path


def decoded(stream: BinaryIO, bound: int) -> str:
    """The UTF-8 text of a stream that may be endless: when it has more characters than the bound, not all are read.

    Raises
    ------
    UnicodeDecodeError
        When it is not UTF-8.

    Examples
    --------
    >>> from io import BytesIO
    >>> decoded(BytesIO(b"f = x\\r\\n"), 1000)
    'f = x\\n'
    """
    longest = 4 * bound
    data = stream.read(longest + 1)
    # What is cut off may end within a character.
    text = data.decode("utf-8", "strict" if len(data) <= longest else "ignore")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_text(path: Path, bound: int) -> str:
    """A UTF-8 text file of at most so many bytes.

    Raises
    ------
    TypeRuleError
        GC401 past the bound, GC402 when it cannot be read.
    """
    try:
        if path.stat().st_size > bound:
            raise TypeRuleError("GC401", f"a model is a text of at most {bound} characters, {path.name} is larger")
        return path.read_text(encoding="utf-8")
    except OSError as fault:
        raise TypeRuleError("GC402", f"{path.name} cannot be read: {(fault.strerror or str(fault)).lower()}") from None
    except UnicodeDecodeError as fault:
        raise TypeRuleError(
            "GC402", f"expected UTF-8 text in {path.name}, found another byte at {fault.start}"
        ) from None


def read_arrays(path: Path, dtype: DType) -> Mapping[str, Array]:
    """The arrays of an ``.npz`` file, in the model's float type; read without pickle.

    Raises
    ------
    TypeRuleError
        GC401 when they are too large, GC406 when it holds anything but numbers.
    """
    import numpy as np

    try:
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > MAX_ARRAYS:
                raise TypeRuleError("GC401", f"saved parameters have at most {MAX_ARRAYS} bytes, {path.name} has more")
        with np.load(path, allow_pickle=False) as saved:
            arrays = {name: saved[name] for name in saved.files}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError, NotImplementedError, MemoryError):
        raise TypeRuleError("GC406", f"expected arrays saved by numpy.savez, without pickle, in {path.name}") from None
    for name, array in arrays.items():
        if array.dtype.kind not in "biuf":
            raise TypeRuleError("GC406", f"expected numbers, {name} in {path.name} has dtype {array.dtype}")
    stored = np.dtype(dtype).newbyteorder("<")
    return {
        name: Array(dtype, tuple(map(int, array.shape)), np.ascontiguousarray(array, dtype=stored).tobytes())
        for name, array in arrays.items()
    }
