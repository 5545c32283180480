"""The theory of InfoGAN by numbers: I(c; G(z, c)), its bound L_I(G, Q) and the lemma, where all are computable.

A *toy* is a prior P(c) and a generator x = G(z, c) so small that P(x|c), and with it the true posterior P(c|x),
can be written down. Its `table` lays out P(c, x): every case of a discrete toy, a quadrature of a continuous
one. A *reading* Q(c|x) is a function of code values and observations, (n,) and (n,), that gives log Q, (n,).

toy = Mixture(p=(0.5, 0.3, 0.2), means=(-1, 0, 1.5), deviation=0.5)
exact_information(toy.table())                # I(c; x)
exact_bound(toy, tempered(toy, 2.0))          # L_I of a Q too sure of itself: less
sampled_bound(toy, toy.log_posterior, rng, n) # L_I of the best Q, as training estimates it, with its error

All in nats and float64. NumPy and minigrad are all it needs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple, TypeAlias

import numpy as np

import minigrad as mg
from infogan import objective
from infogan.codes import LOG_2PI, Categorical, Code, Normal, Uniform, Variable
from minigrad import nn, optim, random

Reading: TypeAlias = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""log Q(c|x) of code values c (n,) and observations x (n,): (n,). ∫ Q(c|x) dc must not pass 1."""

_REACH = 8.0
"""Deviations to which a normal density is integrated: what is left out is below 1e-15."""
_PER_DEVIATION = 4
"""Nodes a deviation: the trapezoid rule is exact to rounding for normal densities from 2 on."""


class Estimate(NamedTuple):
    """A mean over independent draws and its standard error."""

    mean: float
    error: float


def estimate(draws: np.ndarray) -> Estimate:
    """Mean of `draws` (n,) and its standard error, deviation / √n."""
    return Estimate(float(draws.mean()), float(draws.std(ddof=1) / math.sqrt(len(draws))))


# --- the toys


@dataclass(frozen=True)
class Table:
    """P(c, x) at nodes `c` (C,) and `x` (X,).

    `mass` (C, X) sums to 1; what a node of c stands for is in `cell` (C,): 1 for a category, the weight of the
    quadrature for a value, so that a density of c is a mass over its cell.
    """

    c: np.ndarray
    x: np.ndarray
    mass: np.ndarray
    cell: np.ndarray

    @property
    def posterior(self) -> np.ndarray:
        """P(c|x), a density where c is continuous: (C, X), 0 where x cannot be."""
        p_x = self.mass.sum(axis=0)
        mass = np.divide(self.mass, p_x, out=np.zeros_like(self.mass), where=p_x > 0)
        return mass / self.cell[:, None]

    def read(self, reading: Reading) -> np.ndarray:
        """log Q(c|x) at every node: (C, X)."""
        c, x = np.meshgrid(self.c, self.x, indexing="ij")
        return reading(c.ravel(), x.ravel()).reshape(c.shape)


class Toy:
    """A prior, a generator and what follows from them; a kind of toy says which."""

    variable: Variable
    features: int = 1
    """What a reader sees of an observation: so many numbers."""

    def generate(self, z: np.ndarray, c: np.ndarray) -> np.ndarray:
        """x = G(z, c) of noise (n,) and code values (n,): (n,)."""
        raise NotImplementedError

    def noise(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """`n` draws of z: (n,)."""
        return rng.normal(size=n)

    def log_likelihood(self, c: np.ndarray, x: np.ndarray) -> np.ndarray:
        """log P(x|c), z summed out, for arrays that broadcast; a density where x is continuous."""
        raise NotImplementedError

    def observations(self) -> tuple[np.ndarray, np.ndarray]:
        """Nodes of x and their weights: (X,), (X,)."""
        raise NotImplementedError

    def values(self) -> tuple[np.ndarray, np.ndarray]:
        """Nodes of c and their weights: (C,), (C,)."""
        raise NotImplementedError

    def see(self, x: np.ndarray) -> np.ndarray:
        """Observations (n,) as a reader takes them: (n, features) float32."""
        return x[:, None].astype(np.float32)

    @cached_property
    def code(self) -> Code:
        """The latent code: one variable."""
        return Code([self.variable])

    def rows(self, c: np.ndarray) -> np.ndarray:
        """Code values (n,) as rows of G's input: (n, width) float32."""
        if isinstance(self.variable, Categorical):
            return self.variable.one_hot(c.astype(np.int64))
        return c[:, None].astype(np.float32)

    def sample(self, rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        """`n` draws of c ~ P(c) and x = G(z, c): code values (n,), observations (n,)."""
        rows = self.variable.sample(rng, n)
        c = rows.argmax(axis=1) if self.variable.discrete else rows[:, 0].astype(np.float64)
        return c, self.generate(self.noise(rng, n), c)

    def table(self) -> Table:
        """P(c, x) = P(c) P(x|c) at the nodes."""
        c, cell = self.values()
        x, weight = self.observations()
        log_joint = self.log_prior(c)[:, None] + self.log_likelihood(c[:, None], x)
        return Table(c, x, np.exp(log_joint) * cell[:, None] * weight, cell)

    def log_prior(self, c: np.ndarray) -> np.ndarray:
        """log P(c) of code values (n,): (n,)."""
        return self.variable.log_prob(self.rows(c))

    def log_evidence(self, x: np.ndarray) -> np.ndarray:
        """log P(x) = log ∫ P(c) P(x|c) dc of observations (n,): (n,)."""
        c, cell = self.values()
        with np.errstate(divide="ignore"):
            return _logsumexp(self.log_prior(c)[:, None] + np.log(cell)[:, None] + self.log_likelihood(c[:, None], x))

    def log_posterior(self, c: np.ndarray, x: np.ndarray) -> np.ndarray:
        """log P(c|x) = log P(c) + log P(x|c) − log P(x): the reading for which L_I = I. (n,)."""
        return self.log_prior(c) + self.log_likelihood(c, x) - self.log_evidence(x)


@dataclass(frozen=True)
class Cells(Toy):
    """Everything discrete: x = picture[z][c], a number from 0, with z equally likely and c ~ Cat(p)."""

    p: tuple[float, ...]
    picture: tuple[tuple[int, ...], ...]

    @cached_property
    def variable(self) -> Variable:  # type: ignore[override]
        """c ~ Cat(p)."""
        return Categorical(self.p)

    @property
    def features(self) -> int:  # type: ignore[override]
        """A place for each x."""
        return max(map(max, self.picture)) + 1

    def generate(self, z: np.ndarray, c: np.ndarray) -> np.ndarray:
        """picture[z][c]."""
        return np.asarray(self.picture)[z, c]

    def noise(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """A row of the picture."""
        return rng.integers(len(self.picture), size=n)

    def log_likelihood(self, c: np.ndarray, x: np.ndarray) -> np.ndarray:
        """log of the share of z that make x from c; −∞ where none does."""
        share = np.mean(np.asarray(self.picture)[:, :, None] == np.arange(self.features), axis=0)
        with np.errstate(divide="ignore"):
            return np.log(share)[c, x]

    def observations(self) -> tuple[np.ndarray, np.ndarray]:
        """Every x, with weight 1."""
        return np.arange(self.features), np.ones(self.features)

    def values(self) -> tuple[np.ndarray, np.ndarray]:
        """Every category, with weight 1."""
        return np.arange(len(self.p)), np.ones(len(self.p))

    def see(self, x: np.ndarray) -> np.ndarray:
        """One-hot rows."""
        return np.eye(self.features, dtype=np.float32)[x]


@dataclass(frozen=True)
class Mixture(Toy):
    """x = means[c] + deviation · z with z ~ N(0, 1) and c ~ Cat(p): a mixture of Gaussians.

    Its true posterior is a softmax of logits linear in x: log p_c + (m_c x − m_c²/2) / deviation².
    """

    p: tuple[float, ...]
    means: tuple[float, ...]
    deviation: float

    @cached_property
    def variable(self) -> Variable:  # type: ignore[override]
        """c ~ Cat(p)."""
        return Categorical(self.p)

    def generate(self, z: np.ndarray, c: np.ndarray) -> np.ndarray:
        """means[c] + deviation · z."""
        return np.asarray(self.means)[c] + self.deviation * z

    def log_likelihood(self, c: np.ndarray, x: np.ndarray) -> np.ndarray:
        """log N(x; means[c], deviation²)."""
        return _log_normal(x, np.asarray(self.means)[c], self.deviation)

    def observations(self) -> tuple[np.ndarray, np.ndarray]:
        """Even nodes past the outer means."""
        return _even(min(self.means), max(self.means), self.deviation)

    def values(self) -> tuple[np.ndarray, np.ndarray]:
        """Every category, with weight 1."""
        return np.arange(len(self.p)), np.ones(len(self.p))


@dataclass(frozen=True)
class Line(Toy):
    """x = c + deviation · z with z ~ N(0, 1) and c uniform or normal.

    For c ~ N(0, 1) the posterior is a Gaussian and I(c; x) = ½ ln(1 + 1/deviation²). For c ~ Unif(−1, 1) it is
    a Gaussian cut off at ±1, which no Gaussian Q can equal: the bound stays below I.
    """

    variable: Uniform | Normal
    deviation: float

    def generate(self, z: np.ndarray, c: np.ndarray) -> np.ndarray:
        """c + deviation · z."""
        return c + self.deviation * z

    def log_likelihood(self, c: np.ndarray, x: np.ndarray) -> np.ndarray:
        """log N(x; c, deviation²)."""
        return _log_normal(x, c, self.deviation)

    def observations(self) -> tuple[np.ndarray, np.ndarray]:
        """Even nodes past the nodes of c."""
        c, _ = self.values()
        return _even(c.min(), c.max(), self.deviation)

    def values(self) -> tuple[np.ndarray, np.ndarray]:
        """Gauss-Legendre nodes for a uniform code, even ones over ±8 deviations for a normal one."""
        if isinstance(self.variable, Normal):
            centre, step = self.variable.mean, min(self.variable.std, self.deviation)
            reach = _REACH * (self.variable.std - step)
            return _even(centre - reach, centre + reach, step)
        half = (self.variable.high - self.variable.low) / 2
        nodes, weights = _legendre(max(32, math.ceil(16 * half / self.deviation)))
        return self.variable.low + half * (1 + nodes), half * weights


def _even(low: float, high: float, deviation: float) -> tuple[np.ndarray, np.ndarray]:
    """Even nodes from `_REACH` deviations below `low` to as many above `high`, and the trapezoid rule's weights."""
    low, high = low - _REACH * deviation, high + _REACH * deviation
    nodes, step = np.linspace(low, high, math.ceil((high - low) / deviation * _PER_DEVIATION) + 1, retstep=True)
    return nodes, np.full(len(nodes), step)


@lru_cache
def _legendre(n: int) -> tuple[np.ndarray, np.ndarray]:
    return np.polynomial.legendre.leggauss(n)


def _log_normal(x: np.ndarray, mean: np.ndarray | float, deviation: float) -> np.ndarray:
    return -0.5 * ((x - mean) / deviation) ** 2 - math.log(deviation) - 0.5 * LOG_2PI


def _logsumexp(terms: np.ndarray) -> np.ndarray:
    """log Σ exp over the first axis, −∞ where every term is."""
    top = terms.max(axis=0)
    top = np.where(np.isfinite(top), top, 0.0)
    return top + np.log(np.exp(terms - top).sum(axis=0))


# --- information and its bound


def entropy(p: np.ndarray) -> float:
    """H = −Σ p log p of masses of any shape, 0 log 0 being 0."""
    p = p[p > 0]
    return float(-(p * np.log(p)).sum())


def exact_information(table: Table) -> float:
    """I(c; x) = H(c) + H(x) − H(c, x), of masses: what a quadrature's weights add to each entropy cancels."""
    return entropy(table.mass.sum(axis=1)) + entropy(table.mass.sum(axis=0)) - entropy(table.mass)


def exact_bound(toy: Toy, reading: Reading) -> float:
    """L_I(G, Q) = E log Q(c|x) + H(c) over c ~ P(c), x ~ G(z, c)   (eq. 5), by the toy's table."""
    table = toy.table()
    there = table.mass > 0
    return float((table.mass[there] * table.read(reading)[there]).sum()) + toy.variable.entropy


def expected_kl(toy: Toy, reading: Reading) -> float:
    """E over x of KL(P(·|x) ‖ Q(·|x)) = Σₓ P(x) ∫ P(c|x) log P(c|x) / Q(c|x) dc, at least 0: what L_I lacks of I."""
    table = toy.table()
    posterior, log_q = table.posterior, table.read(reading)
    ratio = np.log(posterior, out=np.zeros_like(posterior), where=posterior > 0) - np.where(posterior > 0, log_q, 0.0)
    each = (table.cell[:, None] * posterior * ratio).sum(axis=0)
    return float((table.mass.sum(axis=0) * each).sum())


def sampled_bound(toy: Toy, reading: Reading, rng: np.random.Generator, n: int) -> Estimate:
    """L_I from `n` draws of c and x, as training takes it: the c that made x stands for c' ~ P(c|x)."""
    c, x = toy.sample(rng, n)
    drawn = estimate(reading(c, x))
    return Estimate(drawn.mean + toy.variable.entropy, drawn.error)


# --- a tree of two levels

BranchReading: TypeAlias = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]
"""Of observations (n,): log Q(c1|x), and mean and deviation of the Gaussian Q(c2|x, c1 = k): (n, K) each."""


@dataclass(frozen=True)
class Branches:
    """x = means[c1] + slopes[c1] · c2 + deviation · z with c2, z ~ N(0, 1): each category of c1 has its own c2.

    Given c1 = k, x ~ N(means[k], s²) with s² = slopes[k]² + deviation², so that the two terms of the chain rule are

        I(c1; x) = h(x) − Σ p_k ½ ln 2πe s_k²,   I(c2; x|c1) = Σ p_k ½ ln (1 + slopes[k]²/deviation²)

    and c2 given x and c1 = k is N(slopes[k] (x − means[k])/s², deviation²/s²): Q can say the truth.
    """

    p: tuple[float, ...]
    means: tuple[float, ...]
    slopes: tuple[float, ...]
    deviation: float

    @cached_property
    def code(self) -> Code:
        """`cat:K:p…(normal)`, Q's deviation learned with a floor that no truth here is below."""
        return Code([Categorical(self.p), Normal(sigma=None, floor=1e-6)], [None, 0])

    @property
    def spreads(self) -> np.ndarray:
        """s, the deviation of x in each category: (K,)."""
        return np.hypot(self.slopes, self.deviation)

    def sample(self, rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        """`n` rows of c, (n, width), and x = G(z, c), (n,), both float64."""
        c = self.code.sample(rng, n).astype(np.float64)
        k, own = self.code.value(c, 0).argmax(axis=1), self.code.value(c, 1)[:, 0]
        return c, np.take(self.means, k) + np.take(self.slopes, k) * own + self.deviation * rng.normal(size=n)

    def information(self) -> tuple[float, float]:
        """I(c1; x), by the trapezoid rule over x, and I(c2; x|c1): their sum is I(c1, c2; x)."""
        x, step = self._observations()
        p_x = np.exp(self._log_joint(x)).sum(axis=1)
        first = float(-(p_x * np.log(p_x) * step).sum()) - float(
            np.dot(self.p, np.log(self.spreads) + 0.5 * (LOG_2PI + 1))
        )
        return first, float(np.dot(self.p, np.log(self.spreads / self.deviation)))

    def truth(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The reading for which both terms of the bound are the information."""
        joint, s = self._log_joint(x), self.spreads
        log_q = joint - _logsumexp(joint.T)[:, None]
        mean = np.asarray(self.slopes) * (x[:, None] - self.means) / s**2
        return log_q, mean, np.broadcast_to(self.deviation / s, mean.shape)

    def bound(self, reading: BranchReading) -> tuple[float, float]:
        """E log Q(c1|x) + H(c1) and E log Q(c2|x, c1) + H(c2|c1), every case of c1, c2 and x gone through."""
        x, step = self._observations()
        own, cell = _even(0.0, 0.0, 1.0)
        log_q, mean, sigma = reading(x)
        first = second = 0.0
        for k, p in enumerate(self.p):
            at = self.means[k] + self.slopes[k] * own
            mass = p * np.exp(_log_normal(own, 0.0, 1.0)) * cell * np.exp(_log_normal(x[:, None], at, self.deviation))
            mass *= step[:, None]
            first += float((mass * log_q[:, k : k + 1]).sum())
            error = (own - mean[:, k : k + 1]) / sigma[:, k : k + 1]
            second += float((mass * (-0.5 * error**2 - np.log(sigma[:, k : k + 1]) - 0.5 * LOG_2PI)).sum())
        of_c1, of_c2 = self.code.entropy
        return first + of_c1, second + of_c2

    def parameters(self, reading: BranchReading, x: np.ndarray) -> np.ndarray:
        """`reading` of observations (n,) as Q gives it: (n, code.parameters), a block (μ, softplus⁻¹ σ) a category."""
        log_q, mean, sigma = reading(x)
        raw = np.log(np.expm1(sigma - self.code.variables[1].floor))  # type: ignore[union-attr]
        return np.concatenate([log_q, np.stack([mean, raw], axis=2).reshape(len(x), -1)], axis=1)

    def _observations(self) -> tuple[np.ndarray, np.ndarray]:
        reach = _REACH * float(self.spreads.max())
        return _even(min(self.means) - reach, max(self.means) + reach, self.deviation)

    def _log_joint(self, x: np.ndarray) -> np.ndarray:
        """log P(c1 = k, x): (n, K)."""
        standard = (x[:, None] - self.means) / self.spreads
        return np.log(self.p) - 0.5 * standard**2 - np.log(self.spreads) - 0.5 * LOG_2PI


# --- readings


def prior(toy: Toy) -> Reading:
    """Q(c|x) = P(c), which does not look at x: L_I = 0."""
    return lambda c, x: toy.log_prior(c)


def tempered(toy: Toy, beta: float) -> Reading:
    """Q(c|x) ∝ P(c|x)^β: the truth at β = 1, unsure below, too sure of itself above."""
    nodes, cell = toy.values()
    log_cell = np.log(cell)[:, None]

    def log_q(c: np.ndarray, x: np.ndarray) -> np.ndarray:
        evidence = toy.log_evidence(x)
        posterior = toy.log_prior(nodes)[:, None] + toy.log_likelihood(nodes[:, None], x) - evidence
        return beta * toy.log_posterior(c, x) - _logsumexp(log_cell + beta * posterior)

    return log_q


def gaussian(toy: Toy, sigma: float) -> Reading:
    """Q(c|x) = N(c; E(c|x), σ²): the best mean that a continuous code's Q can give, with one σ for all x."""
    nodes, cell = toy.values()
    mass = np.exp(toy.log_prior(nodes)) * cell

    def log_q(c: np.ndarray, x: np.ndarray) -> np.ndarray:
        weight = mass[:, None] * np.exp(toy.log_likelihood(nodes[:, None], x) - toy.log_evidence(x))
        return _log_normal(c, (nodes[:, None] * weight).sum(axis=0), sigma)

    return log_q


class Learner:
    """Q with parameters linear in what it sees of x, trained by Adam on the objective's own L_I.

    It begins knowing nothing: all weights 0. For `Cells`, `Mixture` and a normal `Line` the truth is among
    what it can say; for a uniform `Line` it is not.
    """

    def __init__(self, toy: Toy, seed: int = 0, *, batch_size: int = 128, learning_rate: float = 0.05) -> None:
        self.toy, self.seed, self.batch_size, self.step = toy, seed, batch_size, 0
        self.layer = nn.Linear(toy.features, toy.code.parameters)
        for parameter in self.layer.parameters():
            nn.init.zeros_(parameter)
        self.optimiser = optim.Adam(self.layer.parameters(), learning_rate)

    def advance(self) -> float:
        """One update on fresh draws; L_I over them before it."""
        self.step += 1
        c, x = self.toy.sample(random.stream(self.seed, "theory", self.step), self.batch_size)
        rows = mg.tensor(self.toy.rows(c))
        (bound,) = objective.information(self.toy.code, self.layer(mg.tensor(self.toy.see(x))), rows)
        self.optimiser.zero_grad()
        (-bound).backward()
        self.optimiser.step()
        return bound.item()

    def log_q(self, c: np.ndarray, x: np.ndarray) -> np.ndarray:
        """The reading as it is now."""
        with mg.no_grad():
            parameters = self.layer(mg.tensor(self.toy.see(x)))
            (log_q,) = self.toy.code.log_q(parameters, mg.tensor(self.toy.rows(c)))
        return log_q.numpy().astype(np.float64)


# --- the lemma


def lemma_left(joint: np.ndarray, f: np.ndarray) -> float:
    """E over x ~ X, y ~ Y|x of f(x, y), for masses `joint` (X, Y) and `f` (X, Y), by going through all cases."""
    return float(np.einsum("xy,xy->", joint, f))


def lemma_right(joint: np.ndarray, f: np.ndarray) -> float:
    """E over x ~ X, y ~ Y|x, x' ~ X|y of f(x', y), by all cases: equal to `lemma_left`.

    It is what lets the c that made a picture stand for a draw from the unknown posterior. x' must be drawn
    *given y*; `lemma_misprinted` is what comes of leaving that out.
    """
    return float(np.einsum("xy,wy,wy->", joint, _given_y(joint), f))


def lemma_misprinted(joint: np.ndarray, f: np.ndarray) -> float:
    """E over x ~ X, y ~ Y|x, x' ~ X of f(x', y), as a misprint has it: differs from `lemma_left`.

    X = Y = ±1 together and f = xy: 0 in place of 1. It holds where X and Y are independent.
    """
    return float(np.einsum("xy,w,wy->", joint, joint.sum(axis=1), f))


def sampled_lemma(joint: np.ndarray, f: np.ndarray, rng: np.random.Generator, n: int) -> dict[str, Estimate]:
    """Both sides of the lemma and its misprinted right side, from `n` draws: `left`, `right`, `misprinted`."""
    x, y = np.unravel_index(rng.choice(joint.size, size=n, p=joint.ravel()), joint.shape)
    given_y = np.cumsum(_given_y(joint), axis=0)[:, y]
    x_given_y = (rng.random(n) * given_y[-1] >= given_y).sum(axis=0)
    x_alone = rng.choice(len(joint), size=n, p=joint.sum(axis=1))
    drawn = {"left": x, "right": x_given_y, "misprinted": x_alone}
    return {side: estimate(f[w, y]) for side, w in drawn.items()}


def _given_y(joint: np.ndarray) -> np.ndarray:
    """P(x|y): (X, Y), columns sum to 1; 0 where y cannot be."""
    p_y = joint.sum(axis=0)
    return np.divide(joint, p_y, out=np.zeros_like(joint), where=p_y > 0)


def together() -> tuple[np.ndarray, np.ndarray]:
    """The counter-example to the misprint: X = Y = ±1 together, and f(x, y) = xy."""
    sign = np.array([-1.0, 1.0])
    return np.diag([0.5, 0.5]), np.outer(sign, sign)
