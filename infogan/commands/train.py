"""`infogan train`."""

from __future__ import annotations

from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any

import click

from infogan.commands import options
from infogan.errors import InputError

RUNS = Path("runs")


@click.command()
@options.of_run
@click.option("--seed", type=int, help="Decides weights, data order, noise and codes.  [default: 0]")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the run.  [default: a new one in runs/]")
@click.option("--resume", is_flag=True, help="Go on with the run in --out, to the same bits as if never stopped.")
@options.of_backend
@click.option("--threads", type=int, help="Threads of the kernels; results do not depend on it.  [default: all]")
@click.option("--log", type=click.Choice(["tensorboard"]), help="Also write events for TensorBoard to RUN/tensorboard.")
@click.option("--fields", "show_fields", is_flag=True, help="List every field with default and meaning, and exit.")
def train(
    out: Path | None,
    resume: bool,
    device: str,
    threads: int | None,
    kernels: str | None,
    kernel_file: str | None,
    fields: tuple[str, ...],
    show_fields: bool,
    log: str | None,
    **given: Any,
) -> None:
    """Train an InfoGAN.

    The run's folder holds config.json (all fields), metrics.jsonl (losses and each code's bound),
    checkpoints/ (the last three) and figures/ (samples as they improve).

    \b
    Examples:
      infogan train --preset mnist --out runs/digits
      infogan train --data photographs/ --image-size 32 --codes cat:5,2xuniform --out runs/photographs
      infogan train --out runs/digits --resume --steps 10000
      infogan train --objective gan --set leaky_slope=0.01
      mpiexec -n 4 infogan train --out runs/digits       four processes, a quarter of each batch in each
    """
    if show_fields:
        _print_fields()
        return
    from infogan import claims, events, pace, parallel, race, start, training

    across = parallel.join(device)
    say = click.echo if across.rank == 0 else _say_nothing
    with across.guard(), ExitStack() as held:
        threads = across.threads() if threads is None else threads
        with across.agreed():
            settings = options.settings(given, fields)
            if resume and out is None:
                raise InputError("--resume needs --out: the folder of the run to go on with")
            if log:
                events.library()  # before anything is begun, an error if it is not there
            mine = start.choose_backend(device, threads, kernels, kernel_file)
        run_dir = Path(across.told(str(out or _free_folder(settings))))
        with across.agreed():
            if across.rank == 0:
                held.enter_context(claims.claimed(run_dir))
        trainer = start.begin(settings, run_dir, device, kernel_file, resume=resume, say=say, across=across)
        say(start.describe(trainer))
        if across.size > 1:
            say(parallel.describe(across, run_dir, trainer.config.checkpoint_every))
        elif kernel_file and (line := race.beside_defaults(trainer, mine, Path(kernel_file).name)):
            say(line)
        if expected := pace.of(trainer):
            say(expected)
        with events.Events(run_dir, trainer.step) if log and across.rank == 0 else nullcontext() as told:
            training.train(trainer, run_dir, say=say, events=told)
        if across.rank == 0:
            say(training.summary(trainer, run_dir))


def _say_nothing(line: str) -> None:
    """What all processes but the first say."""


def _free_folder(settings: dict[str, Any]) -> Path:
    """A folder in runs/ that no run has yet."""
    words = [Path(settings.get("data", "mnist-5k")).stem, settings.get("objective", "infogan")]
    name = "-".join([*words, f"seed{settings.get('seed', 0)}"])
    folder, number = RUNS / name, 1
    while folder.exists():
        number += 1
        folder = RUNS / f"{name}-{number}"
    return folder


def _print_fields() -> None:
    from infogan import config

    click.echo(f"{'field':<20} {'default':<24} meaning")
    for name, default, meaning in config.describe():
        click.echo(f"{name:<20} {default:<24} {meaning}")
