"""The latent code c of InfoGAN: which variables it has, how they are drawn, and how Q scores them.

A code is written as a comma-separated list, one entry a variable:

    cat:K[:p1/p2/…]      categorical with K values, equally likely unless probabilities are given
    uniform[:low:high]   uniform on [low, high], −1 to 1 unless given
    normal[:mean:std]    normal, 0 and 1 unless given

and `4x` before an entry repeats it. The paper's MNIST code is `cat:10,uniform,uniform`. In brackets behind a
categorical variable stand continuous ones that each of its categories has of its own: `cat:10(uniform,uniform)` is
a tree of ten branches with two style codes each. Variables are named c1, c2, … in order. All entropies and bounds
are in nats.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import accumulate, pairwise
from typing import ClassVar, TypeAlias, TypeVar

import numpy as np

import minigrad as mg
from infogan.errors import InputError
from minigrad.nn import functional as F

SYNTAX = "cat:K[:p1/p2/…], uniform[:low:high] or normal[:mean:std], with 4x in front to repeat"
TREE = "cat:10(uniform,uniform)"
SIGMA_FLOOR = 0.1
MOST_REPEATS = 1000
MOST_CATEGORIES = 10_000
LOG_2PI = math.log(2 * math.pi)


@dataclass(frozen=True)
class Categorical:
    """c ~ Cat(K, p). In G's input a one-hot row of width K; Q gives K logits."""

    p: tuple[float, ...]
    discrete: ClassVar[bool] = True

    @property
    def width(self) -> int:
        """Columns in G's input, K."""
        return len(self.p)

    @property
    def parameters(self) -> int:
        """Columns Q gives for this variable: K logits."""
        return len(self.p)

    @property
    def entropy(self) -> float:
        """H(c) = −Σ p log p. No bound on I(c; x) can pass it."""
        return -math.fsum(q * math.log(q) for q in self.p)

    @property
    def spec(self) -> str:
        """The text that describes this variable."""
        even = len(set(self.p)) == 1
        return f"cat:{self.width}" + ("" if even else ":" + "/".join(repr(q) for q in self.p))

    def sample(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """`n` one-hot rows, (n, K) float32."""
        return self.one_hot(rng.choice(self.width, size=n, p=self.p))

    def one_hot(self, values: np.ndarray) -> np.ndarray:
        """Category numbers (n,) as rows (n, K) float32."""
        return np.eye(self.width, dtype=np.float32)[values]

    def log_prob(self, c: np.ndarray) -> np.ndarray:
        """log P(c) of one-hot rows (n, K): (n,) float64."""
        return np.log(np.asarray(self.p))[np.asarray(c).argmax(axis=1)]

    def log_q(self, parameters: mg.Tensor, c: mg.Tensor) -> mg.Tensor:
        """log Q(c|x) = log softmax(logits)[c], differentiable: (n,)."""
        return (F.log_softmax(parameters, dim=1) * c).sum(1)

    def bound(self, parameters: np.ndarray, c: np.ndarray) -> float:
        """E log Q(c|x) + H(c) over a batch of plain arrays: nats, at most `entropy`."""
        chosen = (_log_softmax(parameters) * c).sum(axis=1)
        return float(chosen.mean()) + self.entropy

    def readings(self, parameters: np.ndarray, c: np.ndarray) -> np.ndarray:
        """K·k + k' of every row, k the category drawn and k' the likeliest under Q: (n,) int64."""
        return self.width * c.argmax(axis=1) + parameters.argmax(axis=1)

    def posterior(self, parameters: np.ndarray) -> np.ndarray:
        """Q(c|x) as probabilities: (n, K) float64, rows sum to 1."""
        return np.exp(_log_softmax(parameters))

    def column(self, name: str, value: float) -> np.ndarray:
        """The row of G's input that fixes this variable at category `value`: (K,) float32."""
        if value != int(value) or not 0 <= value < self.width:
            raise InputError(f"{name}: no category {value:g}: they are 0 to {self.width - 1}")
        return self.one_hot(np.asarray(int(value)))


class _Continuous:
    """A real variable, one column of G's input, which Q describes by a Gaussian.

    Q gives the mean μ; the deviation σ is `sigma`, or with `sigma=None` learned as `floor` + softplus(s) from
    a second column s. The floor is needed because the gradient of (c − μ)²/2σ² grows without limit as σ → 0.

    H(c) of a continuous variable is a differential entropy: it is no ceiling for the bound. With σ fixed at 1
    the bound cannot pass H(c) − ½ log 2π (−0.226 for Unif(−1, 1)).
    """

    sigma: float | None
    floor: float
    discrete: ClassVar[bool] = False
    width: ClassVar[int] = 1

    @property
    def parameters(self) -> int:
        """Columns Q gives for this variable: μ, and s where σ is learned."""
        return 1 if self.sigma is not None else 2

    @property
    def entropy(self) -> float:
        """H(c), a differential entropy."""
        raise NotImplementedError

    @property
    def limit(self) -> float:
        """The largest value the trained bound can take: H(c) − ½ log 2πσ², at the smallest σ allowed."""
        return self.entropy - 0.5 * LOG_2PI - math.log(self.floor if self.sigma is None else self.sigma)

    def log_q(self, parameters: mg.Tensor, c: mg.Tensor) -> mg.Tensor:
        """log N(c; μ, σ²) = −½ ((c − μ)/σ)² − log σ − ½ log 2π, differentiable: (n,)."""
        residual = c[:, 0] - parameters[:, 0]
        if self.sigma is not None:
            return -0.5 * (residual / self.sigma) ** 2 - (math.log(self.sigma) + 0.5 * LOG_2PI)
        sigma = F.softplus(parameters[:, 1]) + self.floor
        return -0.5 * (residual / sigma) ** 2 - sigma.log() - 0.5 * LOG_2PI

    def residual(self, parameters: np.ndarray, c: np.ndarray) -> float:
        """The fitted deviation √E(c − μ)² over a batch of plain arrays, in units of c."""
        error = np.asarray(c[:, 0], np.float64) - np.asarray(parameters[:, 0], np.float64)
        return float(np.sqrt(np.mean(error**2)))

    def bound(self, parameters: np.ndarray, c: np.ndarray) -> float:
        """E log N(c; μ, σ̂²) + H(c) with the one σ̂ that fits the batch best: −½ log 2πe σ̂² + H(c), nats."""
        fitted = max(self.residual(parameters, c), float(np.finfo(np.float32).tiny))
        return self.entropy - math.log(fitted) - 0.5 * (LOG_2PI + 1)

    def posterior(self, parameters: np.ndarray) -> np.ndarray:
        """Mean and deviation of Q(c|x): (n, 2) float64."""
        parameters = np.asarray(parameters, np.float64)
        if self.sigma is not None:
            sigma = np.full(len(parameters), self.sigma)
        else:
            sigma = np.logaddexp(0, parameters[:, 1]) + self.floor
        return np.stack([parameters[:, 0], sigma], axis=1)

    def column(self, name: str, value: float) -> np.ndarray:
        """The entry of G's input that fixes this variable at `value`: (1,) float32."""
        if not math.isfinite(value):
            raise InputError(f"{name}: {value} is not a finite number")
        return np.asarray([value], np.float32)


@dataclass(frozen=True)
class Uniform(_Continuous):
    """c ~ Unif(low, high), written to G as the value itself."""

    low: float = -1.0
    high: float = 1.0
    sigma: float | None = 1.0
    floor: float = SIGMA_FLOOR

    @property
    def entropy(self) -> float:
        """H(c) = log(high − low): a differential entropy, no ceiling."""
        return math.log(self.high - self.low)

    @property
    def deviation(self) -> float:
        """√Var c = (high − low)/√12, the error of a Q that reads nothing."""
        return (self.high - self.low) / math.sqrt(12)

    @property
    def spec(self) -> str:
        """The text that describes this variable."""
        return "uniform" if (self.low, self.high) == (-1, 1) else f"uniform:{self.low!r}:{self.high!r}"

    @property
    def sweep(self) -> tuple[float, float]:
        """The range a traversal goes through."""
        return self.low, self.high

    def sample(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """`n` values, (n, 1) float32."""
        return rng.uniform(self.low, self.high, (n, 1)).astype(np.float32)

    def log_prob(self, c: np.ndarray) -> np.ndarray:
        """log P(c) of values (n, 1): −log(high − low) inside, −∞ outside: (n,) float64."""
        value = np.asarray(c, np.float64)[:, 0]
        return np.where((value >= self.low) & (value <= self.high), -self.entropy, -np.inf)


@dataclass(frozen=True)
class Normal(_Continuous):
    """c ~ N(mean, std²), written to G as the value itself."""

    mean: float = 0.0
    std: float = 1.0
    sigma: float | None = 1.0
    floor: float = SIGMA_FLOOR

    @property
    def entropy(self) -> float:
        """H(c) = ½ log 2πe std²: a differential entropy, no ceiling."""
        return 0.5 * (LOG_2PI + 1) + math.log(self.std)

    @property
    def deviation(self) -> float:
        """√Var c = std, the error of a Q that reads nothing."""
        return self.std

    @property
    def spec(self) -> str:
        """The text that describes this variable."""
        return "normal" if (self.mean, self.std) == (0, 1) else f"normal:{self.mean!r}:{self.std!r}"

    @property
    def sweep(self) -> tuple[float, float]:
        """The range a traversal goes through: two deviations to each side."""
        return self.mean - 2 * self.std, self.mean + 2 * self.std

    def sample(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """`n` values, (n, 1) float32."""
        return rng.normal(self.mean, self.std, (n, 1)).astype(np.float32)

    def log_prob(self, c: np.ndarray) -> np.ndarray:
        """log P(c) of values (n, 1): (n,) float64."""
        standard = (np.asarray(c, np.float64)[:, 0] - self.mean) / self.std
        return -0.5 * standard**2 - math.log(self.std) - 0.5 * LOG_2PI


Variable: TypeAlias = Categorical | Uniform | Normal
Rows = TypeVar("Rows", np.ndarray, mg.Tensor)


class Code:
    """Several variables c1, c2, …: one matrix in G's input, one matrix of parameters from Q.

    `columns[i]` are the columns of variable i in c, `outputs[i]` its columns in what Q gives. They are independent,
    but for the variables that every category of another has of its own: `parents[i]` is the place of that other one,
    `None` for all that stand by themselves. Such a variable has a block of columns for each category, in c and in
    what Q gives. Its value stands in the block of the category drawn, and all others are 0; block k of Q holds the
    parameters of Q(c2|x, c1 = k). See docs/hierarchical-codes.md.
    """

    def __init__(self, variables: Sequence[Variable], parents: Sequence[int | None] | None = None) -> None:
        if not variables:
            raise InputError(f"codes: at least one variable is needed: {SYNTAX}")
        self.variables = tuple(variables)
        self.parents = (None,) * len(self.variables) if parents is None else tuple(parents)
        self.names = [f"c{i}" for i in range(1, len(self.variables) + 1)]
        blocks = [1 if p is None else self.variables[p].width for p in self.parents]
        self.columns = _slices([k * v.width for k, v in zip(blocks, self.variables, strict=True)])
        self.outputs = _slices([k * v.parameters for k, v in zip(blocks, self.variables, strict=True)])
        self.width = self.columns[-1].stop
        self.parameters = self.outputs[-1].stop

    @classmethod
    def parse(cls, text: str, *, sigma: float | None = 1.0, floor: float = SIGMA_FLOOR) -> Code:
        """The code `text` describes; `sigma` is Q's deviation for its continuous variables (`None`: learned).

        Raises `InputError`, in one line that says what would be right.
        """
        variables: list[Variable] = []
        parents: list[int | None] = []
        for entry in _entries(text):
            for variable, own in _parse_entry(entry, sigma, floor):
                parents += [None, *[len(variables)] * len(own)]
                variables += [variable, *own]
        return cls(variables, parents)

    @property
    def spec(self) -> str:
        """The text that describes this code."""
        own = {name: ",".join(self[child].spec for child in self.own(name)) for name in self.names}
        alone = [name for name, parent in zip(self.names, self.parents, strict=True) if parent is None]
        return ",".join(self[name].spec + (f"({own[name]})" if own[name] else "") for name in alone)

    def own(self, name: str) -> list[str]:
        """The names of the variables that each category of the variable `name` has of its own."""
        parent = self.index(name)
        return [child for child, p in zip(self.names, self.parents, strict=True) if p == parent]

    @property
    def is_tree(self) -> bool:
        """Whether there are categories with variables of their own."""
        return any(parent is not None for parent in self.parents)

    def parent(self, name: str) -> str | None:
        """The variable of whose categories each has a variable `name` of its own, if that is so."""
        place = self.parents[self.index(name)]
        return None if place is None else self.names[place]

    @property
    def entropy(self) -> list[float]:
        """H(c) of each variable, which is H(c|parent) of one that categories have of their own."""
        return [v.entropy for v in self.variables]

    def __len__(self) -> int:
        return len(self.variables)

    def __getitem__(self, index: int | str) -> Variable:
        """A variable by its place or by its name."""
        return self.variables[self.index(index) if isinstance(index, str) else index]

    def __iter__(self) -> Iterator[Variable]:
        return iter(self.variables)

    def __repr__(self) -> str:
        return f"Code({self.spec!r})"

    def _repr_html_(self) -> str:
        return self.table()

    def table(self, notes: Mapping[str, str] | None = None) -> str:
        """The variables as an HTML table, with a note on each by name."""
        rows = [
            f'<tr><th scope="row">{name}</th><td>{self.kind(name)}</td><td>{_range(columns)}</td>'
            f"<td>{v.entropy:.3f}</td><td>{escape((notes or {}).get(name, ''))}</td></tr>"
            for name, v, columns in zip(self.names, self.variables, self.columns, strict=True)
        ]
        head = "".join(f'<th scope="col">{title}</th>' for title in ("code", "kind", "columns", "H(c), nats", ""))
        return f"<table><tr>{head}</tr>{''.join(rows)}</table>"

    def kind(self, name: str) -> str:
        """The text that describes the variable `name`, and whose categories have it of their own."""
        parent = self.parent(name)
        return self[name].spec + ("" if parent is None else f" of each category of {parent}")

    @property
    def categorical(self) -> list[str]:
        """The names of the categorical variables."""
        return [name for name, v in zip(self.names, self.variables, strict=True) if v.discrete]

    @property
    def first_categorical(self) -> str | None:
        """The first of them, where there is one."""
        return next(iter(self.categorical), None)

    def index(self, name: str) -> int:
        """The place of the variable called `name`. Raises `InputError` for a name that is not there."""
        if name not in self.names:
            raise InputError(f"no code {name!r}: this run has {', '.join(self.names)}")
        return self.names.index(name)

    def sample(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """`n` draws of c ~ P(c): (n, width) float32."""
        drawn = [v.sample(rng, n) for v in self.variables]
        placed = [d if p is None else _in_block(d, drawn[p]) for d, p in zip(drawn, self.parents, strict=True)]
        return np.concatenate(placed, axis=1)

    def fix(self, c: np.ndarray, name: str, value: float) -> np.ndarray:
        """A copy of `c` with the variable `name` at `value` (for a category, its number) in every row."""
        i = self.index(name)
        return self.put(c, i, np.broadcast_to(self.variables[i].column(name, value), (len(c), self.variables[i].width)))

    def put(self, c: np.ndarray, i: int, values: np.ndarray) -> np.ndarray:
        """A copy of the rows `c` with variable i at `values` (n, its width).

        What categories have of their own keeps its value where the category changes.
        """
        own = {j: self.value(c, j) for j, parent in enumerate(self.parents) if parent == i}
        c, parent = c.copy(), self.parents[i]
        c[:, self.columns[i]] = values if parent is None else _in_block(values, c[:, self.columns[parent]])
        for j, kept in own.items():
            c[:, self.columns[j]] = _in_block(kept, values)
        return c

    def value(self, c: Rows, i: int) -> Rows:
        """The value of variable i in the rows `c`: (n, its width)."""
        return self._chosen(c[:, self.columns[i]], i, c)

    def reading(self, parameters: Rows, i: int, c: Rows) -> Rows:
        """Q's parameters of variable i, (n, its parameters): of Q(c2|x, c1) those for the c1 in `c`."""
        return self._chosen(parameters[:, self.outputs[i]], i, c)

    def _chosen(self, columns: Rows, i: int, c: Rows) -> Rows:
        parent = self.parents[i]
        return columns if parent is None else _of_block(columns, c[:, self.columns[parent]])

    def _each(self, parameters: Rows, c: Rows) -> Iterator[tuple[Variable, Rows, Rows]]:
        """Each variable with its own parameters and values."""
        for i, variable in enumerate(self.variables):
            yield variable, self.reading(parameters, i, c), self.value(c, i)

    def log_prob(self, c: np.ndarray) -> np.ndarray:
        """log P(c) of rows (n, width): (n,) float64, the sum over the variables."""
        return np.sum([v.log_prob(self.value(c, i)) for i, v in enumerate(self.variables)], axis=0)

    def log_q(self, parameters: mg.Tensor, c: mg.Tensor) -> list[mg.Tensor]:
        """log Q(c|x) of each variable, log Q(c2|x, c1) of one that c1's categories have: differentiable, (n,) each."""
        return [v.log_q(p, own) for v, p, own in self._each(parameters, c)]

    def bound(self, parameters: np.ndarray, c: np.ndarray) -> list[float]:
        """The variational bound of each variable over a batch of arrays, H(c) included, σ fitted: nats."""
        return [v.bound(p, own) for v, p, own in self._each(parameters, c)]

    def residual(self, parameters: np.ndarray, c: np.ndarray) -> list[float]:
        """√E(c − μ)² of each continuous variable over a batch of arrays, in units of c."""
        return [v.residual(p, own) for v, p, own in self._each(parameters, c) if not isinstance(v, Categorical)]

    def readings(self, parameters: np.ndarray, c: np.ndarray) -> list[np.ndarray]:
        """What was drawn and what Q read of each categorical variable over a batch of arrays: (n,) int64 each."""
        return [v.readings(p, own) for v, p, own in self._each(parameters, c) if isinstance(v, Categorical)]

    def posterior(self, parameters: np.ndarray) -> dict[str, np.ndarray]:
        """What Q says of each variable by name: probabilities (n, K), or mean and deviation (n, 2).

        Of a variable that categories have of their own: what Q says of it given the likeliest category.
        """
        return {
            name: v.posterior(self._given_likeliest(parameters, i))
            for i, (name, v) in enumerate(zip(self.names, self.variables, strict=True))
        }

    def _given_likeliest(self, parameters: np.ndarray, i: int) -> np.ndarray:
        own, parent = parameters[:, self.outputs[i]], self.parents[i]
        if parent is None:
            return own
        logits = parameters[:, self.outputs[parent]]
        return _of_block(own, np.eye(logits.shape[1], dtype=own.dtype)[logits.argmax(axis=1)])


def _in_block(values: np.ndarray, category: np.ndarray) -> np.ndarray:
    """`values` (n, w) in the block of the category, one-hot (n, K), zeros in the others: (n, K·w)."""
    blocks = category[:, :, None] * values[:, None, :]
    return blocks.reshape(len(values), category.shape[1] * values.shape[1])


def _of_block(blocks: Rows, category: Rows) -> Rows:
    """What stands in the block of the category, one-hot (n, K), of `blocks` (n, K·w): (n, w)."""
    n, k = category.shape
    return (blocks.reshape(n, k, blocks.shape[1] // k) * category.reshape(n, k, 1)).sum(1)


def _slices(widths: list[int]) -> list[slice]:
    ends = list(accumulate(widths))
    return [slice(end - width, end) for end, width in zip(ends, widths, strict=True)]


def _range(columns: slice) -> str:
    last = columns.stop - 1
    return str(last) if columns.start == last else f"{columns.start} to {last}"


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    logits = np.asarray(logits, np.float64)
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def _entries(text: str) -> list[str]:
    """The entries of a list; commas between brackets part none."""
    depths = accumulate((letter == "(") - (letter == ")") for letter in text)
    commas = [i for i, (letter, depth) in enumerate(zip(text, depths, strict=True)) if letter == "," and depth <= 0]
    return [text[before + 1 : at].strip() for before, at in pairwise([-1, *commas, len(text)])]


def _parse_entry(entry: str, sigma: float | None, floor: float) -> list[tuple[Variable, list[Variable]]]:
    """Each variable of an entry, with those that its categories have of their own."""
    repeat = re.fullmatch(r"(\d+)x(.*)", entry)
    count = int(repeat[1]) if repeat else 1
    if not 1 <= count <= MOST_REPEATS:
        raise InputError(f"codes: {entry!r} repeats {count} times: write 1 to {MOST_REPEATS}")
    found = re.fullmatch(r"([^()]*)(?:\(([^()]*)\))?", repeat[2] if repeat else entry)
    if found is None:
        raise InputError(f"codes: {entry!r} has brackets that do not match, or some within others: write {TREE}")
    kind, *values = found[1].strip().split(":")
    if kind == "cat":
        return [(_categorical(entry, values), _own(entry, found[2], sigma, floor))] * count
    if found[2] is not None:
        raise InputError(f"codes: {entry!r}: only categories have codes of their own: write {TREE}")
    if kind in ("uniform", "normal"):
        return [(_continuous(entry, kind, values, sigma, floor), [])] * count
    raise InputError(f"codes: {entry!r} is no code: write {SYNTAX}")


def _own(entry: str, text: str | None, sigma: float | None, floor: float) -> list[Variable]:
    """The variables between the brackets of `entry`."""
    if text is None:
        return []
    own = [variable for part in _entries(text) for variable, _ in _parse_entry(part, sigma, floor)]
    if any(variable.discrete for variable in own):
        raise InputError(f"codes: in {entry!r} a category has categories of its own: write uniform or normal there")
    return own


def _categorical(entry: str, values: list[str]) -> Categorical:
    if not 1 <= len(values) <= 2 or not re.fullmatch(r"\d+", values[0]) or int(values[0]) < 2:
        raise InputError(f"codes: {entry!r} needs a number of categories of 2 or more: write cat:10")
    k = int(values[0])
    if k > MOST_CATEGORIES:
        raise InputError(f"codes: {entry!r} has more than {MOST_CATEGORIES:,} categories: write cat:10")
    if len(values) == 1:
        return Categorical((1 / k,) * k)
    p = [_number(entry, v) for v in values[1].split("/")]
    if len(p) != k:
        raise InputError(f"codes: {entry!r} gives {len(p)} probabilities for {k} categories: give {k}")
    if min(p) <= 0 or abs(sum(p) - 1) > 1e-6:
        raise InputError(f"codes: probabilities in {entry!r} sum to {sum(p):g}: all must be above 0, the sum 1")
    return Categorical(tuple(q / math.fsum(p) for q in p))


def _continuous(entry: str, kind: str, values: list[str], sigma: float | None, floor: float) -> Variable:
    example = "uniform:-1:1" if kind == "uniform" else "normal:0:1"
    if len(values) not in (0, 2):
        raise InputError(f"codes: {entry!r} needs two numbers or none: write {example}")
    numbers = [_number(entry, v) for v in values]
    if kind == "uniform":
        if numbers and not numbers[0] < numbers[1]:
            raise InputError(f"codes: {entry!r} has no room between its ends: write {example}")
        low, high = numbers or (-1.0, 1.0)
        return Uniform(low, high, sigma, floor)
    if numbers and not numbers[1] > 0:
        raise InputError(f"codes: the deviation of {entry!r} must be above 0: write {example}")
    mean, std = numbers or (0.0, 1.0)
    return Normal(mean, std, sigma, floor)


def _number(entry: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"codes: {text!r} in {entry!r} is not a finite number")
    return value
