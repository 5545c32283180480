"""H of InfoGAN-CR: which variable of the code do two generated pictures have in common?

    4×4 conv /2, 32, leaky → 4×4 conv /2, 64, BN, leaky → FC 128, BN, leaky → FC to a logit a variable

on both pictures laid on each other as channels: half the widths of the paper's trunk for MNIST.
"""

from __future__ import annotations

from infogan.config import Config
from minigrad import nn

CHANNELS = (32, 64)
DENSE = 128


def classifier(config: Config) -> nn.Sequential:
    """(N, 2 C, S, S) → (N, len(code)), S a multiple of 4."""
    leaky = ("leaky_relu", config.leaky_slope)
    first, second = CHANNELS
    return nn.Sequential(
        nn.Conv2d(2 * config.channels, first, 4, stride=2, padding=1, activation=leaky),
        nn.Conv2d(first, second, 4, stride=2, padding=1),
        nn.BatchNorm2d(second, activation=leaky),
        nn.Flatten(),
        nn.Linear(second * (config.image_size // 4) ** 2, DENSE),
        nn.BatchNorm1d(DENSE, activation=leaky),
        nn.Linear(DENSE, len(config.code)),
    )
