"""How long until something happens: `python -m benchmarks.startup`.

Each time is that of a process of its own, from its start: the interpreter is part of what people wait for.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time

import click

IMPORT = "import minigrad"
UPDATE = """
from pathlib import Path
from infogan import start
start.new_run({settings}, Path({folder!r}), "cpu", None).advance()
"""
TINY = {"generator_channels": (8, 4), "trunk_channels": (4, 8), "generator_dense": 16, "trunk_dense": 16}


def _seconds(program: str, **environment: str) -> float:
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **environment}, capture_output=True, text=True
    )
    if done.returncode:
        raise click.ClickException(done.stderr.strip().splitlines()[-1])
    return time.perf_counter() - begun


@click.command()
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="Of all but the compilation.")
@click.option("--tiny", is_flag=True, help="Small networks, nothing to compile: shows that the command works.")
def main(rounds: int, tiny: bool) -> None:
    """The import of the engine, and the first update of the paper's networks: on a new machine, then again."""
    with tempfile.TemporaryDirectory() as folder:
        cache = {"NUMBA_CACHE_DIR": f"{folder}/numba"}
        settings = {"batch_size": 4, **TINY} if tiny else {"preset": "mnist"}

        def first_update(number: int) -> float:
            return _seconds(UPDATE.format(settings=settings, folder=f"{folder}/run-{number}"), **cache)

        empty = statistics.median(_seconds("pass") for _ in range(rounds))
        engine = statistics.median(_seconds(IMPORT) for _ in range(rounds))
        click.echo(
            f"import minigrad                          {engine - empty:7.2f} s   (an empty process: {empty:.2f} s)"
        )
        click.echo(f"first update, all compiled on the way    {first_update(0):7.2f} s")
        again = statistics.median(first_update(n + 1) for n in range(rounds))
        click.echo(f"first update in the next process         {again:7.2f} s")


if __name__ == "__main__":
    main()
