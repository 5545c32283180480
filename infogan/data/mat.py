"""MATLAB's `.mat` files of version 5 to 7: arrays of numbers in them, by name.

A file is 128 bytes of header, then elements: a type and a length, four bytes each, and so many bytes. An array is an
element whose parts are flags with its class, its shape, its name and its numbers, columns first; it may lie packed by
deflate inside another element. Whoever made the file is not trusted: a length is a claim, and memory is taken only as
the bytes arrive. SciPy reads the format too, but damaged files end its reader, and the process with it, by a
segmentation fault.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Collection
from math import prod
from typing import IO, Protocol

import numpy as np

_HEADER = 128
_CHUNK = 1 << 20
_PACKED, _ARRAY = 15, 14
_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
_MOST_AXES = 32
_LONGEST_NAME = 256


class _Stream(Protocol):
    def read(self, size: int, /) -> bytes | bytearray: ...


class _Unpacked:
    """What deflate packed into the next `size` bytes of `raw`, as a stream."""

    def __init__(self, raw: IO[bytes], size: int) -> None:
        self.raw, self.left, self.engine = raw, size, zlib.decompressobj()

    def read(self, size: int) -> bytearray:
        out = bytearray()
        while len(out) < size and not self.engine.eof:
            chunk = self.engine.unconsumed_tail or self.raw.read(min(_CHUNK, self.left))
            if not self.engine.unconsumed_tail:
                self.left -= len(chunk)
            found = self.engine.decompress(chunk, min(_CHUNK, size - len(out)))
            if not chunk and not found:
                break
            out += found
        return out

    def finish(self) -> None:
        """Read to the end, where deflate's checksum is. Raises `ValueError` if it does not come."""
        self.read(8)
        if not self.engine.eof:
            raise ValueError("an array is not where it ends")


def read_arrays(raw: IO[bytes], names: Collection[str], most: int) -> dict[str, np.ndarray]:
    """The arrays of `raw` that have one of `names`; none of them may claim more than `most` bytes.

    Raises `ValueError`, with the reason, for what is not such a file, and `NotImplementedError` for one in HDF5.
    """
    order = _order(raw.read(_HEADER))
    found: dict[str, np.ndarray] = {}
    while head := raw.read(8):
        kind, length = struct.unpack(f"{order}II", _all(head, 8))
        begin = raw.tell()
        if kind in (_PACKED, _ARRAY):
            stream: _Stream = _Unpacked(raw, length) if kind == _PACKED else raw
            if kind == _PACKED and struct.unpack(f"{order}II", _all(stream.read(8), 8))[0] != _ARRAY:
                raise ValueError("something else than an array is packed in it")
            wanted = _read_array(stream, order, names, most, found)
            if wanted and isinstance(stream, _Unpacked):
                stream.finish()
        raw.seek(begin + length)
    return found


def _order(header: bytes) -> str:
    """The order of bytes in numbers, as `struct` writes it."""
    order = {b"IM": "<", b"MI": ">"}.get(header[126:])
    if order is None:
        raise ValueError(f"no MATLAB file of version 5 begins so: {header[:16]!r}")
    (version,) = struct.unpack(f"{order}H", header[124:126])
    if version == 0x0200:
        raise NotImplementedError
    return order


def _read_array(stream: _Stream, order: str, names: Collection[str], most: int, found: dict[str, np.ndarray]) -> bool:
    """Put the next array into `found` if it has one of `names`, and tell whether it has."""
    _, flags = _part(stream, order, 8)
    kind = _CLASSES.get(struct.unpack(f"{order}I", _all(flags[:4], 4))[0] & 0xFF)
    _, lengths = _part(stream, order, 4 * _MOST_AXES)
    shape = tuple(np.frombuffer(lengths, f"{order}i4").tolist())
    name = _part(stream, order, _LONGEST_NAME)[1].decode("latin1")
    if name not in names:
        return False
    if kind is None:
        raise ValueError(f"'{name}' is no array of numbers")
    claimed = prod(shape)
    if min(shape, default=0) < 1 or claimed > most:
        raise ValueError(f"'{name}' claims the shape {shape}, more than the file can hold")
    stored, data = _part(stream, order, most)
    if stored not in _TYPES or len(data) != claimed * np.dtype(_TYPES[stored]).itemsize:
        raise ValueError(f"'{name}' claims the shape {shape}, which is not what the file holds")
    numbers = np.frombuffer(data, f"{order}{_TYPES[stored]}")
    found[name] = numbers.astype(kind, copy=False).reshape(shape[::-1]).T
    return True


def _part(stream: _Stream, order: str, most: int) -> tuple[int, bytes | bytearray]:
    """Type and bytes of the next part of an array; up to four bytes lie within its eight-byte head."""
    head = _all(stream.read(8), 8)
    kind, length = struct.unpack(f"{order}II", head)
    if kind >> 16:
        return kind & 0xFFFF, head[4 : 4 + min(kind >> 16, 4)]
    if length > most:
        raise ValueError(f"a part of it claims {length:,} bytes, more than the file can hold")
    data = _all(stream.read(length), length)
    stream.read(-length % 8)
    return kind, data


def _all(data: bytes | bytearray, size: int) -> bytes | bytearray:
    if len(data) < size:
        raise ValueError("it ends too early")
    return data
