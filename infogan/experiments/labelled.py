"""A few labels: how well c1 names the class of a picture when N training pictures' labels tie it to classes.

A row is a number of labels, a column what several seeds reach. Category k stands for class k, so that no matching is
needed. These runs have seen labels: their errors stand beside no unsupervised one. For scale, what the same labels
teach a classifier by themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import infogan.config
from infogan import data as data_sets
from infogan.data import Dataset
from infogan.errors import InputError
from infogan.evaluation import classifier
from infogan.evaluation.classifier import Recipe
from infogan.evaluation.report import agreement
from infogan.experiments.common import Plan, Runs, train_rows
from infogan.labelled import choose
from infogan.run import Run, load
from infogan.tables import markdown, number, spread

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ERRORS = {
    "direct": "direct",
    "direct_re_estimated": "direct, re-estimated",
    "one_to_one": "one-to-one",
    "labels_alone": "the labels alone",
}


def rows(plan: Plan, labelled: Sequence[int]) -> dict[int, dict[str, Any]]:
    """The settings of the runs with each number of labels, seeds left out."""
    if "labelled" in plan.fields:
        raise InputError("--set labelled: the experiment sets this itself: give --labelled 10,100,1000")
    settings = plan.settings("infogan", 0)
    return {n: {**{f: v for f, v in settings.items() if f != "seed"}, "labelled": n} for n in labelled}


def check(plan: Plan, settings: Mapping[int, Mapping[str, Any]], split: data_sets.Split) -> None:
    """Raise `InputError`, before anything is trained, where a row or the pictures are not right."""
    training = data_sets.load(plan.data)
    for n, row in settings.items():
        choose(training, infogan.config.make(row).code, n, 0)
    data_sets.load(plan.data, split=split)


def train(plan: Plan, settings: Mapping[int, Mapping[str, Any]]) -> Runs:
    """The runs of every number of labels and seed, trained side by side: `runs["labelled-N"][seed]` is a folder."""
    return train_rows(plan, {f"labelled-{n}": row for n, row in settings.items()})


def measure(
    runs: Mapping[str, Mapping[int, Path]], data: str, split: data_sets.Split = "test", recipe: Recipe | None = None
) -> dict[str, Any]:
    """What trained runs reach, `runs[row][seed]` a folder, as `result.json` holds it.

    Of every run the errors of c1 on the part `split` of `data`: `direct`, with category k for class k, under running
    and re-estimated batch statistics; `one_to_one`, what matching would make of it; `labels_alone`, the error of a
    `Classifier` taught by the same labelled pictures and nothing else. Of every row the spread of each error.
    """
    from tqdm import tqdm

    training, shown = data_sets.load(data), data_sets.load(data, split=split)
    folders = [(row, seed, folder) for row, seeds in runs.items() for seed, folder in seeds.items()]
    found: dict[str, dict[str, Any]] = {row: {} for row in runs}
    for row, seed, folder in tqdm(folders, unit=" runs", desc="labelled"):
        found[row][str(seed)] = of_run(load(folder), training, shown, recipe)
    return {
        "data": shown.name,
        "split": shown.split,
        "pictures": len(shown),
        "rows": found,
        "spread": {
            row: {key: spread([s[key] for s in seeds.values()], worst=max) for key in ERRORS}
            for row, seeds in found.items()
        },
        "updates": sum(run["updates"] for seeds in found.values() for run in seeds.values()),
        "goal": None,
    }


def of_run(run: Run, training: Dataset, shown: Dataset, recipe: Recipe | None = None) -> dict[str, Any]:
    """The entry of one run, trained on the pictures `training`, in `measure`'s result."""
    name = run.code.first_categorical
    if shown.labels is None or training.labels is None or name is None or not run.config.labelled:
        raise InputError(f"{shown.name} and {run.folder}: labelled pictures and a run that learnt from some are needed")
    found = agreement(run, training.images, shown)[name]
    known = choose(training, run.code, run.config.labelled, run.config.seed)
    alone = classifier.obtain(training.images[known.places], known.classes, recipe)
    return {
        "labelled": run.config.labelled,
        "direct": 1 - found["accuracy"],
        "direct_re_estimated": 1 - found["re_estimated"]["accuracy"],
        "one_to_one": 1 - found["accuracy_hungarian"],
        "labels_alone": 1 - alone.accuracy(shown.images, shown.labels),
        "updates": run.step + run.config.head_start,
    }


def table(found: Mapping[str, Any]) -> str:
    """`measure`'s figures for people: a row a number of labels, all seeds below, and what they rest on."""
    body, seeds = [], []
    for row, errors in found["spread"].items():
        runs = found["rows"][row]
        direct = [_percent(errors["direct"][key]) for key in ("mean", "deviation", "median", "worst")]
        means = [_percent(errors[key]["mean"]) for key in list(ERRORS)[1:]]
        first = next(iter(runs.values()))
        body.append([f"{first['labelled']:,}", f"{first['updates']:,}", *direct, *means])
        seeds += [[f"{run['labelled']:,}, seed {seed}", *(_percent(run[key]) for key in ERRORS)]
                  for seed, run in runs.items()]  # fmt: skip
    header = ["labels", "updates", "mean", "deviation", "median", "worst"]
    header += [f"mean, {words}" for words in list(ERRORS.values())[1:]]
    every = markdown(["seed by seed, %", *ERRORS.values()], seeds)
    return f"{markdown(header, body)}\n\n{every}\n\n{_basis(found)}"


def _percent(share: float | None) -> str:
    return number(None if share is None else 100 * share, 2)


def _basis(found: Mapping[str, Any]) -> str:
    return (
        f"Errors of c1, in %, on {found['pictures']:,} pictures of {found['data']} ({found['split']}). Direct: "
        "category k stands for class k, under running batch statistics. One-to-one: as unsupervised runs are matched. "
        "The labels alone: a classifier taught by the same labelled pictures, slightly moved, and by no others. These "
        "runs have seen labels and stand beside no unsupervised one."
    )


def figure(found: Mapping[str, Any]) -> Figure:
    """Direct error of every run over its number of labels, the median as a line, and that of the labels alone."""
    from infogan.figures import COLOURS, dress, page

    sheet = page(6, 3.6)
    axes = sheet.subplots()
    for key, colour, words in (("direct", COLOURS[0], "c1, direct"), ("labels_alone", COLOURS[1], "the labels alone")):
        points = [(run["labelled"], 100 * run[key]) for seeds in found["rows"].values() for run in seeds.values()]
        axes.plot(*zip(*points, strict=True), "o", color=colour, ms=4, alpha=0.7)
        medians = [(next(iter(seeds.values()))["labelled"], 100 * found["spread"][row][key]["median"])
                   for row, seeds in found["rows"].items()]  # fmt: skip
        axes.plot(*zip(*sorted(medians), strict=True), color=colour, lw=1.3, label=words)
    dress(axes, "error on pictures not trained on, %", "")
    axes.set_xlabel("labels")
    axes.set_xscale("log")
    axes.autoscale(axis="x")
    axes.set_ylim(bottom=0)
    return sheet
