"""Work done side by side in spawned processes: runs trained, each by one of its own, and runs measured.

A process that fails harms no other. One that trains writes nothing but its run's folder and stops with a checkpoint
when it is told to, and also when the process that started it has gone. Two never train one run (`claims`).
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent import futures
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import threadpoolctl

import infogan.config
import kernels
from infogan import checkpoints, data, record, start, training
from infogan.claims import claimed
from infogan.config import Config
from infogan.errors import InfoganError, InputError, Interrupted
from infogan.progress import bar as progress_bar

POLL = 0.5
"""Seconds between two looks at how far the runs are."""

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Backend:
    """Where and with what a run is computed: `start.choose_backend`'s arguments."""

    device: str = "cpu"
    threads: int | None = None
    kernel_names: str | None = None
    kernel_file: str | None = None


def trained(
    settings: Settings,
    folder: Path,
    *,
    backend: Backend = Backend(),
    progress: bool = True,
    say: Callable[[str], None] = print,
) -> None:
    """See to it that `folder` holds the run of `settings`, trained to its last update.

    A finished run is left alone, a begun one gone on with, one that is not there made. What happens on the way, such
    as a collapse, is printed with the folder's name: several may train at once. Raises `InputError` if the folder
    holds a run of other settings, and what training raises.
    """
    if is_trained(settings, folder):
        return
    with claimed(folder):
        trainer = start.resumed_run(settings, folder, backend.device, backend.kernel_file, say)
        say(start.describe(trainer))
        training.train(trainer, folder, progress=progress, say=lambda line: print(f"{folder}: {line}"))
        say(training.summary(trainer, folder))


def is_trained(settings: Settings, folder: Path) -> bool:
    """Whether `folder` holds the run of `settings`, trained to its last update with its milestones kept.

    Fields not in `settings` have their defaults, or what the pictures or the name of the data decide. Presets of
    the same fields make the same run. Raises `InputError` if it is a run of other settings, on other data, or
    longer than asked for.
    """
    if not (folder / infogan.config.FILE).exists():
        return False
    found, environment = infogan.config.read(folder)
    decided = {field: getattr(found, field) for field in infogan.config.STRUCTURE}
    wanted = infogan.config.make({**decided, **settings})
    if wanted.preset == "auto" and found.preset == start.preset_of(wanted.data):
        wanted = infogan.config.make({**decided, **settings, "preset": found.preset})
    for field in Config.model_fields:
        here, asked = getattr(found, field), getattr(wanted, field)
        if field not in (*infogan.config.RESUMABLE, "preset") and here != asked:
            raise InputError(f"{folder} holds a run with {field} {here!r}, not {asked!r}: give another folder")
    if start.lasting(wanted.data) != found.data:
        here, asked = environment.get("data", {}).get("sha256"), data.load(wanted.data, frame=wanted.frame).sha256
        if here != asked:
            raise InputError(f"{folder} holds a run on data {found.data!r}, not {wanted.data!r}: give another folder")
    if not checkpoints.exist(folder):
        return False
    step = checkpoints.latest(folder).step
    if step > wanted.steps:
        raise InputError(f"{folder} holds a run of {step:,} updates, {wanted.steps:,} are asked for: "
                         f"ask for {step} or give another folder")  # fmt: skip
    start.check_milestones(wanted, folder, step)
    return step == wanted.steps


def train_all(
    runs: Mapping[Path, Settings],
    *,
    jobs: int | None = None,
    backend: Backend = Backend(),
    progress: bool = True,
) -> dict[Path, str | None]:
    """Train the runs, folder → settings, side by side: why each failed, `None` for those that are trained.

    `jobs` processes of `backend.threads` threads each; what is not given follows from the cores. Settings,
    data and folders are checked before anything begins: `InputError`. After Ctrl-C every process writes a
    checkpoint, and `Interrupted` is raised.
    """
    todo = [folder for folder, settings in runs.items() if not is_trained(settings, folder)]
    steps = {folder: infogan.config.make(runs[folder]).steps for folder in todo}
    for spec in {infogan.config.make(runs[folder]).data for folder in todo}:
        data.load(spec)
    jobs, threads = shares(len(todo), jobs, backend)
    reasons: dict[Path, str | None] = dict.fromkeys(runs)
    if todo:
        crew = _Crew(runs, replace(backend, threads=threads), jobs)
        with _hearing_ctrl_c():
            reasons |= crew.work(todo, steps, progress)
    return reasons


def side_by_side(
    work: Callable[..., Any],
    pieces: Sequence[tuple[Any, ...]],
    jobs: int | None = None,
    hear: Callable[[str], None] = lambda told: None,
) -> Iterator[tuple[int, Any]]:
    """The place of each of `pieces` and what `work(*piece, tell)` gives for it, as they end.

    `work` is a function of a module, what it takes and gives can be pickled, and what it tells is passed to `hear`.
    Processes and threads are those of `shares`; one process alone is this one. Raises what `work` raises, and
    `Interrupted` after Ctrl-C: what was given until then is all there is.
    """
    jobs, threads = shares(len(pieces), jobs, Backend())
    with _hearing_ctrl_c():
        try:
            if jobs == 1:
                for place, piece in enumerate(pieces):
                    yield place, work(*piece, hear)
            else:
                yield from _by_several(work, pieces, jobs, threads, hear)
        except KeyboardInterrupt:
            raise Interrupted("stopped: what was measured is kept, and the same command goes on with it") from None


def _by_several(
    work: Callable[..., Any],
    pieces: Sequence[tuple[Any, ...]],
    jobs: int,
    threads: int,
    hear: Callable[[str], None],
) -> Iterator[tuple[int, Any]]:
    context = multiprocessing.get_context("spawn")
    line = context.SimpleQueue()
    with futures.ProcessPoolExecutor(jobs, context, _take_place, (threads, line)) as pool:
        try:
            left = {pool.submit(_work, work, piece): place for place, piece in enumerate(pieces)}
            while left:
                done, _ = futures.wait(left, POLL, futures.FIRST_COMPLETED)
                while not line.empty():
                    hear(line.get())
                for future in done:
                    yield left.pop(future), future.result()
        except BaseException as error:
            for child in multiprocessing.active_children():
                child.terminate()  # they hold nothing that is worth waiting for
            if isinstance(error, BrokenProcessPool):
                raise InfoganError("a process that measured was killed: the same command goes on") from None
            raise


_line: Any = None
"""Where a process that `_take_place` has prepared tells how far it is."""


def _take_place(threads: int, line: Any) -> None:
    """Prepare a process for pieces of `side_by_side`: its threads, and that it ends when its parent does."""
    global _line
    _line = line
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # our parent hears it and ends us
    threading.Thread(target=_end_with_parent, daemon=True).start()
    start.choose_backend(threads=threads)
    threadpoolctl.threadpool_limits(threads, "blas")


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


def _work(work: Callable[..., Any], piece: tuple[Any, ...]) -> Any:
    return work(*piece, _line.put)


@contextmanager
def _hearing_ctrl_c() -> Iterator[None]:
    """Within it Ctrl-C interrupts: a shell starts what runs in the background deaf to it."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may handle signals
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def shares(runs: int, jobs: int | None, backend: Backend) -> tuple[int, int]:
    """How many processes and threads each, so that together they fill the cores.

    A process a run where there are cores enough, as one thread a run wastes least; on a GPU one process.
    """
    cores, threads = kernels.get_num_threads(), backend.threads
    if threads is not None and not 1 <= threads <= cores:
        raise InputError(f"threads {threads}: must be an integer from 1 to {cores}")
    if jobs is not None and jobs < 1:
        raise InputError(f"jobs {jobs}: must be 1 or more")
    if jobs is None:
        jobs = 1 if backend.device != "cpu" else max(1, min(runs, cores // (threads or 1)))
    return jobs, threads or max(1, cores // jobs)


@dataclass
class _Member:
    """A process, the run it trains, and our end of the line to it."""

    folder: Path
    process: Any
    line: Connection

    def reason(self) -> str | None:
        """Why it failed, once it has ended."""
        self.process.join()
        with suppress(EOFError, OSError):
            if self.line.poll():
                return self.line.recv()
        code = self.process.exitcode
        return f"its process was killed by signal {-code}" if code < 0 else f"its process ended with status {code}"


class _Crew:
    """At most `jobs` processes at a time, each training one run."""

    def __init__(self, runs: Mapping[Path, Settings], backend: Backend, jobs: int) -> None:
        self.runs, self.backend, self.jobs = runs, backend, jobs
        self.begin_apart = {folder for folder in runs if infogan.config.make(runs[folder]).head_start}
        self.members: list[_Member] = []

    def work(self, todo: Sequence[Path], steps: Mapping[Path, int], progress: bool) -> dict[Path, str | None]:
        """Train every run of `todo`; why each failed."""
        waiting, reasons = list(todo), {}
        with progress_bar(total=sum(steps.values()), disable=not progress) as bar:
            try:
                while waiting or self.members:
                    while waiting and len(self.members) < self.jobs:
                        self.members.append(self._begin(waiting.pop(0)))
                    wait([member.process.sentinel for member in self.members], POLL)
                    for member in [m for m in self.members if not m.process.is_alive()]:
                        reasons[member.folder] = member.reason()
                        self._dismiss(member)
                    self._show(bar, steps)
            except KeyboardInterrupt:
                raise Interrupted(self._stop()) from None
            finally:
                for member in list(self.members):
                    member.process.kill()
                    member.process.join()
                    self._dismiss(member)
        return reasons

    def _begin(self, folder: Path) -> _Member:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        arguments = (dict(self.runs[folder]), folder, self.backend, theirs)
        process = context.Process(target=_train, args=arguments, name=f"train {folder}")
        process.start()
        theirs.close()
        return _Member(folder, process, ours)

    def _dismiss(self, member: _Member) -> None:
        member.line.close()
        member.process.close()
        self.members.remove(member)

    def _stop(self) -> str:
        """Let every process write a checkpoint and end."""
        for member in self.members:
            with suppress(OSError):
                member.line.send("stop")
        for member in self.members:
            member.process.join()
        return "stopped: what was trained is kept, and the same command goes on with it"

    def _show(self, bar: Any, steps: Mapping[Path, int]) -> None:
        done = {folder: min(_last_step(folder), steps[folder]) for folder in steps}
        bar.n = sum(done.values())
        at = {f: f"{n:,}" if n or f not in self.begin_apart else "in its head start" for f, n in done.items()}
        bar.set_postfix_str(", ".join(f"{m.folder.name} {at[m.folder]}" for m in self.members), refresh=False)
        bar.update(0)


def _train(settings: Settings, folder: Path, backend: Backend, line: Connection) -> None:
    """The work of a process: one run, then the reason why it failed, or `None`, down the line."""
    if hasattr(os, "setpgrp"):
        os.setpgrp()  # Ctrl-C at the terminal reaches our parent alone, which then tells us
    signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=_stop_when_told, args=(line,), daemon=True).start()
    reason = None
    try:
        start.choose_backend(backend.device, backend.threads, backend.kernel_names, backend.kernel_file)
        with threadpoolctl.threadpool_limits(backend.threads, "blas"):
            trained(settings, folder, backend=backend, progress=False, say=lambda line: None)
    except InfoganError as error:
        reason = error.message
    except KeyboardInterrupt:
        reason = "stopped"
    except (OSError, MemoryError) as error:
        reason = f"{type(error).__name__}: {error}"
    except Exception as error:
        traceback.print_exc()
        reason = f"{type(error).__name__}: {error}"
    with suppress(OSError):  # our parent may have gone
        line.send(reason)


def _stop_when_told(line: Connection) -> None:
    """Wait for a word from the parent, or for its end, then press Ctrl-C: a checkpoint is written."""
    with suppress(EOFError, OSError):
        line.recv()
    signal.raise_signal(signal.SIGINT)


def _last_step(folder: Path) -> int:
    """The update of the last line of a run's metrics, 0 before the first."""
    try:
        with (folder / record.FILE).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 2**16))
            return json.loads(file.read().rpartition(b"\n")[0].rpartition(b"\n")[2])["step"]
    except (OSError, ValueError, KeyError, TypeError):
        return 0
