"""``@jit``: how every kernel is compiled. The only file that imports numba.

Compiled code is kept on disk. numba checks whether the file that defines a function has changed, but
not the files of the kernels that it calls, and would go on running the old callee. So the cache
directory is named after a hash of all kernel sources and of numba's version: an edit anywhere
compiles anew.

Kernels that allocate nothing are compiled without numba's reference counts (``_nrt``): these are
atomic operations, and were half the time of a replay and a third of its compilation.
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
_njit: Any = numba.njit  # whose annotations leave options out
_log = logging.getLogger(__name__)
_KERNELS = (
    "jit.py",
    "planner/placement.py",
    "planner/responses.py",
    "planner/runway.py",
    "planner/switching.py",
    "replay/kernels/*.py",
)  # where kernels are, from the package's root


def _sources_hash() -> str:
    """Hexadecimal digest over every kernel source and numba's version."""
    digest = hashlib.sha256(numba.__version__.encode())
    for pattern in _KERNELS:
        for path in sorted(Path(__file__).parent.glob(pattern)):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _cache_dir() -> Path | None:
    """Where compiled kernels are kept; ``None`` where nothing can be written.

    A folder named by the sources' hash, in ``NUMBA_CACHE_DIR`` if that is set (numba reads it itself),
    else in the user's cache.
    """
    chosen = _numba_config.CACHE_DIR
    path = (Path(chosen) if chosen else user_cache_path("seedcorn") / "kernels") / _sources_hash()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        _log.warning("kernels are compiled anew in every process: cannot write %s (%s)", path, error)
        return None
    return path if os.access(path, os.W_OK) else None


_CACHE_DIR = _cache_dir()


def jit(kernel: _Kernel) -> _Kernel:
    """``kernel``, which allocates nothing: compiled on its first call, kept on disk, free of Python's global lock."""
    return _compiled(kernel)


def inlined(kernel: _Kernel) -> _Kernel:
    """As :func:`jit`, and copied into every kernel that calls it: for what a loop calls with many arrays."""
    return _compiled(kernel, inline=True)


def allocating(kernel: _Kernel) -> _Kernel:
    """As :func:`jit`, for a kernel that makes arrays."""
    return _compiled(kernel, counted=True)


def is_compiled(kernel: Callable[..., object]) -> bool:
    """Whether the compiled ``kernel`` is on disk, so that its first call takes no time."""
    return _CACHE_DIR is not None and any(_CACHE_DIR.rglob(f"*.{kernel.__name__}-*.nbi"))


def _compiled(kernel: _Kernel, *, inline: bool = False, counted: bool = False) -> _Kernel:
    shared = _numba_config.CACHE_DIR
    _numba_config.CACHE_DIR = str(_CACHE_DIR or shared)  # numba picks the place when it decorates
    try:
        compiled: Any = _njit(
            cache=_CACHE_DIR is not None,
            nogil=True,
            no_cfunc_wrapper=True,
            forceinline=inline,
            _nrt=counted,
        )(kernel)
    finally:
        _numba_config.CACHE_DIR = shared
    return cast(_Kernel, compiled)
