"""Options that several commands share, and what is made of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import click

from infogan.errors import InputError

Command = TypeVar("Command", bound=Callable[..., Any])

MOST_SEEDS = 1000


def of_run(command: Command) -> Command:
    """The fields of a run that have an option of their own, and --set for all others."""
    return _all(
        command,
        click.option(
            "--preset",
            help="mnist: the paper's networks, 28×28 grey; mnist-robust: so trained that c1 reads digits; "
            "auto: the same networks for any size.",
        ),
        click.option("--data", help="mnist-5k [default], a folder of IDX files, or an .npz with images."),
        click.option("--steps", type=int, help="Updates: each a step of D and Q, then one of G.  [default: 5000]"),
        click.option("--batch-size", type=int, help="Pictures in a batch.  [default: 128]"),
        click.option(
            "--codes",
            help="The latent code: cat:K[:p1/p2/…], uniform[:low:high], normal[:mean:std], 4x in front to repeat.  "
            "[default: cat:10,uniform,uniform]",
        ),
        click.option("--noise", type=int, help="Entries of z, the noise with no meaning.  [default: 62]"),
        click.option(
            "--objective",
            type=click.Choice(["infogan", "gan"]),
            help="gan: the regular GAN, Q only looking on, for comparison.  [default: infogan]",
        ),
        click.option("--checkpoint-every", type=int, help="Updates between checkpoints.  [default: 500]"),
        of_fields,
    )


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
