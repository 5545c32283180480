"""SVHN's cropped digits: MATLAB files with `X` (H, W, 3, N) of bytes and `y` (N, 1), where 10 is the digit 0."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np

from infogan.data.dataset import Dataset, Pictures, Split, cut, measured
from infogan.data.idx import DEFLATE_RATIO
from infogan.data.mat import read_arrays
from infogan.errors import InputError
from infogan.progress import reading

FILES = {"train": ("train_32x32.mat", "extra_32x32.mat"), "test": ("test_32x32.mat",)}
"""The names that SVHN's files have; of a part's files the first that is there is read."""


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
        with open(path, "rb") as raw:
            digest, size = measured(raw)
            with reading(raw, f"reading {path.name}", size) as stream:
                found = read_arrays(stream, ("X", "y"), size * DEFLATE_RATIO)
        images, labels = _checked(found)
    except MemoryError:
        raise InputError(f"{path}: its pictures do not fit in memory; use fewer") from None
    except NotImplementedError:
        raise InputError(f"{path}: is in MATLAB's newer format, HDF5: save it with save(..., '-v7')") from None
    except (ValueError, zlib.error) as error:
        raise InputError(f"{path}: is no file of SVHN's ({error}); fetch it again") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    return Pictures(images, labels, digest)


def _checked(found: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    for name in ("X", "y"):
        if name not in found:
            raise ValueError(f"it has no array '{name}'")
    images, labels = found["X"], found["y"].reshape(-1)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[2] != 3:
        raise ValueError(f"'X' has shape {images.shape} and type {images.dtype}; right: (H, W, 3, N) of uint8")
    if len(labels) != images.shape[3]:
        raise ValueError(f"'y' has shape {found['y'].shape}; right: {images.shape[3]} integers")
    if not np.isin(labels, np.arange(1, 11)).all():
        raise ValueError(f"'y' runs from {labels.min()} to {labels.max()}; right: 1 to 10, where 10 is the digit 0")
    return images.transpose(3, 2, 0, 1), labels.astype(np.int64) % 10
