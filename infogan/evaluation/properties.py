"""What can be measured in any picture with no label: brightness, where its figure lies, its shape and its colour.

The figure is what differs from the ground, and the ground is the middle brightness of the picture's edge: ink on
paper and chalk on slate are measured alike. The figure's mass at a pixel is |brightness − ground|.
"""

from __future__ import annotations

import numpy as np

from infogan.evaluation import moments

FAINT = 0.05
"""A figure that nowhere differs from its ground by more is none: its shape is NaN."""

GREY = {
    "brightness": "mean of all pixels, 0 black to 1 white",
    "contrast": "deviation of the pixels",
    "area": "share of pixels at least half as far from the ground as the farthest",
    "across": "centre of the figure from left (−1) to right (1)",
    "down": "centre of the figure from top (−1) to bottom (1)",
    "extent": "root mean square distance from that centre, in half sides",
    "slant": "columns the figure moves to the right for each row down",
    "width": "width of the figure over its height, its slant sheared away",
}
COLOUR = {
    "warmth": "mean of red minus blue",
    "greenness": "mean of green minus the mean of red and blue",
    "saturation": "mean of the largest minus the smallest of red, green and blue",
}


def meanings(channels: int) -> dict[str, str]:
    """What each property of pictures with so many channels is."""
    return GREY if channels == 1 else {**GREY, **COLOUR}


def of(images: np.ndarray) -> dict[str, np.ndarray]:
    """The properties of pictures (N, C, H, W) in [0, 1]: each (N,) float64, NaN where a picture has none."""
    x = np.asarray(images, dtype=np.float64)
    brightness = x.mean(axis=1)
    figure = _figure(brightness)
    across, down, extent = _place(figure)
    found = {
        "brightness": brightness.mean(axis=(1, 2)),
        "contrast": brightness.std(axis=(1, 2)),
        "area": _area(figure),
        "across": across,
        "down": down,
        "extent": extent,
        "slant": moments.slant(figure),
        "width": moments.width(figure),
    }
    return found if x.shape[1] == 1 else {**found, **_colour(x)}


def _figure(brightness: np.ndarray) -> np.ndarray:
    """Mass of the figure, (N, H, W); all NaN where there is none."""
    sides = (brightness[:, 0], brightness[:, -1], brightness[:, :, 0], brightness[:, :, -1])
    ground = np.median(np.concatenate(sides, axis=1), axis=1)
    mass = np.abs(brightness - ground[:, None, None])
    mass[mass.max(axis=(1, 2)) < FAINT] = np.nan
    return mass


def _area(figure: np.ndarray) -> np.ndarray:
    farthest = figure.max(axis=(1, 2), keepdims=True)
    share = (figure >= farthest / 2).mean(axis=(1, 2))
    return np.where(np.isnan(farthest[:, 0, 0]), np.nan, share)


def _place(figure: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centre from left to right and from top to bottom, and the distance of the mass from it."""
    height, width = figure.shape[1:]
    total = figure.sum(axis=(1, 2))
    columns, rows = figure.sum(axis=1) / total[:, None], figure.sum(axis=2) / total[:, None]
    x, y = _places(width), _places(height)
    across, down = columns @ x, rows @ y
    spread = columns @ x**2 - across**2 + rows @ y**2 - down**2
    return across, down, np.sqrt(np.maximum(spread, 0))


def _places(count: int) -> np.ndarray:
    """The middles of `count` pixels, from −1 to 1 at the picture's ends."""
    return (2 * np.arange(count) + 1) / count - 1


def _colour(x: np.ndarray) -> dict[str, np.ndarray]:
    red, green, blue = x.mean(axis=(2, 3)).T
    saturation = (x.max(axis=1) - x.min(axis=1)).mean(axis=(1, 2))
    return {"warmth": red - blue, "greenness": green - (red + blue) / 2, "saturation": saturation}
