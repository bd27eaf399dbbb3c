"""Where evidence is kept: a folder, one document per measurement, named after its content.

The same measurement is the same file, so keeping it twice changes nothing; a file whose name and
content disagree was tampered with or damaged, and is refused.
"""

import hashlib
from pathlib import Path

from seedcorn.domain.measurement import Measurement
from seedcorn.errors import InputError
from seedcorn.wire import evidence_from, evidence_json, write_text_atomically

_NAME_DIGITS = 16  # of SHA-256: 64 bits tell any number of measurements apart


def keep(measurement: Measurement, folder: Path) -> tuple[Path, bool]:
    """Put a measurement into the store; returns its file, and whether it is new there.

    Raises:
        InputError: The folder cannot be written.
    """
    content = evidence_json(measurement)
    path = folder / f"{_name(content)}.json"
    if path.is_file() and path.read_bytes() == content:
        return path, False
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the evidence store {folder}: {error.strerror}") from None
    write_text_atomically(path, content)
    return path, True


def kept(folder: Path) -> tuple[tuple[Path, Measurement], ...]:
    """Every measurement in the store with its file, by file name; none where there is no store.

    Raises:
        InputError: A file cannot be read, was changed, or is no evidence.
    """
    return tuple((path, _read(path)) for path in sorted(folder.glob("*.json")))


def _read(path: Path) -> Measurement:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    if _name(content) != path.stem:
        raise InputError(f"{path} is not what was kept: its content has changed; delete it and import again")
    return evidence_from(content, str(path))


def _name(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:_NAME_DIGITS]
