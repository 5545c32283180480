"""The paper's networks for rendered chairs.

Pictures of S × S with S a multiple of 8; for chairs S = 64, C = 1, and with the defaults

    G      FC 1024, BN, ReLU → FC 8·8·256, BN, ReLU → 4×4 up-conv ·1, 256, BN, ReLU, twice
           → 4×4 up-conv ·2, 128, BN, ReLU → 4×4 up-conv ·2, 64, BN, ReLU → 4×4 up-conv ·2, C, sigmoid
    trunk  4×4 conv /2, 64, leaky → 4×4 conv /2, 128, BN, leaky → 4×4 conv /2, 256, BN, leaky
           → 4×4 conv /1, 256, BN, leaky, twice → FC 1024, BN, leaky
    D      FC 1, a logit
    Q      FC 128, BN, leaky → FC to the parameters of the code

The finest two widths are fields of `Config`, the coarser ones twice the wider. Two things the table leaves open: where
batch-norm is, which is as in the other tables; and how a 4×4 window keeps a side at stride 1. Here the first of the
two layers pads by 1, which changes the side by one, and the second by 2, which brings it back.
"""

from __future__ import annotations

from infogan.config import Config
from infogan.networks.mnist import d_head, features, q_head
from minigrad import nn

__all__ = ["d_head", "features", "generator", "q_head", "trunk"]


def generator(config: Config) -> nn.Sequential:
    """(N, noise + code.width) → (N, C, S, S) in (0, 1)."""
    side = config.image_size // 8
    second, third = config.generator_channels
    first = 2 * second
    flat = side * side * first
    return nn.Sequential(
        nn.Linear(config.noise + config.code.width, config.generator_dense),
        nn.BatchNorm1d(config.generator_dense, activation="relu"),
        nn.Linear(config.generator_dense, flat),
        nn.BatchNorm1d(flat, activation="relu"),
        nn.Unflatten(1, (first, side, side)),
        nn.ConvTranspose2d(first, first, 4, stride=1, padding=1),
        nn.BatchNorm2d(first, activation="relu"),
        nn.ConvTranspose2d(first, first, 4, stride=1, padding=2),
        nn.BatchNorm2d(first, activation="relu"),
        nn.ConvTranspose2d(first, second, 4, stride=2, padding=1),
        nn.BatchNorm2d(second, activation="relu"),
        nn.ConvTranspose2d(second, third, 4, stride=2, padding=1),
        nn.BatchNorm2d(third, activation="relu"),
        nn.ConvTranspose2d(third, config.channels, 4, stride=2, padding=1),
        nn.Sigmoid(),
    )


def trunk(config: Config) -> nn.Sequential:
    """(N, C, S, S) → (N, trunk_dense): what D and Q see of a picture."""
    leaky = ("leaky_relu", config.leaky_slope)
    first, second = config.trunk_channels
    third = 2 * second
    return nn.Sequential(
        nn.Conv2d(config.channels, first, 4, stride=2, padding=1, activation=leaky),
        nn.Conv2d(first, second, 4, stride=2, padding=1),
        nn.BatchNorm2d(second, activation=leaky),
        nn.Conv2d(second, third, 4, stride=2, padding=1),
        nn.BatchNorm2d(third, activation=leaky),
        nn.Conv2d(third, third, 4, stride=1, padding=1),
        nn.BatchNorm2d(third, activation=leaky),
        nn.Conv2d(third, third, 4, stride=1, padding=2),
        nn.BatchNorm2d(third, activation=leaky),
        nn.Flatten(),
        nn.Linear(third * (config.image_size // 8) ** 2, config.trunk_dense),
        nn.BatchNorm1d(config.trunk_dense, activation=leaky),
    )
