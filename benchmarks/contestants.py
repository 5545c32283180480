"""One update of InfoGAN by this project and by its peers: the same weights, pictures, noise and arithmetic.

All do what the paper's algorithm asks and no more: pictures for the D step are made without a graph, D and Q
stand still in the G step, real and generated pictures pass the trunk apart, Adam is fused where it can be.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

import minigrad as mg
from infogan import config as configs
from infogan import networks as own_networks
from infogan.codes import Categorical
from infogan.config import Config
from infogan.draws import draw_noise
from infogan.update import Noise, Optimisers, update
from minigrad import optim

CHECKED = 3
"""Updates over which losses must agree: the third depends on two steps of both optimisers."""
CLOSE, LOOSE = 3e-6, 1e-2


class Batch(NamedTuple):
    """Real pictures (N, C, H, W), and for both steps z (N, noise) and c (N, width)."""

    real: np.ndarray
    z_d: np.ndarray
    c_d: np.ndarray
    z_g: np.ndarray
    c_g: np.ndarray


class Losses(NamedTuple):
    """−V(D, G) and −E log D(G), nats, without the information term."""

    d: float
    g: float


Update = Callable[[Batch], Losses]
"""One update; it goes on from where the last one left its weights."""


@dataclass(frozen=True)
class Problem:
    """Networks, initial weights and batches."""

    config: Config
    batches: tuple[Batch, ...]

    @classmethod
    def paper(cls, batch_size: int = 128) -> Problem:
        """The paper's MNIST experiment."""
        return cls._of(configs.make({"preset": "mnist", "batch_size": batch_size}))

    @classmethod
    def tiny(cls, batch_size: int = 4) -> Problem:
        """The same in small."""
        return cls._of(
            configs.make(
                {
                    "image_size": 8,
                    "batch_size": batch_size,
                    "noise": 3,
                    "generator_dense": 16,
                    "generator_channels": "6,5",
                    "trunk_channels": "5,6",
                    "trunk_dense": 16,
                    "q_dense": 8,
                }
            )
        )

    @classmethod
    def _of(cls, config: Config) -> Problem:
        return cls(config, tuple(_batch(config, step) for step in range(1, CHECKED + 1)))

    def networks(self) -> own_networks.Networks:
        """The project's networks at their initial weights, in training mode."""
        return own_networks.build(self.config).train()

    def weights(self) -> dict[str, list[np.ndarray]]:
        """Initial weights of "G", "trunk", "D_head" and "Q_head", in the order of their layers."""
        built = self.networks()
        parts = {"G": built.G, "trunk": built.trunk, "D_head": built.D_head, "Q_head": built.Q_head}
        return {name: [p.detach().numpy().copy() for p in part.parameters()] for name, part in parts.items()}

    def terms(self) -> list[tuple[bool, slice, slice, float, float]]:
        """Of each variable of the code: discrete?, its columns in c, its columns in Q's output, H(c), λ.

        Continuous ones have the paper's fixed σ = 1.
        """
        code, weights = self.config.code, self.config.weights
        kinds = [isinstance(v, Categorical) for v in code]
        return list(zip(kinds, code.columns, code.outputs, code.entropy, weights, strict=True))


def _batch(config: Config, step: int) -> Batch:
    random = np.random.default_rng([config.seed, step])
    # Timing needs no digits, but something D can learn from: a bright disc somewhere.
    side = np.arange(config.image_size)
    row, column = random.uniform(0.3, 0.7, (2, config.batch_size, 1, 1)) * config.image_size
    far = (side[:, None] - row) ** 2 + (side - column) ** 2
    shape = (config.batch_size, config.channels, config.image_size, config.image_size)
    real = np.broadcast_to((far < (config.image_size / 4) ** 2)[:, None], shape).astype(np.float32)
    noise = [draw_noise(config, config.code, f"noise of {which}", step, config.batch_size) for which in "DG"]
    return Batch(real, *noise[0], *noise[1])


def own(problem: Problem) -> Update:
    """The project's own update, as `infogan train` runs it."""
    config, networks = problem.config, problem.networks()
    betas = (config.beta1, config.beta2)
    optimisers = Optimisers(
        d=optim.Adam(networks.of_discriminator(), config.learning_rate_d, betas),
        g=optim.Adam(networks.of_generator(), config.learning_rate_g, betas),
    )

    def run(batch: Batch) -> Losses:
        real, z_d, c_d, z_g, c_g = map(mg.tensor, batch)
        code = config.code
        measured = update(networks, optimisers, code, config.weights, real, Noise(z_d, c_d), Noise(z_g, c_g))
        return Losses(measured.loss_d, measured.loss_g)

    return run


def _torch(**options: bool) -> Callable[[Problem], Update]:
    def make(problem: Problem) -> Update:
        from benchmarks.torch_update import make

        return make(problem, **options)

    return make


def _jax(problem: Problem) -> Update:
    from benchmarks.jax_update import make

    return make(problem)


def contestants(*, peers: bool, compiled: bool = False) -> dict[str, Callable[[Problem], Update]]:
    """Those that can run here, by name."""
    found: dict[str, Callable[[Problem], Update]] = {"infogan": own}
    if peers and importlib.util.find_spec("torch") is not None:
        found["torch"] = _torch()
        found["torch channels_last"] = _torch(channels_last=True)
        if compiled:
            found["torch compiled"] = _torch(compiled=True)
    if peers and importlib.util.find_spec("jax") is not None:
        found["jax"] = _jax
    return found


def disagreement(problem: Problem, name: str) -> str | None:
    """What is wrong with the losses of the contestant's first updates, beside the project's own in float64.

    `None` if they agree: in small closely, and at `problem` loosely, since Adam's first steps are as good as
    signs of gradients, and where these are next to nothing rounding decides.
    """
    make = contestants(peers=True, compiled=True)[name]
    wrong = departure(Problem.tiny(), make, CLOSE)
    wrong = wrong or departure(problem, make, LOOSE)
    return None if wrong is None else f"{name}: {wrong}"


def departure(problem: Problem, make: Callable[[Problem], Update], tolerance: float) -> str | None:
    """The first loss that is further from the definition than `tolerance` times it (or than `tolerance`)."""
    update = make(problem)
    for step, (batch, right) in enumerate(zip(problem.batches, _definition(problem), strict=True), 1):
        for what, a, b in zip(("D", "G"), update(batch), right, strict=True):
            if not abs(a - b) <= tolerance * max(1.0, abs(b)):
                return f"the loss of {what} in update {step} is {a:.6f}, by the definition {b:.6f}"
    return None


def _definition(problem: Problem) -> list[Losses]:
    """The losses with plain NumPy kernels in float64."""
    import kernels

    config, networks = problem.config, problem.networks().to(np.float64)
    betas = (config.beta1, config.beta2)
    optimisers = Optimisers(
        d=optim.Adam(networks.of_discriminator(), config.learning_rate_d, betas),
        g=optim.Adam(networks.of_generator(), config.learning_rate_g, betas),
    )
    found = []
    with kernels.use("blas"):
        for batch in problem.batches:
            real, z_d, c_d, z_g, c_g = (mg.tensor(a.astype(np.float64)) for a in batch)
            arguments = (config.code, config.weights, real, Noise(z_d, c_d), Noise(z_g, c_g))
            measured = update(networks, optimisers, *arguments)
            found.append(Losses(measured.loss_d, measured.loss_g))
    return found
