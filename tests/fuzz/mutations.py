"""Valid files made wrong: bits flipped, ends cut off, lengths that lie, values of another kind."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np

STRANGE: tuple[Any, ...] = (None, True, -1, 0, 10**18, 1e308, 0.5, "", "x" * 300, [], {}, [[[[]]]], {"a": None})
"""Values that no field expects everywhere."""
TOKENS = (
    b"999999999999",
    b"-1",
    b"NaN",
    b"null",
    b"[",
    b"{",
    b'"',
    b"\xff\xfe",
    b"\x00",
    b"1e999",
    b",",
    b"\n",
    b"[" * 100_000,
)


def damaged(content: bytes, draw: np.random.Generator) -> bytes:
    """`content` with one to three mutations; JSON half of the time as JSON with a value of another kind."""
    if draw.integers(2) and (told := _as_json(content)) is not None:
        return _other_values(told, draw)
    out = bytearray(content)
    for _ in range(int(draw.integers(1, 4))):
        out = _KINDS[int(draw.integers(len(_KINDS)))](out, draw) or bytearray(b" ")
    return bytes(out)


def _place(out: bytearray, draw: np.random.Generator) -> int:
    """Anywhere, but half of the time near either end, where headers and tables of contents are."""
    near = int(draw.integers(min(len(out), 120)))
    return (near, len(out) - 1 - near, *[int(draw.integers(len(out)))] * 2)[int(draw.integers(4))]


def _flip(out: bytearray, draw: np.random.Generator) -> bytearray:
    for _ in range(int(draw.integers(1, 9))):
        out[_place(out, draw)] ^= 1 << int(draw.integers(8))
    return out


def _cut(out: bytearray, draw: np.random.Generator) -> bytearray:
    return out[: _place(out, draw)]


def _lie(out: bytearray, draw: np.random.Generator) -> bytearray:
    """An integer of 1, 2, 4 or 8 bytes, either end first: very large, negative, zero or anything."""
    size = int(draw.choice([1, 2, 4, 8]))
    value = int(draw.choice(np.array([0, 1, (1 << 8 * size) - 1, (1 << 8 * size - 1) - 1], object)))
    order = ("little", "big")[int(draw.integers(2))]
    at = _place(out, draw)
    out[at : at + size] = value.to_bytes(size, order) if draw.integers(3) else draw.bytes(size)  # type: ignore[arg-type]
    return out


def _insert(out: bytearray, draw: np.random.Generator) -> bytearray:
    at = _place(out, draw)
    out[at:at] = TOKENS[int(draw.integers(len(TOKENS)))] if draw.integers(2) else draw.bytes(int(draw.integers(1, 40)))
    return out


def _remove(out: bytearray, draw: np.random.Generator) -> bytearray:
    at = _place(out, draw)
    del out[at : at + int(draw.integers(1, 40))]
    return out


def _double(out: bytearray, draw: np.random.Generator) -> bytearray:
    at, length = _place(out, draw), int(draw.integers(1, 200))
    out[at:at] = out[at : at + length]
    return out


_KINDS = (_flip, _cut, _lie, _insert, _remove, _double)


def _as_json(content: bytes) -> list[Any] | None:
    """The values of a JSON file, or of each line of one; `None` for another format."""
    for pieces in ([content], content.splitlines()):
        try:
            return [json.loads(piece) for piece in pieces]
        except ValueError:
            continue
    return None


def _other_values(lines: list[Any], draw: np.random.Generator) -> bytes:
    lines[int(draw.integers(len(lines)))] = _other(lines[int(draw.integers(len(lines)))], draw)
    return "\n".join(json.dumps(line, indent=None if len(lines) > 1 else 1) for line in lines).encode() + b"\n"


def _other(value: Any, draw: np.random.Generator) -> Any:
    """`value` with one of its parts, at any depth, replaced, renamed or missing."""
    if not isinstance(value, (dict, list)) or not value or draw.random() < 0.1:
        return STRANGE[int(draw.integers(len(STRANGE)))]
    if isinstance(value, list):
        at = int(draw.integers(len(value)))
        return [*value[:at], _other(value[at], draw), *value[at + 1 :]]
    key = list(value)[int(draw.integers(len(value)))]
    if draw.random() < 0.2:
        return {k: v for k, v in value.items() if k != key}
    return {**value, key: _other(value[key], draw)}


def with_header(content: bytes, draw: np.random.Generator) -> bytes:
    """A safetensors file whose header, JSON after its length, has a value of another kind."""
    (length,) = struct.unpack("<Q", content[:8])
    header = json.dumps(_other(json.loads(content[8 : 8 + length]), draw)).encode()
    return struct.pack("<Q", len(header)) + header + content[8 + length :]
