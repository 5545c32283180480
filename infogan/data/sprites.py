"""Sprites whose every factor is known: a white shape on black, so placed, turned and sized.

The factors and their values are those of dSprites (Matthey et al. 2017): 3 shapes, 6 scales, 40 orientations, 32
places along x and 32 along y. Two things differ. The 40 orientations are 40 different ones (dSprites has 0 and 2π,
which are the same), and a pixel is as bright as the share of it that the shape covers. As there, a square looks the
same after a quarter turn and an ellipse after half of one.

Pictures are drawn at random from all 737,280, each factor evenly and by itself, and rendered on the spot.
"""

from __future__ import annotations

import hashlib
import io
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from infogan.data.dataset import Dataset, Pictures, Split, cut
from infogan.errors import InputError
from minigrad import random, serialize

NAME = "sprites"
SHAPES = ("square", "ellipse", "heart")
FACTORS = {"shape": len(SHAPES), "scale": 6, "orientation": 40, "x": 32, "y": 32}
"""Every factor and how many values it takes; a value is its place in even steps, from 0."""

UNORDERED = ("shape",)
"""Factors whose values have no order."""

COUNT = 20_000
SIDE = 28
SIDES = range(16, 129, 4)

_SCALES = (0.5, 1.0)
_PLACES = (0.25, 0.75)
_RADIUS = 0.24
"""The farthest any shape reaches from its centre at scale 1, as a share of the side; none is ever cut off."""
_POINTS = 3
"""Points looked at in a pixel, along each side."""
_AT_ONCE = 1 << 22
"""Points held in memory at once."""


@dataclass(frozen=True)
class Sprites:
    """`images` (N, side, side) uint8 of 0 to 255, and `factors` (N, 5) int64, columns in the order of `FACTORS`."""

    images: np.ndarray
    factors: np.ndarray


def draw(n: int, *, seed: int = 0, side: int = SIDE) -> Sprites:
    """`n` sprites at random, every factor evenly and independently: the same ones for the same `seed` and `side`.

    The factors do not depend on `side`. Raises `InputError` for a side that is not 16, 20, … 128, or no pictures.
    """
    if n < 1:
        raise InputError(f"sprites: {n} pictures were asked for: at least 1")
    if side not in SIDES:
        raise InputError(f"sprites: a side of {side} pixels: {SIDES[0]} to {SIDES[-1]} in steps of {SIDES.step}")
    factors = random.stream(seed, "sprites").integers(0, list(FACTORS.values()), (n, len(FACTORS)))
    return Sprites(render(factors, side), factors)


def render(factors: np.ndarray, side: int = SIDE) -> np.ndarray:
    """The sprites with the values `factors` (N, 5), columns in the order of `FACTORS`: (N, side, side) uint8.

    A pixel is 255 times the share of its `_POINTS`² points that lie in the shape; the point (u, v) of the shape's
    own frame, at scale 1 and not turned, lies in

        square   max(|u|, |v|) ≤ r/√2
        ellipse  u² + 4 v² ≤ r²
        heart    (X² + Y² − 1)³ ≤ X² Y³,   X = 1.3 u/r, Y = 0.2 − 1.3 v/r   (v points down)
    """
    images = np.zeros((len(factors), side, side), np.uint8)
    window = int(2 * _RADIUS * side) + 2
    rows = max(1, _AT_ONCE // (window * _POINTS) ** 2)
    for at in range(0, len(factors), rows):
        part = factors[at : at + rows]
        radius, angle, centres = _placed(part)
        corners = np.minimum(np.floor((centres - _RADIUS) * side).astype(int), side - window)
        covered = np.empty((len(part), window * _POINTS, window * _POINTS), bool)
        for shape, inside in enumerate((_in_square, _in_ellipse, _in_heart)):
            own = part[:, 0] == shape
            away = (_points(corners[own], window) / side - centres[own][:, :, None]) / radius[own][:, None, None]
            covered[own] = inside(*_turned(away.astype(np.float32), angle[own].astype(np.float32)))
        shares = covered.reshape(len(part), window, _POINTS, window, _POINTS).sum(axis=(2, 4), dtype=np.uint16)
        columns, lines = (corners[:, axis, None] + np.arange(window) for axis in (0, 1))
        picture = np.arange(at, at + len(part))[:, None, None]
        images[picture, lines[:, :, None], columns[:, None, :]] = np.rint(shares * (255 / _POINTS**2))
    return images


def _placed(factors: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Radius (n,) and centre (n, 2), x then y, in sides of the picture, and the angle (n,) in radians."""
    scales, turns, *places = list(FACTORS.values())[1:]
    radius = _RADIUS * np.linspace(*_SCALES, scales)[factors[:, 1]]
    centres = np.stack([np.linspace(*_PLACES, n)[factors[:, 3 + i]] for i, n in enumerate(places)], axis=1)
    return radius, 2 * np.pi * factors[:, 2] / turns, centres


def _points(corners: np.ndarray, window: int) -> np.ndarray:
    """Where along x and y the points of windows lie whose first pixels are `corners` (n, 2), in pixels: (n, 2, P)."""
    return corners[:, :, None] + (np.arange(window * _POINTS) + 0.5) / _POINTS


def _turned(away: np.ndarray, angle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """u and v, (n, P, P), of the points that lie `away` (n, 2, P) from the centre of a shape turned by `angle`."""
    cos, sin = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
    x, y = away[:, 0, None, :], away[:, 1, :, None]
    return cos * x + sin * y, cos * y - sin * x


def _in_square(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.maximum(abs(u), abs(v)) <= np.float32(np.sqrt(0.5))


def _in_ellipse(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return u * u + 4 * v * v <= 1


def _in_heart(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    x, y = 1.3 * u, 0.2 - 1.3 * v
    xx, yy = x * x, y * y
    rest = xx + yy - 1
    return rest * rest * rest <= xx * yy * y


def write(path: Path, sprites: Sprites) -> None:
    """Write `images`, `factors` and `labels` (the shape) as an `.npz`: other programs' data, and `--data FILE`'s."""
    into = io.BytesIO()
    np.savez_compressed(into, images=sprites.images, factors=sprites.factors, labels=sprites.factors[:, 0])
    serialize.write_atomically(path, into.getvalue())


def is_sprites(spec: str) -> bool:
    """Whether `--data spec` means generated sprites: `sprites`, or `sprites:SIDE`."""
    return spec.partition(":")[0] == NAME


def read_sprites(spec: str, split: Split) -> Dataset:
    """The part `split` of 20,000 sprites of 28×28, or of SIDE×SIDE where `spec` is `sprites:SIDE`.

    16,000 to train on, 4,000 held out; the labels are the shapes.
    """
    drawn = _drawn(side_of(spec))
    digest = hashlib.sha256(drawn.images.tobytes()).hexdigest()
    return cut(Pictures(drawn.images[:, None], drawn.factors[:, 0], digest), spec, split)


def factors_of(spec: str, split: Split) -> np.ndarray:
    """The factors behind `read_sprites(spec, split)`, in the same order: (N, 5) int64."""
    drawn = _drawn(side_of(spec))
    rows = np.arange(COUNT, dtype=np.int64)
    return drawn.factors[cut(Pictures(rows, drawn.factors[:, 0], ""), spec, split).images.astype(np.int64)]


def side_of(spec: str) -> int:
    """The side in pixels that `sprites` or `sprites:SIDE` asks for; `InputError` where it is no number."""
    found = re.fullmatch(rf"{NAME}(?::(\d{{1,4}}))?", spec)
    if not found:
        raise InputError(f"data {spec!r}: write sprites, or sprites:64 for 64×64 pixels")
    return int(found[1] or SIDE)


@lru_cache(maxsize=1)
def _drawn(side: int) -> Sprites:
    return draw(COUNT, side=side)
