"""`infogan generate`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("-n", "count", type=int, default=64, show_default=True, help="How many pictures.")
@click.option("--set", "codes", metavar="c1=3,c2=-0.5", help="Codes to hold; the others are drawn.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of noise and of the codes that are drawn.")
@click.option("--out", type=click.Path(path_type=Path), default="grid.png", show_default=True,
              help="A grid (.png), an array (.npz), or a folder with a file a picture.")  # fmt: skip
def generate(run: Path, count: int, codes: str | None, seed: int, out: Path) -> None:
    """Make pictures with chosen codes from a RUN.

    \b
    Example: infogan generate runs/first -n 20 --set c1=3,c2=0.5 --out threes.png
    """
    from infogan import figures
    from infogan.run import load, parse_codes

    held = parse_codes(codes) if codes else {}
    written = figures.write_images(load(run).generate(count, seed, **held), out)
    click.echo(f"{count} pictures in {written[0] if len(written) == 1 else out}")
