"""`infogan data`."""

from __future__ import annotations

import click


@click.group()
def data() -> None:
    """The data sets: which there are, and what a file or folder holds."""


@data.command("list")
def data_list() -> None:
    """What --data takes."""
    click.echo("mnist-5k   5,000 real digits that come with the installation: 4,000 to train, 1,000 held out")
    click.echo("FOLDER     IDX files with MNIST's names, raw or gzip")
    click.echo("FOLDER     pictures of any size (.png, .jpg, …); subfolders, where there are several, are labels")
    click.echo("FILE.npz   images (N, H, W) or (N, C, H, W), bytes or floats in [0, 1]; labels if there are any")


@data.command("info")
@click.argument("path")
def data_info(path: str) -> None:
    """What the pictures at PATH are, as they would be used.

    \b
    Example: infogan data info mnist-5k
    """
    from infogan.data import has_test, load

    parts = [load(path, split=split) for split in ("train", "held_out", *(["test"] if has_test(path) else []))]
    channels, height, width = parts[0].images.shape[1:]
    click.echo(f"{parts[0].name}: {height}×{width}, {channels} channel{'s' if channels > 1 else ''}")
    for part in parts:
        labels = "no labels" if part.labels is None else f"{len(set(part.labels.tolist()))} classes"
        click.echo(f"  {part.split} ({labels})")
    click.echo(f"  sha256 {parts[0].sha256}")
