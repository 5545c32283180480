"""c1 as a classifier: how often the category Q reads in a real picture is not the picture's class.

Rows are settings, columns what they reach over several seeds. No label trains, chooses a checkpoint or a seed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import infogan.config
from infogan import data as data_sets
from infogan import merging
from infogan.config import PRESETS, Config
from infogan.data import Dataset
from infogan.errors import InputError
from infogan.evaluation.report import agreement
from infogan.experiments.common import Plan, Runs, train_rows
from infogan.moved import moved
from infogan.run import Run, load
from infogan.tables import markdown, number, spread
from minigrad import random

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAPER, ROBUST = "paper", "mnist-robust"
PAPER_AS_LONG = "paper, as many updates"
WITHOUT = {"head_start": "without the head start", "invariance": "without invariance"}
"""The changes of a robust setting, each taken back by itself in the ablation; one it does not make has no row."""

MEDIAN = {PAPER: 0.05, ROBUST: 0.015}
"""What the median one-to-one error is to be at most."""
WORST = {ROBUST: 0.03}
ERRORS = {
    "one_to_one": "one-to-one",
    "majority": "majority",
    "one_to_one_re_estimated": "one-to-one, re-estimated",
    "majority_re_estimated": "majority, re-estimated",
}
COPIES = 2000
"""Training pictures whose moved copies show, with no label, how much Q's reading of them keeps."""


def rows(
    plan: Plan, *, robust_steps: int | None = None, ablation: bool = False, only: Sequence[str] = ()
) -> dict[str, dict[str, Any]]:
    """The settings of every row by its name, seeds left out; of those in `only` where it names some.

    The paper's is `plan`'s own, and the others have its fields save the preset. With `ablation`, the preset
    `mnist-robust` with one change taken back at a time, and the paper's setting again, all with as many updates as
    the preset, its head start counted. Raises `InputError` where `only` names a row that is not there.
    """
    fields = {field: value for field, value in plan.fields.items() if field != "preset"}
    robust: dict[str, Any] = {"preset": ROBUST, "data": plan.data, **fields}
    if robust_steps is not None:
        robust["steps"] = robust_steps
    found = {PAPER: _unseeded(plan.settings("infogan", 0)), ROBUST: robust}
    if ablation:
        whole = infogan.config.make(robust)
        total = whole.steps + whole.head_start
        for field, words in WITHOUT.items():
            if getattr(whole, field):
                kept = 0 if field == "head_start" else whole.head_start
                found[words] = {**robust, field: Config.model_fields[field].default, "steps": total - kept}
        changed = set(PRESETS[ROBUST])
        same = {field: value for field, value in fields.items() if field not in changed}
        found[PAPER_AS_LONG] = {"preset": "mnist", "data": plan.data, **same, "steps": total}
    if missing := [name for name in only if name not in found]:
        raise InputError(f"--row {missing[0]!r}: the rows are {', '.join(map(repr, found))}")
    return {name: row for name, row in found.items() if not only or name in only}


def _unseeded(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {field: value for field, value in settings.items() if field != "seed"}


def train(plan: Plan, settings: Mapping[str, Mapping[str, Any]]) -> Runs:
    """The runs of every row and seed, trained to their last update: `common.train_rows`."""
    return train_rows(plan, settings, _folder)


def _folder(row: str) -> str:
    """The paper's runs are those of other experiments too; the rest have a folder named after their row."""
    return "infogan" if row == PAPER else row.replace(",", "").replace(" ", "-")


def measure(runs: Mapping[str, Mapping[int, Path]], data: str, split: data_sets.Split = "test") -> dict[str, Any]:
    """What trained runs reach, `runs[row][seed]` a folder, as `result.json` holds it.

    Of every run its errors on the part `split` of `data` (`ERRORS`: one-to-one and majority matching, under
    running and re-estimated batch statistics), `information` (nats, of at most log K, between Q's readings of
    two moved copies of training pictures: no label) and `updates`, those of a head start counted. Of every row
    the spread of each error. `goal`: what was aimed at, and whether all of it is met.

    All runs are trained on `data`. Raises `InputError` where the pictures have no labels, or a run has no
    categorical code.
    """
    from tqdm import tqdm

    training, shown = data_sets.load(data).images, data_sets.load(data, split=split)
    folders = [(row, seed, folder) for row, seeds in runs.items() for seed, folder in seeds.items()]
    found: dict[str, dict[str, Any]] = {row: {} for row in runs}
    for row, seed, folder in tqdm(folders, unit=" runs", desc="classifier"):
        found[row][str(seed)] = of_run(load(folder), training, shown)
    errors = {row: {key: spread([s[key] for s in seeds.values()], worst=max) for key in ERRORS}
              for row, seeds in found.items()}  # fmt: skip
    return {
        "data": shown.name,
        "split": shown.split,
        "pictures": len(shown),
        "rows": found,
        "spread": errors,
        "updates": sum(run["updates"] for seeds in found.values() for run in seeds.values()),
        "goal": _goal(errors),
    }


def of_run(run: Run, training: np.ndarray, shown: Dataset) -> dict[str, Any]:
    """The entry of one run, trained on the pictures `training`, in `measure`'s result."""
    name = run.code.first_categorical
    if shown.labels is None or name is None:
        raise InputError(f"{shown.name} and {run.folder}: a classifier needs labels and a categorical code")
    found = agreement(run, training, shown)[name]
    return {
        **_errors(found),
        **{f"{key}_re_estimated": error for key, error in _errors(found["re_estimated"]).items()},
        "information": information(run, name, training),
        "updates": run.step + run.config.head_start,
    }


def _errors(found: Mapping[str, Any]) -> dict[str, float]:
    return {"one_to_one": 1 - found["accuracy_hungarian"], "majority": 1 - found["accuracy_majority"]}


def information(run: Run, name: str, images: Any) -> float:
    """I(k; k') of the categories k, k' of `name` read in two moved copies of 2,000 pictures, the same for every run."""
    rng = random.stream(0, "copies that show information")
    q, q_moved = (run.encode(moved(images[:COPIES], rng).clip(0, 1))[name] for _ in range(2))
    return merging.information(merging.joint(q, q_moved))


def _goal(errors: Mapping[str, Mapping[str, Any]]) -> dict[str, Any] | None:
    texts, met = [], True
    for row, most in MEDIAN.items():
        if row not in errors:
            continue
        texts.append(f"{row}: median one-to-one error ≤ {most:.1%}")
        met &= errors[row]["one_to_one"]["median"] <= most
        if row in WORST:
            texts[-1] += f", no seed over {WORST[row]:.0%}"
            met &= errors[row]["one_to_one"]["worst"] <= WORST[row]
    return {"text": "; ".join(texts), "met": met} if texts else None


def table(found: Mapping[str, Any]) -> str:
    """`measure`'s figures for people: a row a setting, all seeds below, and what they rest on."""
    rows, seeds = [], []
    for row, errors in found["spread"].items():
        runs = found["rows"][row]
        one = errors["one_to_one"]
        aim = f"≤ {_percent(MEDIAN[row])}" if row in MEDIAN else ""
        aim += f", worst ≤ {_percent(WORST[row])}" if row in WORST else ""
        means = [_percent(errors[key]["mean"]) for key in list(ERRORS)[1:]]
        cells = [_percent(one[key]) for key in ("mean", "deviation", "median", "worst")]
        rows.append([row, f"{max(r['updates'] for r in runs.values()):,}", *cells, aim, *means])
        seeds += [[f"{row}, seed {seed}", *(_percent(run[key]) for key in ERRORS), number(run["information"])]
                  for seed, run in runs.items()]  # fmt: skip
    header = ["error of c1, %", "updates", "mean", "deviation", "median", "worst", "goal of median"]
    header += [f"mean, {words}" for words in list(ERRORS.values())[1:]]
    every = markdown(["seed by seed, %", *ERRORS.values(), "information, nats"], seeds)
    return f"{markdown(header, rows)}\n\n{every}\n\n{_basis(found)}"


def _percent(share: float | None) -> str:
    return number(None if share is None else 100 * share, 2)


def _basis(found: Mapping[str, Any]) -> str:
    return (
        f"Errors on {found['pictures']:,} pictures of {found['data']} ({found['split']}); the headline is one-to-one "
        "under running batch statistics; updates of a head start are counted. Information: between readings of two "
        "moved copies of training pictures, no label."
    )


def figure(found: Mapping[str, Any]) -> Figure:
    """One-to-one error of every run, a column a row of the table, its median as a line and the goal broken."""
    from infogan.figures import COLOURS, INK, dress, page

    names = list(found["rows"])
    sheet = page(2.2 + 1.5 * len(names), 3.6)
    axes = sheet.subplots()
    for at, row in enumerate(names):
        errors = [100 * run["one_to_one"] for run in found["rows"][row].values()]
        axes.plot([at] * len(errors), errors, "o", color=COLOURS[0], ms=4, alpha=0.7)
        median = 100 * found["spread"][row]["one_to_one"]["median"]
        axes.plot([at - 0.2, at + 0.2], [median, median], color=COLOURS[0], lw=2)
        if row in MEDIAN:
            axes.plot([at - 0.35, at + 0.35], [100 * MEDIAN[row]] * 2, color=INK, lw=1, ls="--")
    axes.set_xticks(range(len(names)), [_broken(name) for name in names])
    axes.set_ylim(bottom=0)
    dress(axes, "one-to-one error of c1, %", "")
    axes.set_xlim(-0.6, len(names) - 0.4)
    axes.set_xlabel("")
    return sheet


def _broken(name: str) -> str:
    return name.replace(" ", "\n", 1)


def check(plan: Plan, settings: Sequence[Mapping[str, Any]], split: data_sets.Split) -> None:
    """Raise `InputError`, before anything is trained, where a row or the pictures that measure are not right."""
    for row in settings:
        infogan.config.make(row)
    if data_sets.load(plan.data, split=split).labels is None:
        raise InputError(f"{plan.data} has no labels: give labelled pictures as --data")
