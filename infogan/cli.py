"""The command `infogan`: its commands put together, and every failure told in one line."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from infogan.commands.data import data
from infogan.commands.encode import encode
from infogan.commands.evaluate import evaluate
from infogan.commands.experiment import experiment
from infogan.commands.explore import explore
from infogan.commands.export import export
from infogan.commands.generate import generate
from infogan.commands.metrics import metrics
from infogan.commands.report import report
from infogan.commands.sweep import sweep
from infogan.commands.train import train
from infogan.commands.traverse import traverse
from infogan.errors import InfoganError


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


for command in (train, sweep, experiment, evaluate, traverse, generate, encode, explore, data, metrics, report, export):
    cli.add_command(command)


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
