"""The commands of the bench. What they need is imported when they run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from kernels.registry import OPERATIONS, KernelError, check_operation, load_kernel_file

_DEVICE = click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
_DTYPE = click.option("--dtype", type=click.Choice(["float32", "float64"]), default="float32", show_default=True)
_THREADS = click.option("--threads", help="Numbers of threads, such as 1,2 [all cores].")
_PEERS = click.option("--peers", is_flag=True, help="Time PyTorch and JAX too, where they are installed.")


@click.command("bench")
@click.argument("op", required=False)
@click.option("--shapes", help="Shapes such as 128x64x14x14:128x4x4:s2:p1, several with commas.")
@click.option("--suite", type=click.Choice(["infogan", "general"]), help="The paper's shapes [default], or others.")
@_DTYPE
@click.option(
    "--pass", "which", type=click.Choice(["forward", "backward", "both"]), default="forward", show_default=True
)
@_THREADS
@_DEVICE
@click.option("--layout", type=click.Choice(["nhwc", "nchw"]), help="Memory order of pictures [cpu nhwc, cuda nchw].")
@click.option("--cache", type=click.Choice(["hot", "cold"]), default="hot", show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=10, show_default=True, help="Each with fresh inputs.")
@_PEERS
@click.option("--kernels", help="Time only these: NAME or OP=NAME, several with commas.")
@click.option("--kernel-file", type=click.Path(), help="Also time what this Python file registers.")
@click.option("--json", "json_path", type=click.Path(), help="Write all samples here, for compare.")
@click.option("--roofline", type=click.Path(), help="Draw the roofline into this PNG.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of inputs and drawn shapes.")
@click.option("--no-ceiling", is_flag=True, help="Do not measure what the machine can do first.")
def bench_command(op: str | None, **options: Any) -> None:
    """Time OP (every operation, if none is named), each kernel checked before and after."""
    loaded = load_kernel_file(options["kernel_file"]) if options["kernel_file"] else {}
    if op is not None:
        check_operation(op)
        operations = [op]
    elif options["shapes"]:
        raise KernelError("--shapes: name the operation that they are shapes of")
    else:
        operations = list(loaded or OPERATIONS)
    results = _bench(operations, options)
    from kernels.bench import table

    for line in table.body(results):
        click.echo(line)
    click.echo(f"\n{table.LEGEND}")
    _keep(results, options)
    if any(line.fault for line in results.lines):
        sys.exit(1)


def _bench(operations: list[str], options: dict[str, Any]) -> Any:
    from kernels import device as devices
    from kernels.bench import ceiling, machine, measure, problems, table
    from kernels.bench.peers import peers
    from kernels.bench.results import Results

    devices.module(options["device"])
    threads, which = _threads(options["threads"], options["device"]), options["which"]
    suite = problems.SUITES[options["suite"] or "infogan"]
    shapes = options["shapes"]
    chosen = [p for op in operations for p in (problems.parse(op, shapes) if shapes else suite(op))]
    if which != "forward" and not any(p.op in problems.DIFFERENTIABLE for p in chosen):
        raise KernelError(f"--pass {which}: {operations[0]} has no backward pass to time")
    contestants, products = peers(options["device"]) if options["peers"] else ([], {})
    results = Results(machine=machine.describe(options["device"]), ceilings=[], lines=[])
    if not options["no_ceiling"]:
        results.ceilings = [ceiling.measure(options["device"], n, options["dtype"], products) for n in threads]
    for line in table.header(results):
        click.echo(line)
    plan = measure.Plan(
        problems=chosen,
        passes=[which],
        dtype=options["dtype"],
        threads=threads,
        device=options["device"],
        layout=options["layout"] or ("nhwc" if options["device"] == "cpu" else "nchw"),
        cold=options["cache"] == "cold",
        rounds=options["rounds"],
        kernels=options["kernels"],
        peers=contestants,
        seed=options["seed"],
    )
    results.lines = measure.run(plan, lambda line: click.echo(f"… {line}", err=True))
    return results


def _threads(text: str | None, device: str) -> list[int]:
    from kernels import get_num_threads

    if text is None or device == "cuda":
        return [get_num_threads()]
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise KernelError(f"--threads {text!r}: write numbers with commas, such as 1,2") from None


def _keep(results: Any, options: dict[str, Any]) -> None:
    if options["json_path"]:
        from kernels.bench.results import write

        write(results, options["json_path"])
    if options["roofline"]:
        from kernels.bench.roofline import draw

        draw(results, options["roofline"])


@click.command("ceiling")
@_DTYPE
@_THREADS
@_DEVICE
@_PEERS
def ceiling_command(dtype: str, threads: str | None, device: str, peers: bool) -> None:
    """Measure what this machine can do: matrix products and a stream through memory."""
    from kernels import device as devices
    from kernels.bench import ceiling, machine, table
    from kernels.bench.peers import peers as find_peers

    devices.module(device)
    products = find_peers(device)[1] if peers else {}
    for line in machine.lines(machine.describe(device)):
        click.echo(line)
    for n in _threads(threads, device):
        for line in table.ceiling(ceiling.measure(device, n, dtype, products)):
            click.echo(line)


@click.command("compare")
@click.argument("old", type=click.Path())
@click.argument("new", type=click.Path())
@click.option("--fail-over", type=click.FloatRange(min=1), help="Exit with 1 if anything is slower by this factor.")
def compare_command(old: str, new: str, fail_over: float | None) -> None:
    """Is NEW faster than OLD? Both are files of `bench --json`."""
    from kernels.bench import compare, machine
    from kernels.bench.results import read

    before, after = read(old), read(new)
    found = compare.compare(before, after)
    if not machine.same(before.machine, after.machine):
        click.echo("two machines: times do not compare, only shares of the ceiling and ratios to peers")
    for line in compare.text(found):
        click.echo(line)
    wrong = [x for x in after.lines if x.fault]
    for x in wrong:
        click.echo(f"NEW: {x.op} {x.shape} {x.which} {x.name}: {x.fault}")
    if wrong or (fail_over is not None and any(c.fails(fail_over) for c in found)):
        sys.exit(1)


@click.command("new")
@click.argument("op")
@click.option("--as", "kind", type=click.Choice(["numba", "cuda", "rawkernel", "ctypes"]), required=True)
@click.option("--out", type=click.Path(), help="The file to write [my_OP.py].")
def new_command(op: str, kind: str, out: str | None) -> None:
    """Write a small kernel of OP that is right, to make fast."""
    from kernels.bench.new import source

    check_operation(op)
    path = Path(out or f"my_{op}.py")
    text = source(op, kind, path.name)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise KernelError(f"{path}: is there already; choose another name with --out") from None
    except OSError as error:
        raise KernelError(f"{path}: cannot be written: {error.strerror}") from None
    simulate = " --simulate" if kind == "cuda" else ""
    where = " --device cuda" if kind in ("cuda", "rawkernel") else ""
    click.echo(f"wrote {path}")
    click.echo(f"  python -m kernels verify {op} --kernel-file {path}{simulate}")
    click.echo(f"  python -m kernels bench {op} --kernel-file {path}{where}")
    click.echo(f"  infogan train --kernel-file {path}{where}")
