"""What information costs in picture quality: InfoGAN beside a regular GAN of the same networks and seeds.

The regular GAN draws the same codes, which nothing makes it use: its categories show what purity is by chance.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from infogan.errors import InputError
from infogan.evaluation import classifier, pictures
from infogan.evaluation.classifier import Recipe
from infogan.evaluation.pictures import Real
from infogan.evaluation.report import DRAWS, pictures_of
from infogan.experiments.common import Runs
from infogan.run import Run, load
from infogan.tables import markdown, number, spread

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS = {"infogan": "InfoGAN", "gan": "regular GAN"}
"""The values of the field `objective` that are set side by side."""

FIGURES = {"frechet": "Fréchet distance", "kl": "KL, nats", "missing": "classes missing", "purity": "purity of c1, %"}
"""What a run is measured by. Less is better, but for `purity`."""


def measure(runs: Runs, data: str | None = None, recipe: Recipe | None = None, draws: int = DRAWS) -> dict[str, Any]:
    """The figures of trained runs, `runs[kind][seed]` a folder, as `result.json` holds them.

    Of every run `frechet`, `kl` and `missing` (`pictures.Real` on `draws` fresh pictures) and `purity`,
    the mean over the categories of the first categorical code, where there is one. Of every kind their spread
    over the seeds; `real` the same figures of real training pictures; `cost` the spread of InfoGAN's Fréchet
    distance minus the GAN's, over the seeds that both have.

    `data` names the real pictures: their test part if they have one; by default those held out of the runs'
    own. All runs share one data set. Raises `InputError` where it has no labels or there is no run.
    """
    from tqdm import tqdm

    folders = [(kind, seed, folder) for kind, seeds in runs.items() for seed, folder in seeds.items()]
    if not folders:
        raise InputError("no run is trained to its last update: there is nothing to measure")
    training, shown = pictures_of(load(folders[0][2]), data)
    if training.labels is None or shown.labels is None:
        raise InputError(f"{shown.name} has no labels: the classifier that measures learns from them")
    reader = classifier.obtain(training.images, training.labels, recipe)
    found: dict[str, dict[str, Any]] = {kind: {} for kind in runs}
    real = Real(reader, training, shown, draws)
    for kind, seed, folder in tqdm(folders, unit=" runs", desc="quality"):
        found[kind][str(seed)] = _of_run(load(folder), real)
    return {
        "data": shown.name,
        "split": shown.split,
        "draws": draws,
        "reader": {"learnt_from": reader.learnt_from, "accuracy": reader.accuracy(shown.images, shown.labels)},
        "runs": found,
        "real": {
            "frechet": real.frechet,
            "kl": real.kl,
            "missing": None,
            "purity": None,
            "pictures": real.pictures,
        },
        "spread": {kind: _spreads(list(seeds.values())) for kind, seeds in found.items()},
        "cost": _cost(found),
    }


def _of_run(run: Run, beside: Real) -> dict[str, float | None]:
    seen, categories = beside.beside(run), pictures.of_categories(run, beside.reader)
    purities = [float(sum(code["purity"]) / len(code["purity"])) for code in categories.values()]
    shares = seen["coverage"]
    return {
        "frechet": seen["frechet"]["generated"],
        "kl": shares["kl"],
        "missing": shares["classes"] - shares["present"],
        "purity": purities[0] if purities else None,
    }


def _spreads(seeds: list[dict[str, Any]]) -> dict[str, Any]:
    found = {}
    for name in FIGURES:
        values = [seed[name] for seed in seeds if seed[name] is not None]
        if values:
            found[name] = spread(values, worst=min if name == "purity" else max)
    return found


def _cost(found: Mapping[str, Mapping[str, Any]]) -> dict[str, Any] | None:
    ours, theirs = (found.get(kind, {}) for kind in KINDS)
    differences = [ours[seed]["frechet"] - theirs[seed]["frechet"] for seed in ours if seed in theirs]
    return spread(differences, worst=max) if differences else None


def table(found: Mapping[str, Any]) -> str:
    """`measure`'s figures for people: a row a run, the mean and deviation of each kind, real pictures last."""
    rows = []
    for kind, seeds in found["runs"].items():
        rows += [[f"{KINDS[kind]}, seed {seed}", *_cells(run)] for seed, run in seeds.items()]
    for kind, figures in found["spread"].items():
        for key in ("mean", "deviation"):
            rows.append([f"{KINDS[kind]}, {key}", *_cells({name: figures[name][key] for name in figures})])
    rows.append(["real training pictures", *_cells(found["real"])])
    lines = [markdown(["", *FIGURES.values()], rows), "", _basis(found)]
    if found["cost"] is not None:
        mean, deviation = (number(found["cost"][key], 2) for key in ("mean", "deviation"))
        lines.append(f"What information costs: {mean} more in Fréchet distance (deviation over seeds {deviation}).")
    return "\n".join(lines)


def _cells(figures: Mapping[str, float | None]) -> list[str]:
    purity = figures.get("purity")
    missing = figures.get("missing")
    return [
        number(figures.get("frechet"), 2),
        number(figures.get("kl"), 4),
        str(missing) if isinstance(missing, int) else number(missing, 1),
        number(None if purity is None else 100 * purity, 1),
    ]


def _basis(found: Mapping[str, Any]) -> str:
    return (
        f"Fréchet distances on {found['real']['pictures']:,} pictures against as many of {found['data']} "
        f"({found['split']}), KL and classes on {found['draws']:,}; by a classifier that learnt from "
        f"{found['reader']['learnt_from']:,} pictures and right on {found['reader']['accuracy']:.2%} of real ones."
    )


def figure(found: Mapping[str, Any]) -> Figure:
    """Each figure of both kinds, a point a seed, lines between equal seeds; real pictures as a broken line."""
    from infogan.figures import COLOURS, INK, dress, page

    sheet = page(10.5, 3.4)
    shown = [name for name in FIGURES if name != "missing"]
    kinds = list(found["runs"])
    seeds = dict.fromkeys(seed for runs in found["runs"].values() for seed in runs)
    for axes, name in zip(sheet.subplots(1, len(shown)), shown, strict=True):
        scale = 100 if name == "purity" else 1
        for index, seed in enumerate(seeds):
            values = [found["runs"][kind].get(seed, {}).get(name) for kind in kinds]
            heights = [float("nan") if value is None else scale * value for value in values]
            label = None if index else "a seed"
            axes.plot(range(len(kinds)), heights, "o-", color=COLOURS[0], lw=0.8, ms=4, label=label)
        if found["real"][name] is not None:
            axes.axhline(found["real"][name], color=INK, lw=1.0, ls="--", label="real pictures")
        axes.set_xticks(range(len(kinds)), [KINDS[kind] for kind in kinds])
        dress(axes, FIGURES[name], "")
        axes.set_xlabel("")
        axes.set_xlim(-0.5, len(kinds) - 0.5)
        axes.set_ylim(bottom=0)
    return sheet
