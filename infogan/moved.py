"""Slightly moved copies of pictures: rotated, scaled, slanted and shifted, with what they show unchanged.

The ranges are those within which a digit stays the digit it is. Positions outside a picture show the nearest
one inside.
"""

from __future__ import annotations

import numpy as np

ROTATION = np.deg2rad(15.0)
"""Rotation, to either side, in radians."""
SCALE = 0.15
"""Relative change of height and of width, each by itself, either way."""
SHEAR = 0.2
"""Horizontal shift of a row for each row of distance from the middle, either way."""
SHIFT = 0.05
"""Shift along each side, either way, as a share of that side."""


def moved(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A copy of each picture of (N, C, H, W) under a movement of its own, bilinear: the same shape and type.

    Every range above is drawn from evenly. Pixel p of a copy shows what stood at A (p − m) + m + s, with m the
    middle of the picture, s the shift and A rotation × slant × scale.
    """
    from scipy.ndimage import affine_transform

    size = np.array(images.shape[2:])
    matrices = _matrices(rng, len(images))
    shifts = rng.uniform(-SHIFT, SHIFT, (len(images), 2)) * size
    middle = (size - 1) / 2
    offsets = middle + shifts - matrices @ middle
    copies = np.empty_like(images)
    for image, copy, matrix, offset in zip(images, copies, matrices, offsets, strict=True):
        for channel, into in zip(image, copy, strict=True):
            affine_transform(channel, matrix, offset, output=into, order=1, mode="nearest")
    return copies


def _matrices(rng: np.random.Generator, n: int) -> np.ndarray:
    """`n` matrices rotation × slant × scale for (row, column): (n, 2, 2)."""
    angle = rng.uniform(-ROTATION, ROTATION, n)
    height, width = 1 + rng.uniform(-SCALE, SCALE, (2, n))
    slant = rng.uniform(-SHEAR, SHEAR, n)
    zero, one = np.zeros(n), np.ones(n)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shear = np.array([[one, zero], [slant, one]])
    scale = np.array([[height, zero], [zero, width]])
    return np.einsum("ijn,jkn,kln->nil", rotation, shear, scale)
