"""The planner's only door to numba.

Compiled code is cached beside its source, and numba does not notice an edit in another file: so a kernel
calls kernels of its own file only.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

_Kernel = TypeVar("_Kernel", bound=Callable[..., Any])


def jit(kernel: _Kernel) -> _Kernel:
    """``kernel``, compiled on first use, cached on disk, free of the interpreter's lock."""
    return cast(_Kernel, numba.njit(cache=True, nogil=True)(kernel))
