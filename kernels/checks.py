"""Arguments are checked once, at the seam: one clear line here instead of a puzzle further down."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kernels.device import Array


def pair(op: str, name: str, value: Any, least: int) -> tuple[int, int]:
    """`value`, an integer or two of them, as a pair of integers not under `least`."""
    try:
        first, second = (value, value) if np.ndim(value) == 0 else value
        found = (int(first), int(second))
    except (TypeError, ValueError):
        raise ValueError(f"{op}: {name} {value!r} is not an integer or a pair of integers") from None
    if found != (first, second) or min(found) < least:
        raise ValueError(f"{op}: {name} {value!r} must be integers, at least {least}")
    return found


def same_dtype(op: str, **arrays: Array) -> np.dtype:
    """The one floating dtype of `arrays`."""
    kinds = {name: a.dtype for name, a in arrays.items() if a is not None}
    first = next(iter(kinds.values()))
    if any(k != first for k in kinds.values()) or first.kind != "f":
        listed = ", ".join(f"{name} {k}" for name, k in kinds.items())
        raise ValueError(f"{op}: the arrays must share one floating dtype, got {listed}")
    if not first.isnative:
        raise ValueError(f"{op}: the arrays are of foreign byte order ({first.str}): use .astype({first.name!r})")
    return first


def dimensions(op: str, name: str, shape: Sequence[int], count: int, meaning: str) -> None:
    if len(shape) != count:
        raise ValueError(f"{op}: {name} must have {count} dimensions {meaning}, got shape {tuple(shape)}")


def shape_is(op: str, name: str, shape: Sequence[int], wanted: tuple[int, ...], why: str) -> None:
    if tuple(shape) != wanted:
        raise ValueError(f"{op}: {name} has shape {tuple(shape)}, but {why} needs {wanted}")


def output_shape(
    op: str,
    x: Sequence[int],
    w: Sequence[int],
    stride: tuple[int, int],
    padding: tuple[int, int],
) -> tuple[int, int, int, int]:
    """(N, O, OH, OW) of the convolution of input shape `x` with weight shape `w`."""
    dimensions(op, "input", x, 4, "(N, C, H, W)")
    dimensions(op, "weight", w, 4, "(O, C, KH, KW)")
    if x[1] != w[1]:
        raise ValueError(f"{op}: input {tuple(x)} has {x[1]} channels, weight {tuple(w)} expects {w[1]}")
    if min(w[2:]) < 1:
        raise ValueError(f"{op}: weight {tuple(w)} has an empty kernel")
    oh, ow = ((x[2 + i] + 2 * padding[i] - w[2 + i]) // stride[i] + 1 for i in (0, 1))
    if oh < 1 or ow < 1:
        raise ValueError(f"{op}: a {w[2]}x{w[3]} kernel does not fit an input of {x[2]}x{x[3]} with padding {padding}")
    return x[0], w[0], oh, ow


def channels(op: str, x: Array, **vectors: Array) -> None:
    """`x` is (N, C, ...) and every one of `vectors` has shape (C,)."""
    if x.ndim < 2:
        raise ValueError(f"{op}: input must be (N, C, ...), got shape {x.shape}")
    for name, v in vectors.items():
        shape_is(op, name, v.shape, (x.shape[1],), f"input {tuple(x.shape)}")
