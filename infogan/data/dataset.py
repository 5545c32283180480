"""What a data set is once read: pictures in [0, 1], perhaps labels, and the part that was asked for."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from io import BufferedReader
from typing import Literal, TypeAlias, get_args

import numpy as np

from infogan.data.picture import Fit
from infogan.errors import InputError

Split: TypeAlias = Literal["train", "held_out", "test", "all"]


@dataclass(frozen=True)
class Frame:
    """What pictures of any size are brought to: height and width, channels (`None`: what suits them), and how.

    Data whose pictures have one size are what they are, and no frame changes them.
    """

    size: int | None = None
    channels: int | None = None
    fit: Fit = "crop"


@dataclass(frozen=True)
class Dataset:
    """Pictures to train on or to measure with.

    `images` is float32 of shape (N, C, H, W) in [0, 1]; `labels` int64 of shape (N,), or `None` where the
    files hold none. `sha256` is that of the file with the pictures, as `sha256sum` prints it, or of all files
    where there are many. `split` says in words which part this is. `names` are those of the pictures' files,
    where each has its own.
    """

    images: np.ndarray
    labels: np.ndarray | None
    name: str
    sha256: str
    split: str
    names: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class Pictures:
    """What files hold before splitting: `images` (N, C, H, W) as stored, `labels` (N,) and `names` or `None`."""

    images: np.ndarray
    labels: np.ndarray | None
    sha256: str
    names: tuple[str, ...] | None = None

    def take(self, index: np.ndarray | slice, name: str, split: str) -> Dataset:
        """The pictures at `index`, scaled to [0, 1]; bytes count 0 to 255."""
        chosen = self.images[index]
        images = chosen.astype(np.float32, order="C")
        if chosen.dtype == np.uint8:
            images /= np.float32(255)
        labels = None if self.labels is None else self.labels[index].astype(np.int64)
        names = None if self.names is None else tuple(np.array(self.names, dtype=object)[index])
        return Dataset(images, labels, name, self.sha256, split, names)


def held_out_split(pictures: Pictures) -> tuple[np.ndarray, np.ndarray]:
    """Indices to train on and to hold out: one picture in five, at most 10,000, the same ones every time.

    Within each class the order is random but fixed; every fifth (or rarer) picture of the classes laid end
    to end is held out, so each class is held out in proportion. Labels serve for nothing but this balance.
    Both parts come back in a fixed random order. `RandomState` is NumPy's frozen generator: the split is
    the same under every version.
    """
    count = len(pictures.images)
    held = min(10_000, count // 5)
    draw = np.random.RandomState(0)
    shuffled = draw.permutation(count)
    if pictures.labels is not None:
        shuffled = shuffled[np.argsort(pictures.labels[shuffled], kind="stable")]
    out = np.zeros(count, dtype=bool)
    out[(2 * np.arange(held) + 1) * count // (2 * held) if held else []] = True
    return draw.permutation(shuffled[~out]), draw.permutation(shuffled[out])


def cut(pictures: Pictures, name: str, split: Split, test: Pictures | None = None) -> Dataset:
    """The part `split` of `pictures`; `test`, where the set has one, is a part of its own."""
    total = len(pictures.images)
    if split == "test":
        if test is None:
            raise InputError(f"{name}: no test pictures there; ask for the split 'held_out' or 'train'")
        return test.take(slice(None), name, f"test: all {len(test.images):,} test pictures")
    if split == "all":
        return pictures.take(slice(None), name, f"all {total:,} pictures")
    train, held = held_out_split(pictures)
    index = train if split == "train" else held
    if not len(index):
        raise InputError(f"{name}: {total} pictures are too few to split; 5 or more are needed")
    words = "fixed permutation" + (", balanced by class" if pictures.labels is not None else "")
    return pictures.take(index, name, f"{split}: {len(index):,} of {total:,} pictures, {words}")


def measured(raw: BufferedReader) -> tuple[str, int]:
    """The sha256 of a file open for reading and its size; it is left at its first byte."""
    digest = hashlib.file_digest(raw, "sha256").hexdigest()
    size = raw.tell()
    raw.seek(0)
    return digest, size


def check_split(split: str) -> Split:
    """`split` itself, or `InputError` where it is no split's name."""
    for known in get_args(Split):
        if split == known:
            return known
    raise InputError(f"split {split!r} is unknown: use one of {', '.join(get_args(Split))}")
