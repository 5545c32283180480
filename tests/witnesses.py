"""What a user's machine need not have: PyTorch and the real CuPy as witnesses, a GPU."""

from __future__ import annotations

import ctypes
import importlib
import os
from typing import Any

import pytest

REQUIRED = os.environ.get("INFOGAN_REQUIRE_PEERS") == "1"
"""Set by `.ci/run`: there the absence of a witness is a failure, not a reason to skip."""


def witness(name: str) -> Any:
    """The module `name`; where it is absent the test is skipped, or fails if it is required."""
    return importlib.import_module(name) if REQUIRED else pytest.importorskip(name)


def gpu_present() -> bool:
    """Whether the CUDA driver reports a device (asked without importing CuPy)."""
    count = ctypes.c_int(0)
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0
