"""`infogan experiment mutual-information`."""

from __future__ import annotations

from pathlib import Path

import click

from infogan.commands import experiment_ending as ending
from infogan.commands import options
from infogan.errors import InputError


@click.command("mutual-information")
@options.of_experiment("mutual-information", data="What the runs are trained on.", pictures="the figures")
@click.option("--readers", type=options.Seeds(), help="Of those seeds, the ones in which a Q of its own reads the "
              "regular GAN: most of the time goes there.  [default: all]")  # fmt: skip
def mutual_information(
    seeds: list[int],
    data: str,
    steps: int,
    runs: Path,
    out: Path,
    jobs: int | None,
    readers: list[int] | None,
    fields: tuple[str, ...],
) -> None:
    """How much a picture tells of the code that made it: InfoGAN beside a regular GAN, seed by seed.

    Trains both for every seed, in RUNS; finished runs are left alone and begun ones gone on with. Bounds rest on
    10,000 fresh pictures in evaluation mode, every 100 updates to 1,000 and then every 500. The regular GAN is
    read twice: from D's trunk, and at five points of its run by a Q of its own that is trained until its bounds rise
    by less than 0.01 nats in 500 updates. Stopped, the same command goes on where it was. Ten runs of 5,000 updates
    take hours, and so do their readers.

    \b
    Examples:
      infogan experiment mutual-information --data mnist --seeds 0-4 --readers 0-1
      infogan experiment mutual-information --seeds 0 --steps 500 --out runs/quick
    """
    from infogan.experiments import common
    from infogan.experiments import mutual_information as information
    from infogan.experiments.panels import four_panels
    from infogan.run import load

    own = options.words(readers=readers and ",".join(map(str, readers)))
    readers = seeds if readers is None else readers
    if other := sorted(set(readers) - set(seeds)):
        raise InputError(f"--readers {other[0]}: not among the seeds {', '.join(map(str, seeds))}")
    plan = common.Plan("mutual-information", data, seeds, steps, runs, out, jobs, options.settings({}, fields), own)
    common.begun(plan)  # before hours of training, an error if the folder holds another result
    trained = common.train(plan, ("infogan", "gan"))
    found = information.measure(plan, trained, readers)
    table = information.table(found)
    ours, theirs = (load(trained[kind][seeds[0]]) for kind in ("infogan", "gan"))
    figures = {"mutual-information": information.figure(found), "panels": four_panels(ours, theirs)}
    then = "infogan experiment codes --help, what the codes mean on the same runs"
    ending.publish(plan, found, table, figures, then)
