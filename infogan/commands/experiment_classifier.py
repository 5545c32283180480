"""`infogan experiment classifier`."""

from __future__ import annotations

from typing import Any

import click

from infogan.commands import experiment_ending as ending
from infogan.commands import options


@click.command()
@options.of_experiment("classifier", steps="Updates of the paper's runs.")
@click.option("--robust-steps", type=click.IntRange(1), help="Updates of the others' game.  [default: the preset's]")
@click.option("--ablation", is_flag=True, help="Also mnist-robust with one change taken back at a time.")
@click.option("--row", "only", multiple=True, metavar="NAME", help="Only this row; may be repeated.  [default: all]")
@options.of_split
def classifier(
    split: str | None,
    ablation: bool,
    robust_steps: int | None,
    only: tuple[str, ...],
    fields: tuple[str, ...],
    **given: Any,
) -> None:
    """c1 as a classifier of digits: its error over seeds, in the paper's setting and in mnist-robust.

    Trains every row for every seed, in RUNS; finished runs are left alone and begun ones gone on with. Labels
    serve to measure only: c1's categories are matched to classes one-to-one (the headline) and by majority,
    under running and re-estimated batch statistics. Choose settings with --split held-out, on seeds that are
    not reported. Ten runs take hours.

    \b
    Examples:
      infogan experiment classifier --data mnist --seeds 0-4
      infogan experiment classifier --data mnist --seeds 0-1 --ablation --row "without invariance"
      infogan experiment classifier --seeds 0 --steps 300 --robust-steps 200 --out runs/quick
    """
    from infogan.experiments import classifier as classifiers
    from infogan.experiments import common

    own = options.words(robust_steps=robust_steps, ablation=ablation, row=only, split=split)
    plan = common.Plan("classifier", fields=options.settings({}, fields), own=own, **given)
    part = options.part_of(split, plan.data)
    settings = classifiers.rows(plan, robust_steps=robust_steps, ablation=ablation, only=only)
    classifiers.check(plan, list(settings.values()), part)
    trained = classifiers.train(plan, settings)
    found = classifiers.measure(trained, plan.data, part)
    table = classifiers.table(found)
    last = list(trained.values())[-1][plan.seeds[0]]
    then = f"infogan traverse {last}, what each category draws"
    ending.publish(plan, found, table, {"classifier": classifiers.figure(found)}, then)
