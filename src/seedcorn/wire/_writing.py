"""Documents out: the same values are the same bytes, and a reader never sees half a file."""

import json
import os
import secrets
from contextlib import suppress
from pathlib import Path

from seedcorn.errors import InputError
from seedcorn.wire._text import Json


def json_bytes(data: Json) -> bytes:
    """``data`` as JSON for people and for ``diff``: keys in the order given, one value a line."""
    return (json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def check_writable(path: Path) -> None:
    """Find out before long work whether its result can be put at ``path``.

    Raises:
        InputError: As `write_text_atomically` would.
    """
    target = path.resolve()
    _check_regular(target)
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise InputError(f"cannot write {path}: the folder {target.parent} is missing or closed to you")


def write_text_atomically(path: Path, content: str | bytes) -> None:
    """Put ``content`` at ``path``: whole and on disk, or not at all.

    Written under a temporary name beside ``path``, synced, then renamed over it; a link is followed.

    Raises:
        InputError: The folder is missing or closed to us, or ``path`` is no regular file.
    """
    try:
        _replace(path.resolve(), content.encode() if isinstance(content, str) else content)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from None


def _check_regular(target: Path) -> None:
    if target.exists() and not target.is_file():
        raise InputError(f"cannot write {target}: it is not a regular file; give the name of a file")


def _replace(target: Path, content: bytes) -> None:
    _check_regular(target)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        _write_synced(temporary, content)
        temporary.replace(target)
    finally:
        with suppress(OSError):  # renamed already, or never written
            temporary.unlink()
    _sync_folder(target.parent)


def _write_synced(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Make a rename in ``folder`` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
