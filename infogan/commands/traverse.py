"""`infogan traverse`."""

from __future__ import annotations

from pathlib import Path

import click

from infogan.errors import InputError


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--code", help="One code, such as c1.  [default: every code]")
@click.option("--real", is_flag=True, help="What codes mean in the real pictures: shares, extremes, associations.")
@click.option("--attributes", type=click.Path(path_type=Path), help="With --real: a CSV file, a row a picture, to hold "
              "beside the codes; its column file names the picture.")  # fmt: skip
def traverse(run: Path, code: str | None, real: bool, attributes: Path | None) -> None:
    """Draw what each code of a RUN changes: a column a value of the code, a row a noise.

    With --real nothing is drawn by G: Q reads the pictures the run was trained on, and RUN/meanings.html shows
    them in the order of every code, with what the code goes with.

    \b
    Examples:
      infogan traverse runs/first --code c2
      infogan traverse runs/photographs --real --attributes photographs.csv
    """
    if attributes is not None and not real:
        raise InputError("--attributes is for --real: add it, or leave the table out")
    from infogan import figures
    from infogan.run import load

    opened = load(run)
    if not real:
        for path in figures.traversal(opened, code):
            click.echo(path)
        return
    from infogan.evaluation import real as meanings
    from infogan.report import meanings as page

    found = meanings.measure(opened, attributes, None if code is None else [code])
    written = [*page.write(found), meanings.write(found)]
    click.echo(meanings.in_words(found))
    click.echo(f"in {run}: {', '.join(str(path.relative_to(run)) for path in written)}")
    click.echo(f"next: open {run / page.FILE} in a browser")
