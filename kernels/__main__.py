"""`python -m kernels`: list, new, verify, bench, ceiling, compare, inspect."""

from __future__ import annotations

import sys

import click

from kernels.bench import gradients
from kernels.bench import simulate as simulator
from kernels.bench.commands import bench_command, ceiling_command, compare_command, new_command
from kernels.cuda.inspect import inspect_command
from kernels.device import DeviceError
from kernels.registry import (
    OPERATIONS,
    Implementation,
    KernelError,
    check_operation,
    chosen,
    implementations,
    load_kernel_file,
)
from kernels.verify import find
from kernels.verify import verify as run_verify


@click.group()
@click.version_option(package_name="infogan", message="kernels %(version)s")
def main() -> None:
    """Kernels: what there is, and whether it is right."""


@main.command("list")
@click.option("--kernel-file", type=click.Path(), help="Also list what this Python file registers.")
def list_command(kernel_file: str | None) -> None:
    """Every implementation; * marks the automatic choice for large problems."""
    if kernel_file is not None:
        load_kernel_file(kernel_file)
    for op in OPERATIONS:
        for i in implementations(op):
            mark = "*" if chosen(i.device)[op] == i.name else " "
            module = i.missing()
            note = f"  (needs {module})" if module else ""
            click.echo(f"{mark} {op:22} {i.name:10} {i.device:5} {', '.join(i.dtypes or ('any dtype',))}{note}")


@main.command("verify")
@click.argument("op", required=False)
@click.option("--name", help="Only the implementation of this name.")
@click.option("--kernel-file", type=click.Path(), help="Check what this Python file registers.")
@click.option("--rtol", type=float, help="Allowed error as a share of the sum of magnitudes [8 sqrt(K) eps].")
@click.option("--atol", type=float, help="Allowed error on top [K times the least normal number].")
@click.option("--simulate", is_flag=True, help="Run Numba CUDA kernels in Numba's simulator, with no GPU.")
def verify_command(
    op: str | None, name: str | None, kernel_file: str | None, rtol: float | None, atol: float | None, simulate: bool
) -> None:
    """Hold implementations of OP (of every operation, if none is named) against the definition."""
    if simulate and not simulator.simulated():
        sys.exit(simulator.rerun(sys.argv[1:]))
    loaded = load_kernel_file(kernel_file) if kernel_file is not None else {}
    if op is None and name is not None and not loaded:
        raise KernelError("verify --name: name the operation too")
    if loaded and op is not None and op not in loaded:
        raise KernelError(f"kernel file {kernel_file}: registers {', '.join(loaded)}, not {op}")
    if op is not None:
        check_operation(op)
    wrong = False
    for operation in [op] if op is not None else list(loaded or OPERATIONS):
        wanted = name or loaded.get(operation)
        found = simulator.find(operation, wanted) if simulate else find(operation, wanted)
        if not found and wanted is not None:
            raise KernelError(f"{operation} {wanted}: there is no CUDA device here to run it on; try --simulate")
        for implementation in found:
            wrong |= not _verify(implementation, rtol, atol)
    if wrong:
        sys.exit(1)


def _verify(implementation: Implementation, rtol: float | None, atol: float | None) -> bool:
    """Print what the sweep and the gradient check say, and whether all is well."""
    report = run_verify(implementation, rtol=rtol, atol=atol)
    click.echo(str(report))
    checked = gradients.check(implementation) if report.ok else None
    if checked is None:
        return report.ok
    lines, worst = checked
    head = f"{implementation.op} {implementation.name}: gradients"
    if lines:
        click.echo("\n  ".join([f"{head} FAILED", *lines]))
    else:
        click.echo(f"{head} ok, largest error {worst:.0%} of the allowed")
    return not lines


for command in (bench_command, ceiling_command, compare_command, inspect_command, new_command):
    main.add_command(command)


if __name__ == "__main__":
    try:
        main.main(standalone_mode=False)
    except (KernelError, DeviceError) as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2)
    except click.ClickException as error:
        click.echo(f"error: {error.format_message()}", err=True)
        sys.exit(2)
    except click.Abort:
        sys.exit(130)
