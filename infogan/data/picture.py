"""One picture's file, of whatever size and kind, as a square of bytes. Whoever made the file is not trusted."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np
from PIL import Image, ImageOps

from infogan.errors import InputError

Fit: TypeAlias = Literal["crop", "pad"]

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
"""What a browser shows too."""
_DRAFT = 2
"""A JPEG file is decoded to no fewer than so many times the pixels a side needs: quicker, and nothing is seen of it."""


def opened(
    content: bytes, most_pixels: int, *, formats: Sequence[str] = FORMATS, side: int | None = None
) -> Image.Image:
    """The first picture of a file, upright, laid on white where it is transparent.

    A header that claims more than `most_pixels` is turned away unread. With a `side` in mind a JPEG file may be
    decoded smaller, never below twice that. Raises `InputError`, in one line, for what is no whole picture.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own, softer limit on pixels, and oddities of metadata
            picture: Image.Image = Image.open(io.BytesIO(content), formats=list(formats))
            _check_size(*picture.size, most_pixels)
            if side is not None:
                picture.draft(None, (_DRAFT * side, _DRAFT * side))  # type: ignore[arg-type]
            picture.load()
            picture = ImageOps.exif_transpose(picture)
    except InputError:
        raise
    except Exception:  # a decoder may raise anything on damaged bytes
        raise InputError(
            f"this is no whole picture: give a file of {', '.join(formats[:-1])} or {formats[-1]}"
        ) from None
    if picture.mode == "F":
        raise InputError("this picture holds real numbers of no known range: save it with 8 or 16 bits a channel")
    if picture.mode.startswith("I"):  # 16 bits a pixel, which Pillow would cut off at 255
        picture = Image.fromarray((np.clip(np.asarray(picture), 0, 65535) / 257).astype(np.uint8))
    if picture.has_transparency_data:
        upper = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", upper.size, "white"), upper)
    return picture


def squared(picture: Image.Image, side: int, fit: Fit = "crop") -> Image.Image:
    """`picture` as `side` × `side`: its middle square (`crop`), or all of it between two bars (`pad`).

    It is scaled by areas where it shrinks and smoothly where it grows. The bars have the middle colour of its edge.
    """
    method = Image.Resampling.BOX if min(picture.size) >= side else Image.Resampling.BICUBIC
    if fit == "crop":
        return ImageOps.fit(picture, (side, side), method)
    whole = ImageOps.contain(picture, (side, side), method)
    sheet = Image.new(whole.mode, (side, side), _edge_colour(whole))
    sheet.paste(whole, ((side - whole.width) // 2, (side - whole.height) // 2))
    return sheet


def _edge_colour(picture: Image.Image) -> int | tuple[int, ...]:
    pixels = np.asarray(picture)
    edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    middle = np.median(edge, axis=0).astype(int)
    return int(middle) if middle.ndim == 0 else tuple(middle.tolist())


def _check_size(width: int, height: int, most: int) -> None:
    if width * height > most:
        raise InputError(f"the picture has {width}×{height} pixels: give one of at most {most:,}".replace(",", " "))
