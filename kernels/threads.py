"""The only owner of threads.

All parallel work runs in Numba's pool, one launch at a time: `workqueue`, Numba's layer of last resort,
aborts the process when two Python threads enter it. Inside a launch the BLAS that Numba's products call
(SciPy's OpenBLAS) keeps to one thread, since two pools fight for the cores; after it that library has its
own setting again. NumPy's own BLAS is a separate library in the wheels and is not touched.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_lock = threading.RLock()
_wanted: int | None = None
_layer: str | None = None
_blas: list[Any] = []


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
    """Choose the layer and find the BLAS behind Numba's products; once a process."""
    global _layer
    import numba
    import scipy.linalg.cython_blas
    from threadpoolctl import ThreadpoolController

    wanted = os.environ.get("NUMBA_THREADING_LAYER", "")
    if not wanted or wanted == "default":
        wanted = "omp" if _has_openmp() else "workqueue"
        numba.config.THREADING_LAYER = wanted  # type: ignore[attr-defined]
    everything = ThreadpoolController().lib_controllers
    scipy_folder = os.path.dirname(os.path.dirname(scipy.linalg.cython_blas.__file__))
    owned = [lib for lib in everything if lib.user_api == "blas" and _within(lib.filepath, scipy_folder)]
    # Built on a system BLAS, SciPy has none of its own: then every BLAS is held during a launch.
    _blas[:] = owned or [lib for lib in everything if lib.user_api == "blas"]
    _layer = wanted


def _within(path: str, scipy_folder: str) -> bool:
    """Whether a library lies in `scipy/` or, as in the wheels, in `scipy.libs/` beside it."""
    folder = os.path.dirname(os.path.realpath(path))
    home = os.path.dirname(os.path.realpath(scipy_folder))
    return folder.startswith((home + os.sep + "scipy.libs", home + os.sep))


def _has_openmp() -> bool:
    try:
        from numba.np.ufunc import omppool  # type: ignore[attr-defined]  # noqa: F401
    except ImportError:
        return False
    return True


@contextmanager
def _one_blas_thread() -> Iterator[None]:
    before = [lib.num_threads for lib in _blas]
    try:
        for lib, n in zip(_blas, before, strict=True):
            if n != 1:
                lib.set_num_threads(1)
        yield
    finally:
        for lib, n in zip(_blas, before, strict=True):
            if n != 1:
                lib.set_num_threads(n)


def launch(kernel: Callable[..., Any], *arguments: Any) -> Any:
    """Call a compiled parallel kernel: alone, with the threads asked for, BLAS on one thread."""
    import numba

    with _lock:
        layer()
        numba.set_num_threads(get_num_threads())
        with _one_blas_thread():
            return kernel(*arguments)
