"""`infogan experiment labelled`."""

from __future__ import annotations

from typing import Any

import click

from infogan.commands import experiment_ending as ending
from infogan.commands import options
from infogan.errors import InputError


@click.command()
@options.of_experiment("labelled")
@click.option("--labelled", default="10,100,1000", show_default=True, help="Numbers of labels, each a row.")
@options.of_split
def labelled(split: str | None, labelled: str, fields: tuple[str, ...], **given: Any) -> None:
    """c1 as a classifier where a few labels tie its categories to classes: its error for each number of labels.

    Trains a run for every number of labels and every seed, in RUNS; which pictures are labelled follows from the
    seed, as many of each class. Category k is class k: no matching. Beside it what the same labels teach a
    classifier by themselves. These runs have seen labels: no row belongs beside an unsupervised one.

    \b
    Examples:
      infogan experiment labelled --data mnist --labelled 10,100,1000
      infogan experiment labelled --set preset=mnist-robust --steps 2500 --seeds 0-2
    """
    from infogan.experiments import common
    from infogan.experiments import labelled as experiment

    own = options.words(labelled=labelled, split=split)
    plan = common.Plan("labelled", fields=options.settings({}, fields), own=own, **given)
    part = options.part_of(split, plan.data)
    settings = experiment.rows(plan, _numbers(labelled))
    experiment.check(plan, settings, part)
    trained = experiment.train(plan, settings)
    found = experiment.measure(trained, plan.data, part)
    table = experiment.table(found)
    first = next(iter(trained.values()))[plan.seeds[0]]
    then = f"infogan traverse {first}, what each category draws"
    ending.publish(plan, found, table, {"labelled": experiment.figure(found)}, then)


def _numbers(text: str) -> list[int]:
    """`10,100,1000`: whole numbers above 0, each once, in order."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and 0 < int(part) < 10**9 for part in parts):
        raise InputError(f"--labelled {text!r}: write numbers of labels, such as 10,100,1000")
    return sorted({int(part) for part in parts})
