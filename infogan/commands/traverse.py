"""`infogan traverse`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--code", help="One code, such as c1.  [default: every code]")
def traverse(run: Path, code: str | None) -> None:
    """Draw what each code of a RUN changes: a column a value of the code, a row a noise.

    \b
    Example: infogan traverse runs/first --code c2
    """
    from infogan import figures
    from infogan.run import load

    for path in figures.traversal(load(run), code):
        click.echo(path)
