"""How many threads of a kernel a core of the device can hold, from NVIDIA's figures a compute capability.

CUDA C++ Programming Guide, "Compute Capabilities", table of technical specifications; rounding as in NVIDIA's
occupancy calculator.
"""

from __future__ import annotations

from typing import NamedTuple

WARP = 32
REGISTERS = 65536
"""Of a core, in all capabilities here."""
REGISTER_UNIT = 256
"""Registers are given out to a warp in these."""
WARP_UNIT = 4
"""Each of a core's four schedulers has its own quarter of the registers."""


class Core(NamedTuple):
    """What one core (streaming multiprocessor) holds; bytes of shared memory."""

    warps: int
    blocks: int
    shared: int
    shared_unit: int
    shared_reserved: int
    """Bytes the system takes of each block's share."""


CORES = {
    (7, 0): Core(64, 32, 96 << 10, 256, 0),
    (7, 5): Core(32, 16, 64 << 10, 256, 0),
    (8, 0): Core(64, 32, 164 << 10, 128, 1024),
    (9, 0): Core(64, 32, 228 << 10, 128, 1024),
}


def _up(n: int, unit: int) -> int:
    return -(-n // unit) * unit


def blocks_per_core(cc: tuple[int, int], threads: int, registers: int, shared: int) -> int:
    """Blocks of `threads` with `registers` a thread and `shared` bytes that fit one core of capability `cc`."""
    core = CORES[cc]
    warps = -(-threads // WARP)
    limits = [core.blocks, core.warps // warps]
    if registers:
        fitting = REGISTERS // _up(registers * WARP, REGISTER_UNIT)
        limits.append(fitting // WARP_UNIT * WARP_UNIT // warps)
    taken = _up(shared + core.shared_reserved, core.shared_unit) if shared else core.shared_reserved
    if taken:
        limits.append(core.shared // taken)
    return min(limits)


def occupancy(cc: tuple[int, int], threads: int, registers: int, shared: int) -> float:
    """The share of a core's warps that are taken when it holds as many blocks as fit."""
    return blocks_per_core(cc, threads, registers, shared) * -(-threads // WARP) / CORES[cc].warps
