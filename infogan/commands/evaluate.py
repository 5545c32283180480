"""`infogan evaluate`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--data", help="Labelled pictures to measure with.  [default: those held out of the run's own]")
@click.option("--json", "as_json", is_flag=True, help="Print evaluation.json itself.")
def evaluate(run: Path, data: str | None, as_json: bool) -> None:
    """Measure what the codes of a RUN mean; writes RUN/evaluation.json.

    \b
    Example: infogan evaluate runs/first
    """
    import json

    from infogan import evaluation
    from infogan.run import load

    found = evaluation.evaluate(load(run), data)
    click.echo(json.dumps(found, indent=2, ensure_ascii=False) if as_json else evaluation.in_words(found))
