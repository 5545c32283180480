"""Options that several commands share, and what is made of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from infogan.errors import InputError

if TYPE_CHECKING:
    from infogan.data import Split

Command = TypeVar("Command", bound=Callable[..., Any])

MOST_SEEDS = 1000


class Seeds(click.ParamType):
    """`0-4` or `0,2,7`, or both: a list of seeds in order, each once."""

    name = "seeds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[int]:
        """The seeds that `value` names."""
        if isinstance(value, list):
            return value
        found: list[int] = []
        for part in value.split(","):
            entry = re.fullmatch(r"\s*(\d{1,18})\s*(?:-\s*(\d{1,18})\s*)?", part)
            first = int(entry[1]) if entry else 0
            last = int(entry[2] or entry[1]) if entry else -1
            if not first <= last < first + MOST_SEEDS:
                self.fail(f"{value!r}: write 0-4, or 0,2,7 (at most {MOST_SEEDS} seeds)", param, ctx)
            found += range(first, last + 1)
        return sorted(set(found))


def of_run(command: Command) -> Command:
    """The fields of a run that have an option of their own, and --set for all others."""
    return _all(
        command,
        click.option(
            "--preset",
            help="auto: the paper's networks where they fit, else such for the pictures' size; mnist (28×28 grey), "
            "svhn, celeba, faces, chairs: the paper's for those data; fashion-mnist: mnist's; mnist-robust: so trained "
            "that c1 reads digits.  [default: auto]",
        ),
        click.option("--data", help="mnist-5k [default] or another name (infogan data list), a folder of pictures "
                     "or IDX files, or an .npz with images."),
        click.option("--image-size", type=int, help="Side that pictures' files are brought to, 16 to 128; "
                     "without it the nearest of 16, 28, 32, 64."),
        click.option("--channels", type=int, help="1 grey, 3 colour; without it what the pictures are."),
        click.option("--fit", type=click.Choice(["crop", "pad"]),
                     help="How a file becomes square: its middle, or all of it with bars.  [default: crop]"),
        click.option("--steps", type=int, help="Updates: each a step of D and Q, then one of G.  [default: 5000]"),
        click.option("--batch-size", type=int, help="Pictures in a batch.  [default: 128]"),
        click.option(
            "--codes",
            help="The latent code: cat:K[:p1/p2/…], uniform[:low:high], normal[:mean:std], 4x in front to repeat; "
            "'cat:10(uniform,uniform)': two codes of its own for each category.  "
            "[default: cat:10,uniform,uniform]",
        ),
        click.option("--labelled", type=int, help="Training pictures whose labels teach Q that category k of c1 is "
                     "class k; with 0 no label is looked at.  [default: 0]"),
        click.option("--noise", type=int, help="Entries of z, the noise with no meaning.  [default: 62]"),
        click.option(
            "--objective",
            type=click.Choice(["infogan", "gan"]),
            help="gan: the regular GAN, Q only looking on, for comparison.  [default: infogan]",
        ),
        click.option("--checkpoint-every", type=int, help="Updates between checkpoints.  [default: 500]"),
        of_fields,
    )  # fmt: skip


def of_backend(command: Command) -> Command:
    """Where to compute, and with which kernels."""
    return _all(
        command,
        click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", help="Where to compute."),
        click.option("--kernels", help="NAME, or OP=NAME,…: which kernels compute (python -m kernels list)."),
        click.option("--kernel-file", type=click.Path(), help="A Python file that registers kernels; they are used."),
    )


of_fields = click.option(
    "--set", "fields", multiple=True, metavar="FIELD=VALUE", help="Any other field; may be repeated."
)

of_seeds = click.option("--seeds", type=Seeds(), default="0-4", show_default=True, help="Which: 0-4, or 0,2,7.")


of_split = click.option("--split", type=click.Choice(["test", "held-out"]), help="The part that is measured: held-out "
                        "to choose settings.  [default: test, held-out where the data have none]")  # fmt: skip


def part_of(split: str | None, data: str) -> Split:
    """The part of `data` that is measured: the one asked for, else the test part, or the held-out one without it."""
    from infogan import data as data_sets

    return data_sets.check_split((split or ("test" if data_sets.has_test(data) else "held_out")).replace("-", "_"))


def of_experiment(
    name: str,
    *,
    data: str = "Labelled digits to train on and measure with.",
    data_default: str = "mnist-5k",
    steps: str = "Updates of each run.",
    pictures: str | None = None,
) -> Callable[[Command], Command]:
    """What an experiment on trained runs is told: the fields of its `common.Plan`.

    `data` and `steps` are the help of those options; `pictures` what lies beside result.json and table.md,
    NAME.png if not given.
    """
    folder = click.Path(path_type=Path, file_okay=False)
    files = f"Folder of result.json, table.md and {pictures or f'{name}.png'}."
    return lambda command: _all(
        command,
        of_seeds,
        click.option("--data", default=data_default, show_default=True, help=data),
        click.option("--steps", type=click.IntRange(1), default=5000, show_default=True, help=steps),
        click.option("--runs", type=folder, default="runs/experiments", show_default=True,
                     help="Folder of the runs, shared with other experiments."),
        click.option("--out", type=folder, default=f"runs/experiments/{name}", show_default=True, help=files),
        click.option("--jobs", type=click.IntRange(1), help="Runs trained at once.  "
                     "[default: as many as there are cores]"),
        of_fields,
    )  # fmt: skip


def words(**given: Any) -> tuple[str, ...]:
    """Options that were given, by name, as words of a command line; a list's entries each behind their option."""
    found: list[str] = []
    for name, value in given.items():
        option = f"--{name.replace('_', '-')}"
        for entry in value if isinstance(value, list | tuple) else [value]:
            if entry is not None and entry is not False:
                found += [option] if entry is True else [option, str(entry)]
    return tuple(found)


def _all(command: Command, *options: Callable[[Command], Command]) -> Command:
    for option in reversed(options):  # the last applied is the first in the help
        command = option(command)
    return command


def settings(given: Mapping[str, Any], fields: Sequence[str]) -> dict[str, Any]:
    """The fields of a run that were given, by whichever option."""
    found = {field: value for field, value in given.items() if value is not None}
    for text in fields:
        field, equals, value = (part.strip() for part in text.partition("="))
        if not (field and equals):
            raise InputError(f"--set {text!r}: write FIELD=VALUE; --fields lists the fields")
        if field in found:
            raise InputError(f"{field} is given twice: say it once")
        found[field] = value
    return found
