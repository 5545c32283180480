"""How the matrix product inside a convolution is cut up."""

from __future__ import annotations

from typing import NamedTuple


class Tile(NamedTuple):
    """A block's share, `m` × `n` outputs from `k` terms at a time, and a thread's, `tm` × `tn`.

    A thread loads from one column of the block, hence m >= tm tn.
    """

    m: int
    n: int
    k: int
    tm: int
    tn: int

    @property
    def threads(self) -> int:
        return (self.m // self.tm) * (self.n // self.tn)


WIDE = Tile(64, 64, 16, 8, 4)
FLAT = Tile(16, 64, 16, 4, 4)
"""For up to 16 channels out: a picture's few colours would leave most of a square tile idle."""


def fitting(m: int) -> Tile:
    """The tile for `m` rows: a function of the shape alone."""
    return FLAT if m <= FLAT.m else WIDE
