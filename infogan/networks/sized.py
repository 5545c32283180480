"""Networks built from the size of the pictures, after the paper's for small colour photographs.

The side S is halved k times, to a base B of 4 to 7 where S allows it (16, 32, 64 and 128 end at 4, 28 at 7):

    G      FC B·B·m_k, BN, ReLU → 4×4 up-conv ·2, m_(k−1), BN, ReLU → … → 4×4 up-conv ·2, C, and its range
    trunk  4×4 conv /2, m_1, leaky → 4×4 conv /2, m_2, BN, leaky → … → 4×4 conv /2, m_k, BN, leaky → flat
    D      FC 1, a logit
    Q      FC 128, BN, leaky → FC to the parameters of the code

The finest two widths are `trunk_channels` and, coarse to fine, `generator_channels`; each coarser level doubles
them, up to `WIDEST`. Grey pictures are in [0, 1] inside too, colour in [−1, 1] (`ranges`).
"""

from __future__ import annotations

from itertools import pairwise

from infogan.config import Config
from infogan.networks import mnist
from infogan.networks.ranges import ends
from minigrad import nn

WIDEST = 256
"""Maps beyond which no level grows by itself: a field may ask for more."""
_BASE = 7
"""A side above it is halved again, if it is even."""


def levels(size: int) -> int:
    """k, how many times a side of `size` is halved."""
    k = 0
    while size > _BASE and size % 2 == 0:
        size, k = size // 2, k + 1
    return k


def generator(config: Config) -> nn.Sequential:
    """(N, noise + code.width) → (N, C, S, S) in (0, 1)."""
    second, first = config.generator_channels
    widths = _widths(first, second, levels(config.image_size))[::-1]
    side = _base(config)
    flat = widths[0] * side * side
    layers: list[nn.Module] = [
        nn.Linear(config.noise + config.code.width, flat),
        nn.BatchNorm1d(flat, activation="relu"),
        nn.Unflatten(1, (widths[0], side, side)),
    ]
    for coarse, fine in pairwise(widths):
        layers += [nn.ConvTranspose2d(coarse, fine, 4, stride=2, padding=1), nn.BatchNorm2d(fine, activation="relu")]
    last, _ = ends(_signed(config))
    return nn.Sequential(*layers, nn.ConvTranspose2d(widths[-1], config.channels, 4, stride=2, padding=1), *last)


def trunk(config: Config) -> nn.Sequential:
    """(N, C, S, S) → (N, `features`): what D and Q see of a picture."""
    leaky = ("leaky_relu", config.leaky_slope)
    widths = _trunk_widths(config)
    _, begin = ends(_signed(config))
    layers = [*begin, nn.Conv2d(config.channels, widths[0], 4, stride=2, padding=1, activation=leaky)]
    for fine, coarse in pairwise(widths):
        layers += [nn.Conv2d(fine, coarse, 4, stride=2, padding=1), nn.BatchNorm2d(coarse, activation=leaky)]
    return nn.Sequential(*layers, nn.Flatten())


def features(config: Config) -> int:
    """What the trunk gives a picture."""
    return _trunk_widths(config)[-1] * _base(config) ** 2


def d_head(config: Config) -> nn.Module:
    """(N, features) → (N, 1), the logit of D."""
    return nn.Linear(features(config), 1)


def q_head(config: Config) -> nn.Sequential:
    """(N, features) → (N, code.parameters)."""
    return mnist.reader(features(config), config)


def _signed(config: Config) -> bool:
    return config.channels == 3


def _base(config: Config) -> int:
    return config.image_size >> levels(config.image_size)


def _trunk_widths(config: Config) -> list[int]:
    return _widths(*config.trunk_channels, levels(config.image_size))


def _widths(first: int, second: int, count: int) -> list[int]:
    """`count` numbers of maps, fine to coarse."""
    widths = [first, second][:count]
    while len(widths) < count:
        widths.append(max(min(2 * widths[-1], WIDEST), widths[-1]))
    return widths
