"""`infogan data`."""

from __future__ import annotations

from pathlib import Path

import click

from infogan.commands.data_sprites import write_sprites
from infogan.errors import InputError


@click.group()
def data() -> None:
    """The data sets: which there are, how to get them, and what a file or folder holds."""


@data.command("list")
def data_list() -> None:
    """What --data takes: names, and kinds of files."""
    from infogan.data import known

    click.echo("mnist-5k       5,000 real digits that come with the installation: 4,000 to train, 1,000 held out")
    click.echo(
        "sprites        20,000 generated 28×28 pictures whose every factor is known; sprites:64 for 64×64 pixels"
    )
    for name, found in known.SETS.items():
        size = f", {found.bytes / 1e6:,.0f} MB" if found.files else ""
        way = f"infogan data fetch {name} {'brings it' if found.files else 'says how to get it'}"
        where = f"here, in {known.place(name)}" if known.is_here(name) else f"not here: {way}"
        for head, text in ((name, f"{found.what}{size}"), ("", f"{found.terms}, {found.home}"), ("", where)):
            click.echo(f"{head:<14} {text}")
    click.echo("FOLDER         IDX files with MNIST's names, raw or gzip, or SVHN's .mat files with their names")
    click.echo("FOLDER         pictures of any size (.png, .jpg, …), at any depth; subfolders, if any, are labels")
    click.echo("FILE.npz       images (N, H, W) or (N, C, H, W), bytes or floats in [0, 1]; labels if there are any")
    click.echo("FILE.mat       X (H, W, 3, N) and y, as in SVHN's cropped digits")


@data.command("fetch")
@click.argument("name")
@click.option(
    "--to", type=click.Path(path_type=Path, file_okay=False), help="Folder to keep it in.  [default: the user's cache]"
)
@click.option("--mirror", metavar="URL", help="Another server's folder that has the same files.")
def data_fetch(name: str, to: Path | None, mirror: str | None) -> None:
    """Bring the data set NAME here, so that --data NAME finds it.

    Every file's checksum is compared with the one that is published. A download that was cut off goes on
    where it ended.

    \b
    Examples:
      infogan data fetch mnist
      infogan data fetch svhn --to /data/svhn
    """
    from infogan.data import fetch, known

    found = known.SETS.get(name)
    if found is None:
        raise InputError(f"data {name!r} is no data set to fetch: choose one of {', '.join(known.SETS)}")
    if not found.files:
        raise InputError(f"{name}: {known.how_to_get(name)}")
    place = to or known.place(name)
    for file in found.files:
        came = fetch.fetch(file, place, mirror)
        kind = file.checksum.partition(":")[0]
        click.echo(f"{file.name}: {file.bytes:,} bytes, {kind} {'right' if came else 'right, was here'}")
    if to is not None:
        known.put_at(name, to)
    click.echo(f"{name} is in {place} ({found.terms}): infogan train --data {name}")


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


data.add_command(write_sprites)
