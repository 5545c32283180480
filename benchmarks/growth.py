"""How time grows with the batch: `python -m benchmarks.growth`.

A kernel should cost the same an image at every batch, and an update a + b · batch.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import click
import numpy as np

import kernels
from benchmarks.contestants import Problem, own
from kernels.bench import machine
from kernels.bench.clock import HostClock

KERNEL_BATCHES, UPDATE_BATCHES = (32, 64, 128, 256, 512, 1024), (32, 64, 128, 192, 256)


def _calls(n: int) -> dict[str, Callable[[], object]]:
    """The network's larger convolution, its gradients, and batch-norm with its activation, at batch `n`."""
    random = np.random.default_rng(n)
    draw = lambda *shape: random.standard_normal(shape, np.float32)
    x, w, gy = draw(n, 64, 14, 14), draw(128, 64, 4, 4), draw(n, 128, 7, 7)
    gamma, beta = np.ones(64, np.float32), np.zeros(64, np.float32)
    at = {"stride": (2, 2), "padding": (1, 1)}
    leaky = ("leaky_relu", 0.1)
    x = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)  # as one layer hands it to the next
    gy = np.ascontiguousarray(gy.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    _, mean, rstd = kernels.batch_norm(x, gamma, beta, eps=1e-5, activation=leaky)
    return {
        "conv2d": partial(kernels.conv2d, x, w, **at),
        "conv2d_grad_input": partial(kernels.conv2d_grad_input, gy, w, input_shape=x.shape, **at),
        "conv2d_grad_weight": partial(kernels.conv2d_grad_weight, gy, x, weight_shape=w.shape, **at),
        "batch_norm": partial(kernels.batch_norm, x, gamma, beta, eps=1e-5, activation=leaky),
        "batch_norm_grad": partial(kernels.batch_norm_grad, x, x, gamma, beta, mean, rstd, activation=leaky),
    }


def _median(watch: HostClock, call: Callable[[], object], rounds: int) -> float:
    call()
    return float(np.median([watch.time(call, 1)[0] for _ in range(rounds)]))


@click.command()
@click.option("--rounds", type=click.IntRange(1), default=15, show_default=True)
@click.option("--tiny", is_flag=True, help="Small batches and networks: shows that the command works.")
def main(rounds: int, tiny: bool) -> None:
    """Time an image of the kernels, and the update, at growing batches."""
    watch = HostClock()
    for line in machine.lines(machine.describe("cpu")):
        click.echo(line)
    batches = (2, 4) if tiny else KERNEL_BATCHES
    found: dict[str, list[float]] = {}
    for n in batches:
        for name, call in _calls(n).items():
            found.setdefault(name, []).append(_median(watch, call, rounds) / n)
    click.echo(f"{'µs an image at batch':22}" + "".join(f"{n:>8}" for n in batches) + "   most/least")
    for name, times in found.items():
        click.echo(f"{name:22}" + "".join(f"{t * 1e6:8.1f}" for t in times) + f"{max(times) / min(times):12.2f}")
    sizes = (2, 4, 6) if tiny else UPDATE_BATCHES
    updates = []
    for n in sizes:
        problem = Problem.tiny(n) if tiny else Problem.paper(n)
        step = own(problem)
        updates.append(_median(watch, lambda step=step, batch=problem.batches[0]: step(batch), rounds))
    b, a = np.polyfit(sizes, updates, 1)
    click.echo(f"{'ms an update at batch':22}" + "".join(f"{n:>8}" for n in sizes))
    click.echo(f"{'infogan':22}" + "".join(f"{t * 1e3:8.1f}" for t in updates))
    fit = a + b * np.array(sizes)
    worst = float(np.max(np.abs(updates / fit - 1)))
    click.echo(f"{'a + b · batch':22}" + "".join(f"{t * 1e3:8.1f}" for t in fit) + f"   off by {worst:.1%} at most")


if __name__ == "__main__":
    main()
