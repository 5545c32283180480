"""SVHN's cropped digits: MATLAB files with `X` (H, W, 3, N) of bytes and `y` (N, 1), where 10 stands for the digit 0.

SciPy reads them. What a file claims is asked for first, and is compared with what it can hold, before any of its
pictures is unpacked.
"""

from __future__ import annotations

import hashlib
import warnings
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np

from infogan.data.dataset import Dataset, Pictures, Split, cut
from infogan.data.idx import DEFLATE_RATIO
from infogan.errors import InputError
from infogan.progress import reading

FILES = {"train": ("train_32x32.mat", "extra_32x32.mat"), "test": ("test_32x32.mat",)}
"""The names that SVHN's files have; of a part's files the first that is there is read."""

_INTEGERS = tuple(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))


class _Unsuitable(Exception):
    """The file is readable, but what is in it is not what is needed."""


def holds_svhn(folder: Path, part: str) -> bool:
    """Whether `folder` has SVHN's file of `part`, `"train"` or `"test"`."""
    return _find(folder, part) is not None


def read_folder(folder: Path, split: Split) -> Dataset:
    """A folder with SVHN's file names: the training (or extra) digits are divided into train and held_out."""
    part = "test" if split == "test" else "train"
    path = _find(folder, part)
    if path is None:
        raise InputError(f"{folder}: has no {' or '.join(FILES[part])}, as SVHN's files are named")
    pictures = _read(path)
    return cut(pictures, str(folder), split, pictures if part == "test" else None)


def read_mat(path: Path, split: Split) -> Dataset:
    """The part `split` of a single file of SVHN's kind."""
    return cut(_read(path), str(path), split)


def _find(folder: Path, part: str) -> Path | None:
    return next((folder / name for name in FILES[part] if (folder / name).is_file()), None)


def _read(path: Path) -> Pictures:
    """`images` (N, 3, H, W), a view of the file's own order, and `labels` 0 to 9.

    Raises `InputError`, in one line, for whatever is not exactly that.
    """
    try:
        with open(path, "rb") as raw, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a variable that is there twice or cannot be read
            digest = hashlib.file_digest(raw, "sha256").hexdigest()
            size = raw.tell()
            raw.seek(0)
            _check_claims(raw, size)
            raw.seek(0)
            with reading(raw, f"reading {path.name}", size) as stream:
                images, labels = _unpacked(stream)
    except _Unsuitable as error:
        raise InputError(f"{path}: {error}") from None
    except MemoryError:
        raise InputError(f"{path}: its pictures do not fit in memory, or it is damaged") from None
    except NotImplementedError:
        raise InputError(f"{path}: is in MATLAB's newer format, HDF5: save it with save(..., '-v7')") from None
    except Exception as error:  # SciPy's reader may raise anything on damaged bytes
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{path}: is no readable .mat ({reason}); fetch the file again") from None
    return Pictures(images, labels, digest)


def _check_claims(raw: IO[bytes], size: int) -> None:
    """Raises `_Unsuitable` unless `X` and `y` are arrays of the right kind, no larger than `size` bytes can hold."""
    from scipy.io import whosmat

    claims = {name: (shape, kind) for name, shape, kind in whosmat(raw)}
    for name in ("X", "y"):
        if name not in claims:
            there = ", ".join(list(claims)[:8]) or "nothing"
            raise _Unsuitable(f"has no array '{name}' but {there}; SVHN's cropped digits have X and y")
    shape, kind = claims["X"]
    count, labels_kind = prod(claims["y"][0]), claims["y"][1]
    if kind != "uint8" or len(shape) != 4 or shape[2] != 3 or min(shape) < 1:
        raise _Unsuitable(f"'X' has shape {shape} and type {kind}; right: (H, W, 3, N) of uint8")
    if prod(shape) > size * DEFLATE_RATIO:
        raise _Unsuitable(f"'X' claims the shape {shape}, more than the file can hold; fetch the file again")
    if labels_kind not in (*_INTEGERS, "double") or count != shape[3]:
        raise _Unsuitable(f"'y' has shape {claims['y'][0]} and type {labels_kind}; right: {shape[3]} integers")


def _unpacked(raw: IO[bytes]) -> tuple[np.ndarray, np.ndarray]:
    from scipy.io import loadmat

    found: dict[str, Any] = loadmat(raw, variable_names=["X", "y"], appendmat=False)
    images, labels = found["X"], np.asarray(found["y"]).reshape(-1)
    if images.dtype != np.uint8 or images.ndim != 4 or len(labels) != images.shape[3]:
        raise _Unsuitable("the arrays are not what their headers say; fetch the file again")
    if not np.isin(labels, np.arange(1, 11)).all():
        raise _Unsuitable(f"'y' runs from {labels.min()} to {labels.max()}; right: 1 to 10, where 10 is the digit 0")
    return images.transpose(3, 2, 0, 1), labels.astype(np.int64) % 10
