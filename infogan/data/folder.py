"""A folder of pictures: any sizes and kinds, at any depth; its subfolders, where there are several, are the labels.

One picture is open at a time. It is brought to the size asked for before the next one is read, so that memory
holds small pictures only.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np

from infogan.data.dataset import Dataset, Frame, Pictures, Split, cut
from infogan.data.picture import FORMATS, Fit, opened, squared
from infogan.errors import InputError
from infogan.progress import slow

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".pgm")
SIZES = (16, 28, 32, 64)
"""Sides to choose from where none is asked for. 128 costs four times 64, so it is taken when asked for."""
MOST_PIXELS = 1 << 27
"""Pixels a file may unpack to: more than any camera takes."""

_LOOKED_AT = 200
"""Pictures whose size decides the side."""
_NAMED = 3
"""Broken files named in the line that ends the reading."""
_READABLE = (*FORMATS, "TIFF", "PPM")


class _File(NamedTuple):
    """A picture's file: its name inside the folder, and what tells whether it has changed since."""

    name: str
    bytes: int
    changed: int


def holds_pictures(folder: Path) -> bool:
    """Whether there is a picture's file in `folder`, at any depth."""
    return next(_walk(folder), None) is not None


def is_picture(path: Path) -> bool:
    """Whether the name of `path` is that of a picture's file."""
    return path.suffix.lower() in ENDINGS


def read_folder(folder: Path, split: Split, frame: Frame) -> Dataset:
    """The part `split` of the pictures in `folder`, brought to `frame`.

    Without a size it is that of `SIZES` nearest to the pictures' own; without channels it is 1 if no picture has
    a colour, else 3. Labels are the subfolders in order of their names, where pictures lie in several and
    nowhere else. Raises `InputError`, which names the files, where some are no whole pictures.
    """
    files = tuple(sorted(_walk(folder), key=lambda file: file.name.split("/")))
    if not files:
        raise InputError(f"{folder}: holds no picture: files named {', '.join(ENDINGS)} are looked for")
    return cut(_pictures(folder, files, frame), str(folder), split)


def read_one(path: Path, split: Split, frame: Frame) -> Dataset:
    """A single picture's file, brought to `frame`."""
    return cut(_pictures(path.parent, (_file(path, path.name),), frame), str(path), split)


def _walk(folder: Path) -> Iterator[_File]:
    """Every picture's file, hidden ones and those in hidden folders left out."""
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith((".", "__MACOSX"))]
        for name in names:
            path = Path(place) / name
            if is_picture(path) and not name.startswith("."):
                yield _file(path, path.relative_to(folder).as_posix())


def _file(path: Path, name: str) -> _File:
    try:
        about = path.stat()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    return _File(name, about.st_size, about.st_mtime_ns)


@lru_cache(maxsize=1)
def _pictures(folder: Path, files: tuple[_File, ...], frame: Frame) -> Pictures:
    """All pictures of `files`; kept, since a command that measures asks for one part after another."""
    names = tuple(file.name for file in files)
    side = frame.size or _side(folder, names)
    images, digest = _decoded(folder, names, side, frame.channels or 3, frame.fit)
    if frame.channels is None and (images == images[:, :1]).all():
        images = np.ascontiguousarray(images[:, :1])
    images.flags.writeable = False
    return Pictures(images, _labels(names), digest, names)


def _decoded(folder: Path, names: Sequence[str], side: int, channels: int, fit: Fit) -> tuple[np.ndarray, str]:
    """Bytes (N, channels, side, side), and the sha256 of the files' names and contents in order."""
    images = np.empty((len(names), channels, side, side), dtype=np.uint8)
    digest, broken = hashlib.sha256(), []
    for number, name in enumerate(slow(names, f"reading {folder.name}", " pictures")):
        try:
            content = (folder / name).read_bytes()
            picture = opened(content, MOST_PIXELS, formats=_READABLE, side=side)
        except (InputError, OSError) as error:
            broken.append((name, error.message if isinstance(error, InputError) else str(error.strerror)))
            continue
        square = squared(picture.convert("L" if channels == 1 else "RGB"), side, fit)
        images[number] = np.asarray(square).reshape(side, side, channels).transpose(2, 0, 1)
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    if broken:
        raise InputError(_about_broken(folder, broken, len(names)))
    return images, digest.hexdigest()


def _about_broken(folder: Path, broken: Sequence[tuple[str, str]], total: int) -> str:
    first, why = broken[0]
    if len(broken) == 1:
        return f"{folder / first}: {why}, or take it away"
    named = ", ".join(name for name, _ in broken[:_NAMED]) + (", …" if len(broken) > _NAMED else "")
    return (
        f"{folder}: {len(broken):,} of {total:,} files cannot be read: {named}; of the first: {why}, or take them away"
    )


def _side(folder: Path, names: Sequence[str]) -> int:
    """The side of `SIZES` nearest to the middle one of the pictures' shorter sides, in proportion."""
    from PIL import Image

    shorter = []
    for name in names[:: -(-len(names) // _LOOKED_AT)]:
        try:
            with Image.open(folder / name, formats=_READABLE) as picture:
                shorter.append(min(picture.size))
        except Exception:  # a broken file, which the reading names
            continue
    middle = median(shorter) if shorter else SIZES[0]
    return min(SIZES, key=lambda side: max(side / middle, middle / side))


def _labels(names: Sequence[str]) -> np.ndarray | None:
    """The place of each picture's subfolder among all of them, `None` where they are no classes."""
    first = [name.partition("/")[0] if "/" in name else None for name in names]
    classes = sorted({name for name in first if name is not None})
    if None in first or len(classes) < 2:
        return None
    places = {name: place for place, name in enumerate(classes)}
    return np.array([places[name] for name in first if name is not None])
