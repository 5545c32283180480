"""`infogan metrics`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--unordered", metavar="COLUMNS", default="", help="Factors whose values have no order, by column "
              "from 0: 0,3. SAP and DCI take them for classes.  [default: none]")  # fmt: skip
@click.option("--run", type=click.Path(path_type=Path), help="Measure what this run reads in the images of FILE.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Decides draws and halves.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def metrics(file: Path, run: Path | None, unordered: str, seed: int, as_json: bool) -> None:
    """How far codes stand for known factors, one each: FactorVAE, BetaVAE, MIG, SAP, DCI, modularity, explicitness.

    FILE is an .npz, whoever made it, with codes (N, d) and factors (N, k), the values of the factors as numbers that
    repeat. With images in it too, a random encoder of them is the floor and one that learnt the factors, from the
    other half of the images, a ceiling. The factors themselves, taken for codes, show what can be reached at all.

    \b
    Examples:
      infogan metrics codes.npz
      infogan data sprites sprites.npz --seed 1 && infogan metrics sprites.npz --run runs/sprites --unordered 0
    """
    import json

    from infogan.data.npz import read_arrays
    from infogan.errors import InputError
    from infogan.evaluation import compared
    from infogan.evaluation.disentanglement import Unsuitable
    from infogan.run import load

    arrays = read_arrays(file, ("factors", "codes" if run is None else "images"), ("images",))
    read = arrays["codes"] if run is None else compared.codes_of(load(run), arrays["images"])
    codes, factors = (a[:, None] if a.ndim == 1 else a for a in (read, arrays["factors"]))
    columns = _columns(unordered, factors.shape[1] if factors.ndim == 2 else 0)
    try:
        rows = compared.compare({compared.CODES: codes}, factors, arrays.get("images"), unordered=columns, seed=seed)
    except Unsuitable as error:
        raise InputError(f"{file}: {error}") from None
    if as_json:
        click.echo(json.dumps({"pictures": len(codes), "unordered": list(columns), "rows": rows}, indent=2))
        return
    click.echo(f"{len(codes):,} rows, {codes.shape[1]} codes, {factors.shape[1]} factors; 1 is best\n")
    click.echo(compared.table(rows))
    if "images" not in arrays:
        click.echo("\nwith images in the file too, a random and a supervised encoder of them have rows of their own")


def _columns(text: str, count: int) -> tuple[int, ...]:
    """The numbers of columns in `"0,3"`."""
    from infogan.errors import InputError

    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not all(part.isdecimal() and int(part) < count for part in parts):
        raise InputError(f"--unordered {text!r}: write columns of factors, 0 to {count - 1}, such as 0,{count - 1}")
    return tuple(sorted({int(part) for part in parts}))
