"""`infogan experiment quality`."""

from __future__ import annotations

from pathlib import Path

import click

from infogan.commands import experiment_ending as ending
from infogan.commands import options


@click.command()
@options.of_experiment("quality")
def quality(
    seeds: list[int], data: str, steps: int, runs: Path, out: Path, jobs: int | None, fields: tuple[str, ...]
) -> None:
    """What information costs in picture quality: InfoGAN beside a regular GAN, seed by seed.

    Trains both for every seed, in RUNS; finished runs are left alone and begun ones gone on with. Of each, on
    10,000 fresh pictures and by a classifier trained here for measuring alone: the Fréchet distance to real
    pictures, how far its mixture of classes is from the data's, the classes it lacks, and how pure the
    categories of c1 are. Real pictures have a row of their own. Ten runs of 5,000 updates take hours.

    \b
    Examples:
      infogan experiment quality --data mnist --seeds 0-4
      infogan experiment quality --seeds 0 --steps 500 --out runs/quick
    """
    from infogan.experiments import common
    from infogan.experiments import quality as qualities

    plan = common.Plan("quality", data, seeds, steps, runs, out, jobs, options.settings({}, fields))
    trained = common.train(plan, seeds)
    found = qualities.measure(trained, data) | {"updates": common.updates(plan, trained)}
    table = qualities.table(found)
    then = f"infogan traverse {trained['infogan'][seeds[0]]}, its pictures code by code"
    ending.publish(plan, found, table, {"quality": qualities.figure(found)}, then)
