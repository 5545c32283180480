"""The bench itself: rounds in which every contestant gets the same fresh arrays, is checked, timed, checked again."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from kernels import set_num_threads
from kernels.bench import oracle
from kernels.bench.clock import Clock, clock, samples
from kernels.bench.contestants import Contestant, LayoutCopy, kernels_for
from kernels.bench.problems import DIFFERENTIABLE, Problem
from kernels.bench.results import Line
from kernels.bench.work import Work, build
from kernels.registry import KernelError
from kernels.tolerance import Expected

WARM = 5e-3
"""Seconds: OpenMP's idle threads hold their cores for about as long."""
SKIP = "does not take part"


@dataclass(frozen=True)
class Plan:
    """What to time, and how."""

    problems: Sequence[Problem]
    passes: Sequence[str] = ("forward",)
    dtype: str = "float32"
    threads: Sequence[int] = (1,)
    device: str = "cpu"
    layout: str = "nhwc"
    cold: bool = False
    rounds: int = 10
    kernels: str | None = None
    peers: Sequence[Contestant] = ()
    seed: int = 0


def run(plan: Plan, say: Callable[[str], None] = lambda line: None) -> list[Line]:
    """Time everything in `plan`; `say` is told each pass of a problem before it starts.

    A contestant whose result is wrong is not timed any further: its line has a `fault`.
    """
    lines: list[Line] = []
    watch = clock(plan.device)
    for threads in plan.threads:
        with thread_limit(threads):
            for problem in plan.problems:
                for which in plan.passes:
                    if which == "forward" or problem.op in DIFFERENTIABLE:
                        say(f"{problem.op} {problem} {which}, {threads} thread{'s'[: threads > 1]}")
                        lines += _one(plan, watch, problem, which, threads)
    return lines


@contextmanager
def thread_limit(threads: int) -> Iterator[None]:
    """The kernels, every BLAS and PyTorch, where it is loaded, on so many threads."""
    import sys

    from threadpoolctl import threadpool_limits

    try:
        set_num_threads(threads)
    except ValueError as error:
        raise KernelError(f"--threads: {error}") from None
    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else None
    with threadpool_limits(threads, user_api="blas"):
        if torch:
            torch.set_num_threads(threads)
        try:
            yield
        finally:
            if torch:
                torch.set_num_threads(before)


def _contestants(plan: Plan, problem: Problem, work: Work) -> list[Contestant]:
    found = kernels_for(problem.op, plan.device, plan.kernels) + list(plan.peers)
    if LayoutCopy.picture(work) is not None:
        found.append(LayoutCopy(plan.device))
    return found


def _one(plan: Plan, watch: Clock, problem: Problem, which: str, threads: int) -> list[Line]:
    """All contestants on one pass of one problem, interleaved."""
    lines: dict[str, Line] = {}
    for turn in range(plan.rounds):
        work = build(problem, which, plan.dtype, plan.layout, _random(plan, problem, turn))
        wanted = [oracle.answers(call) for call in work.calls]
        field = _contestants(plan, problem, work)
        for contestant in field[turn % len(field) :] + field[: turn % len(field)]:
            line = lines.setdefault(contestant.name, _line(plan, contestant, work, threads))
            if not line.fault:
                _turn(plan, watch, contestant, work, wanted, line)
    order = [c.name for c in field]
    return sorted((x for x in lines.values() if x.fault != SKIP), key=lambda x: order.index(x.name))


def _random(plan: Plan, problem: Problem, turn: int) -> np.random.Generator:
    return np.random.default_rng([plan.seed, turn, zlib.crc32(f"{problem.op} {problem}".encode())])


def _line(plan: Plan, contestant: Contestant, work: Work, threads: int) -> Line:
    layout = isinstance(contestant, LayoutCopy)
    line = Line(
        op=work.problem.op,
        shape=str(work.problem),
        which=work.which,
        dtype=plan.dtype,
        threads=threads,
        device=plan.device,
        layout=plan.layout,
        cache="cold" if plan.cold else "hot",
        name=contestant.name,
        kind=contestant.kind,
        flops=0 if layout else work.flops,
        bytes=2 * LayoutCopy.picture(work).nbytes if layout else work.bytes,  # type: ignore[union-attr]
        first_call=0.0,
        rounds=[],
    )
    try:
        line.note = contestant.note(work)
    except KernelError as error:
        line.fault = str(error)
    except NotImplementedError:
        line.fault = SKIP
    return line


def _turn(
    plan: Plan,
    watch: Clock,
    contestant: Contestant,
    work: Work,
    wanted: list[list[Expected]],
    line: Line,
) -> None:
    """Check, warm up, time, check."""
    before = {n: a.copy() for n, a in work.arrays.items() if a is not None}
    taken: list[float] = []
    with np.errstate(all="ignore"):
        try:
            first, taken, line.fault = _timed(plan, watch, contestant, work, wanted)
            line.first_call = line.first_call or first
        except NotImplementedError:
            line.fault = SKIP
        except Exception as error:
            line.fault = f"raised {type(error).__name__}: {error}"
    for name, kept in before.items():
        if not np.array_equal(work.arrays[name], kept):
            line.fault = f"wrong: it wrote to its argument {name}"
            work.arrays[name][...] = kept
    if not line.fault:
        line.rounds.append(taken)


def _timed(
    plan: Plan, watch: Clock, contestant: Contestant, work: Work, wanted: list[list[Expected]]
) -> tuple[float, list[float], str]:
    """Seconds of the first call, the samples, and what is wrong."""
    prepared = contestant.prepare(work)
    first, raw = watch.time(prepared, 1)
    if (wrong := _fault(contestant, work, wanted, raw)) is not None:
        return first, [], f"wrong, so not timed: {wrong}"
    taken, raw = samples(watch, prepared, _warm_up(watch, prepared), cold=plan.cold)
    # What works in place has gone on from its own results: for that one the last word is a call anew.
    again = contestant.prepare(work)() if work.problem.op == "adam_step" else raw
    if (wrong := _fault(contestant, work, wanted, again)) is not None:
        return first, [], f"wrong after timing, so not counted: {wrong}"
    return first, taken, ""


def _warm_up(watch: Clock, run: Callable[[], Any]) -> float:
    """Call until caches and threads are ours again after the contestant before; the quickest call."""
    taken = [watch.time(run, 1)[0] for _ in range(3)]
    while sum(taken) < WARM and len(taken) < 100:
        taken.append(watch.time(run, 1)[0])
    return min(taken)


def _fault(contestant: Contestant, work: Work, wanted: list[list[Expected]], raw: Any) -> str | None:
    results = contestant.results(work, raw)
    if isinstance(contestant, LayoutCopy):
        picture = LayoutCopy.picture(work)
        return None if picture is not None and np.array_equal(results[0][0], picture) else "the copy differs"
    return oracle.fault(wanted, results, work.calls[0].dtype)
