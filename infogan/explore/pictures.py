"""A picture somebody drew or chose, made into what a run's networks take."""

from __future__ import annotations

import io
import warnings

import numpy as np
from PIL import Image, ImageChops, ImageOps

from infogan.errors import InputError

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
MOST_PIXELS = 1 << 24
"""Pixels a file may unpack to: a 4096×4096 photograph, 50 MB. A header that claims more is turned away unread."""

_INK = 32
"""Bytes above this are ink when a drawing is fitted: paper is never quite black."""
_FIT = 20 / 28
"""Share of the side MNIST's digits were fitted into before they were centred by mass (LeCun et al. 1998)."""


def take(content: bytes, channels: int, side: int, *, invert: bool = False, centre: bool = False) -> np.ndarray:
    """The picture in a file's bytes as (side, side, channels) bytes, its middle square scaled by areas.

    `invert` swaps dark and light. `centre` fits what is light into 20/28 of the side and puts its centre of
    mass into the middle, as MNIST was made. Raises `InputError` for what is no picture, or too large a one.
    """
    picture = _opened(content).convert("L" if channels == 1 else "RGB")
    if invert:
        picture = ImageChops.invert(picture)
    if centre:
        picture = _centred(picture, side)
    picture = ImageOps.fit(picture, (side, side), Image.Resampling.BOX)
    return np.asarray(picture).reshape(side, side, channels)


def _opened(content: bytes) -> Image.Image:
    """The first picture of a file, upright, laid on white where it is transparent."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own, softer limit on pixels, and oddities of metadata
            picture: Image.Image = Image.open(io.BytesIO(content), formats=FORMATS)
            _check_size(*picture.size)
            picture.load()
            picture = ImageOps.exif_transpose(picture)
    except InputError:
        raise
    except Exception:  # a decoder may raise anything on damaged bytes
        raise InputError(
            f"this is no whole picture: give a file of {', '.join(FORMATS[:-1])} or {FORMATS[-1]}"
        ) from None
    if picture.mode.startswith("I"):  # 16 bits a pixel, which Pillow would cut off at 255
        picture = Image.fromarray((np.clip(np.asarray(picture), 0, 65535) / 257).astype(np.uint8))
    if picture.has_transparency_data:
        upper = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", upper.size, "white"), upper)
    return picture


def _check_size(width: int, height: int) -> None:
    if width * height > MOST_PIXELS:
        raise InputError(
            f"the picture has {width}×{height} pixels: give one of at most {MOST_PIXELS:,}".replace(",", " ")
        )


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
