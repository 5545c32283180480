"""`infogan data sprites`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("sprites")
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False))
@click.option("-n", "count", type=click.IntRange(1, 737_280), default=10_000, show_default=True, help="Pictures.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Decides which.")
@click.option("--side", default=28, show_default=True, help="Pixels along each side: 16 to 128 in steps of 4.")
def write_sprites(path: Path, count: int, seed: int, side: int) -> None:
    """Write sprites with their exact factors to PATH, an .npz: images, factors and labels (the shape).

    A square, ellipse or heart in 6 scales, 40 orientations and 32 × 32 places, all drawn evenly. factors has the
    columns shape, scale, orientation, x, y, each a whole number from 0.

    \b
    Example: infogan data sprites sprites.npz -n 10000 --seed 1
    """
    from infogan.data import sprites
    from infogan.errors import InputError

    if path.suffix != ".npz":
        raise InputError(f"{path}: the name must end in .npz")
    if path.exists():
        raise InputError(f"{path} is already there: give another name")
    drawn = sprites.draw(count, seed=seed, side=side)
    sprites.write(path, drawn)
    values = ", ".join(f"{name} {n}" for name, n in sprites.FACTORS.items())
    click.echo(f"{path}: {count:,} sprites of {side}×{side} | values of each factor: {values}")
    click.echo(f"next: infogan train --data {path}   and, with codes of your own in the file, infogan metrics {path}")
