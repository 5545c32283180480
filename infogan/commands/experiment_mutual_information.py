"""`infogan experiment mutual-information`."""

from __future__ import annotations

from pathlib import Path

import click

from infogan.commands import experiment_ending as ending
from infogan.commands import options
from infogan.errors import InputError


@click.command("mutual-information")
@options.of_experiment("mutual-information", data="What the runs are trained on.", pictures="the figures")
@click.option("--gan", type=options.Seeds(), help="Of those seeds, the ones with a regular GAN beside: most of the "
              "time goes into its readers.  [default: all]")  # fmt: skip
def mutual_information(
    seeds: list[int],
    data: str,
    steps: int,
    runs: Path,
    out: Path,
    jobs: int | None,
    gan: list[int] | None,
    fields: tuple[str, ...],
) -> None:
    """How much a picture tells of the code that made it: InfoGAN beside a regular GAN, seed by seed.

    Trains both, in RUNS; finished runs are left alone and begun ones gone on with. Bounds rest on 10,000 fresh
    pictures in evaluation mode, every 100 updates to 1,000 and then every 500. The regular GAN is read twice: from
    D's trunk, and at five points of its run by a Q of its own that is trained until its bounds rise by less than
    0.01 nats in 500 updates. Stopped, the same command goes on where it was. Ten runs of 5,000 updates take hours,
    and so do their readers.

    \b
    Examples:
      infogan experiment mutual-information --data mnist --seeds 0-4 --gan 0-1
      infogan experiment mutual-information --seeds 0 --steps 500 --out runs/quick
    """
    from infogan.experiments import common
    from infogan.experiments import mutual_information as information
    from infogan.experiments.panels import four_panels
    from infogan.run import load

    own = options.words(gan=gan and ",".join(map(str, gan)))
    beside = seeds if gan is None else gan
    if other := sorted(set(beside) - set(seeds)):
        raise InputError(f"--gan {other[0]}: not among the seeds {', '.join(map(str, seeds))}")
    plan = common.Plan("mutual-information", data, seeds, steps, runs, out, jobs, options.settings({}, fields), own)
    common.begun(plan)  # before hours of training, an error if the folder holds another result
    trained = common.train(plan, beside)
    found = information.measure(plan, trained)
    table = information.table(found)
    ours, theirs = (load(trained[kind][beside[0]]) for kind in ("infogan", "gan"))
    figures = {"mutual-information": information.figure(found), "panels": four_panels(ours, theirs)}
    then = "infogan experiment codes --help, what the codes mean on the same runs"
    ending.publish(plan, found, table, figures, then)
