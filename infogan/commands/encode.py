"""`infogan encode`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("path")
@click.option("--out", type=click.Path(path_type=Path), default="codes.csv", show_default=True,
              help="A table (.csv), or arrays (.npz).")  # fmt: skip
def encode(run: Path, path: str, out: Path) -> None:
    """Read the codes of a RUN in the pictures at PATH: a row a picture.

    PATH is whatever --data takes, or one picture's file. Of a categorical code the row holds the most probable
    category and every probability, of a continuous one Q's mean and deviation.

    \b
    Example: infogan encode runs/photographs photographs/ --out codes.csv
    """
    from infogan import data, readings
    from infogan.run import load

    opened = load(run)
    pictures = data.load(path, split="all", frame=opened.config.frame)
    found = readings.read(opened, opened.pictures(pictures.images))
    readings.write(found, opened.code, pictures, out)
    click.echo(f"{out}: the codes of {len(pictures):,} pictures, {', '.join(opened.code.names)}")
