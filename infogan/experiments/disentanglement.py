"""Do codes find the factors that made the pictures? InfoGAN on sprites, plain and with InfoGAN-CR's term.

Factors serve to measure only. Lin et al. (2020) published FactorVAE scores of .82 and .88 for the two on dSprites, at
64×64 pixels, 322,560 updates and with spectral norms; the settings here are theirs where this project's networks have
them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from infogan.data import sprites
from infogan.errors import InputError
from infogan.evaluation import compared
from infogan.evaluation.disentanglement import METRICS
from infogan.experiments.common import Plan, Runs, train_rows
from infogan.run import load
from infogan.tables import number, spread

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PLAIN, CR = "sprites-plain", "sprites-cr"
KINDS = {PLAIN: "InfoGAN", CR: "InfoGAN-CR"}
"""Folders of the runs, and their names in print."""

SETTINGS: dict[str, Any] = {"codes": "5xuniform", "noise": 5, "batch_size": 64}
"""As published. λ and the steps of Adam are this project's own: theirs go with spectral norms."""
WEIGHT = 2.0
"""Of the contrastive term, as published."""
BEFORE = 288_000 / 322_560
"""The share of a run's updates after which the term begins to count, as published."""
UNORDERED = tuple(list(sprites.FACTORS).index(name) for name in sprites.UNORDERED)


def check(plan: Plan) -> None:
    """Raises `InputError`, before hours of training, for data without factors or settings that are not to be chosen."""
    sprites.side_of(plan.data)
    taken = [name for name in plan.fields if name in ("contrastive", "contrastive_from")]
    if taken:
        raise InputError(f"--set {taken[0]}: the experiment sets this itself")


def settings(plan: Plan, kind: str) -> dict[str, Any]:
    """The fields of a kind of run: `plan`'s, and for InfoGAN-CR the term."""
    own = plan.settings("infogan", 0)
    return own if kind == PLAIN else {**own, "contrastive": WEIGHT, "contrastive_from": int(BEFORE * plan.steps)}


def train(plan: Plan) -> Runs:
    """The runs of both kinds and every seed, trained to their last update, side by side.

    Those that are there are left alone. Raises `InfoganError`, naming them, if any failed; the others are kept.
    """
    check(plan)
    return train_rows(plan, {kind: settings(plan, kind) for kind in KINDS})


def measure(runs: Runs, data: str) -> dict[str, Any]:
    """The scores of trained runs, `runs[kind][seed]` a folder, as `result.json` holds them.

    Codes are what Q reads, as one number each, in the sprites `data` held out. `runs` are the scores of every run,
    `floor` and `ceiling` those of other encoders of the same pictures, `spread` those of each kind over its seeds.
    """
    shown = sprites.read_sprites(data, "held_out")
    factors = sprites.factors_of(data, "held_out")
    folders = {(kind, seed): folder for kind, seeds in runs.items() for seed, folder in seeds.items()}
    codes = {
        f"{kind}/{seed}": compared.codes_of(load(folder), shown.images) for (kind, seed), folder in folders.items()
    }
    rows = compared.compare(codes, factors, shown.images, unordered=UNORDERED)
    found = {kind: {str(seed): rows[f"{kind}/{seed}"] for seed in seeds} for kind, seeds in runs.items()}
    return {
        "data": shown.name,
        "split": shown.split,
        "pictures": len(shown),
        "factors": dict(sprites.FACTORS),
        "runs": found,
        "floor": {name: rows[name] for name in compared.FLOOR},
        "ceiling": {name: rows[name] for name in compared.CEILING},
        "spread": {kind: {m: spread([r[m] for r in seeds.values()]) for m in METRICS} for kind, seeds in found.items()},
    }


def table(found: Mapping[str, Any]) -> str:
    """A row a run, mean and deviation of each kind, then floor and ceilings."""
    rows: dict[str, Mapping[str, float | None]] = {}
    for kind, seeds in found["runs"].items():
        rows |= {f"{KINDS[kind]}, seed {seed}": scores for seed, scores in seeds.items()}
    for kind, figures in found["spread"].items():
        for key in ("mean", "deviation"):
            rows[f"{KINDS[kind]}, {key}"] = {metric: figures[metric][key] for metric in METRICS}
    rows |= {f"{name} (floor)": scores for name, scores in found["floor"].items()}
    rows |= {f"{name} (ceiling)": scores for name, scores in found["ceiling"].items()}
    means = " and ".join(
        f"{number(found['spread'][kind]['factor_vae']['mean'])} ({KINDS[kind]})" for kind in found["runs"]
    )
    return "\n".join([
        compared.table(rows),
        "",
        f"What Q reads in {found['pictures']:,} sprites of {found['data']} ({found['split']}).",
        f"FactorVAE: {means}; Lin et al. (2020) have .82 and .88 on dSprites: 64×64, spectral norms, 322,560 updates.",
    ])  # fmt: skip


def figure(found: Mapping[str, Any]) -> Figure:
    """Every score: a point a run, a line for the mean of a kind; floor and ceiling as lines across."""
    from infogan.figures import COLOURS, FAINT, INK, dress, page

    sheet = page(12.5, 4.0)
    axes = sheet.subplots()
    across = {**found["floor"], **found["ceiling"]}
    lines = list(zip(across, (FAINT, FAINT, INK), (":", "--", "-"), strict=True))
    for place, metric in enumerate(METRICS):
        for name, colour, style in lines:
            axes.hlines(across[name][metric], place - 0.42, place + 0.42, color=colour, ls=style, lw=1.2,
                        label="_" if place else name)  # fmt: skip
        for index, (kind, seeds) in enumerate(found["runs"].items()):
            at = place + (index - 0.5) * 0.3
            heights = [scores[metric] for scores in seeds.values()]
            axes.plot(
                [at] * len(heights), heights, "o", color=COLOURS[index], ms=4, label="_" if place else KINDS[kind]
            )
            axes.hlines(sum(heights) / len(heights), at - 0.1, at + 0.1, color=COLOURS[index], lw=2)
    axes.set_xticks(range(len(METRICS)), [name.replace(" ", "\n") for name in METRICS.values()])
    dress(axes, "How far codes stand for factors: a point a run", "score")
    axes.set_xlabel("")
    axes.set_xlim(-0.5, len(METRICS) - 0.5)
    axes.set_ylim(-0.02, 1.02)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False, fontsize=8)  # a score may lie anywhere
    return sheet
