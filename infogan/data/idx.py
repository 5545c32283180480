"""IDX, the format of MNIST's files: a magic number, the lengths as big-endian integers, then the bytes.

Bytes 1 and 2 are zero, byte 3 is the type (8: unsigned byte), byte 4 the number of dimensions. A header is
a claim, so memory is taken only as the bytes arrive, and never more than the file's size allows.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from math import prod
from pathlib import Path
from typing import IO

import numpy as np

from infogan.data.dataset import Dataset, Pictures, Split, cut, measured
from infogan.errors import InputError

DEFLATE_RATIO = 1032
"""Deflate writes at most 1032 bytes for each byte it reads."""

_UNSIGNED_BYTE = 8
_CHUNK = 1 << 20


def read_idx(path: Path, dimensions: int) -> tuple[np.ndarray, str]:
    """The uint8 array of `dimensions` axes in an IDX file, raw or gzip, and the file's sha256.

    Raises `InputError`, in one line, for whatever is not exactly that.
    """
    try:
        with open(path, "rb") as raw:
            digest, size = measured(raw)
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            if not packed:
                return _read(raw, size, path, dimensions), digest
            with gzip.GzipFile(fileobj=raw) as stream:
                return _read(stream, size * DEFLATE_RATIO, path, dimensions), digest
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path}: the gzip data are damaged ({error}); fetch the file again") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    except MemoryError:
        raise InputError(f"{path}: its pictures do not fit in memory; use fewer") from None


def _read(stream: IO[bytes] | gzip.GzipFile, limit: int, path: Path, dimensions: int) -> np.ndarray:
    magic = stream.read(4)
    right = bytes((0, 0, _UNSIGNED_BYTE, dimensions))
    if magic != right:
        raise InputError(
            f"{path}: starts with {magic.hex(' ') or 'nothing'}, not an IDX file of unsigned bytes with "
            f"{dimensions} dimension{'s' * (dimensions > 1)}, which starts with {right.hex(' ')}"
        )
    header = stream.read(4 * dimensions)
    if len(header) < 4 * dimensions:
        raise InputError(f"{path}: ends within its {4 + 4 * dimensions}-byte header; fetch the file again")
    shape = struct.unpack(f">{dimensions}I", header)
    claimed = prod(shape)
    says = f"{path}: its header says {' x '.join(map(str, shape))} = {claimed:,} bytes"
    if claimed == 0:
        raise InputError(f"{says}; there must be at least one picture")
    if claimed + 4 + len(header) > limit:
        raise InputError(f"{says}, more than the file can hold; fetch the file again")
    data = bytearray()
    while chunk := stream.read(min(_CHUNK, claimed + 1 - len(data))):
        data += chunk
    if len(data) != claimed:
        found = "more follow" if len(data) > claimed else f"{len(data):,} follow"
        raise InputError(f"{says}, but {found}; fetch the file again")
    return np.frombuffer(data, dtype=np.uint8).reshape(shape)


def read_folder(folder: Path, split: Split) -> Dataset:
    """A folder with MNIST's file names: `train-*` is divided into train and held_out, `t10k-*` is the test.

    Without the file of labels `labels` is `None`.
    """
    if split == "test":
        test = _read_pair(folder, "t10k")
        return cut(test, str(folder), split, test)
    return cut(_read_pair(folder, "train"), str(folder), split)


def holds_idx(folder: Path, part: str) -> bool:
    """Whether `folder` has the pictures of `part`, `"train"` or `"t10k"`."""
    return _find(folder, f"{part}-images", 3) is not None


def _find(folder: Path, stem: str, dimensions: int) -> Path | None:
    names = [f"{stem}{mark}idx{dimensions}-ubyte{end}" for mark in "-." for end in ("", ".gz")]
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _read_pair(folder: Path, part: str) -> Pictures:
    path = _find(folder, f"{part}-images", 3)
    if path is None:
        raise InputError(
            f"{folder}: has no {part}-images-idx3-ubyte, raw or .gz, as MNIST's files are named, "
            "and no pictures (.png, .jpg, …)"
        )
    images, digest = read_idx(path, 3)
    labels_path = _find(folder, f"{part}-labels", 1)
    labels = None
    if labels_path is not None:
        labels, _ = read_idx(labels_path, 1)
        if len(labels) != len(images):
            raise InputError(f"{labels_path}: has {len(labels):,} labels, {path} {len(images):,} pictures")
    return Pictures(images[:, None], labels, digest)
