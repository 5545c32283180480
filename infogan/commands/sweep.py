"""`infogan sweep`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from infogan.commands import options
from infogan.commands.train import RUNS
from infogan.errors import InputError


@click.command()
@options.of_seeds
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the runs, each in seed-K.  [default: in runs/]")
@click.option("--jobs", type=int, help="Runs trained at once.  [default: as many as there are cores]")
@click.option("--threads", type=int, help="Threads of each.  [default: the cores, shared among the jobs]")
@options.of_run
@options.of_backend
def sweep(
    seeds: list[int],
    out: Path | None,
    jobs: int | None,
    threads: int | None,
    device: str,
    kernels: str | None,
    kernel_file: str | None,
    fields: tuple[str, ...],
    **given: Any,
) -> None:
    """Train one configuration over several seeds, side by side.

    Each is a run of its own, OUT/seed-K. The same command once more leaves finished runs alone and goes on
    with the others. A seed that fails does not stop the rest. At the end: each code's bound on 10,000 fresh
    draws, seed by seed and together; OUT/sweep.json holds the same.

    \b
    Examples:
      infogan sweep --seeds 0-4 --preset mnist --out runs/five
      infogan sweep --seeds 0,1 --steps 2500 --set leaky_slope=0.01 --jobs 2
    """
    settings = options.settings(given, fields)
    if "seed" in settings:
        raise InputError("seed: a sweep takes --seeds, such as --seeds 0-4")
    from infogan import sweep as sweeps

    out = out or RUNS / f"{Path(settings.get('data', 'mnist-5k')).stem}-{settings.get('objective', 'infogan')}-sweep"
    backend = sweeps.Backend(device, threads, kernels, kernel_file)
    outcomes = sweeps.sweep(settings, seeds, out, jobs=jobs, backend=backend)
    found = sweeps.result(settings, outcomes)
    path = sweeps.write(found, out)
    click.echo(sweeps.table(found))
    click.echo(f"in {out}: a run a seed, {path.name}")
    sweeps.check(outcomes)
    click.echo(f"next: infogan evaluate {outcomes[0].folder}   and   infogan traverse {outcomes[0].folder}")
