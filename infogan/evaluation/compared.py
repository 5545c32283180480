"""Codes measured beside what has learnt nothing and what knows all: the rows of `infogan metrics`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from infogan.evaluation import encoders
from infogan.evaluation.disentanglement import METRICS, Unsuitable, scores
from infogan.run import Run
from infogan.tables import markdown, number

Rows = dict[str, dict[str, float]]
"""Every score of `METRICS`, by what was measured."""

CODES, RANDOM, SUPERVISED, FACTORS = "codes", "random encoder", "supervised encoder", "the factors themselves"
FLOOR = (RANDOM,)
CEILING = (SUPERVISED, FACTORS)


def compare(
    codes: Mapping[str, np.ndarray],
    factors: np.ndarray,
    images: np.ndarray | None = None,
    *,
    unordered: tuple[int, ...] = (),
    seed: int = 0,
) -> Rows:
    """The scores of each of `codes` by name, (N, d) arrays, then of floor and ceiling, on equal `factors` (N, k).

    The floor is a random encoder of `images` (N, C, H, W) with as many codes as the first; the ceilings are an
    encoder that learnt the factors from half of the images, and the factors taken for codes. Without images only the
    last. Raises `Unsuitable` as `disentanglement.scores` does, and where there are not as many images.
    """
    from tqdm import tqdm

    measured = {**codes}
    if images is not None:
        if len(images) != len(factors):
            raise Unsuitable(f"images has {len(images):,} rows, factors {len(factors):,}; right: equally many")
        measured[RANDOM] = encoders.random_encoder(images, next(iter(codes.values())).shape[1], seed=seed)
        measured[SUPERVISED] = encoders.supervised_encoder(images, factors, seed=seed)
    measured[FACTORS] = factors
    bar = tqdm(measured.items(), unit=" encoders", desc="metrics", dynamic_ncols=True)
    return {name: scores(array, factors, unordered=unordered, seed=seed) for name, array in bar}


def codes_of(run: Run, images: np.ndarray) -> np.ndarray:
    """What Q reads in `images` as one number a code: its mean, or the most probable category: (N, len(code))."""
    read = run.encode(images)
    columns = [
        read[name].argmax(axis=1) if v.discrete else read[name][:, 0]
        for name, v in zip(run.code.names, run.code, strict=True)
    ]
    return np.stack(columns, axis=1).astype(np.float64)


def table(rows: Mapping[str, Mapping[str, float | None]]) -> str:
    """A row each, a column a score."""
    return markdown(["", *METRICS.values()], [[name, *(number(row[m]) for m in METRICS)] for name, row in rows.items()])
