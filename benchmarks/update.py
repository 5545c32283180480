"""The time of one update beside PyTorch's and JAX's, and beside the products alone: `python -m benchmarks.update`.

Every contestant starts from the same weights and sees the same pictures and noise; its first losses are held
to the definition in float64 before it is timed. Rounds are interleaved.
"""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks import floor
from benchmarks.contestants import Problem, Update, contestants, disagreement
from kernels import get_num_threads
from kernels.bench import ceiling, machine
from kernels.bench.clock import HostClock
from kernels.bench.measure import thread_limit
from kernels.registry import KernelError

WARM_UP = 2


@click.command()
@click.option("--rounds", type=click.IntRange(1), default=10, show_default=True)
@click.option("--updates", type=click.IntRange(1), default=5, show_default=True, help="Of each contestant a round.")
@click.option("--batch-size", type=click.IntRange(2), default=128, show_default=True)
@click.option("--threads", type=click.IntRange(1), help="[all cores]")
@click.option("--peers/--no-peers", default=True, show_default=True, help="PyTorch and JAX, where installed.")
@click.option("--compiled", is_flag=True, help="PyTorch through torch.compile too; needs a C++ compiler.")
@click.option("--json", "json_path", type=click.Path(), help="Write every time here.")
@click.option("--tiny", is_flag=True, help="Small networks: shows that the command works, measures nothing.")
def main(
    rounds: int,
    updates: int,
    batch_size: int,
    threads: int | None,
    peers: bool,
    compiled: bool,
    json_path: str | None,
    tiny: bool,
) -> None:
    """Time one update of the paper's MNIST networks."""
    problem = Problem.tiny() if tiny else Problem.paper(batch_size)
    makers = contestants(peers=peers, compiled=compiled)
    about = machine.describe("cpu")
    for line in machine.lines(about):
        click.echo(line)
    with thread_limit(threads or get_num_threads()):
        right = {}
        for name in makers:
            try:
                wrong = disagreement(problem, name)
            except Exception as error:  # a compiler may be missing, or fail in its own way
                wrong = f"{name}: {type(error).__name__}: {str(error).splitlines()[0]}"
            if wrong is None:
                right[name] = makers[name](problem)
            else:
                click.echo(f"not timed: {wrong}")
        times = _times(problem, right, rounds, updates)
        least, flops, rates = _floor(problem, peers)
    for line in _table(times, least, flops, rates):
        click.echo(line)
    if json_path:
        content = {"machine": about, "rounds": times, "floor_seconds": least, "flops": flops, "rates": rates}
        Path(json_path).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    if len(right) < len(makers):
        sys.exit(1)


def _times(problem: Problem, field: dict[str, Update], rounds: int, updates: int) -> dict[str, list[list[float]]]:
    watch, batches = HostClock(), itertools.cycle(problem.batches)
    for update in field.values():
        for _ in range(WARM_UP):
            update(next(batches))
    found: dict[str, list[list[float]]] = {name: [] for name in field}
    for turn in range(rounds):
        names = list(field)
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            field[name](next(batches))  # gets the caches and the cores back from the one before
            taken = [watch.time(lambda name=name: field[name](next(batches)), 1)[0] for _ in range(updates)]
            found[name].append(taken)
    return found


def _floor(problem: Problem, peers: bool) -> tuple[float, int, dict[str, float]]:
    """Seconds of the products alone, their FLOPs, and the best rate of each library."""
    libraries = ceiling.products("cpu")
    if peers:
        from kernels.bench.peers import peers as find

        try:
            libraries |= find("cpu")[1]
        except KernelError as error:
            click.echo(str(error))
    update = contestants(peers=False)["infogan"](problem)
    with floor.recorded() as products:
        update(problem.batches[0])
    rates = ceiling.rates("cpu", "float32", libraries)
    return floor.seconds(products, libraries), floor.flops(products), rates


def _table(times: dict[str, list[list[float]]], least: float, flops: int, rates: dict[str, float]) -> Iterator[str]:
    said = ", ".join(f"{name} {rate / 1e9:.0f}" for name, rate in rates.items())
    yield f"products    {said} GFLOP/s"
    yield f"floor       {least * 1e3:.3g} ms for the update's {flops / 1e9:.3g} GFLOP of products alone"
    yield f"{'':20} {'median ms':>10} {'spread':>8} {'of floor':>9} {'infogan / it':>13}"
    own: Any = _all(times["infogan"]) if "infogan" in times else None
    for name, rounds in times.items():
        every = _all(rounds)
        median = float(np.median(every))
        low, high = np.percentile(every, [25, 75])
        ratio = "" if own is None or name == "infogan" else f"{float(np.median(own)) / median:.2f}"
        spread = (high - low) / 2 / median
        yield f"{name:20} {median * 1e3:10.3g} {spread:8.1%} {median / least:9.2f} {ratio:>13}"


def _all(rounds: list[list[float]]) -> np.ndarray:
    return np.concatenate(rounds)


if __name__ == "__main__":
    try:
        main.main(standalone_mode=False)
    except KernelError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2)
    except click.ClickException as error:
        click.echo(f"error: {error.format_message()}", err=True)
        sys.exit(2)
    except click.Abort:
        sys.exit(130)
