"""The objective of InfoGAN (Chen et al. 2016), equation beside line. All losses are taken from logits.

The paper plays min over G, Q and max over D of V(D, G) − λ L_I(G, Q) (its eq. 6). D and Q share a trunk, and
taken at its word "max over D" would make that trunk forget what Q needs. The trunk serves both players:

    D and Q step   trunk, D and Q minimise −V(D, G) − λ L_I(G, Q); G stands still
    G step         G minimises −E log D(G(z, c)) − λ L_I(G, Q); D and Q stand still

G's first term is the non-saturating one of Goodfellow et al. (2014): it pulls the same way as
E log(1 − D(G)), with a gradient that does not vanish while D wins.

Two terms of the D and Q step are not the paper's and off by default: `invariance` and `supervision`; so
is one of the G step: `contrast`.
"""

from __future__ import annotations

import math

import numpy as np

import minigrad as mg
from infogan.codes import Code
from minigrad.nn.functional import cross_entropy, softplus
from minigrad.rules.norm import Processes, sum_over

TINY = float(np.finfo(np.float32).tiny)


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


def invariance(code: Code, parameters: mg.Tensor, processes: Processes | None = None) -> list[mg.Tensor]:
    """I(k; k') = Σ P log(P / p p'), k and k' what Q reads in two moved copies of a real picture: nats.

    Ji et al. 2019 (invariant information clustering, eq. 3), a term a categorical variable, at most log K. Rows
    n and N + n of `parameters` (2N, code.parameters) are the readings q, q' of the copies of picture n, and
    P = 1/N Σ q q'ᵀ, made symmetric, is the joint law of k and k' over the batch; p = p' is its margin. The term
    is high where Q reads copies alike (low H(k|k')) and uses all its categories (high H(k)); no label enters.
    Of several `processes`, each with an equal part of the batch, P is that of the whole.
    """
    n = len(parameters) // 2
    terms = []
    for variable, columns in zip(code, code.outputs, strict=True):
        if variable.discrete:
            q = parameters[:, columns].softmax(1)
            P = q[:n].transpose(0, 1) @ q[n:] / n
            P = P if processes is None else sum_over(P, processes=processes) / processes.size
            P = (P + P.transpose(0, 1)) / 2
            terms.append(_p_log_p(P) - 2 * _p_log_p(P.sum(1)))
    return terms


def supervision(code: Code, parameters: mg.Tensor, c: mg.Tensor) -> mg.Tensor:
    """E log Q(c1 = y|x) + H(c1) over labelled real pictures x of class y: nats, at most H(c1).

    Spurr et al. 2017 (ss-InfoGAN): the code of a labelled picture is known, it is its class, so that eq. 5 can be
    had of real pictures too. The first term is minus the cross-entropy of Q's reading, (N, code.parameters), and
    the label, a row of `c` (N, K) one-hot; category k of the first categorical variable stands for class k.
    """
    first = next(i for i, variable in enumerate(code) if variable.discrete)
    log_q = code[first].log_q(parameters[:, code.outputs[first]], c)
    return log_q.mean() + code.entropy[first]


def _p_log_p(p: mg.Tensor) -> mg.Tensor:
    return (p * p.clamp(min=TINY).log()).sum()


def contrast(logits: mg.Tensor, held: mg.Tensor) -> mg.Tensor:
    """E log H(k|x, x') + log K: how well H tells which of the K variables two pictures have in common, in nats.

    InfoGAN-CR (Lin et al. 2020, section 4): x and x' are drawn with equal values of variable k, all else of theirs
    independent; `logits` (N, K) are H's for N pairs, `held` (N,) their k. G and H both raise it: pictures in which
    each variable moves something of its own. A lower bound of I(k; x, x') for k drawn evenly, at most log K.
    """
    return math.log(logits.shape[1]) - cross_entropy(logits, held)


def discriminator_loss(V: mg.Tensor, information: mg.Tensor) -> mg.Tensor:
    """−V(D, G) − λ L_I(G, Q): what trunk, D and Q minimise.

    The weighted `invariance` and `supervision`, where they are on, are parts of `information`.
    """
    return -V - information


def adversarial_loss(fake: mg.Tensor) -> mg.Tensor:
    """−E log D(G(z, c)), G's non-saturating term, from D's logits (N,): nats."""
    return softplus(-fake).mean()


def generator_loss(adversarial: mg.Tensor, information: mg.Tensor) -> mg.Tensor:
    """−E log D(G(z, c)) − λ L_I(G, Q): what G minimises."""
    return adversarial - information
