"""Files that are whole or not there: text or bytes in, a file beside a temporary one, put in place by a rename."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from pathlib import Path


def check_place(path: str | os.PathLike[str]) -> None:
    """Refuse a place where `write_atomic` cannot write, before the work whose result is to go there.

    Raises
    ------
    OSError
        When the folder does not exist or cannot be written to, or the path is that of a folder.
    """
    target = Path(os.path.realpath(path))
    wrong = {
        errno.ENOENT: not target.parent.is_dir(),
        errno.EISDIR: target.is_dir(),
        errno.EACCES: not os.access(target.parent, os.W_OK) and not target.exists(),
    }
    for code in (code for code, is_so in wrong.items() if is_so):
        raise OSError(code, os.strerror(code), str(path))


def write_atomic(path: str | os.PathLike[str], data: str | bytes) -> None:
    """Write a file so that nobody ever sees half of it; text becomes UTF-8 with ``\\n`` line ends.

    What is not a regular file (a pipe, a device) is written to directly; a link stays a link.

    Raises
    ------
    OSError
        When the folder does not exist or cannot be written to; the old file, if any, is untouched.
    """
    content = data.encode() if isinstance(data, str) else data
    target = Path(os.path.realpath(path))
    try:
        if target.exists() and not target.is_file():
            target.write_bytes(content)
        else:
            _replace(target, content)
    except OSError as fault:
        # Of the file that was asked for, not of a temporary one.
        raise OSError(fault.errno, fault.strerror, str(path)) from None


def _replace(target: Path, content: bytes) -> None:
    temporary = target.with_name(f".{target.name[:200]}.{secrets.token_hex(4)}.tmp")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, target)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
