"""`infogan train`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from infogan.errors import InputError

RUNS = Path("runs")


@click.command()
@click.option("--preset", help="Networks: mnist (28×28 grey, the paper's) or auto, the same for any size.")
@click.option("--data", help="mnist-5k [default], a folder of IDX files, or an .npz with images.")
@click.option("--steps", type=int, help="Updates: each a step of D and Q, then one of G.  [default: 5000]")
@click.option("--batch-size", type=int, help="Pictures in a batch.  [default: 128]")
@click.option("--seed", type=int, help="Decides weights, data order, noise and codes.  [default: 0]")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the run.  [default: a new one in runs/]")
@click.option("--resume", is_flag=True, help="Go on with the run in --out, to the same bits as if never stopped.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", help="Where to compute.")
@click.option("--threads", type=int, help="Threads of the kernels; results do not depend on it.  [default: all]")
@click.option(
    "--codes",
    help="The latent code: cat:K[:p1/p2/…], uniform[:low:high], normal[:mean:std], 4x in front to repeat.  "
    "[default: cat:10,uniform,uniform]",
)
@click.option("--noise", type=int, help="Entries of z, the noise with no meaning.  [default: 62]")
@click.option(
    "--objective",
    type=click.Choice(["infogan", "gan"]),
    help="gan: the regular GAN, Q only looking on, for comparison.  [default: infogan]",
)
@click.option("--kernels", help="NAME, or OP=NAME,…: which kernels compute (python -m kernels list).")
@click.option(
    "--kernel-file",
    type=click.Path(),
    help="A Python file that registers kernels: used, and timed beside the defaults.",
)
@click.option("--checkpoint-every", type=int, help="Updates between checkpoints.  [default: 500]")
@click.option("--set", "fields", multiple=True, metavar="FIELD=VALUE", help="Any other field; may be repeated.")
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
    **options: Any,
) -> None:
    """Train an InfoGAN.

    The run's folder holds config.json (all fields), metrics.jsonl (losses and each code's bound),
    checkpoints/ (the last three) and figures/ (samples as they improve).

    \b
    Examples:
      infogan train --preset mnist --out runs/digits
      infogan train --data pictures.npz --codes cat:5,2xuniform --seed 1
      infogan train --out runs/digits --resume --steps 10000
      infogan train --objective gan --set leaky_slope=0.01
    """
    if show_fields:
        _print_fields()
        return
    settings = _settings(options, fields)
    if resume and out is None:
        raise InputError("--resume needs --out: the folder of the run to go on with")
    from infogan import race, start, training

    mine = start.choose_backend(device, threads, kernels, kernel_file)
    run_dir = out or _free_folder(settings)
    begin = start.resumed_run if resume else start.new_run
    trainer = begin(settings, run_dir, device, kernel_file)
    click.echo(start.describe(trainer))
    if kernel_file and (line := race.beside_defaults(trainer, mine, Path(kernel_file).name)):
        click.echo(line)
    training.train(trainer, run_dir)
    click.echo(training.summary(trainer, run_dir))


def _settings(options: dict[str, Any], fields: Sequence[str]) -> dict[str, Any]:
    """The fields given, by whichever option."""
    settings = {field: value for field, value in options.items() if value is not None}
    for text in fields:
        field, equals, value = (part.strip() for part in text.partition("="))
        if not (field and equals):
            raise InputError(f"--set {text!r}: write FIELD=VALUE; --fields lists the fields")
        if field in settings:
            raise InputError(f"{field} is given twice: say it once")
        settings[field] = value
    return settings


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
