"""A picture somebody drew or chose, made into what a run's networks take."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageChops

from infogan.data.picture import Fit, opened, squared

MOST_PIXELS = 1 << 24
"""Pixels a file may unpack to: a 4096×4096 photograph, 50 MB. A header that claims more is turned away unread."""

_INK = 32
"""Bytes above this are ink when a drawing is fitted: paper is never quite black."""
_FIT = 20 / 28
"""Share of the side MNIST's digits were fitted into before they were centred by mass (LeCun et al. 1998)."""


def take(
    content: bytes, channels: int, side: int, *, fit: Fit = "crop", invert: bool = False, centre: bool = False
) -> np.ndarray:
    """The picture in a file's bytes as (side, side, channels) bytes, brought to them as a folder's pictures are.

    `invert` swaps dark and light. `centre` fits what is light into 20/28 of the side and puts its centre of
    mass into the middle, as MNIST was made. Raises `InputError` for what is no picture, or too large a one.
    """
    picture = opened(content, MOST_PIXELS, side=side).convert("L" if channels == 1 else "RGB")
    if invert:
        picture = ImageChops.invert(picture)
    if centre:
        picture = _centred(picture, side)
    return np.asarray(squared(picture, side, fit)).reshape(side, side, channels)


def _centred(picture: Image.Image, side: int) -> Image.Image:
    """What is light in `picture`, fitted and centred by mass on black; an empty picture as it is."""
    box = picture.convert("L").point(lambda v: 255 * (v > _INK)).getbbox()
    if box is None:
        return picture
    ink = picture.crop(box)
    scale = side * _FIT / max(ink.size)
    ink = ink.resize([max(1, round(length * scale)) for length in ink.size], Image.Resampling.BOX)
    weight = np.asarray(ink.convert("L"), dtype=np.float64)
    y, x = (np.average(np.arange(n) + 0.5, weights=weight.sum(axis=1 - i)) for i, n in enumerate(weight.shape))
    sheet = Image.new(picture.mode, (side, side))
    sheet.paste(ink, (round(side / 2 - x), round(side / 2 - y)))
    return sheet
