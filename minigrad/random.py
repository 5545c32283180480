"""Random numbers: Philox streams on the host, keyed by seed, purpose and step.

Noise is drawn here and moved by an explicit copy, so that every device sees the same numbers, and the state
of a whole program is three integers.
"""

from __future__ import annotations

import zlib

import numpy as np

_seed, _draws = 0, 0


def stream(seed: int, purpose: str, step: int = 0) -> np.random.Generator:
    """A generator of its own for each (seed, purpose, step), independent of all others."""
    sequence = np.random.SeedSequence([seed & (2**64 - 1), zlib.crc32(purpose.encode()), step])
    return np.random.Generator(np.random.Philox(sequence))


def manual_seed(seed: int) -> None:
    """Start the global stream, which `rand`, `randn`, `randint`, dropout and initialisers draw from, anew."""
    set_state((seed, 0, 0))


def generator() -> np.random.Generator:
    """The global stream for one draw; each call is a step of it."""
    global _draws
    _draws += 1
    return stream(_seed, "global", _draws)


def get_state() -> tuple[int, int, int]:
    """Seed, purpose and step of the global stream."""
    return _seed, 0, _draws


def set_state(state: tuple[int, int, int]) -> None:
    """Put the global stream back to where `get_state` saw it."""
    global _seed, _draws
    _seed, _, _draws = state
