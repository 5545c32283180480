"""The paper's networks for small colour photographs: its table for CelebA, which serves SVHN too.

Pictures of S × S with S a multiple of 16; for both sets S = 32, C = 3, and with the defaults

    G      FC 2·2·448, BN, ReLU → 4×4 up-conv ·2, 256, BN, ReLU → 4×4 up-conv ·2, 128, ReLU → 4×4 up-conv ·2, 64, ReLU
           → 4×4 up-conv ·2, C, tanh
    trunk  4×4 conv /2, 64, leaky → 4×4 conv /2, 128, BN, leaky → 4×4 conv /2, 256, BN, leaky → flat
    D      FC 1, a logit
    Q      FC 128, BN, leaky → FC to the parameters of the code

The finest two widths are fields of `Config`, the coarser ones multiples of them. Inside, pictures are in [−1, 1].
"""

from __future__ import annotations

from infogan.config import Config
from infogan.networks import mnist
from infogan.networks.ranges import ends
from minigrad import nn


def generator(config: Config) -> nn.Sequential:
    """(N, noise + code.width) → (N, C, S, S) in (0, 1)."""
    side = config.image_size // 16
    third, fourth = config.generator_channels
    first, second = third * 7 // 2, third * 2
    flat = side * side * first
    last, _ = ends(signed=True)
    return nn.Sequential(
        nn.Linear(config.noise + config.code.width, flat),
        nn.BatchNorm1d(flat, activation="relu"),
        nn.Unflatten(1, (first, side, side)),
        nn.ConvTranspose2d(first, second, 4, stride=2, padding=1),
        nn.BatchNorm2d(second, activation="relu"),
        nn.ConvTranspose2d(second, third, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(third, fourth, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(fourth, config.channels, 4, stride=2, padding=1),
        *last,
    )


def trunk(config: Config) -> nn.Sequential:
    """(N, C, S, S) → (N, `features`): what D and Q see of a picture."""
    leaky = ("leaky_relu", config.leaky_slope)
    first, second = config.trunk_channels
    _, begin = ends(signed=True)
    return nn.Sequential(
        *begin,
        nn.Conv2d(config.channels, first, 4, stride=2, padding=1, activation=leaky),
        nn.Conv2d(first, second, 4, stride=2, padding=1),
        nn.BatchNorm2d(second, activation=leaky),
        nn.Conv2d(second, 2 * second, 4, stride=2, padding=1),
        nn.BatchNorm2d(2 * second, activation=leaky),
        nn.Flatten(),
    )


def features(config: Config) -> int:
    """What the trunk gives a picture."""
    return 2 * config.trunk_channels[1] * (config.image_size // 8) ** 2


def d_head(config: Config) -> nn.Module:
    """(N, features) → (N, 1), the logit of D."""
    return nn.Linear(features(config), 1)


def q_head(config: Config) -> nn.Sequential:
    """(N, features) → (N, code.parameters)."""
    return mnist.reader(features(config), config)
