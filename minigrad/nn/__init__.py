"""Neural-network modules, initialisers and functions under PyTorch's names."""

from minigrad.nn import functional, init, utils
from minigrad.nn.layers import (
    BatchNorm1d,
    BatchNorm2d,
    Conv2d,
    ConvTranspose2d,
    Dropout,
    Flatten,
    LeakyReLU,
    Linear,
    ReLU,
    Sequential,
    Sigmoid,
    Tanh,
    Unflatten,
)
from minigrad.nn.module import IncompatibleKeys, Module, Parameter

__all__ = [
    "BatchNorm1d", "BatchNorm2d", "Conv2d", "ConvTranspose2d", "Dropout", "Flatten", "IncompatibleKeys",
    "LeakyReLU", "Linear", "Module", "Parameter", "ReLU", "Sequential", "Sigmoid", "Tanh", "Unflatten",
    "functional", "init", "utils",
]  # fmt: skip
