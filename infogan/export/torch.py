"""Weights for PyTorch, and the modules they belong to as source text. PyTorch itself is not needed here.

Names, shapes and layouts are PyTorch's already; what it lacks is the activation inside a layer, which the
written modules hold as a layer of its own under a name without weights.
"""

from __future__ import annotations

from pathlib import Path

from infogan.errors import InputError
from infogan.networks.ranges import Affine
from infogan.run import Run
from kernels import slope_of
from minigrad import nn, serialize

WEIGHTS, MODULES = "networks.safetensors", "networks.py"

_SOURCE = '''"""The networks of an InfoGAN run as PyTorch modules.

    import networks
    nets = networks.load()              # weights from {weights} beside this file, in evaluation mode
    images = nets.generate(z, c)        # z (N, {noise}), c (N, {width}): pictures (N, {channels}, {size}, {size})

Weights trained further go back by safetensors.torch.save_file(nets.state_dict(), FILE) and, in Python,
infogan.load(RUN, weights=FILE).
"""

from collections import OrderedDict
from pathlib import Path

import torch
from torch import nn


class Affine(nn.Module):
    """scale * x + shift."""

    def __init__(self, scale, shift):
        super().__init__()
        self.scale, self.shift = scale, shift

    def forward(self, x):
        return self.scale * x + self.shift


class Networks(nn.Module):
    """G, the trunk that D and Q share, and their heads."""

    def __init__(self):
        super().__init__()
{modules}

    def generate(self, z, c):
        """Pictures in (0, 1)."""
        return self.G(torch.cat([z, c], 1))

    def D(self, x):
        """The logit of the probability that each picture is real."""
        return self.D_head(self.trunk(x)).reshape(-1)

    def Q(self, x):
        """The parameters of Q(c|x)."""
        return self.Q_head(self.trunk(x))


def load(path=Path(__file__).with_name("{weights}")):
    """The networks with the weights in `path`, in evaluation mode."""
    from safetensors.torch import load_file

    networks = Networks()
    networks.load_state_dict(load_file(path))
    return networks.eval()
'''


def write_torch(run: Run, folder: str | Path) -> list[Path]:
    """Write `networks.safetensors` and `networks.py` into `folder`: weights, and modules that take them.

    `infogan.load(RUN, weights=FILE)` is the way back. Raises `InputError` where they cannot be written.
    """
    folder, settings = Path(folder), run.config
    source = _SOURCE.format(
        weights=WEIGHTS,
        noise=settings.noise,
        width=run.code.width,
        channels=settings.channels,
        size=settings.image_size,
        modules="\n".join(f"        self.{name} = {_source(part, 2)}" for name, part in run.networks.named_children()),
    )
    notes = {"format": "pt", "codes": settings.codes, "updates": str(run.step)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        serialize.save(run.networks.state_dict(), folder / WEIGHTS, notes)
        serialize.write_atomically(folder / MODULES, source.encode())
    except OSError as error:
        raise InputError(f"--out {folder}: cannot be written ({error.strerror or error})") from None
    return [folder / WEIGHTS, folder / MODULES]


def _source(module: nn.Module, depth: int) -> str:
    """The expression that makes PyTorch's counterpart of `module`, its weights under the same names."""
    if not isinstance(module, nn.Sequential):
        own, activation = _layer(module)
        if activation is not None:
            raise InputError(f"{type(module).__name__} with an activation outside of Sequential has no name in PyTorch")
        return own
    inner = "    " * (depth + 1)
    lines = []
    for name, child in module.named_children():
        own, activation = (_source(child, depth + 1), None) if isinstance(child, nn.Sequential) else _layer(child)
        lines.append(f'{inner}("{name}", {own}),')
        lines += [] if activation is None else [f'{inner}("{name}_activation", {activation}),']
    return "\n".join(["nn.Sequential(OrderedDict([", *lines, "    " * depth + "]))"])


def _layer(layer: nn.Module) -> tuple[str, str | None]:
    """PyTorch's constructor of a layer, and that of the activation fused with it."""
    settings = layer.extra_repr()
    if isinstance(layer, Affine):
        return f"Affine({settings})", None
    activation = getattr(layer, "activation", None)
    if activation is None:
        return f"nn.{type(layer).__name__}({settings})", None
    own = f"nn.{type(layer).__name__}({settings.removesuffix(f', activation={activation!r}')})"
    slope = slope_of(activation)
    return own, f"nn.LeakyReLU({slope})" if slope else "nn.ReLU()"
