"""`infogan experiment codes`."""

from __future__ import annotations

from pathlib import Path

import click

from infogan.commands import experiment_ending as ending
from infogan.commands import options


@click.command()
@options.of_experiment("codes")
def codes(
    seeds: list[int], data: str, steps: int, runs: Path, out: Path, jobs: int | None, fields: tuple[str, ...]
) -> None:
    """What c2 and c3 mean: slant, width or stroke of the digits drawn, seed by seed.

    Trains InfoGAN for every seed, and a regular GAN for the first one, in RUNS; finished runs are left alone and
    begun ones gone on with. Each continuous code is swept over its range with all else held still, and rho (does
    the property follow the code?), effect (how far, in units of real digits' spread) and cross (how much another
    code moves it too) are measured. Draws the paper's four panels. Five runs of 5,000 updates take hours.

    \b
    Examples:
      infogan experiment codes --data mnist --seeds 0-4
      infogan experiment codes --seeds 0 --steps 500 --out runs/quick
    """
    from infogan.experiments import codes as meanings
    from infogan.experiments import common
    from infogan.experiments.panels import four_panels
    from infogan.run import load

    settings = options.settings({}, fields)
    plan = common.Plan("codes", data, seeds, steps, runs, out, jobs, settings)
    meanings.check(plan)
    trained = common.train(plan, seeds[:1])
    found = meanings.measure(trained["infogan"], data)
    found["updates"] = common.updates(plan, trained)
    table = meanings.table(found)
    figure = four_panels(*(load(trained[kind][seeds[0]]) for kind in ("infogan", "gan")))
    then = f"infogan traverse {trained['infogan'][seeds[0]]}, each code as pictures"
    ending.publish(plan, found, table, {"codes": figure}, then)
