"""Collapse, seen in the rows of `metrics.jsonl` without a label, and what to try against it.

Every verdict is a function of the rows of the last `WINDOW` updates and of the settings, so a resumed run says
what one that was never stopped says.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

import numpy as np

from infogan.codes import Categorical, Code, Variable
from infogan.config import Config

Row = Mapping[str, Any]

WINDOW = 200
"""Updates that a verdict looks back on. Over 200 batches of the paper's size the means below move by about a
hundredth; a player that is ahead for a few dozen updates, as happens in every run, is not worth a word."""
SETTLED = 300
"""Updates before the first verdict, so that the first hundred count for nothing. The paper's run on 4,000 digits is far
from every threshold by then: D 1.1, G 1.0, c1 at 2.2 of 2.303 nats, the error of c2 a third of the prior's."""

D_CERTAIN, G_HELPLESS = 0.1, 3.0
"""Nats. −V below 0.1 is D right with 95 % on either kind of picture; −E log D(G) above 3 is G's at less than 5 %."""
AT_CHANCE = 0.02
"""Nats from 2 log 2 and log 2, the losses where D says ½ of every picture; a D that learns leaves them."""
USUAL_D = Config.model_fields["learning_rate_d"].default
"""A step far above it kills D's units, one below it leaves D where it began: either way D ends at chance."""
D_FOOLED = 0.1
"""Nats. −E log D(G) below 0.1: D takes nine in ten of G's pictures for real."""
ONE_PICTURE = 0.01
"""Deviation of a pixel over G's batch, of a range of 1: two grey levels of 255, which no eye sees."""
IGNORED = 0.1
"""Nats of a code that reach Q, or a tenth of H(c) where that is less: Q's error is then 90 % of the prior's deviation,
or its guess of a category hardly better than the prior's."""
CONFUSED = 0.4
"""Error between two categories: 0.5 where their pictures do not differ, and near 0 in a healthy run."""
MOST_ROWS = 2 / 3
"""Share of the rows in which two categories must be confused."""

FEWEST_DRAWS = 10
"""Draws of a category below which a row says nothing of it."""
MOST_CATEGORIES = 100
"""Codes with more categories are not asked which are confused: a row has too few draws of each."""


class Watch:
    """Says each collapse once: again only when it was gone for a whole window in between."""

    def __init__(self, config: Config, rows: Iterable[Row] = ()) -> None:
        self.config = config
        self._rows: list[Row] = []
        self._seen: dict[str, int] = {}
        for row in rows:
            if "spread" in row:  # a version that did not measure it has begun this run
                self.see(row)

    def see(self, row: Row) -> list[str]:
        """What is to be said after `row`, the newest one: often nothing."""
        step: int = row["step"]
        self._rows = [*(r for r in self._rows if r["step"] > step - WINDOW), row]
        found = collapses(self.config, self._rows)
        said = [text for kind, text in found.items() if step - self._seen.get(kind, -WINDOW) > WINDOW]
        self._seen.update((kind, step) for kind in found)
        return said


def collapses(config: Config, rows: Sequence[Row]) -> dict[str, str]:
    """What is wrong over `rows`, the last `WINDOW` updates of a run: a line by kind, with the fields to change."""
    if rows[-1]["step"] < SETTLED:
        return {}
    return dict(_players(config, rows)) or dict(_codes(config, rows))


def _players(config: Config, rows: Sequence[Row]) -> Iterator[tuple[str, str]]:
    """D or G out of the game. What the codes do then is a consequence, and not said."""
    d, g = (fmean(row[key] for row in rows) for key in ("loss_d", "loss_g"))
    losses = f"losses D {d:.3f}, G {g:.2f} over {WINDOW} updates"
    slower_d, faster_d = (f"a {way} learning_rate_d (now {config.learning_rate_d:g})" for way in ("lower", "higher"))
    slower_g, faster_g = (f"a {way} learning_rate_g (now {config.learning_rate_g:g})" for way in ("lower", "higher"))
    spread = fmean(row["spread"] for row in rows)
    if spread < ONE_PICTURE:
        yield (
            "G dead",
            f"G draws one picture whatever its input (its pixels differ by {spread:.4f}): "
            f"try {slower_g}, {slower_d}, or another seed",
        )
    if d < D_CERTAIN and g > G_HELPLESS:
        yield "D wins", f"D wins outright ({losses}): G has little to learn from; try {slower_d} or {faster_g}"
    if g < D_FOOLED:
        yield "G wins", f"D is fooled by nearly every picture ({losses}): try {faster_d} or {slower_g}"
    if abs(d - 2 * math.log(2)) < AT_CHANCE and abs(g - math.log(2)) < AT_CHANCE:
        yield (
            "D dead",
            f"D says 1/2 of every picture ({losses}) and teaches G nothing: try "
            f"{slower_d if config.learning_rate_d > USUAL_D else faster_d}, a larger batch_size "
            f"(now {config.batch_size}), or another seed",
        )


def _codes(config: Config, rows: Sequence[Row]) -> Iterator[tuple[str, str]]:
    """Codes that G does not show. Those without a weight, and the regular GAN's, are not asked to be shown."""
    if config.objective == "gan":
        return
    for name, variable, weight in zip(config.code.names, config.code, config.weights, strict=True):
        if not weight:
            continue
        ignored = dict(_ignored(config, name, variable, rows))
        yield from (ignored or dict(_merged(config, name, rows))).items()


def _ignored(config: Config, name: str, variable: Variable, rows: Sequence[Row]) -> Iterator[tuple[str, str]]:
    if isinstance(variable, Categorical):
        bound, most = fmean(row["bound"][name] for row in rows), min(IGNORED, variable.entropy / 10)
        advice = f"a larger lambda_categorical (now {config.lambda_categorical:g})"
        told = f"its bound is {bound:.3f} of {variable.entropy:.3f} nats"
    else:
        residual = math.sqrt(fmean(row["residual"][name] ** 2 for row in rows))
        bound, most = math.log(variable.deviation / residual), IGNORED
        advice = f"a larger lambda_continuous (now {config.lambda_continuous:g})"
        told = f"Q misses it by {residual:.3g}, and its own deviation is {variable.deviation:.3g}"
    if bound < most:
        yield f"{name} ignored", f"{name} is ignored by G so far ({told}): try {advice}, fewer codes, or another seed"


def _merged(config: Config, name: str, rows: Sequence[Row]) -> Iterator[tuple[str, str]]:
    told = [row["confused"][name] for row in rows if name in row["confused"]]
    merged = [(i, j) for i, j, error in told if error >= CONFUSED]
    if merged and len(merged) >= MOST_ROWS * len(told):
        (i, j), _ = Counter(merged).most_common(1)[0]
        error = fmean(error for *pair, error in told if pair == [i, j])
        yield (
            f"{name} {i} {j}",
            f"{name}: categories {i} and {j} make no distinct pictures (Q takes one for the other in {error:.0%} of "
            f"draws, and 50% would be a guess): try another seed, a larger lambda_categorical "
            f"(now {config.lambda_categorical:g}), or fewer categories in codes",
        )


def confused(code: Code, read: Sequence[Sequence[Sequence[int]]]) -> dict[str, list[Any]]:
    """By categorical code, [i, j, e]: the two categories that Q tells apart worst, and its error between them.

    `read` holds the `readings` of updates. Of the draws of i that Q reads as i or j let a be the share read as
    j, of those of j let b be the share read as i: e = (a + b)/2 is 0 where all are read rightly and 1/2 where the
    pictures of i and j do not differ, whatever the prior. Codes without two categories of ten draws are left out.
    """
    categorical = [(name, v) for name, v in zip(code.names, code, strict=True) if isinstance(v, Categorical)]
    found: dict[str, list[Any]] = {}
    for index, (name, variable) in enumerate(categorical):
        k = variable.width
        if k > MOST_CATEGORIES:
            continue
        drawn = np.concatenate([readings[index] for readings in read])
        counts = np.bincount(drawn, minlength=k * k).reshape(k, k)
        among = np.diag(counts)[:, None] + counts
        judged = (among >= FEWEST_DRAWS) & (among.T >= FEWEST_DRAWS) & ~np.eye(k, dtype=bool)
        if judged.any():
            wrong = counts / np.maximum(among, 1)
            errors = np.where(judged, (wrong + wrong.T) / 2, -1)
            i, j = np.unravel_index(int(errors.argmax()), errors.shape)
            found[name] = [int(i), int(j), round(float(errors[i, j]), 4)]
    return found
