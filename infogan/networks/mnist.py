"""The networks of the paper's MNIST experiment: layers and initialisation as in the authors' code.

Pictures of S × S with S a multiple of 4; for MNIST S = 28, C = 1, and with the defaults

    G      FC 1024, BN, ReLU → FC 7·7·128, BN, ReLU → 4×4 up-conv ·2, 64, BN, ReLU
           → 4×4 up-conv ·2, C, sigmoid
    trunk  4×4 conv /2, 64, leaky → 4×4 conv /2, 128, BN, leaky → FC 1024, BN, leaky
    D      FC 1, a logit
    Q      FC 128, BN, leaky → FC to the parameters of the code

The sizes are fields of `Config`. Every batch-norm is fused with the activation behind it.
"""

from __future__ import annotations

import numpy as np

from infogan.config import Config
from minigrad import nn
from minigrad.nn import init

STD = 0.02
"""Deviation of every initial weight and, around 1, of every batch-norm's γ."""


def generator(config: Config) -> nn.Sequential:
    """(N, noise + code.width) → (N, C, S, S) in (0, 1)."""
    side = config.image_size // 4
    first, second = config.generator_channels
    flat = side * side * first
    return nn.Sequential(
        nn.Linear(config.noise + config.code.width, config.generator_dense),
        nn.BatchNorm1d(config.generator_dense, activation="relu"),
        nn.Linear(config.generator_dense, flat),
        nn.BatchNorm1d(flat, activation="relu"),
        nn.Unflatten(1, (first, side, side)),
        nn.ConvTranspose2d(first, second, 4, stride=2, padding=1),
        nn.BatchNorm2d(second, activation="relu"),
        nn.ConvTranspose2d(second, config.channels, 4, stride=2, padding=1),
        nn.Sigmoid(),
    )


def trunk(config: Config) -> nn.Sequential:
    """(N, C, S, S) → (N, trunk_dense): what D and Q see of a picture."""
    leaky = ("leaky_relu", config.leaky_slope)
    first, second = config.trunk_channels
    return nn.Sequential(
        nn.Conv2d(config.channels, first, 4, stride=2, padding=1, activation=leaky),
        nn.Conv2d(first, second, 4, stride=2, padding=1),
        nn.BatchNorm2d(second, activation=leaky),
        nn.Flatten(),
        nn.Linear(second * (config.image_size // 4) ** 2, config.trunk_dense),
        nn.BatchNorm1d(config.trunk_dense, activation=leaky),
    )


def features(config: Config) -> int:
    """What the trunk gives a picture."""
    return config.trunk_dense


def d_head(config: Config) -> nn.Module:
    """(N, trunk_dense) → (N, 1), the logit of D."""
    return nn.Linear(config.trunk_dense, 1)


def q_head(config: Config) -> nn.Sequential:
    """(N, trunk_dense) → (N, code.parameters)."""
    return reader(config.trunk_dense, config)


def reader(features: int, config: Config) -> nn.Sequential:
    """The paper's head of Q on a trunk of any width: (N, features) → (N, code.parameters)."""
    return nn.Sequential(
        nn.Linear(features, config.q_dense),
        nn.BatchNorm1d(config.q_dense, activation=("leaky_relu", config.leaky_slope)),
        nn.Linear(config.q_dense, config.code.parameters),
    )


def initialise(module: nn.Module, rng: np.random.Generator) -> None:
    """Weights N(0, 0.02²), those of convolutions cut at two deviations, biases 0, γ ~ N(1, 0.02²).

    A cut-off draw is drawn again, as the original's initialiser does. Up-convolutions are not cut.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            init.trunc_normal_(layer.weight, 0.0, STD, -2 * STD, 2 * STD, generator=rng)
        elif isinstance(layer, nn.Linear | nn.ConvTranspose2d):
            init.normal_(layer.weight, 0.0, STD, generator=rng)
        elif isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            init.normal_(layer.weight, 1.0, STD, generator=rng)
        else:
            continue
        init.zeros_(layer.bias)
