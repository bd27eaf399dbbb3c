"""``@jit``: how every kernel is compiled. The only file that imports numba.

Compiled code is kept on disk. numba checks whether the file that defines a function has changed, but
not the files of the kernels that it calls, and would go on running the old callee. So the cache
directory is named after a hash of all kernel sources: an edit anywhere compiles anew.
"""

import hashlib
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from platformdirs import user_cache_path

_Kernel = TypeVar("_Kernel", bound=Callable[..., object])
_numba_config: Any = numba.config  # numba fills it in as it starts
_log = logging.getLogger(__name__)


def _sources_hash() -> str:
    """Hexadecimal digest over every kernel source."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _cache_dir() -> str | None:
    """Where compiled kernels are kept; ``None`` where nothing can be written.

    ``NUMBA_CACHE_DIR``, which numba reads itself, comes first.
    """
    if _numba_config.CACHE_DIR:
        return str(_numba_config.CACHE_DIR)
    path = user_cache_path("seedcorn") / "kernels" / _sources_hash()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        _log.warning("kernels are compiled anew in every process: cannot write %s (%s)", path, error)
        return None
    return str(path) if os.access(path, os.W_OK) else None


_CACHE_DIR = _cache_dir()


def jit(kernel: _Kernel) -> _Kernel:
    """``kernel``, compiled on its first call, kept on disk, and free of Python's global lock."""
    shared = _numba_config.CACHE_DIR
    _numba_config.CACHE_DIR = _CACHE_DIR or shared  # numba picks the place when it decorates
    try:
        compiled: Any = numba.njit(cache=_CACHE_DIR is not None, nogil=True)(kernel)
    finally:
        _numba_config.CACHE_DIR = shared
    return cast(_Kernel, compiled)
