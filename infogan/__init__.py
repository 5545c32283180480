"""InfoGAN (Chen et al. 2016) on a hand-written engine: real pictures in, interpretable codes out.

run = infogan.load("runs/mnist")   # arrays in, arrays out: run.generate(c1=3, n=16), run.encode(images)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from infogan.run import load as load

__all__ = ["load"]


def __getattr__(name: str) -> Any:
    """`infogan.load`, imported at its first use so that the command's help needs no library."""
    if name == "load":
        from infogan.run import load

        return load
    raise AttributeError(f"module 'infogan' has no attribute {name!r}")
