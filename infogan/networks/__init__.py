"""The networks of a run: the generator G, and D and Q, which share a trunk."""

from __future__ import annotations

import minigrad as mg
from infogan.config import Config
from infogan.networks import mnist
from minigrad import nn, random


class Networks(nn.Module):
    """G, the trunk that D and Q share, and their two heads.

    Shapes: z (N, noise), c (N, code.width), pictures (N, C, H, W) in [0, 1].
    """

    def __init__(self, G: nn.Module, trunk: nn.Module, D_head: nn.Module, Q_head: nn.Module) -> None:
        super().__init__()
        self.G, self.trunk, self.D_head, self.Q_head = G, trunk, D_head, Q_head

    def generate(self, z: mg.Tensor, c: mg.Tensor) -> mg.Tensor:
        """G(z, c): pictures (N, C, H, W) in (0, 1)."""
        return self.G(mg.cat([z, c], 1))

    def D(self, x: mg.Tensor) -> mg.Tensor:
        """The logits of D(x), the probability that a picture is real: (N,)."""
        return self.judge(self.trunk(x))

    def Q(self, x: mg.Tensor) -> mg.Tensor:
        """The parameters of Q(c|x): (N, code.parameters), columns as `code.outputs` says."""
        return self.Q_head(self.trunk(x))

    def judge(self, features: mg.Tensor) -> mg.Tensor:
        """D's logits from what the trunk made of pictures: (N,)."""
        return self.D_head(features).reshape(-1)

    def of_generator(self) -> list[nn.Parameter]:
        """What the G step trains."""
        return list(self.G.parameters())

    def of_discriminator(self) -> list[nn.Parameter]:
        """What the D and Q step trains: trunk and both heads."""
        return [p for m in (self.trunk, self.D_head, self.Q_head) for p in m.parameters()]


def build(config: Config) -> Networks:
    """The networks `config` describes, float32 on the host, initialised from `config.seed` alone."""
    networks = Networks(mnist.generator(config), mnist.trunk(config), mnist.d_head(config), mnist.q_head(config))
    mnist.initialise(networks, random.stream(config.seed, "weights", 0))
    return networks
