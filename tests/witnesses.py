"""Independent witnesses that a user need not have: PyTorch, the real CuPy."""

from __future__ import annotations

import importlib
import os
from typing import Any

import pytest

REQUIRED = os.environ.get("INFOGAN_REQUIRE_PEERS") == "1"
"""Set by `.ci/run`: there the absence of a witness is a failure, not a reason to skip."""


def witness(name: str) -> Any:
    """The module `name`; where it is absent the test is skipped, or fails if it is required."""
    return importlib.import_module(name) if REQUIRED else pytest.importorskip(name)
