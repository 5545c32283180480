"""What a drawn digit looks like, as numbers: slant, width and stroke of pictures (N, H, W) of ink in [0, 1].

With ink as mass, x to the right, y downwards and central moments μpq = Σ ink (x − x̄)ᵖ (y − ȳ)^q / Σ ink.
A property that a picture does not have (no ink, no height, no skeleton) is NaN.
"""

from __future__ import annotations

import numpy as np
from skimage.morphology import skeletonize

_INK = 0.5
"""From this value on a pixel belongs to the stroke whose skeleton is taken."""


def _moments(images: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    ink = np.asarray(images, dtype=np.float64)
    height, width = ink.shape[1:]
    with np.errstate(invalid="ignore", divide="ignore"):
        ink = ink / ink.sum(axis=(1, 2), keepdims=True)
        columns, rows = ink.sum(axis=1), ink.sum(axis=2)
        x = np.arange(width) - (columns @ np.arange(width))[:, None]
        y = np.arange(height) - (rows @ np.arange(height))[:, None]
        mu20, mu02 = (columns * x**2).sum(axis=1), (rows * y**2).sum(axis=1)
        mu11 = np.einsum("nyx,nx,ny->n", ink, x, y)
    return mu20, mu11, np.where(mu02 > 1e-9, mu02, np.nan)


def slant(images: np.ndarray) -> np.ndarray:
    """μ11 / μ02: columns the ink moves to the right for each row down; (N,). Upright is 0."""
    _, mu11, mu02 = _moments(images)
    return mu11 / mu02


def width(images: np.ndarray) -> np.ndarray:
    """√(μ20 − μ11² / μ02) / √μ02: width over height, once the slant is sheared away; (N,)."""
    mu20, mu11, mu02 = _moments(images)
    return np.sqrt(np.maximum(mu20 - mu11**2 / mu02, 0) / mu02)


def stroke(images: np.ndarray) -> np.ndarray:
    """Ink over the length of its skeleton: thickness of the stroke in pixels; (N,)."""
    ink = np.asarray(images, dtype=np.float64)
    length = _skeleton_length(ink >= _INK)
    return np.where(length > 0, ink.sum(axis=(1, 2)) / np.maximum(length, 1), np.nan)


def _skeleton_length(shapes: np.ndarray) -> np.ndarray:
    """Length of each skeleton: steps between neighbouring pixels, √2 for diagonal ones, half a pixel an end.

    Steps rather than pixels are counted so that a line's length, and with it the thickness, does not depend
    on its direction. A diagonal step beside a corner pixel is no step of its own.
    """
    count, height, width = shapes.shape
    # one tall picture, a blank row between two: one call instead of thousands
    tall = np.zeros((count, height + 1, width + 2), dtype=bool)
    tall[:, :height, 1:-1] = shapes
    bones = skeletonize(tall.reshape(-1, width + 2)).reshape(tall.shape)
    straight = (bones[:, 1:] & bones[:, :-1]).sum((1, 2)) + (bones[:, :, 1:] & bones[:, :, :-1]).sum((1, 2))
    a, b, c, d = bones[:, :-1, :-1], bones[:, :-1, 1:], bones[:, 1:, :-1], bones[:, 1:, 1:]
    diagonal = ((a & d & ~b & ~c) | (b & c & ~a & ~d)).sum((1, 2))
    return np.where(bones.any((1, 2)), straight + np.sqrt(2) * diagonal + 1, 0)


PROPERTIES = {"slant": slant, "width": width, "stroke": stroke}
