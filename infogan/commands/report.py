"""`infogan report`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--compare", "other", metavar="RUN2", type=click.Path(path_type=Path), help="A run to set beside it.")
@click.option("--out", type=click.Path(path_type=Path), help="The page.  [default: RUN/report.html]")
def report(run: Path, other: Path | None, out: Path | None) -> None:
    """Write one page on a RUN: settings, curves, what each code means, times.

    The page is a single HTML file with its pictures inside: it opens anywhere, with no network. A run that
    has not been evaluated is evaluated first.

    \b
    Examples:
      infogan report runs/first
      infogan report runs/first --compare runs/second --out both.html
    """
    from infogan import report as pages

    click.echo(f"{pages.write([run, *([other] if other else [])], out)}: open it in a browser")
