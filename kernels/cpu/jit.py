"""Compilation, and the compiled code kept on disk.

Numba's own cache looks at the file of the cached function only. Here every entry lies in a folder named
after a digest of all sources of `kernels/`, so an edit anywhere in the package leaves the old code behind.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import CompileResultCacheImpl, FunctionCache, _CacheLocator

PACKAGE = Path(__file__).resolve().parent.parent
KEEP_SECONDS = 7 * 24 * 3600
"""Code of sources that are no more is removed after a week."""

_OPTIONS: dict[str, Any] = {"error_model": "numpy", "fastmath": {"contract"}, "nogil": True}
_announced = False


@cache
def digest() -> str:
    """Of the names and contents of all sources of the package."""
    total = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        total.update(str(path.relative_to(PACKAGE)).encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()[:16]


def cache_folder() -> Path:
    """Where compiled code lies: `NUMBA_CACHE_DIR`, else the user's cache folder."""
    root = os.environ.get("NUMBA_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME")
    if not root:
        root = os.environ.get("LOCALAPPDATA") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(root) / "infogan-kernels" / f"{_place()}-{digest()}"


def _place() -> str:
    return hashlib.sha256(str(PACKAGE).encode()).hexdigest()[:8]


class _Locator(_CacheLocator):
    """Tells Numba to keep a function's code in `cache_folder()`."""

    def __init__(self, function: Callable[..., Any], file: str) -> None:
        self._py_file = file
        self._folder = cache_folder()

    @classmethod
    def from_function(cls, py_func: Callable[..., Any], py_file: str) -> _Locator:
        return cls(py_func, py_file)

    def get_cache_path(self) -> str:
        return str(self._folder)

    def get_source_stamp(self) -> str:
        return digest()

    def get_disambiguator(self) -> str:
        return ""

    def ensure_cache_path(self) -> None:
        if not self._folder.exists():
            _remove_old(self._folder.parent)
        super().ensure_cache_path()


def _remove_old(parent: Path) -> None:
    for folder in parent.glob(f"{_place()}-*"):
        if time.time() - folder.stat().st_mtime > KEEP_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)


class _Impl(CompileResultCacheImpl):
    _locator_classes = [_Locator]  # noqa: RUF012


class _Cache(FunctionCache):
    """A cache that never stands in the way: what cannot be read or written is compiled."""

    _impl_class = _Impl

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            found = super().load_overload(sig, target_context)
        except Exception:  # a damaged entry may raise anything at all
            found = None
        if found is None:
            _announce()
        return found

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except OSError:
            self.disable()


def _announce() -> None:
    global _announced
    if not _announced:
        _announced = True
        print("compiling kernels (once) …", file=sys.stderr, flush=True)


def jit(function: Callable[..., Any]) -> Any:
    """Compile a parallel kernel at its first call and keep the code on disk."""
    dispatcher = numba.njit(parallel=True, **_OPTIONS)(function)
    dispatcher._cache = _Cache(function)
    return dispatcher


helper = numba.njit(**_OPTIONS)
"""Compile a function that kernels call; it becomes part of their code."""
inlined = numba.njit(inline="always", **_OPTIONS)
"""The same for one that holds much code: put into its caller at once, not optimised first on its own."""
