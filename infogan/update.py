"""One update of InfoGAN: a step of D and Q, then a step of G. A function of its arguments alone."""

from __future__ import annotations

import math
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import NamedTuple

import minigrad as mg
from infogan import objective
from infogan.codes import Code
from infogan.networks import Networks
from infogan.parallel import Alone
from kernels.device import to_host
from minigrad.nn.utils import frozen_statistics
from minigrad.optim import Optimizer
from minigrad.rules.norm import pooled

ALONE = Alone()


class Noise(NamedTuple):
    """The input of G for one batch: z (N, noise) and c (N, code.width)."""

    z: mg.Tensor
    c: mg.Tensor


class Moved(NamedTuple):
    """A batch of the invariance term and its weight; rows n and N + n of `images` are copies of one picture."""

    images: mg.Tensor
    weight: float


class Labelled(NamedTuple):
    """A batch of the supervision term and its weight: c1 of the labelled pictures, (n, K) one-hot.

    They are the first n of `images`; the unlabelled real ones behind them are there for the batch's statistics.
    """

    images: mg.Tensor
    c: mg.Tensor
    weight: float


class Pairs(NamedTuple):
    """A batch of the contrastive term and its weight; rows n and N + n of z and c make a pair.

    `held` (N,) is the variable of the code that a pair has in common, int64.
    """

    noise: Noise
    held: mg.Tensor
    weight: float


class Optimisers(NamedTuple):
    """One for trunk, D and Q, and one for G (and H)."""

    d: Optimizer
    g: Optimizer


@dataclass(frozen=True)
class Measured:
    """What one update measured, in nats; the information terms on G's batch, which Q has not learnt from.

    `loss_d` is −V(D, G) and `loss_g` −E log D(G), both without the information term, which is `info_loss` =
    −λ L_I as it entered G's loss. `spread` is how far G's pictures differ: the deviation of a pixel over the
    batch, mean over the pixels. A tuple has an entry a variable, but `residual` (√E(c − μ)²) only one a
    continuous variable, `readings` (K·k + k' of every draw, the category drawn and the one Q read) one a
    categorical variable, and `invariance` one a categorical variable or none where that term is off, as
    `supervision`, E log Q(c1 = y|x) + H(c1) on the labelled pictures, is `None`. `contrast`
    is what pairs told of the variable they share, or `None`.
    """

    loss_d: float
    loss_g: float
    info_loss: float
    bound: tuple[float, ...]
    bound_trained: tuple[float, ...]
    residual: tuple[float, ...]
    readings: tuple[tuple[int, ...], ...]
    spread: float
    invariance: tuple[float, ...] = ()
    supervision: float | None = None
    contrast: float | None = None


class NotFinite(ArithmeticError):
    """A loss is no finite number; the weights it would have moved have not been touched."""


def update(
    networks: Networks,
    optimisers: Optimisers,
    code: Code,
    weights: list[float],
    real: mg.Tensor,
    noise_d: Noise,
    noise_g: Noise,
    *,
    informed: bool = True,
    moved: Moved | None = None,
    labelled: Labelled | None = None,
    pairs: Pairs | None = None,
    across: Alone = ALONE,
) -> Measured:
    """Train D and Q once, then G once; everything of one dtype and on one device, networks in training mode.

    `real` is (N, C, H, W) in [0, 1]; `weights` is λ of each variable. Without `informed` it is the regular
    GAN: no information term reaches G or the trunk, and Q's head only learns to read what the trunk happens
    to tell, so that the bound can be compared. With `moved` trunk and Q also learn to read copies alike, with
    `labelled` to read classes as categories of c1. With `pairs` G and H learn that two pictures show which variable
    they share. Of several processes, `across`, each is given its share of all that; the losses are means over the
    whole batch, the gradients too, and what is measured is of the whole batch.
    Raises `NotFinite` before a step that such a loss would spoil.
    """
    loss_d, alike, supervision = _discriminator_step(
        networks, optimisers.d, code, weights, real, noise_d, informed, moved, labelled, across
    )
    measured = _generator_step(networks, optimisers.g, code, weights, noise_g, informed, loss_d, pairs, across)
    return replace(measured, invariance=alike, supervision=supervision)


def _discriminator_step(
    networks: Networks,
    optimiser: Optimizer,
    code: Code,
    weights: list[float],
    real: mg.Tensor,
    noise: Noise,
    informed: bool,
    moved: Moved | None,
    labelled: Labelled | None,
    across: Alone,
) -> tuple[float, tuple[float, ...], float | None]:
    """−V(D, G), and what the invariance and the supervision term measured.

    Real, generated, moved and labelled pictures pass the trunk apart: the statistics of their batches must not mix.
    Where there are moved or labelled ones, these alone count in the running statistics: Q is to read real pictures
    by them.
    """
    plain = moved is None and labelled is None
    with mg.no_grad():
        fake = networks.generate(*noise)
    with nullcontext() if plain else frozen_statistics(networks.trunk, networks.Q_head):
        logits_real = networks.D(real)
        features = networks.trunk(fake)
        V = objective.value(logits_real, networks.judge(features))
        reading = networks.Q_head(features if informed else features.detach())
    terms = objective.information(code, reading, noise.c)
    information = objective.weighted(terms, weights)
    alike: list[mg.Tensor] = []
    if moved is not None:
        alike = objective.invariance(code, networks.Q(moved.images), across)
        for term in alike:
            information = information + moved.weight * term
    supervision: float | None = None
    if labelled is not None:
        read = networks.Q(labelled.images)[: len(labelled.c)]
        named = objective.supervision(code, read, labelled.c)
        information = information + labelled.weight * named
        (supervision,) = across.mean(named.item())
    loss = objective.discriminator_loss(V, information)
    whole, loss_d = across.mean(loss.item(), -V.item())
    _finite(whole, "the loss of D and Q")
    optimiser.zero_grad()
    loss.backward()
    across.mean_(networks.of_discriminator())
    optimiser.step()
    return loss_d, tuple(term.item() for term in alike), supervision


def _generator_step(
    networks: Networks,
    optimiser: Optimizer,
    code: Code,
    weights: list[float],
    noise: Noise,
    informed: bool,
    loss_d: float,
    pairs: Pairs | None,
    across: Alone,
) -> Measured:
    """D and Q stand still: no gradient is computed for them and their running statistics do not move."""
    still = (networks.trunk, networks.D_head, networks.Q_head)
    for module in still:
        module.requires_grad_(False)
    try:
        with frozen_statistics(*still):
            pictures = networks.generate(*noise)
            features = networks.trunk(pictures)
            adversarial = objective.adversarial_loss(networks.judge(features))
            reading = networks.Q_head(features)
            terms = objective.information(code, reading, noise.c)
            information = objective.weighted(terms, weights)
            loss = objective.generator_loss(adversarial, information) if informed else adversarial
            shared = None if pairs is None else _contrast(networks, pairs)
            if pairs is not None and shared is not None:
                loss = loss - pairs.weight * shared
            trained = (term.item() for term in terms)
            contrast = () if shared is None else (shared.item(),)
            whole, loss_g, info, *means = across.mean(
                loss.item(), adversarial.item(), information.item(), *trained, *contrast
            )
            _finite(whole, "the loss of G")
            optimiser.zero_grad()
            loss.backward()
    finally:
        for module in still:
            module.requires_grad_(True)
    across.mean_(networks.of_generator())
    optimiser.step()
    parameters, c = across.rows(to_host(reading.data)), across.rows(to_host(noise.c.data))
    return Measured(
        loss_d=loss_d,
        loss_g=loss_g,
        info_loss=-info if informed else 0.0,
        bound=tuple(code.bound(parameters, c)),
        bound_trained=tuple(means[: len(terms)]),
        residual=tuple(code.residual(parameters, c)),
        readings=tuple(tuple(read.tolist()) for read in code.readings(parameters, c)),
        spread=_spread(pictures, across),
        contrast=None if shared is None else means[-1],
    )


def _contrast(networks: Networks, pairs: Pairs) -> mg.Tensor:
    """Both pictures of all pairs are made in one batch, so that one set of statistics holds for them."""
    pictures, n = networks.generate(*pairs.noise), len(pairs.held)
    return objective.contrast(networks.compare(pictures[:n], pictures[n:]), pairs.held)


def _spread(pictures: mg.Tensor, across: Alone) -> float:
    x = pictures.data
    variance = x.var(axis=0)
    if across.size > 1:
        _, variance = pooled(across, x.mean(axis=0), variance)
    return float(to_host((variance**0.5).mean()))


def _finite(loss: float, what: str) -> None:
    if not math.isfinite(loss):
        raise NotFinite(f"{what} is {loss}")
