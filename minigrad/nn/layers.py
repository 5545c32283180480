"""Layers with PyTorch's names, arguments, defaults and default initialisation.

Images are (N, C, H, W). `activation=` (None, `"relu"`, `"leaky_relu"`, `("leaky_relu", slope)`) asks for the
form fused with the activation; it is the one addition to PyTorch's signatures.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.nn import functional as F
from minigrad.nn import init
from minigrad.nn.module import Module, Parameter
from minigrad.rules.norm import Processes
from minigrad.tensor import Tensor

Pair = int | tuple[int, int]
Activation = str | tuple[str, float] | None


def _new(*shape: int) -> Parameter:
    return Parameter(np.zeros(shape, np.float32))


def _pair(value: Pair) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])


class Linear(Module):
    """y = x Wᵀ + b on the last axis; W is (out_features, in_features)."""

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.weight = _new(out_features, in_features)
        self.register_parameter("bias", _new(out_features) if bias else None)
        init.reset_affine(self.weight, self.bias)

    def forward(self, input: Tensor) -> Tensor:
        """(…, in_features) → (…, out_features)."""
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (f"in_features={self.in_features}, out_features={self.out_features}, "
                f"bias={self.bias is not None}")  # fmt: skip


class _Conv(Module):
    """What the two convolutions share: settings, weight, bias and their printing."""

    def __init__(
        self,
        channels: tuple[int, int],
        weight_channels: tuple[int, int],
        kernel_size: Pair,
        bias: bool,
        activation: Activation,
        **settings: Any,
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels = channels
        groups = settings["groups"]
        if groups < 1 or self.in_channels % groups or self.out_channels % groups:
            raise ValueError(
                f"{type(self).__name__}: groups={groups} must divide in_channels={self.in_channels} "
                f"and out_channels={self.out_channels}"
            )
        self.kernel_size = _pair(kernel_size)
        self.activation = activation
        self.settings = settings
        first, second = weight_channels
        self.weight = _new(first, second // groups, *self.kernel_size)
        self.register_parameter("bias", _new(self.out_channels) if bias else None)
        init.reset_affine(self.weight, self.bias)

    def extra_repr(self) -> str:
        defaults = {"padding": (0, 0), "output_padding": (0, 0), "dilation": (1, 1), "groups": 1}
        shown = {k: v for k, v in self.settings.items() if v != defaults.get(k)}
        shown |= {"bias": False} if self.bias is None else {}
        shown |= {} if self.activation is None else {"activation": self.activation}
        return ", ".join(
            [str(self.in_channels), str(self.out_channels), f"kernel_size={self.kernel_size}"]
            + [f"{k}={v!r}" for k, v in shown.items()]
        )


class Conv2d(_Conv):
    """Cross-correlation; weight (out_channels, in_channels/groups, KH, KW)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        stride: Pair = 1,
        padding: Pair = 0,
        dilation: Pair = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        activation: Activation = None,
    ) -> None:
        super().__init__(
            (in_channels, out_channels),
            (out_channels, in_channels),
            kernel_size,
            bias,
            activation,
            stride=_pair(stride),
            padding=_pair(padding),
            dilation=_pair(dilation),
            groups=groups,
        )

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) → (N, O, OH, OW), OH = (H + 2·padding − dilation·(KH − 1) − 1)//stride + 1."""
        return F.conv2d(input, self.weight, self.bias, activation=self.activation, **self.settings)


class ConvTranspose2d(_Conv):
    """Up-convolution, the transpose of `Conv2d`; weight (in_channels, out_channels/groups, KH, KW)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        stride: Pair = 1,
        padding: Pair = 0,
        output_padding: Pair = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Pair = 1,
        *,
        activation: Activation = None,
    ) -> None:
        super().__init__(
            (in_channels, out_channels),
            (in_channels, out_channels),
            kernel_size,
            bias,
            activation,
            stride=_pair(stride),
            padding=_pair(padding),
            output_padding=_pair(output_padding),
            groups=groups,
            dilation=_pair(dilation),
        )

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) → (N, O, OH, OW), OH = (H − 1)·stride − 2·padding + KH + output_padding."""
        return F.conv_transpose2d(input, self.weight, self.bias, activation=self.activation, **self.settings)


class _BatchNorm(Module):
    """y = activation(γ·(x − mean)/√(var + eps) + β), per channel (axis 1), over all other axes.

    In training mode mean and (biased) variance are the batch's and move the running ones,
    running ← (1 − momentum)·running + momentum·batch, with the unbiased variance, as PyTorch does. In
    evaluation mode the running ones are used. Within `utils.frozen_statistics` nothing moves them.
    `processes`, where it is set, are others that hold equal parts of the batch: its statistics are then of all.
    """

    ranks: tuple[int, ...]

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        *,
        activation: Activation = None,
    ) -> None:
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats, self.activation = affine, track_running_stats, activation
        self.frozen = False
        self.processes: Processes | None = None
        self.register_parameter("weight", Parameter(np.ones(num_features, np.float32)) if affine else None)
        self.register_parameter("bias", _new(num_features) if affine else None)
        kept: dict[str, np.ndarray] = {
            "running_mean": np.zeros(num_features, np.float32),
            "running_var": np.ones(num_features, np.float32),
            "num_batches_tracked": np.zeros((), np.int64),
        }
        for name, array in kept.items():
            self.register_buffer(name, Tensor(array) if track_running_stats else None)

    def forward(self, input: Tensor) -> Tensor:
        """(N, C) or (N, C, …) → the same shape."""
        if input.ndim not in self.ranks or input.shape[1] != self.num_features:
            raise ValueError(
                f"{type(self).__name__}({self.num_features}): expected an input of "
                f"{' or '.join(map(str, self.ranks))} axes with {self.num_features} channels on axis 1, "
                f"not shape {tuple(input.shape)}"
            )
        batch = self.training or not self.track_running_stats
        moves = batch and self.track_running_stats and not self.frozen
        if moves:
            self.num_batches_tracked.data += 1
        uses_running = moves or not batch
        return F.batch_norm(
            input,
            self.running_mean if uses_running else None,
            self.running_var if uses_running else None,
            self.weight,
            self.bias,
            batch,
            self.momentum,
            self.eps,
            activation=self.activation,
            processes=self.processes,
        )

    def extra_repr(self) -> str:
        text = (f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
                f"track_running_stats={self.track_running_stats}")  # fmt: skip
        return text if self.activation is None else f"{text}, activation={self.activation!r}"


class BatchNorm1d(_BatchNorm):
    """Batch normalisation of (N, C) or (N, C, L) (Ioffe and Szegedy 2015)."""

    ranks = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Batch normalisation of (N, C, H, W) (Ioffe and Szegedy 2015)."""

    ranks = (4,)


class ReLU(Module):
    """max(x, 0)."""

    def forward(self, input: Tensor) -> Tensor:
        """Element-wise."""
        return F.relu(input)


class LeakyReLU(Module):
    """max(x, 0) + negative_slope·min(x, 0)."""

    def __init__(self, negative_slope: float = 0.01) -> None:
        super().__init__()
        self.negative_slope = negative_slope

    def forward(self, input: Tensor) -> Tensor:
        """Element-wise."""
        return F.leaky_relu(input, self.negative_slope)

    def extra_repr(self) -> str:
        return f"negative_slope={self.negative_slope}"


class Sigmoid(Module):
    """1/(1 + e⁻ˣ)."""

    def forward(self, input: Tensor) -> Tensor:
        """Element-wise."""
        return F.sigmoid(input)


class Tanh(Module):
    """tanh x."""

    def forward(self, input: Tensor) -> Tensor:
        """Element-wise."""
        return F.tanh(input)


class Flatten(Module):
    """Merge the axes from start_dim to end_dim into one."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) → (N, C·H·W) by default."""
        first, last = self.start_dim % input.ndim, self.end_dim % input.ndim
        size = int(np.prod(input.shape[first : last + 1]))
        return input.reshape(*input.shape[:first], size, *input.shape[last + 1 :])

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Split axis `dim` into `unflattened_size` (at most one −1)."""

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        super().__init__()
        self.dim, self.unflattened_size = dim, tuple(unflattened_size)

    def forward(self, input: Tensor) -> Tensor:
        """(N, C·H·W) → (N, C, H, W) for `Unflatten(1, (C, H, W))`."""
        axis = self.dim % input.ndim
        rest = input.shape[axis + 1 :]
        return input.reshape(*input.shape[:axis], *self.unflattened_size, *rest)

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"


class Dropout(Module):
    """In training mode zero each entry with probability p and scale the rest by 1/(1 − p)."""

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        if not 0.0 <= p <= 1.0:
            raise ValueError(f"Dropout: p is a probability between 0 and 1, not {p}")
        self.p = p

    def forward(self, input: Tensor) -> Tensor:
        """Element-wise."""
        return F.dropout(input, self.p, self.training)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class Sequential(Module):
    """Modules applied one after the other; named 0, 1, … or by the keys of a dict."""

    def __init__(self, *modules: Module | dict[str, Module]) -> None:
        super().__init__()
        if len(modules) == 1 and isinstance(modules[0], dict):
            named = list(modules[0].items())
        else:
            named = [(str(i), m) for i, m in enumerate(modules)]  # type: ignore[misc]
        for name, module in named:
            if not isinstance(module, Module):
                raise TypeError(f"Sequential: {name} is {type(module).__name__}, not a Module")
            self.add_module(name, module)

    def forward(self, input: Any) -> Any:
        """The last module's output."""
        for module in self.children():
            input = module(input)
        return input

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Any:
        return iter(self.children())

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return Sequential(dict(list(self._modules.items())[index]))
        return list(self._modules.values())[index]
