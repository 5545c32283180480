"""The objective of InfoGAN (Chen et al. 2016), equation beside line. All losses are taken from logits.

The paper plays min over G, Q and max over D of V(D, G) − λ L_I(G, Q) (its eq. 6). D and Q share a trunk, and
taken at its word "max over D" would make that trunk forget what Q needs. The trunk serves both players:

    D and Q step   trunk, D and Q minimise −V(D, G) − λ L_I(G, Q); G stands still
    G step         G minimises −E log D(G(z, c)) − λ L_I(G, Q); D and Q stand still

G's first term is the non-saturating one of Goodfellow et al. (2014): it pulls the same way as
E log(1 − D(G)), with a gradient that does not vanish while D wins.
"""

from __future__ import annotations

import minigrad as mg
from infogan.codes import Code
from minigrad.nn.functional import softplus


def value(real: mg.Tensor, fake: mg.Tensor) -> mg.Tensor:
    """V(D, G) = E log D(x) + E log(1 − D(G(z, c)))   (eq. 1), from D's logits (N,): nats, at most 0."""
    log_d_real = -softplus(-real)  # log D(x), as D = sigmoid(logit)
    log_not_d_fake = -softplus(fake)  # log(1 − D(G(z, c)))
    return log_d_real.mean() + log_not_d_fake.mean()


def information(code: Code, parameters: mg.Tensor, c: mg.Tensor) -> list[mg.Tensor]:
    """L_I(G, Q) = E log Q(c|x) + H(c) for c ~ P(c), x ~ G(z, c)   (eq. 5), a term a variable: nats.

    The paper's lemma lets the c that made x stand for the draw c' ~ P(c|x) (eq. 4), so that no posterior is
    needed. The variables are independent: the terms add up to L_I ≤ I(c; G(z, c)).
    """
    log_q = code.log_q(parameters, c)
    return [log_q_i.mean() + entropy for log_q_i, entropy in zip(log_q, code.entropy, strict=True)]


def weighted(terms: list[mg.Tensor], weights: list[float]) -> mg.Tensor:
    """λ L_I   (eq. 6), with a λ for each variable."""
    total = terms[0] * weights[0]
    for term, weight in zip(terms[1:], weights[1:], strict=True):
        total = total + term * weight
    return total


def discriminator_loss(V: mg.Tensor, information: mg.Tensor) -> mg.Tensor:
    """−V(D, G) − λ L_I(G, Q): what trunk, D and Q minimise."""
    return -V - information


def adversarial_loss(fake: mg.Tensor) -> mg.Tensor:
    """−E log D(G(z, c)), G's non-saturating term, from D's logits (N,): nats."""
    return softplus(-fake).mean()


def generator_loss(adversarial: mg.Tensor, information: mg.Tensor) -> mg.Tensor:
    """−E log D(G(z, c)) − λ L_I(G, Q): what G minimises."""
    return adversarial - information
