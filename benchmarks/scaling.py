"""One update of one batch by one and by several processes of this machine: `python -m benchmarks.scaling`.

Every number of processes has the same batch and all cores. Turns are taken, so that what slows the machine down
slows all. Counted beside the times: the messages of an update, and the seconds a process spends in them (waiting
for the others is part of that). A bare sum of some sizes, timed too, gives the cost of a message as a + b·bytes.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click
import numpy as np

import infogan.config
import kernels
from infogan import parallel
from infogan.data import load
from infogan.training import Trainer
from kernels.bench import machine

SIZES = (1, 1 << 10, 1 << 14, 1 << 18, 1 << 20, 6_600_000)
"""Entries of float32 in the bare sums; the last is about what the larger network of the paper's MNIST has."""


class Timed:
    """A wire that counts its messages and their bytes and seconds."""

    def __init__(self, wire: parallel.Wire) -> None:
        self.wire, self.rank, self.size = wire, wire.rank, wire.size
        self.messages, self.bytes, self.seconds = 0, 0, 0.0

    def sum_(self, array: np.ndarray) -> None:
        """See `parallel.Wire`."""
        self._timed(self.wire.sum_, array)

    def rows(self, array: np.ndarray) -> np.ndarray:
        """See `parallel.Wire`."""
        found: np.ndarray = self._timed(self.wire.rows, array)
        return found

    def abort(self, status: int) -> None:
        """See `parallel.Wire`."""
        self.wire.abort(status)

    def _timed(self, call: Any, array: np.ndarray) -> Any:
        begun = time.perf_counter()
        found = call(array)
        self.seconds += time.perf_counter() - begun
        self.messages, self.bytes = self.messages + 1, self.bytes + array.nbytes
        return found


@click.command()
@click.option("--processes", default="1,2", show_default=True, help="How many, each in its turn.")
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--updates", type=click.IntRange(1), default=10, show_default=True, help="Of each number a round.")
@click.option("--batch-size", type=click.IntRange(2), default=128, show_default=True, help="Of all together.")
@click.option("--set", "fields", multiple=True, metavar="FIELD=VALUE", help="Any field of a run; may be repeated.")
@click.option("--json", "json_path", type=click.Path(), help="Write every number here.")
@click.option("--one", is_flag=True, hidden=True)
def main(
    processes: str,
    rounds: int,
    updates: int,
    batch_size: int,
    fields: tuple[str, ...],
    json_path: str | None,
    one: bool,
) -> None:
    """Time updates of the paper's MNIST networks by several numbers of processes."""
    settings = dict(field.split("=", 1) for field in fields) | {"batch_size": batch_size}
    if one:
        _one(settings, updates)
        return
    about = machine.describe("cpu")
    for line in machine.lines(about):
        click.echo(line)
    numbers = [int(n) for n in processes.split(",")]
    given = ["--updates", str(updates), "--batch-size", str(batch_size), *(f"--set={field}" for field in fields)]
    found: dict[int, list[dict[str, Any]]] = {n: [] for n in numbers}
    for turn in range(rounds):
        for n in numbers if turn % 2 == 0 else reversed(numbers):
            found[n].append(_start(n, given))
    _table(found)
    if json_path:
        Path(json_path).write_text(json.dumps({"machine": about, "rounds": found}, indent=1) + "\n", encoding="utf-8")


def _start(processes: int, given: list[str]) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.scaling", "--one", *given]
    if processes > 1:
        beside = str(Path(sys.executable).parent)
        launcher = shutil.which("mpiexec", path=beside) or shutil.which("mpiexec")
        if launcher is None:
            raise click.ClickException("mpiexec is not there: pip install 'infogan[mpi]' brings one")
        command = [launcher, "-n", str(processes), *command]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise click.ClickException(f"{processes} processes ended with status {done.returncode}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _one(settings: dict[str, Any], updates: int) -> None:
    """What one of the processes does: the first one prints what it saw."""
    across = parallel.join()
    kernels.set_num_threads(across.threads() or kernels.get_num_threads())
    wire = Timed(across.wire) if isinstance(across, parallel.Together) else None
    trainer = Trainer(
        infogan.config.make(settings), load("mnist-5k"), "cpu", parallel.Together(wire) if wire else across
    )
    for _ in range(2):
        trainer.advance()
    if wire:
        wire.messages, wire.bytes, wire.seconds = 0, 0, 0.0
    times = []
    for _ in range(updates):
        begun = time.perf_counter()
        trainer.advance()
        times.append(time.perf_counter() - begun)
    found = {"seconds": times, "threads": kernels.get_num_threads()}
    if wire:
        found |= {k: getattr(wire, k) / updates for k in ("messages", "bytes")} | {"exchange": wire.seconds / updates}
        found["sums"] = {4 * n: _bare(wire.wire, n) for n in SIZES}
    if across.rank == 0:
        click.echo(json.dumps(found))


def _bare(wire: parallel.Wire, count: int) -> float:
    """The median seconds of a sum of `count` float32."""
    array, times = np.zeros(count, np.float32), []
    for _ in range(20):
        begun = time.perf_counter()
        wire.sum_(array)
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def _table(found: dict[int, list[dict[str, Any]]]) -> None:
    click.echo(
        f"{'processes':>9} {'threads':>8} {'median ms':>10} {'spread':>8} {'speed':>6} {'in exchange':>12} messages"
    )
    base = None
    for n, rounds in found.items():
        every = np.concatenate([r["seconds"] for r in rounds])
        median, (low, high) = float(np.median(every)), np.percentile(every, [25, 75])
        base = base or median
        line = (
            f"{n:9} {rounds[0]['threads']:8} {median * 1e3:10.3g} {(high - low) / 2 / median:8.1%} {base / median:6.2f}"
        )
        if "messages" in rounds[0]:
            spent = statistics.median(r["exchange"] for r in rounds)
            count, size = rounds[0]["messages"], rounds[0]["bytes"]
            line += f" {spent * 1e3:6.3g} ms in {count:.0f} messages, {size / 2**20:.3g} MiB an update"
        click.echo(line)
    for n, rounds in found.items():
        if "sums" in rounds[0]:
            sums = {int(k): statistics.median(r["sums"][k] for r in rounds) for k in rounds[0]["sums"]}
            least, most = min(sums), max(sums)
            b = (sums[most] - sums[least]) / (most - least)
            click.echo(f"a sum over {n}: " + ", ".join(f"{k:,} B {v * 1e6:,.0f} µs" for k, v in sums.items()))
            click.echo(f"  a = {sums[least] * 1e6:.3g} µs, b = {b * 1e9:.3g} ns/B ({1e-9 / b:.3g} GB/s)")


if __name__ == "__main__":
    try:
        main.main(standalone_mode=False)
    except click.ClickException as error:
        click.echo(f"error: {error.format_message()}", err=True)
        sys.exit(2)
    except click.Abort:
        sys.exit(130)
