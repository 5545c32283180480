"""A strict stand-in for CuPy on NumPy, for machines with no CUDA device: `standin.cupy` and `standin.cupyx`.

A process of its own gets it with `import standin; standin.install()` before anything imports CuPy.
"""

from __future__ import annotations

import sys
from types import ModuleType

from . import cupy as cupy
from . import cupyx as cupyx


def modules() -> dict[str, ModuleType]:
    """The stand-in's modules by the real ones' names: `cupy`, `cupy.cuda`, `cupyx`, …"""
    own = {n: m for n, m in sys.modules.items() if n.startswith(("standin.cupy", "standin.cupyx"))}
    return {name.removeprefix("standin."): module for name, module in own.items()}


def install() -> None:
    """Make it what `import cupy` finds in this process."""
    sys.modules.update(modules())
