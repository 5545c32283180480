"""`infogan experiment disentanglement`."""

from __future__ import annotations

from pathlib import Path

import click

from infogan.commands import experiment_ending as ending
from infogan.commands import options


@click.command()
@options.of_experiment("disentanglement", data="sprites, or sprites:SIDE for SIDE×SIDE pixels.", data_default="sprites")
def disentanglement(
    seeds: list[int], data: str, steps: int, runs: Path, out: Path, jobs: int | None, fields: tuple[str, ...]
) -> None:
    """Do codes find the factors of sprites? InfoGAN, plain and with the term of InfoGAN-CR, seed by seed.

    Trains both for every seed, in RUNS; finished runs are left alone and begun ones gone on with. Five uniform codes
    are read in 4,000 sprites held out and held against their exact factors: FactorVAE, BetaVAE, MIG, SAP, DCI,
    modularity and explicitness, beside a random encoder (floor), a supervised one and the factors themselves. No
    factor is used in training. Ten runs of 5,000 updates take hours.

    \b
    Examples:
      infogan experiment disentanglement --seeds 0-4
      infogan experiment disentanglement --data sprites:64 --steps 20000
      infogan experiment disentanglement --seeds 0 --steps 200 --out runs/quick
    """
    from infogan.experiments import common
    from infogan.experiments import disentanglement as factors

    given = {**factors.SETTINGS, **options.settings({}, fields)}
    plan = common.Plan("disentanglement", data, seeds, steps, runs, out, jobs, given)
    trained = factors.train(plan)
    found = factors.measure(trained, data) | {"updates": common.updates(plan, trained)}
    table = factors.table(found)
    then = f"infogan traverse {trained[factors.CR][seeds[0]]}, what each code moves"
    ending.publish(plan, found, table, {"disentanglement": factors.figure(found)}, then)
