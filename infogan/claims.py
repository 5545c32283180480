"""One process at a time trains in a folder: a second one would mix its lines and checkpoints with the first's."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infogan import cache
from infogan.errors import InputError

WAIT = 10.0
"""Seconds in which a process that was just told to stop may write its checkpoint and go."""


@contextmanager
def claimed(run_dir: Path) -> Iterator[None]:
    """Within it no other process on this machine trains in `run_dir`; a claim ends with its process, however it ends.

    It is a locked file in the user's cache, since the run's folder may not be there yet; where nothing can be kept
    in that, there is no claim. Raises `InputError` where another process trains in the folder and goes on with it.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(_file(run_dir))
    try:
        lock.acquire(timeout=WAIT)
    except Timeout:
        raise InputError(
            f"{run_dir} is being trained by another process: wait until it ends, or give another folder"
        ) from None
    except OSError:
        pass
    try:
        yield
    finally:
        lock.release()


def _file(run_dir: Path) -> Path:
    name = hashlib.sha256(str(run_dir.resolve()).encode()).hexdigest()
    return cache.folder("claims") / f"{name}.lock"
