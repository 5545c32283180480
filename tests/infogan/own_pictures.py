"""A folder of pictures as somebody may have it: bright squares and discs on dark or coloured grounds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def write_folder(folder: Path, count: int = 30, *, size: int = 16, colour: bool = False, ending: str = ".png") -> Path:
    """`count` pictures in the subfolders `disc` and `square`, a little different in place and brightness."""
    rng = np.random.default_rng(0)
    for number in range(count):
        kind = ("disc", "square")[number % 2]
        (folder / kind).mkdir(parents=True, exist_ok=True)
        Image.fromarray(drawn(rng, kind, size, colour)).save(folder / kind / f"{number:03d}{ending}")
    return folder


def drawn(rng: np.random.Generator, kind: str, size: int, colour: bool) -> np.ndarray:
    """One picture, bytes (size, size) or (size, size, 3)."""
    y, x = np.mgrid[:size, :size]
    middle = rng.uniform(0.3, 0.7, 2) * size
    away = np.abs(y - middle[0]), np.abs(x - middle[1])
    inside = np.hypot(*away) < size / 4 if kind == "disc" else np.maximum(*away) < size / 4
    picture = np.where(inside, rng.integers(120, 256), rng.integers(0, 60)).astype(np.uint8)
    if not colour:
        return picture
    return np.stack([picture, picture // 2, 255 - picture], axis=-1)
