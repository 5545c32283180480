"""The only owner of threads.

All parallel work runs in Numba's pool, one launch at a time: `workqueue`, Numba's layer of last resort,
aborts the process when two Python threads enter it. The kernels bring their own matrix product and call no
BLAS inside a launch, so there is no second pool to fight over the cores, and a user's NumPy and SciPy keep
the threads they have.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

_lock = threading.RLock()
_wanted: int | None = None
_layer: str | None = None


def _cores() -> int:
    """The cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _limit() -> int:
    """The most threads Numba's pool will ever have: `NUMBA_NUM_THREADS`, else the cores."""
    try:
        return max(1, int(os.environ["NUMBA_NUM_THREADS"]))
    except (KeyError, ValueError):
        return _cores()


def get_num_threads() -> int:
    """How many threads a parallel kernel uses."""
    return _limit() if _wanted is None else _wanted


def set_num_threads(n: int) -> None:
    """Use `n` threads from the next launch on; results do not depend on it.

    Raises `ValueError` unless 1 <= n <= the cores of this process (or `NUMBA_NUM_THREADS`).
    """
    global _wanted
    if n != int(n) or not 1 <= n <= _limit():
        raise ValueError(f"threads {n!r}: must be an integer from 1 to {_limit()}")
    _wanted = int(n)


def layer() -> str:
    """The threading layer of Numba: the user's `NUMBA_THREADING_LAYER`, else OpenMP, else workqueue."""
    global _layer
    with _lock:
        if _layer is None:
            _start()
        assert _layer is not None
        return _layer


def _start() -> None:
    """Choose the layer; once a process."""
    global _layer
    import numba

    wanted = os.environ.get("NUMBA_THREADING_LAYER", "")
    if not wanted or wanted == "default":
        wanted = "omp" if _has_openmp() else "workqueue"
        numba.config.THREADING_LAYER = wanted  # type: ignore[attr-defined]
    _layer = wanted


def _has_openmp() -> bool:
    try:
        from numba.np.ufunc import omppool  # type: ignore[attr-defined]  # noqa: F401
    except ImportError:
        return False
    return True


def launch(kernel: Callable[..., Any], *arguments: Any) -> Any:
    """Call a compiled parallel kernel: alone, with the threads asked for."""
    import numba

    with _lock:
        layer()
        numba.set_num_threads(get_num_threads())
        return kernel(*arguments)
