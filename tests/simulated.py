"""The CUDA kernels with no device: the stand-in for CuPy, Numba's simulator, and tiles small enough for it.

The simulator is chosen before Numba is imported, hence a process of its own: `run` starts one, and the script
in it begins with `prepare()`. A CUDA thread is a Python thread there, so the blocks are made small; it is the
same source, whose sizes of blocks and tiles are arguments.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from witnesses import REQUIRED

HERE = Path(__file__).resolve().parent


def run(arguments: list[str], flavour: str = "numba", timeout: float = 240) -> str:
    """What `python` with `arguments` prints in the simulator of `flavour`, `"numba"` or `"numba-cuda"`.

    Where numba-cuda is installed it takes the place of `numba.cuda` unless it is kept out.
    """
    if flavour == "numba-cuda" and importlib.util.find_spec("numba_cuda") is None:
        if REQUIRED:
            pytest.fail("numba-cuda is required here and not installed: pip install 'numba-cuda[cu12]'")
        pytest.skip("numba-cuda is not installed")
    environment = os.environ | {
        "NUMBA_ENABLE_CUDASIM": "1",
        "INFOGAN_CUDA_FLAVOUR": flavour,
        "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent)]),
    }
    done = subprocess.run(
        [sys.executable, *arguments], env=environment, cwd=HERE.parent, capture_output=True, text=True, timeout=timeout
    )
    assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def prepare() -> None:
    """Make this process simulate: which `numba.cuda`, which `cupy`, how large the blocks."""
    if os.environ["INFOGAN_CUDA_FLAVOUR"] == "numba":
        sys.meta_path[:] = [f for f in sys.meta_path if type(f).__name__ != "NumbaCudaFinder"]
    import standin

    standin.install()
    # Threads of a block wait for each other at barriers: change between them often.
    sys.setswitchinterval(1e-5)
    from kernels import device
    from kernels.cuda import cuda, simulated

    device.module("cuda")
    assert simulated()
    assert ("numba_cuda" in cuda.__file__) == (os.environ["INFOGAN_CUDA_FLAVOUR"] == "numba-cuda")


@contextmanager
def small_blocks() -> Iterator[None]:
    """Tiles and blocks for Python threads; the kernels' own sizes again afterwards."""
    from kernels.cuda import adam, conv, normalise, tiles

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiles, "WIDE", tiles.Tile(16, 8, 4, 4, 4))
        patch.setattr(tiles, "FLAT", tiles.Tile(4, 4, 4, 2, 2))
        patch.setattr(conv, "BLOCKS", 40)
        patch.setattr(conv, "DEPTH", 4)
        patch.setattr(normalise, "LANES", 4)
        patch.setattr(normalise, "DEPTH", 2)
        patch.setattr(normalise, "MOST_CHUNKS", 6)
        for room in (adam, conv, normalise):
            patch.setattr(room, "THREADS", 8)
        normalise._kernel.cache_clear()
        yield
        normalise._kernel.cache_clear()
