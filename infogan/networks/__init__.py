"""The networks of a run: the generator G, and D and Q, which share a trunk."""

from __future__ import annotations

from types import ModuleType

import minigrad as mg
from infogan.config import Config
from infogan.networks import celeba, chairs, mnist, pairs, sized
from minigrad import nn, random

NETWORKS: dict[str, ModuleType] = {"mnist": mnist, "celeba": celeba, "chairs": chairs, "sized": sized}
"""Values of the field `network`: modules with `generator`, `trunk`, `features`, `d_head` and `q_head`."""

SMALLEST = 16
"""Side from which networks are built from the size."""


class Networks(nn.Module):
    """G, the trunk that D and Q share, and their two heads; where the contrastive term is on, H too.

    Shapes: z (N, noise), c (N, code.width), pictures (N, C, H, W) in [0, 1].
    """

    def __init__(
        self, G: nn.Module, trunk: nn.Module, D_head: nn.Module, Q_head: nn.Module, H: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.G, self.trunk, self.D_head, self.Q_head, self.H = G, trunk, D_head, Q_head, H

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

    def compare(self, one: mg.Tensor, other: mg.Tensor) -> mg.Tensor:
        """H's logits, which variable of the code two pictures have in common: (N, len(code))."""
        assert self.H is not None
        return self.H(mg.cat([one, other], 1))

    def of_generator(self) -> list[nn.Parameter]:
        """What the G step trains: G, and H where it is there."""
        return [p for m in (self.G, self.H) if m is not None for p in m.parameters()]

    def of_discriminator(self) -> list[nn.Parameter]:
        """What the D and Q step trains: trunk and both heads."""
        return [p for m in (self.trunk, self.D_head, self.Q_head) for p in m.parameters()]


def fitting(image_size: int, channels: int) -> str:
    """The networks for pictures of that shape: the paper's whose input fits, else built from the size.

    The paper's is the table that serves 28×28 grey (MNIST) and 32×32 grey (faces), whose rates of learning are given.
    Those for colour come without; with MNIST's rates D won outright on photographs.
    """
    serves = channels == 1 and image_size in (28, 32)
    return "mnist" if serves or image_size < SMALLEST else "sized"


def trunk_width(config: Config) -> int:
    """What the trunk of the networks that `config` describes gives a picture."""
    found: int = NETWORKS[config.network].features(config)
    return found


def build(config: Config) -> Networks:
    """The networks `config` describes, float32 on the host, initialised from `config.seed` alone."""
    of = NETWORKS[config.network]
    networks = Networks(of.generator(config), of.trunk(config), of.d_head(config), of.q_head(config))
    mnist.initialise(networks, random.stream(config.seed, "weights", 0))
    if config.contrastive:  # with a stream of its own: the others' weights are those of a run without H
        networks.H = pairs.classifier(config)
        mnist.initialise(networks.H, random.stream(config.seed, "weights of H", 0))
    return networks
