"""How much memory an update takes, and whether it stays: `python -m benchmarks.memory`.

Each contestant has a process of its own; what is counted is the most memory resident, above that after imports.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import subprocess
import sys

import click

from benchmarks.contestants import Problem, contestants

MIB = 1 << 20


def _peak() -> float:
    """The most this process has had resident so far, MiB (Linux counts KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _resident() -> float:
    """What this process has resident now, MiB."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / MIB


def _measure(name: str, updates: int, tiny: bool) -> dict[str, float]:
    """Peak above that after imports, and the resident memory after a tenth of the updates and after all."""
    problem = Problem.tiny() if tiny else Problem.paper()
    maker = contestants(peers=name != "infogan")[name]
    if name != "infogan":
        __import__("torch")
    before = _peak()
    update = maker(problem)
    gc.disable()
    early = 0.0
    for step in range(updates):
        update(problem.batches[step % len(problem.batches)])
        if step + 1 == max(1, updates // 10):
            early = _resident()
    return {"imports": before, "peak": _peak(), "early": early, "late": _resident()}


@click.command()
@click.option("--updates", type=click.IntRange(1), default=1000, show_default=True)
@click.option("--peer-updates", type=click.IntRange(1), default=20, show_default=True)
@click.option("--tiny", is_flag=True, help="Small networks: shows that the command works.")
@click.option("--only", help="Measure this one in this process and print JSON.")
def main(updates: int, peer_updates: int, tiny: bool, only: str | None) -> None:
    """Peak memory of the update at batch 128, beside PyTorch's, with the garbage collector off."""
    if only is not None:
        click.echo(json.dumps(_measure(only, updates, tiny)))
        return
    click.echo(f"{'MiB':22}{'imports':>9}{'peak above':>12}{'early':>9}{'late':>9}{'late/early':>12}")
    for name in [n for n in contestants(peers=True) if n in ("infogan", "torch")]:
        count = updates if name == "infogan" else peer_updates
        command = [sys.executable, "-m", "benchmarks.memory", "--only", name, "--updates", str(count)]
        done = subprocess.run(command + ["--tiny"] * tiny, capture_output=True, text=True, env=os.environ)
        if done.returncode:
            raise click.ClickException(f"{name}: {done.stderr.strip().splitlines()[-1]}")
        m = json.loads(done.stdout.splitlines()[-1])
        click.echo(
            f"{name + f', {count} updates':22}{m['imports']:9.0f}{m['peak'] - m['imports']:12.0f}"
            f"{m['early']:9.0f}{m['late']:9.0f}{m['late'] / m['early']:12.3f}"
        )


if __name__ == "__main__":
    main()
