"""How far codes stand for the factors that made the pictures, one each: functions of plain arrays.

`codes` is (N, d), a number a code for each picture; `factors` is (N, k), the value of each factor, whole numbers or
any numbers that repeat. Every function returns a share from 0 to 1, more is better; what codes that know nothing
get, and where codes that are the factors themselves get less than 1, its docstring says. None minds the order,
scale or sign of codes. Codes that never change are left out, and with no others every score is 0.

The field's programs draw pairs and batches from all pictures there could be. Here they are drawn from the rows given,
with replacement among those that share a value, so that any file of codes and factors can be measured. Scores that
learn, learn from one half of the rows and are taken on the other. A `seed` decides draws and halves.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from minigrad import random

BATCH = 64
"""Rows in a vote of FactorVAE, and pairs in one of BetaVAE: as published."""
VOTES = 2000
"""Votes learnt from; half as many are scored."""
BINS = 20
"""Intervals of even width that a code is cut into where mutual information is taken of it."""
TREES = 20

Arrays = tuple[np.ndarray, np.ndarray]


class Unsuitable(ValueError):
    """The arrays are not what a metric can be taken of."""


def factor_vae(codes: np.ndarray, factors: np.ndarray, *, seed: int = 0) -> float:
    """FactorVAE's score (Kim and Mnih 2018, section 4): does the code that varies least tell what was held?

    A vote: a factor k is chosen, then `BATCH` rows that share one value of it; d* is the code with the least
    variance in them, divided by its variance over all rows. A table takes each d* to the k it mostly came with;
    the score is its accuracy on votes it was not made from. By chance 1/k.
    Values that only a few rows share lower it: their batches repeat those rows, and other codes stand still too.
    """
    codes, values = _active(codes, factors)
    if not codes.shape[1]:
        return 0.0
    rng = random.stream(seed, "factor-vae")
    held, batches = _batches(values, rng, VOTES + VOTES // 2)
    least = (codes[batches].var(axis=1) / codes.var(axis=0)).argmin(axis=1)
    table = np.zeros((codes.shape[1], values.shape[1]), int)
    np.add.at(table, (least[:VOTES], held[:VOTES]), 1)
    return float((table.argmax(axis=1)[least[VOTES:]] == held[VOTES:]).mean())


def beta_vae(codes: np.ndarray, factors: np.ndarray, *, seed: int = 0) -> float:
    """BetaVAE's score (Higgins et al. 2017, section 3): can a linear classifier tell what pairs have in common?

    A vote: a factor k is chosen, then `BATCH` pairs of rows, each pair with one value of k in common; z is the mean
    over them of |c − c'|, code by code. The score is the accuracy of a logistic regression from z to k on votes it
    has not learnt from. By chance 1/k. Mixed codes can be told apart too: a high score alone shows little.
    """
    codes, values = _active(codes, factors)
    if not codes.shape[1]:
        return 0.0
    if values.shape[1] == 1:
        return 1.0  # there is one answer
    rng = random.stream(seed, "beta-vae")
    held = rng.integers(values.shape[1], size=VOTES + VOTES // 2)
    z = np.empty((len(held), codes.shape[1]))
    for factor in range(values.shape[1]):
        votes = np.flatnonzero(held == factor)
        one, other = _pairs(values[:, factor], rng, (len(votes), BATCH))
        z[votes] = abs(codes[one] - codes[other]).mean(axis=1)
    return float(_logistic(z[:VOTES], held[:VOTES]).score(z[VOTES:], held[VOTES:]))


def mig(codes: np.ndarray, factors: np.ndarray) -> float:
    """Mutual information gap (Chen et al. 2018, section 4.1): 1/k Σ (I(c₁; v) − I(c₂; v)) / H(v).

    c₁ and c₂ are the codes that tell most of the factor v. Codes of more than `BINS` values are cut into `BINS`
    intervals, so that a factor of more values than that is never told in full: its share ends at ln 20 / H(v), about.
    By chance a little above 0.
    """
    codes, values = _active(codes, factors)
    information = np.sort(np.vstack([np.zeros((2, values.shape[1])), _information(codes, values)]), axis=0)
    return float(np.mean((information[-1] - information[-2]) / _entropies(values)))


def sap(codes: np.ndarray, factors: np.ndarray, *, unordered: tuple[int, ...] = (), seed: int = 0) -> float:
    """Separated attribute predictability (Kumar et al. 2018, section 3): 1/k Σ (S(c₁, v) − S(c₂, v)).

    S(c, v) is how well the code c alone tells the factor v, and c₁, c₂ the best two. For an ordered factor it is the
    squared correlation; for the columns `unordered` the balanced accuracy, on the other half, of a classifier that
    cuts c by as many thresholds as there are values less one. The second code gets 1/values of an unordered factor
    by chance alone, so that such a factor adds at most 1 − 1/values. By chance about 0.
    """
    codes, values = _active(codes, factors)
    scores = np.zeros((codes.shape[1] + 2, values.shape[1]))  # two codes that know nothing stand for those missing
    for factor, value in enumerate(values.T):
        if factor in unordered:
            scores[:, factor] = 1 / (value.max() + 1)
            scores[2:, factor] = [_thresholds(code, value, seed) for code in codes.T]
        else:
            scores[2:, factor] = [np.corrcoef(code, value)[0, 1] ** 2 for code in codes.T]
    scores.sort(axis=0)
    return float(np.mean(scores[-1] - scores[-2]))


def dci(codes: np.ndarray, factors: np.ndarray, *, unordered: tuple[int, ...] = (), seed: int = 0) -> dict[str, float]:
    """`disentanglement`, `completeness` and `informativeness` (Eastwood and Williams 2018, section 2).

    A random forest predicts each factor from all codes; R (d, k) is how much each code counts in it (the decrease of
    impurity it brought, each column summing to 1). With P the rows of R and P̃ its columns, each divided by its sum,

        disentanglement  Σᵢ ρᵢ (1 − H_k(Pᵢ)),   ρᵢ = Σⱼ Rᵢⱼ / Σ R      does a code serve one factor?
        completeness     1/k Σⱼ (1 − H_d(P̃ⱼ))                          is a factor told by one code?
        informativeness  1/k Σⱼ of how well the forest predicts rows it has not learnt from: R² (not below 0), and for
                         `unordered` factors the accuracy

    H with the logarithm to the base of its index: 1 for an even spread. By chance the first two are near 0, the last
    is 0 for ordered factors and 1/values for others. With a single code completeness is 1 by definition.
    """
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    codes, values = _active(codes, factors)
    if not codes.shape[1]:
        return dict.fromkeys(("disentanglement", "completeness", "informativeness"), 0.0)
    learnt, scored = _halves(len(codes), seed)
    importance, predicted = np.zeros((codes.shape[1], values.shape[1])), []
    for factor, value in enumerate(values.T):
        kind = RandomForestClassifier if factor in unordered else RandomForestRegressor
        forest = kind(TREES, min_samples_leaf=5, max_features=None, random_state=seed)
        forest.fit(codes[learnt], value[learnt])
        importance[:, factor] = forest.feature_importances_
        predicted.append(max(0.0, forest.score(codes[scored], value[scored])))
    weight = importance.sum(axis=1) / importance.sum() if importance.any() else np.zeros(len(importance))
    return {
        "disentanglement": float(weight @ _concentration(importance)),
        "completeness": float(_concentration(importance.T).mean()),
        "informativeness": float(np.mean(predicted)),
    }


def modularity(codes: np.ndarray, factors: np.ndarray) -> float:
    """Does a code tell of one factor alone? (Ridgeway and Mozer 2018, section 3): mean over the codes of

        1 − Σ_{j ≠ best} I(c; vⱼ)² / ((k − 1) I(c; v_best)²)

    with codes cut as in `mig`. 0 for a code that tells as much of each. Codes that know nothing get what their rows'
    chance information gives: not 0 where factors have different numbers of values. One factor alone gives 1.
    """
    codes, values = _active(codes, factors)
    if not codes.shape[1]:
        return 0.0
    squared = _information(codes, values) ** 2
    best = squared.max(axis=1)
    others = (squared.sum(axis=1) - best) / max(1, values.shape[1] - 1)
    return float(np.mean(np.where(best > 0, 1 - others / np.where(best > 0, best, 1), 0)))


def explicitness(codes: np.ndarray, factors: np.ndarray, *, seed: int = 0) -> float:
    """Can each value of each factor be told linearly? (Ridgeway and Mozer 2018, section 3)

    For each value of a factor a logistic regression from all codes tells it from the factor's other values; the score
    is 2 A − 1 with A the area under the ROC curve on rows not learnt from, meaned over the values, then the factors.
    By chance 0. A value in the middle of an ordered code is no half-space: factors of three or more values, as
    numbers in one code each, get less than 1.
    """
    from sklearn.metrics import roc_auc_score

    codes, values = _active(codes, factors)
    if not codes.shape[1]:
        return 0.0
    learnt, scored = _halves(len(codes), seed)
    found = []
    for value in values.T:
        areas = []
        for one in range(value.max() + 1):
            here = value == one
            if len(np.unique(here[learnt])) == 2 == len(np.unique(here[scored])):
                told = _logistic(codes[learnt], here[learnt], "newton-cholesky").decision_function(codes[scored])
                areas.append(roc_auc_score(here[scored], told))
        found.append(2 * np.mean(areas) - 1 if areas else 0.0)
    return float(max(0.0, np.mean(found)))


METRICS = {
    "factor_vae": "FactorVAE",
    "beta_vae": "BetaVAE",
    "mig": "MIG",
    "sap": "SAP",
    "disentanglement": "DCI disentanglement",
    "completeness": "DCI completeness",
    "informativeness": "DCI informativeness",
    "modularity": "modularity",
    "explicitness": "explicitness",
}
"""Every score that `scores` gives, and its name in print."""


@threadpool_limits.wrap(limits=1, user_api="blas")  # the products are small: threads wait longer than they work
def scores(
    codes: np.ndarray, factors: np.ndarray, *, unordered: tuple[int, ...] = (), seed: int = 0
) -> dict[str, float]:
    """Every score of `METRICS`; `unordered` are the columns of `factors` whose values have no order.

    Raises `Unsuitable` where the arrays do not fit together, hold anything but finite numbers, where a factor has one
    value only, or none that two rows share.
    """
    return {
        "factor_vae": factor_vae(codes, factors, seed=seed),
        "beta_vae": beta_vae(codes, factors, seed=seed),
        "mig": mig(codes, factors),
        "sap": sap(codes, factors, unordered=unordered, seed=seed),
        **dci(codes, factors, unordered=unordered, seed=seed),
        "modularity": modularity(codes, factors),
        "explicitness": explicitness(codes, factors, seed=seed),
    }


def _active(codes: np.ndarray, factors: np.ndarray) -> Arrays:
    """The codes that change, each of mean 0 and deviation 1, and the factors' values by number from 0: float64, int."""
    codes, factors = np.asarray(codes), np.asarray(factors)
    for name, array in (("codes", codes), ("factors", factors)):
        if array.ndim != 2 or array.dtype.kind not in "biuf" or not array.shape[1]:
            raise Unsuitable(f"{name} has shape {array.shape} and type {array.dtype}; right: (N, columns) of numbers")
        if not np.isfinite(array).all():
            raise Unsuitable(f"{name} holds numbers that are not finite, first in row {_first_infinite(array)}")
    if len(codes) != len(factors) or len(codes) < 4:
        raise Unsuitable(f"codes has {len(codes):,} rows, factors {len(factors):,}; right: equally many, 4 or more")
    values = np.stack([np.unique(column, return_inverse=True)[1].reshape(-1) for column in factors.T], axis=1)
    for number, column in enumerate(values.T):
        if column.max() == 0:
            raise Unsuitable(f"column {number} of factors has one value in all rows; leave it out")
        if np.bincount(column).max() < 2:
            raise Unsuitable(f"no two rows share a value of column {number} of factors; round it to fewer values")
    codes = codes.astype(np.float64)
    moving = np.ptp(codes, axis=0) > 1e-9 * np.maximum(1e-30, abs(codes).max(axis=0))
    codes = codes[:, moving]
    return (codes - codes.mean(axis=0)) / codes.std(axis=0), values


def _first_infinite(array: np.ndarray) -> int:
    return int(np.flatnonzero(~np.isfinite(array).all(axis=1))[0])


def _batches(values: np.ndarray, rng: np.random.Generator, votes: int) -> Arrays:
    """Which factor each vote holds, (votes,), and the rows that share a value of it, (votes, BATCH)."""
    held = rng.integers(values.shape[1], size=votes)
    rows = np.empty((votes, BATCH), int)
    for factor in range(values.shape[1]):
        chosen = np.flatnonzero(held == factor)
        groups = _Groups(values[:, factor])
        first = groups.shared[rng.integers(len(groups.shared), size=len(chosen))]
        rows[chosen] = groups.others(np.repeat(first[:, None], BATCH, axis=1), rng)
    return held, rows


def _pairs(values: np.ndarray, rng: np.random.Generator, shape: tuple[int, int]) -> Arrays:
    """Pairs of rows with one value in common: two arrays of that shape."""
    groups = _Groups(values)
    one = groups.shared[rng.integers(len(groups.shared), size=shape)]
    return one, groups.others(one, rng)


class _Groups:
    """The rows that share a value of one factor, to draw from."""

    def __init__(self, values: np.ndarray) -> None:
        self.values, self.counts = values, np.bincount(values)
        self.order = np.argsort(values, kind="stable")
        self.starts = np.cumsum(self.counts) - self.counts
        self.shared = np.flatnonzero(self.counts[values] > 1)
        """Rows that are not alone with their value."""

    def others(self, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """For each of `rows` a row with the same value, drawn evenly."""
        value = self.values[rows]
        return self.order[self.starts[value] + rng.integers(self.counts[value])]


def _halves(n: int, seed: int) -> Arrays:
    order = random.stream(seed, "halves of the rows").permutation(n)
    return order[: n // 2], order[n // 2 :]


def _logistic(x: np.ndarray, y: np.ndarray, solver: str = "lbfgs") -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(solver=solver, max_iter=1000)).fit(x, y)


def _thresholds(code: np.ndarray, value: np.ndarray, seed: int) -> float:
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.tree import DecisionTreeClassifier

    learnt, scored = _halves(len(code), seed)
    tree = DecisionTreeClassifier(max_leaf_nodes=int(value.max()) + 1, class_weight="balanced", random_state=seed)
    tree.fit(code[learnt, None], value[learnt])
    return float(balanced_accuracy_score(value[scored], tree.predict(code[scored, None])))


def _information(codes: np.ndarray, values: np.ndarray) -> np.ndarray:
    """I(cᵢ; vⱼ) of the rows' own frequencies, codes cut as `mig` says: (d, k) nats."""
    from sklearn.metrics import mutual_info_score

    cut = [_cut(code) for code in codes.T]
    found = [[mutual_info_score(code, value) for value in values.T] for code in cut]
    return np.maximum(np.array(found).reshape(len(cut), values.shape[1]), 0)


def _cut(code: np.ndarray) -> np.ndarray:
    different, number = np.unique(code, return_inverse=True)
    if len(different) <= BINS:
        return number.reshape(-1)
    edges = np.linspace(code.min(), code.max(), BINS + 1)
    return np.digitize(code, edges[1:-1])


def _entropies(values: np.ndarray) -> np.ndarray:
    """H(vⱼ) of the rows' own frequencies: (k,) nats."""
    shares = [np.bincount(column) / len(column) for column in values.T]
    return np.array([-(p[p > 0] * np.log(p[p > 0])).sum() for p in shares])


def _concentration(rows: np.ndarray) -> np.ndarray:
    """1 − H of each row divided by its sum, the logarithm to the base of its length; 0 for a row of zeros."""
    totals = rows.sum(axis=1, keepdims=True)
    p = np.divide(rows, totals, out=np.full(rows.shape, 1 / rows.shape[1]), where=totals > 0)
    entropy = -(p * np.log(p, out=np.zeros_like(p), where=p > 0)).sum(axis=1)
    return 1 - entropy / np.log(rows.shape[1]) if rows.shape[1] > 1 else (totals[:, 0] > 0).astype(float)
