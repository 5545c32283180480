"""`infogan experiment bound`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True, help="Of all that is drawn.")
@click.option("--draws", type=click.IntRange(1000, 10_000_000), default=20_000, show_default=True,
              help="Draws a sampled figure rests on.")  # fmt: skip
@click.option("--updates", type=click.IntRange(1, 100_000), default=400, show_default=True,
              help="Of each Q that is trained.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default="runs/experiments/bound",
              show_default=True, help="Folder of result.json, table.md and bound.png.")  # fmt: skip
def bound(seed: int, draws: int, updates: int, out: Path) -> None:
    """The theory by numbers: on toys whose posterior is known, every side of the paper's equations.

    The exact information I(c; x) beside the bound L_I of Qs right, wrong and in training: never above it, tight
    for the true posterior, and short of it by the divergence of Q. The lemma by all cases and by drawing, and
    the form it is misprinted in, which fails. Exit status 1 if a figure is not as the theory demands. Seconds.

    \b
    Example: infogan experiment bound --out runs/theory
    """
    from infogan.experiments import bound as theory

    found = theory.measure(seed, draws, updates)
    written = theory.publish(found, out)
    click.echo(theory.table(found))
    click.echo(f"in {out}: {', '.join(path.name for path in written)}")
    theory.demand(found)
    click.echo("next: infogan experiment codes --help, what the codes of a real run mean")
