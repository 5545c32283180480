"""The range of pictures inside the networks: what G ends with and what D and Q begin with, decided together.

Outside of the networks a picture is in [0, 1], always. Inside it is either just that, or in [−1, 1], where a colour
at rest is 0. Both ends of that choice are made here, so that they cannot disagree.
"""

from __future__ import annotations

import minigrad as mg
from minigrad import nn


class Affine(nn.Module):
    """scale · x + shift, two numbers that nothing trains."""

    def __init__(self, scale: float, shift: float) -> None:
        super().__init__()
        self.scale, self.shift = scale, shift

    def forward(self, input: mg.Tensor) -> mg.Tensor:
        """Element-wise."""
        return input * self.scale + self.shift

    def extra_repr(self) -> str:
        """scale, shift."""
        return f"{self.scale}, {self.shift}"


def ends(signed: bool) -> tuple[list[nn.Module], list[nn.Module]]:
    """The last layers of G and the first ones of the trunk.

    Plain: σ(x), and nothing. Signed: (tanh(x) + 1)/2, and 2x − 1.
    """
    if signed:
        return [nn.Tanh(), Affine(0.5, 0.5)], [Affine(2.0, -1.0)]
    return [nn.Sigmoid()], []
