"""A run's networks for other programs: ONNX graphs, or weights and modules for PyTorch."""

from __future__ import annotations

from infogan.export.onnx import write_onnx
from infogan.export.torch import write_torch

__all__ = ["write_onnx", "write_torch"]
