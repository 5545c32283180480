"""The command `infogan`. Nothing but click is imported until a command runs, so help is quick."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from infogan.errors import InfoganError, InputError

RUNS = Path("runs")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="infogan", message="infogan %(version)s")
def cli() -> None:
    """InfoGAN: learn what varies in a set of pictures, with no labels, and steer it.

    \b
    A first run, on 4,000 real digits that come with the installation:
      infogan train --steps 300 --out runs/first     minutes; Ctrl-C stops it, --resume goes on
      infogan evaluate runs/first                    what the codes mean, in numbers
      infogan traverse runs/first                    the same as pictures, in runs/first/figures

    Exit status: 0 done, 1 training diverged, 2 wrong usage or input, 130 after Ctrl-C.
    """


@cli.command()
@click.option("--preset", help="Networks: mnist (28×28 grey, the paper's) or auto, the same for any size.")
@click.option("--data", help="mnist-5k [default], a folder of IDX files, or an .npz with images.")
@click.option("--steps", type=int, help="Updates: each a step of D and Q, then one of G.  [default: 5000]")
@click.option("--batch-size", type=int, help="Pictures in a batch.  [default: 128]")
@click.option("--seed", type=int, help="Decides weights, data order, noise and codes.  [default: 0]")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the run.  [default: a new one in runs/]")
@click.option("--resume", is_flag=True, help="Go on with the run in --out, to the same bits as if never stopped.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", help="Where to compute.")
@click.option("--threads", type=int, help="Threads of the kernels; results do not depend on it.  [default: all]")
@click.option(
    "--codes",
    help="The latent code: cat:K[:p1/p2/…], uniform[:low:high], normal[:mean:std], 4x in front to repeat.  "
    "[default: cat:10,uniform,uniform]",
)
@click.option("--noise", type=int, help="Entries of z, the noise with no meaning.  [default: 62]")
@click.option(
    "--objective",
    type=click.Choice(["infogan", "gan"]),
    help="gan: the regular GAN, Q only looking on, for comparison.  [default: infogan]",
)
@click.option("--kernels", help="NAME, or OP=NAME,…: which kernels compute (python -m kernels list).")
@click.option("--kernel-file", type=click.Path(), help="A Python file that registers kernels; they are used.")
@click.option("--checkpoint-every", type=int, help="Updates between checkpoints.  [default: 500]")
@click.option("--set", "fields", multiple=True, metavar="FIELD=VALUE", help="Any other field; may be repeated.")
@click.option("--fields", "show_fields", is_flag=True, help="List every field with default and meaning, and exit.")
def train(
    out: Path | None,
    resume: bool,
    device: str,
    threads: int | None,
    kernels: str | None,
    kernel_file: str | None,
    fields: tuple[str, ...],
    show_fields: bool,
    **options: Any,
) -> None:
    """Train an InfoGAN.

    The run's folder holds config.json (all fields), metrics.jsonl (losses and each code's bound),
    checkpoints/ (the last three) and figures/ (samples as they improve).

    \b
    Examples:
      infogan train --preset mnist --out runs/digits
      infogan train --data pictures.npz --codes cat:5,2xuniform --seed 1
      infogan train --out runs/digits --resume --steps 10000
      infogan train --objective gan --set leaky_slope=0.01
    """
    if show_fields:
        _print_fields()
        return
    settings = _settings(options, fields)
    if resume and out is None:
        raise InputError("--resume needs --out: the folder of the run to go on with")
    from infogan import start, training

    start.choose_backend(device, threads, kernels, kernel_file)
    run_dir = out or _free_folder(settings)
    begin = start.resumed_run if resume else start.new_run
    trainer = begin(settings, run_dir, device, kernel_file)
    click.echo(start.describe(trainer))
    training.train(trainer, run_dir)
    click.echo(training.summary(trainer, run_dir))


@cli.command()
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


@cli.command()
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


@cli.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("-n", "count", type=int, default=64, show_default=True, help="How many pictures.")
@click.option("--set", "codes", metavar="c1=3,c2=-0.5", help="Codes to hold; the others are drawn.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of noise and of the codes that are drawn.")
@click.option("--out", type=click.Path(path_type=Path), default="grid.png", show_default=True,
              help="A grid (.png), an array (.npz), or a folder with a file a picture.")  # fmt: skip
def generate(run: Path, count: int, codes: str | None, seed: int, out: Path) -> None:
    """Make pictures with chosen codes from a RUN.

    \b
    Example: infogan generate runs/first -n 20 --set c1=3,c2=0.5 --out threes.png
    """
    from infogan import figures
    from infogan.run import load, parse_codes

    held = parse_codes(codes) if codes else {}
    written = figures.write_images(load(run).generate(count, seed, **held), out)
    click.echo(f"{count} pictures in {written[0] if len(written) == 1 else out}")


@cli.group()
def data() -> None:
    """The data sets: which there are, and what a file or folder holds."""


@data.command("list")
def data_list() -> None:
    """What --data takes."""
    click.echo("mnist-5k   5,000 real digits that come with the installation: 4,000 to train, 1,000 held out")
    click.echo("FOLDER     IDX files with MNIST's names, raw or gzip")
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


def _settings(options: dict[str, Any], fields: Sequence[str]) -> dict[str, Any]:
    """The fields given, by whichever option."""
    settings = {field: value for field, value in options.items() if value is not None}
    for text in fields:
        field, equals, value = (part.strip() for part in text.partition("="))
        if not (field and equals):
            raise InputError(f"--set {text!r}: write FIELD=VALUE; --fields lists the fields")
        if field in settings:
            raise InputError(f"{field} is given twice: say it once")
        settings[field] = value
    return settings


def _free_folder(settings: dict[str, Any]) -> Path:
    """A folder in runs/ that no run has yet."""
    words = [Path(settings.get("data", "mnist-5k")).stem, settings.get("objective", "infogan")]
    name = "-".join([*words, f"seed{settings.get('seed', 0)}"])
    folder, number = RUNS / name, 1
    while folder.exists():
        number += 1
        folder = RUNS / f"{name}-{number}"
    return folder


def _print_fields() -> None:
    from infogan import config

    click.echo(f"{'field':<20} {'default':<24} meaning")
    for name, default, meaning in config.describe():
        click.echo(f"{name:<20} {default:<24} {meaning}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status; every failure is one line on standard error."""
    try:
        return cli.main(arguments, prog_name="infogan", standalone_mode=False) or 0
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return 2
    except click.ClickException as error:
        return _fail(error.format_message(), 2)
    except (click.Abort, KeyboardInterrupt):
        return _fail("stopped", 130)
    except InfoganError as error:
        return _fail(error.message, error.exit_status)
    except ImportError:
        return _fail(_whose_kernels(), 2)
    except BrokenPipeError:
        sys.stdout = None  # type: ignore[assignment]  # whoever read our output has gone
        return 0
    except OSError as error:
        return _fail(_of_system(error), 2)
    except MemoryError:
        return _fail("not enough memory: a smaller --batch-size needs less", 2)
    except Exception as error:
        if not _is_kernel_refusal(error):
            raise
        return _fail(str(error), 2)


def _whose_kernels() -> str:
    """What minigrad says where another distribution's `kernels` got in its way; other import errors pass."""
    try:
        import minigrad  # noqa: F401
    except ImportError as error:
        return str(error)
    raise


def _fail(message: str, status: int) -> int:
    click.echo(f"infogan: {' '.join(message.split())}", err=True)
    return status


def _of_system(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}; nothing that was written before is touched"


def _is_kernel_refusal(error: Exception) -> bool:
    """Whether a kernel asked for by name turned the run's shapes or type down."""
    from kernels import KernelError

    return isinstance(error, KernelError)


if __name__ == "__main__":
    sys.exit(main())
