"""What the continuous codes of a digits' InfoGAN mean: slant, width or stroke, seed by seed and on the mean.

The paper's Figure 2 shows it as pictures: c1 in InfoGAN, c1 in a regular GAN, c2 and c3.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import infogan.config
from infogan import data as data_sets
from infogan.data import Dataset
from infogan.errors import InputError
from infogan.evaluation import classifier, pictures
from infogan.evaluation.classifier import Classifier, Recipe
from infogan.evaluation.moments import PROPERTIES
from infogan.evaluation.report import are_digits, drawn_as_one, meanings, pictures_of
from infogan.experiments.common import Plan
from infogan.run import Run, load
from infogan.tables import markdown, number, spread

ROLES = {"slant": ("slant",), "width or stroke": ("width", "stroke")}
"""What two codes are to stand for, one each."""

LEAST = {"rho": 0.9, "effect": 1.0}
MOST_CROSS = 0.3
SEEDS = 5
"""How many the goal is a mean of."""

GOAL = (
    f"on the mean of {SEEDS} seeds one code slant, the other width or stroke, rho ≥ {LEAST['rho']}, "
    f"effect ≥ {LEAST['effect']:g}, cross ≤ {MOST_CROSS}"
)


def check(plan: Plan) -> None:
    """Raise `InputError`, before anything is trained, where what its codes mean could not be measured."""
    code = infogan.config.make(plan.settings("infogan", 0)).code
    if all(variable.discrete for variable in code):
        raise InputError(f"codes {code.spec}: none of them is continuous; write cat:10,uniform,uniform")
    if code.is_tree:
        raise InputError(f"codes {code.spec}: one meaning a code is measured; infogan evaluate tells each category's")
    _check_digits(data_sets.load(plan.data, split="held_out"))


def _check_digits(shown: Dataset) -> None:
    if not are_digits(shown):
        raise InputError(f"{shown.name}: what codes mean is measured on grey, labelled digits of ten classes")


def measure(runs: Mapping[int, Path], data: str | None = None, recipe: Recipe | None = None) -> dict[str, Any]:
    """What the codes of trained runs mean, `runs[seed]` a folder, as `result.json` holds it.

    Under `runs`, of every seed, each continuous code's `slant`, `width`, `stroke`, `property` and `cross`
    (`evaluation.report.meanings`), the categories `drawn_as_one`, left out of width, and under `roles` which
    code stands for slant and which for width or stroke. `mean`: of each role the spread of `rho`, `effect` and
    `cross` over the `seeds` that have it. `goal`: whether every seed fills both roles and their means are good
    enough; `None` with fewer than five seeds, or without two continuous codes.

    `data` names the digits whose spread is the unit: their test part if they have one; by default those held
    out of the runs' own. All runs share one data set. Raises `InputError` where these are no labelled digits.
    """
    from tqdm import tqdm

    training, shown = pictures_of(load(next(iter(runs.values()))), data)
    _check_digits(shown)
    assert training.labels is not None
    reader = classifier.obtain(training.images, training.labels, recipe)
    seeds: dict[str, dict[str, Any]] = {}
    for seed, folder in tqdm(runs.items(), unit=" runs", desc="codes"):
        seeds[str(seed)] = _of_run(load(folder), reader, shown)
    return {"runs": seeds, "mean": _mean(seeds), "goal": _goal(seeds)}


def _of_run(run: Run, reader: Classifier, shown: Dataset) -> dict[str, Any]:
    ones = drawn_as_one(run, pictures.of_categories(run, reader))
    codes = meanings(run, shown, ones)
    roles = {
        role: name
        for role, properties in ROLES.items()
        for name, code in codes.items()
        if code.get("property") in properties and code[code["property"]]["rho"] is not None
    }
    return {
        "folder": str(run.folder),
        "step": run.step,
        "data": shown.name,
        "split": shown.split,
        "drawn_as_one": ones,
        "roles": roles,
        "codes": codes,
    }


def _in_role(seed: Mapping[str, Any], role: str) -> dict[str, float | None]:
    """`rho`, `effect` and `cross` of the code of a seed that fills `role`."""
    code = seed["codes"][seed["roles"][role]]
    return {**{key: code[code["property"]][key] for key in LEAST}, "cross": code["cross"]}


def _mean(seeds: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for role in ROLES:
        filled = [_in_role(seed, role) for seed in seeds.values() if role in seed["roles"]]
        known = {key: [f[key] for f in filled if f[key] is not None] for key in (*LEAST, "cross")}
        spreads = {
            key: spread(values, worst=max if key == "cross" else min)  # type: ignore[arg-type]
            for key, values in known.items()
            if values
        }
        found[role] = {"seeds": len(filled), **spreads}
    return found


def _goal(seeds: Mapping[str, Mapping[str, Any]]) -> dict[str, Any] | None:
    if len(seeds) < SEEDS or any(len(seed["codes"]) != len(ROLES) for seed in seeds.values()):
        return None
    everywhere = all(set(seed["roles"]) == set(ROLES) for seed in seeds.values())
    return {"text": GOAL, "met": everywhere and all(_good(role) for role in _mean(seeds).values())}


def _good(role: Mapping[str, Any]) -> bool:
    return all(role[key]["mean"] >= least for key, least in LEAST.items()) and role["cross"]["mean"] <= MOST_CROSS


def table(found: Mapping[str, Any]) -> str:
    """`measure`'s figures for people: a row a seed and code, the means with the goal beside them, what was left out."""
    rows = []
    for seed, of_seed in found["runs"].items():
        for name, code in of_seed["codes"].items():
            rows.append([f"seed {seed}, {name}", *_cells(code)])
    for role, figures in found["mean"].items():
        seeds = f"{figures['seeds']} of {len(found['runs'])} seeds"
        means = [number(figures[key]["mean"], 2) if key in figures else "–" for key in (*LEAST, "cross")]
        rows.append([f"mean, {seeds}", role, *means, *("" for _ in PROPERTIES)])
    rows.append(["goal", "one code each", "≥ 0.90", "≥ 1.00", "≤ 0.30", *("" for _ in PROPERTIES)])
    header = ["", "stands for", "rho", "effect", "cross", *(f"rho, effect on {p}" for p in PROPERTIES)]
    return f"{markdown(header, rows)}\n\n{_left_out(found)}"


def _cells(code: Mapping[str, Any]) -> list[str]:
    own = code.get(code.get("property", ""), {"rho": None, "effect": None})
    head = [number(own["rho"], 2), number(own["effect"], 2), number(code.get("cross"), 2)]
    pairs = [f"{number(code[p]['rho'], 2)}, {number(code[p]['effect'], 2)}" for p in PROPERTIES]
    return [code.get("property", "nothing"), *head, *pairs]


def _left_out(found: Mapping[str, Any]) -> str:
    ones = [
        f"seed {seed}: {', '.join(map(str, of_seed['drawn_as_one'])) or 'none'}"
        for seed, of_seed in found["runs"].items()
    ]
    first = next(iter(found["runs"].values()))
    return (
        "rho: |mean of the signed Spearman ρ over sweeps|; effect: median range over a sweep, in deviations within a "
        f"class of {first['data']} ({first['split']}); cross: the largest effect of another code on that property "
        "over the code's own. Categories drawn as 1 are left out of width: " + "; ".join(ones) + "."
    )
