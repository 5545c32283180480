"""The sizes that the kernels of a convolution share."""

from __future__ import annotations

from typing import NamedTuple


class Geometry(NamedTuple):
    """The sizes of one convolution; `images` and `rows` are the tile, `back` is said of the gradient in the input."""

    n: int
    h: int
    w: int
    c: int
    o: int
    oh: int
    ow: int
    kh: int
    kw: int
    sh: int
    sw: int
    ph: int
    pw: int
    images: int
    rows: int
    back: bool = False
