"""The theory by numbers: on toys whose posterior is known, every side of the paper's equations is computed.

The bound and the information it bounds, for Qs right, wrong and in training; the lemma as it holds and as it
is misprinted.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from infogan import theory
from infogan.codes import Normal, Uniform
from infogan.errors import InfoganError
from infogan.experiments import common
from infogan.tables import markdown, number
from minigrad import random

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DRAWS = 20_000
UPDATES = 400
BATCH = 256
SEEN = 40
"""Updates at which a Q in training is measured: close together at first, where it moves."""
TABLES = 200
ERRORS = 4.0
"""Standard errors that a sampled figure may be off its exact value: one in 16,000 is further."""
EXACT = 1e-9
LEARNT = 0.02
"""Nats a trained Q may lack where it can say the truth."""


@dataclass(frozen=True)
class Case:
    """A toy, one that makes its posterior wrong, and what is known of it beforehand."""

    toy: theory.Toy
    mistaken: theory.Toy
    what: str
    learnable: bool = True
    closed_form: float | None = None


_PICTURE = ((0, 1, 2, 3), (0, 2, 2, 4), (1, 1, 3, 4))

CASES = {
    "cells": Case(
        theory.Cells((0.4, 0.3, 0.2, 0.1), _PICTURE),
        theory.Cells((0.1, 0.2, 0.3, 0.4), _PICTURE),
        "c ~ Cat(4), three noises, five pictures; all cases gone through",
    ),
    "mixture": Case(
        theory.Mixture((0.5, 0.3, 0.2), (-1.5, 0.0, 1.5), 0.6),
        theory.Mixture((0.5, 0.3, 0.2), (-1.0, 0.5, 2.0), 0.6),
        "c ~ Cat(3), x = m(c) + 0.6 z; by quadrature",
    ),
    "uniform": Case(
        theory.Line(Uniform(sigma=None), 0.3),
        theory.Line(Uniform(sigma=None), 0.6),
        "c ~ Unif(−1, 1), x = c + 0.3 z; by quadrature",
        learnable=False,
    ),
    "normal": Case(
        theory.Line(Normal(sigma=None), 0.5),
        theory.Line(Normal(sigma=None), 1.0),
        "c ~ N(0, 1), x = c + 0.5 z; by quadrature, I = ½ ln 5",
        closed_form=0.5 * math.log(5),
    ),
}


def measure(seed: int = 0, draws: int = DRAWS, updates: int = UPDATES) -> dict[str, Any]:
    """Everything, as `result.json` holds it; all in nats.

    Of every toy the exact `information`; of every Q the exact `bound`, the `sampled` one with its standard
    `error`, the `gap` (information − bound) and the expected divergence `kl`; how `training` goes. Of the
    lemma both sides and the misprint. Under `checks` what the theory demands of these figures.
    """
    from tqdm import tqdm

    toys = {name: _toy(case, seed, draws, updates) for name, case in tqdm(CASES.items(), unit=" toys")}
    found = {"seed": seed, "draws": draws, "updates": updates, "toys": toys, "lemma": _lemma(seed, draws)}
    return {**found, "checks": list(_checks(found))}


def _toy(case: Case, seed: int, draws: int, updates: int) -> dict[str, Any]:
    toy = case.toy
    learner = theory.Learner(toy, seed, batch_size=BATCH)
    training = list(_training(learner, updates))
    readings = {
        "the true posterior": toy.log_posterior,
        "trained by gradient": learner.log_q,
        "too unsure, posterior^½": theory.tempered(toy, 0.5),
        "too sure, posterior²": theory.tempered(toy, 2.0),
        "of another generator": case.mistaken.log_posterior,
        "the prior, blind to x": theory.prior(toy),
    }
    if not toy.variable.discrete:
        readings["Gaussian, σ = 1"] = theory.gaussian(toy, 1.0)
    information = theory.exact_information(toy.table())
    return {
        "what": case.what,
        "entropy": toy.variable.entropy,
        "information": information,
        "closed_form": case.closed_form,
        "readings": {
            name: _reading(toy, reading, information, random.stream(seed, f"bound: {name}"), draws)
            for name, reading in readings.items()
        },
        "training": training,
    }


def _reading(
    toy: theory.Toy, reading: theory.Reading, information: float, rng: np.random.Generator, draws: int
) -> dict[str, float]:
    bound, sampled = theory.exact_bound(toy, reading), theory.sampled_bound(toy, reading, rng, draws)
    return {
        "bound": bound,
        "sampled": sampled.mean,
        "error": sampled.error,
        "gap": information - bound,
        "kl": theory.expected_kl(toy, reading),
    }


def _training(learner: theory.Learner, updates: int) -> Iterator[dict[str, float]]:
    seen = set(np.rint(np.geomspace(1, updates + 1, SEEN)).astype(int) - 1)
    for step in range(updates + 1):
        if step in seen:
            yield {
                "step": step,
                "bound": theory.exact_bound(learner.toy, learner.log_q),
                "kl": theory.expected_kl(learner.toy, learner.log_q),
                "batch": learner.advance(),
            }
        else:
            learner.advance()


def _lemma(seed: int, draws: int) -> dict[str, Any]:
    rng = random.stream(seed, "lemma")
    together = theory.together()
    independent = np.outer(rng.dirichlet(np.ones(4)), rng.dirichlet(np.ones(3))), rng.normal(size=(4, 3))
    shapes = rng.integers(2, 6, (TABLES, 2)).tolist()
    tables = [(rng.dirichlet(np.ones(a * b)).reshape(a, b), rng.normal(size=(a, b))) for a, b in shapes]
    left = np.array([theory.lemma_left(*table) for table in tables])
    right = np.array([theory.lemma_right(*table) for table in tables])
    misprinted = np.array([theory.lemma_misprinted(*table) for table in tables])
    return {
        "cases": {
            "X = Y = ±1 together, f = xy": _sides(*together, rng, draws),
            "a table at random": _sides(*tables[0], rng, draws),
            "X and Y independent": _sides(*independent, rng, draws),
        },
        "tables": TABLES,
        "worst_right": float(np.abs(right - left).max()),
        "least_misprinted": float(np.abs(misprinted - left).min()),
    }


def _sides(joint: np.ndarray, f: np.ndarray, rng: np.random.Generator, draws: int) -> dict[str, dict[str, float]]:
    exact = {
        "left": theory.lemma_left(joint, f),
        "right": theory.lemma_right(joint, f),
        "misprinted": theory.lemma_misprinted(joint, f),
    }
    drawn = theory.sampled_lemma(joint, f, rng, draws)
    return {side: {"exact": exact[side], "sampled": drawn[side].mean, "error": drawn[side].error} for side in exact}


def _checks(found: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What the theory demands: a figure each, and what it must not pass (or, where it says `least`, must reach)."""
    toys, lemma = found["toys"], found["lemma"]
    rows = [(toy, q) for toy in toys.values() for q in [*toy["readings"].values(), *toy["training"]]]
    sampled = [(toy, q) for toy in toys.values() for q in toy["readings"].values()]
    truths = [toy["readings"]["the true posterior"] for toy in toys.values()]
    over = max(q["bound"] - toy["information"] for toy, q in rows)
    yield _at_most("exact L_I above I, of every Q, also in training", over, EXACT)
    above = max((q["sampled"] - toy["information"]) / (q["error"] + EXACT) for toy, q in sampled)
    yield _at_most("sampled L_I above I, standard errors", above, ERRORS)
    yield _at_most("I − L_I of the true posterior", max(abs(q["gap"]) for q in truths), EXACT)
    apart = max(abs(toy["information"] - q["bound"] - q["kl"]) for toy, q in rows)
    yield _at_most("difference of I − L_I and E KL(P ‖ Q)", apart, EXACT)
    off = max(abs(q["sampled"] - q["bound"]) / (q["error"] + EXACT) for _, q in sampled)
    yield _at_most("sampled L_I off the exact one, standard errors", off, ERRORS)
    closed = max(abs(t["information"] - t["closed_form"]) for t in toys.values() if t["closed_form"] is not None)
    yield _at_most("I off its closed form", closed, EXACT)
    if found["updates"] >= UPDATES:
        left = max(toys[name]["training"][-1]["kl"] for name, case in CASES.items() if case.learnable)
        yield _at_most("I − L_I left after training, where Q can say the truth", left, LEARNT)
    yield _at_most(f"lemma: difference of its sides on {lemma['tables']} tables", lemma["worst_right"], EXACT)
    sides = [(side, value) for case in lemma["cases"].values() for side, value in case.items()]
    off = max(abs(value["sampled"] - value["exact"]) / (value["error"] + EXACT) for _, value in sides)
    yield _at_most("lemma: sampled sides off the exact ones, standard errors", off, ERRORS)
    wrong = lemma["cases"]["X = Y = ±1 together, f = xy"]
    missed = abs(wrong["misprinted"]["exact"] - wrong["left"]["exact"])
    yield _at_least("misprint: off by, on X = Y = ±1", missed, 1 - EXACT)
    yield _at_least(f"misprint: least it is off on {lemma['tables']} tables", lemma["least_misprinted"], 1e-6)


def _at_most(what: str, figure: float, limit: float) -> dict[str, Any]:
    return {"what": what, "figure": figure, "at_most": limit, "holds": bool(figure <= limit)}


def _at_least(what: str, figure: float, limit: float) -> dict[str, Any]:
    return {"what": what, "figure": figure, "at_least": limit, "holds": bool(figure >= limit)}


def table(found: dict[str, Any]) -> str:
    """`measure`'s figures for people: the bound, the lemma, and what the theory demands of them."""
    return "\n\n".join([_bound_table(found), _lemma_table(found), _check_table(found)])


def _bound_table(found: dict[str, Any]) -> str:
    header = ["nats", "I(c; x)", "L_I exact", f"from {found['draws']:,} draws", "I − L_I", "E KL(P ‖ Q)"]
    rows = []
    for name, toy in found["toys"].items():
        rows.append([f"**{name}**: {toy['what']}", number(toy["information"], 4), "", "", "", ""])
        for reading, q in toy["readings"].items():
            sampled = f"{number(q['sampled'], 4)} ± {number(q['error'], 4)}"
            exact = [number(q["bound"], 4), sampled, number(abs(q["gap"]), 4), number(abs(q["kl"]), 4)]
            rows.append([f"Q {reading}", "", *exact])
    return markdown(header, rows)


def _lemma_table(found: dict[str, Any]) -> str:
    names = {"left": "E f(x, y)", "right": "E f(x′, y), x′ ~ X given y", "misprinted": "misprint: x′ ~ X"}
    rows = [
        [case, *(f"{number(v['exact'], 4)} ({number(v['sampled'], 4)} ± {number(v['error'], 4)})"
                 for v in (sides[side] for side in names))]
        for case, sides in found["lemma"]["cases"].items()
    ]  # fmt: skip
    return markdown(["the lemma: exact (sampled)", *names.values()], rows)


def _check_table(found: dict[str, Any]) -> str:
    rows = []
    for check in found["checks"]:
        sign, limit = ("≤", check["at_most"]) if "at_most" in check else ("≥", check["at_least"])
        figure = f"{check['figure']:.2g}".replace("-", "−")
        rows.append([check["what"], figure, f"{sign} {limit:.2g}".replace("-", "−"), "yes" if check["holds"] else "NO"])
    return markdown(["what the theory demands", "found", "demanded", "holds"], rows)


def publish(found: dict[str, Any], out: Path) -> list[Path]:
    """Write `result.json`, `table.md` and `bound.png` into `out`; what was written."""
    given = f"--seed {found['seed']} --draws {found['draws']} --updates {found['updates']}"
    command = shlex.join(["infogan", "experiment", "bound", *given.split(), "--out", str(out)])
    content = {"experiment": "bound", "command": command, **common.made_on(), **found}
    resting = f"`{command}`: {len(CASES) * found['updates']:,} updates in all; {content['machine']['processor']}."
    return common.put(out, content, f"{table(found)}\n\n{resting}", {"bound": figure(found)})


def demand(found: dict[str, Any]) -> None:
    """Raise `InfoganError`, naming what failed, if a figure is not as the theory demands."""
    failed = [check["what"] for check in found["checks"] if not check["holds"]]
    if failed:
        raise InfoganError(f"{len(failed)} of {len(found['checks'])} checks failed: {'; '.join(failed)}")


def figure(found: dict[str, Any]) -> Figure:
    """A Q in training, on two toys: its bound below the information, and that what it lacks is E KL(P ‖ Q)."""
    from infogan.figures import page

    sheet = page(10.5, 5.8)
    titles = {
        "mixture": "Q can say the truth: its bound becomes tight",
        "uniform": "No Gaussian Q is the truth: a gap remains",
    }
    pairs = sheet.subplots(2, 2, sharex="col", sharey="row").T
    for (above, below), (name, title) in zip(pairs, titles.items(), strict=True):
        _draw_bound(above, found["toys"][name], title)
        _draw_gap(below, found["toys"][name])
    return sheet


def _draw_bound(axes: Axes, toy: dict[str, Any], title: str) -> None:
    from infogan.figures import COLOURS, FAINT, INK, dress

    step, bound, batch = (np.array([line[key] for line in toy["training"]]) for key in ("step", "bound", "batch"))
    axes.axhline(toy["information"], color=INK, lw=1.0, ls="--", label=f"I(c; x) = {toy['information']:.3f}")
    axes.fill_between(step, bound, toy["information"], color=COLOURS[0], alpha=0.12, lw=0)
    axes.plot(step, bound, color=COLOURS[0], lw=1.5, label="L_I exact")
    axes.plot(step, batch, ".", color=FAINT, ms=4, label=f"L_I of a batch of {BATCH}")
    dress(axes, f"{title}\n{toy['what'].split(';')[0]}", "nats")
    axes.set_xlabel("")


def _draw_gap(axes: Axes, toy: dict[str, Any]) -> None:
    from infogan.figures import COLOURS, dress

    step, bound, kl = (np.array([line[key] for line in toy["training"]]) for key in ("step", "bound", "kl"))
    axes.plot(step, toy["information"] - bound, color=COLOURS[0], lw=1.5, label="I − L_I")
    axes.plot(step, kl, "o", color=COLOURS[1], ms=4, mfc="none", label="E KL(P(c|x) ‖ Q(c|x))")
    axes.set_yscale("log")
    dress(axes, "What the bound lacks", "nats")
