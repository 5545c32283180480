"""NumPy's `.npz`: a zip file of arrays. `images` is needed, `labels` may be there.

`numpy.load` takes memory by what the header of an array claims; here the claim must first agree with what
the zip file holds, and memory is taken as the bytes arrive. Pickled objects are refused.
"""

from __future__ import annotations

import struct
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy

from infogan.data.dataset import Dataset, Pictures, Split, cut, measured
from infogan.data.idx import DEFLATE_RATIO
from infogan.errors import InputError

_CHUNK = 1 << 20
_DAMAGE = (
    *(OSError, EOFError, ValueError, LookupError, TypeError, OverflowError, SyntaxError, RuntimeError),
    *(struct.error, zlib.error, zipfile.BadZipFile, tokenize.TokenError),
)
"""What `zipfile` and NumPy's header parser are known to raise on damaged bytes."""


class _Unsuitable(Exception):
    """The file is whole, but an array in it is not what is needed."""


def read_npz(path: Path, split: Split) -> Dataset:
    """The part `split` of an `.npz` with `images` and optional `labels`.

    `images`: (N, H, W), (N, C, H, W) or (N, H, W, C) with C = 1 or 3; bool, uint8 of 0 to 255, or floats in
    [0, 1]. `labels`: (N,) integers from 0. Raises `InputError`, in one line, for whatever is not that.
    """
    with _opened(path) as (archive, digest):
        images = _images(_member(archive, "images", "images=..., labels=..."))
        labels = _labels(_member(archive, "labels"), len(images)) if _has(archive, "labels") else None
    return cut(Pictures(images, labels, digest), str(path), split)


def read_arrays(path: Path, needed: Sequence[str], optional: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """The arrays `needed` of an `.npz` and those of `optional` that are there, as stored: numbers of any shape.

    `"images"` among them are checked as `read_npz` does, and come as (N, C, H, W). Raises `InputError`, in one line,
    where the file is not whole or lacks one.
    """
    with _opened(path) as (archive, _):
        there = [*needed, *(name for name in optional if _has(archive, name))]
        call = ", ".join(f"{name}=..." for name in needed)
        found = {name: _member(archive, name, call) for name in there}
        return {name: _images(array) if name == "images" else array for name, array in found.items()}


@contextmanager
def _opened(path: Path) -> Iterator[tuple[zipfile.ZipFile, str]]:
    """The archive and its sha256; whatever is wrong with them, or found unsuitable, is an `InputError`."""
    try:
        with open(path, "rb") as raw:
            digest, _ = measured(raw)
            with zipfile.ZipFile(raw) as archive:
                yield archive, digest
    except _Unsuitable as error:
        raise InputError(f"{path}: {error}") from None
    except MemoryError:
        raise InputError(f"{path}: its arrays do not fit in memory; use fewer pictures") from None
    except _DAMAGE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path}: is no readable .npz ({reason}); write it with numpy.savez") from None


def _has(archive: zipfile.ZipFile, name: str) -> bool:
    return f"{name}.npy" in archive.namelist()


def _member(archive: zipfile.ZipFile, name: str, call: str = "") -> np.ndarray:
    if not _has(archive, name):
        there = ", ".join(n.removesuffix(".npy") for n in archive.namelist()[:8]) or "nothing"
        raise _Unsuitable(f"has no array '{name}' but {there}; write numpy.savez(path, {call})")
    info = archive.getinfo(f"{name}.npy")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise _Unsuitable(f"'{name}' is compressed in no way of numpy.savez; write the file with it")
    if info.file_size > max(info.compress_size, 1) * DEFLATE_RATIO:
        raise _Unsuitable(f"'{name}' claims {info.file_size:,} bytes, more than the file can hold")
    with archive.open(info) as stream:
        return _array(stream, info.file_size, name)


def _array(stream: IO[bytes], size: int, name: str) -> np.ndarray:
    version = npy.read_magic(stream)
    read_header = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(version)
    if read_header is None:
        raise _Unsuitable(f"'{name}' has the .npy version {version}; numpy.savez writes plain arrays as 1.0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of headers written by Python 2, which are read all the same
        shape, columns_first, dtype = read_header(stream)
    if dtype.kind not in "biuf":
        raise _Unsuitable(f"'{name}' is of type {dtype}; numbers are needed, and objects are never unpickled")
    if any(length < 0 for length in shape):
        raise _Unsuitable(f"'{name}' claims the shape {shape}")
    claimed = prod(shape) * dtype.itemsize
    if stream.tell() + claimed != size:
        raise _Unsuitable(f"'{name}' claims the shape {shape} of {dtype}, which is not what the file holds")
    data = bytearray()
    while chunk := stream.read(_CHUNK):
        data += chunk
    flat = np.frombuffer(data, dtype=dtype)
    return flat.reshape(shape[::-1]).T if columns_first else flat.reshape(shape)


def _images(images: np.ndarray) -> np.ndarray:
    what = f"'images' has shape {images.shape} and type {images.dtype}"
    if images.ndim == 3:
        images = images[:, None]
    elif images.ndim == 4 and images.shape[1] not in (1, 3) and images.shape[3] in (1, 3):
        images = images.transpose(0, 3, 1, 2)
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise _Unsuitable(f"{what}; right: (N, H, W), or (N, C, H, W) or (N, H, W, C) with C = 1 or 3")
    if images.size == 0:
        raise _Unsuitable(f"{what}; there must be at least one picture")
    if images.dtype.kind == "b" or images.dtype == np.uint8:
        return images
    if images.dtype.kind != "f":
        raise _Unsuitable(f"{what}; right would be uint8 of 0 to 255, or floats in [0, 1]")
    wrong = ~((images >= 0) & (images <= 1))  # NaN fails both
    if wrong.any():
        first = np.unravel_index(int(wrong.argmax()), wrong.shape)
        raise _Unsuitable(
            f"'images' holds {images[first]} at picture {first[0]}, and {int(wrong.sum()):,} values outside "
            "[0, 1]; right would be floats in [0, 1], or uint8 of 0 to 255"
        )
    return images


def _labels(labels: np.ndarray, count: int) -> np.ndarray:
    if labels.dtype.kind not in "iu" or labels.shape != (count,):
        raise _Unsuitable(f"'labels' has shape {labels.shape} and type {labels.dtype}; right: ({count},) and integers")
    if labels.min() < 0 or labels.max() > np.iinfo(np.int32).max:
        raise _Unsuitable(f"'labels' runs from {labels.min()} to {labels.max()}; right: classes 0, 1, 2, ...")
    return labels
