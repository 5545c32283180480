"""The training of a run: data order, noise, logging, checkpoints, exact resume.

Nothing random outlives an update: the noise of update t and the order of epoch e are drawn from
`minigrad.random.stream` keyed by the seed, a purpose and t or e. A run therefore goes on from its weights,
its optimisers and the number of updates alone, with the same bits as one that was never stopped.
"""

from __future__ import annotations

import math
import signal
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import infogan.config
import minigrad as mg
from infogan import checkpoints, networks, record
from infogan.checkpoints import Checkpoint
from infogan.codes import Categorical, Variable
from infogan.config import Config
from infogan.data import Dataset
from infogan.draws import Order, draw_noise, draw_pairs
from infogan.errors import Diverged, InputError, Interrupted
from infogan.events import Events
from infogan.headstart import HeadStart
from infogan.labelled import choose
from infogan.moved import moved
from infogan.parallel import Alone, Failed
from infogan.progress import bar as progress_bar
from infogan.progress import duration
from infogan.update import ALONE, Labelled, Measured, Moved, Noise, NotFinite, Optimisers, Pairs, update
from infogan.watch import Watch
from kernels.device import is_array, to_host
from minigrad import optim, random
from minigrad.nn.utils import share_statistics

MOST_COLUMNS = 20


@dataclass
class Trainer:
    """A run in progress: networks, optimisers and how far it is."""

    config: Config
    data: Dataset
    device: str = "cpu"
    across: Alone = ALONE
    step: int = 0
    seconds: float = 0.0
    pending: list[Measured] = field(default_factory=list)
    head_start: float | None = None
    """The information of c1 in nats with which the head start ended, once it has."""

    def __post_init__(self) -> None:
        config = self.config
        _check_shares(config, self.across.size)
        self.code = config.code
        self.networks = networks.build(config).to(self.device).train()
        if self.across.size > 1:
            share_statistics(self.networks, self.across)
        betas = (config.beta1, config.beta2)
        self.optimisers = Optimisers(
            d=optim.Adam(self.networks.of_discriminator(), config.learning_rate_d, betas),
            g=optim.Adam(self.networks.of_generator(), config.learning_rate_g, betas),
        )
        self.schedules = [
            optim.lr_scheduler.ExponentialLR(optimiser, 0.5 ** (1 / config.halve_every))
            for optimiser in (self.optimisers if config.halve_every else ())
        ]
        self.order = Order(config.seed, len(self.data), config.batch_size)
        self.order_of_moved = Order(config.seed, len(self.data), config.invariance_batch, "order of moved pictures")
        n = config.labelled
        self.labelled = choose(self.data, self.code, n, config.seed) if n else None
        self.order_of_labelled = Order(config.seed, n, min(n, config.batch_size), "order of labelled pictures")

    def noise(self, purpose: str, step: int) -> Noise:
        """The input of G for this process's share of a batch, on the run's device."""
        z, c = map(self.across.share, draw_noise(self.config, self.code, purpose, step, self.config.batch_size))
        return Noise(self._tensor(z), self._tensor(c))

    def advance(self) -> Measured:
        """One update. Raises `NotFinite` if a loss is no number."""
        step = self.step + 1
        measured = self._update(step)
        for schedule in self.schedules:
            schedule.step()
        self.step = step
        self.pending.append(measured)
        return measured

    def explain(self) -> str:
        """Run the update that failed once more and name the operation that first gave NaN or infinity.

        Of several processes one may find it where the others do not, and they would wait for each other: there the
        loss alone is named.
        """
        if self.across.size > 1:
            return "a loss was not finite"
        try:
            with mg.detect_anomaly(), np.errstate(all="ignore"):
                self._update(self.step + 1)
        except (mg.AnomalyError, NotFinite) as error:
            return str(error)
        return "a loss was not finite"

    def samples(self) -> tuple[np.ndarray, int]:
        """Pictures in evaluation mode from noise that never changes, and how many make a row.

        A row is a noise and a column a category of c1; ten by ten at random where c1 has no categories.
        """
        first = self.code.variables[0]
        columns = first.width if first.discrete and first.width <= MOST_COLUMNS else 10
        z, c = draw_noise(self.config, self.code, "samples", 0, 10)
        z, c = np.repeat(z, columns, axis=0), np.repeat(c, columns, axis=0)
        if first.discrete and first.width <= MOST_COLUMNS:
            c = self.code.put(c, 0, np.tile(np.eye(columns, dtype=np.float32), (10, 1)))
        else:
            z, c = draw_noise(self.config, self.code, "samples", 0, 10 * columns)
        self.networks.eval()
        with mg.no_grad():
            images = self.networks.generate(self._tensor(z), self._tensor(c)).numpy()
        self.networks.train()
        return images, columns

    def parts(self) -> dict[str, Mapping[str, Any]]:
        """Everything with an array in it that a checkpoint holds."""
        return {
            "networks": self.networks.state_dict(),
            "optimiser_d": self.optimisers.d.state_dict(),
            "optimiser_g": self.optimisers.g.state_dict(),
        }

    def state(self) -> dict[str, Any]:
        """The rest of a checkpoint: random state (seed and update), data position, what is not yet logged."""
        seen = self.step * self.config.batch_size
        return {
            "config": self.config.model_dump(mode="json"),
            "seed": self.config.seed,
            "epoch": seen // len(self.data),
            "position": seen % len(self.data),
            "data_sha256": self.data.sha256,
            "data_count": len(self.data),
            "seconds": self.seconds,
            "pending": [vars(m) for m in self.pending],
            "head_start": self.head_start,
            "labelled_sha256": self.labelled.sha256 if self.labelled else None,
        }

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go back to a checkpoint of this run. Raises `InputError` if it is another's or the data changed."""
        state = checkpoint.state
        if (state["data_sha256"], state["data_count"]) != (self.data.sha256, len(self.data)):
            raise InputError(
                f"data {self.config.data!r} are not those the run was trained on (another sha256): "
                "bring the old data back or start a new run"
            )
        was = infogan.config.make(state["config"]).model_dump(mode="json")  # a field newer than the run: its default
        changed = [f for f, v in self._fixed_fields().items() if was[f] != v]
        if changed:
            raise InputError(
                f"{infogan.config.FILE} says {changed[0]} {getattr(self.config, changed[0])!r}, the run was "
                f"trained with {was[changed[0]]!r}: put that back or start a new run"
            )
        if self.labelled and state["labelled_sha256"] != self.labelled.sha256:
            raise InputError(
                f"the labels of {self.config.data!r} are not those the run was trained with: "
                "bring the old ones back or start a new run"
            )
        try:
            self.go_to(checkpoint.step, {part: checkpoint.part(part) for part in self.parts()})
        except ValueError as error:
            raise InputError(f"{checkpoint.path} does not fit this run's {infogan.config.FILE}: {error}") from None
        self.seconds = state["seconds"]
        self.pending = [_measured(m) for m in state["pending"]]
        self.head_start = state.get("head_start")

    def go_to(self, step: int, parts: Mapping[str, Mapping[str, Any]]) -> None:
        """Take over `parts`, as they were after update `step`. Raises `ValueError` where they do not fit."""
        self.networks.load_state_dict(parts["networks"])
        self.optimisers.d.load_state_dict(parts["optimiser_d"])
        self.optimisers.g.load_state_dict(parts["optimiser_g"])
        self.step = step
        for schedule in self.schedules:
            schedule.load_state_dict({**schedule.state_dict(), "last_epoch": step})

    def copy(self) -> Trainer:
        """Another trainer with equal networks and optimisers, after as many updates."""
        copy = Trainer(self.config, self.data, self.device, self.across)
        copy.go_to(self.step, self.parts())
        return copy

    def _fixed_fields(self) -> dict[str, Any]:
        """The fields that a run keeps from its first update to its last."""
        return self.config.model_dump(mode="json", exclude=set(infogan.config.RESUMABLE))

    def _update(self, step: int) -> Measured:
        with self.across.agreed():
            real = self._tensor(self.data.images[self.across.share(self.order.batch(step))])
            noise_d, noise_g = self.noise("noise of D", step), self.noise("noise of G", step)
            moved = self._moved(step) if self.config.invariance else None
            labelled = self._labelled(step, real) if self.labelled else None
            pairs = self._pairs(step) if self.config.contrastive and step > self.config.contrastive_from else None
        return update(
            self.networks,
            self.optimisers,
            self.code,
            self.config.weights,
            real,
            noise_d,
            noise_g,
            informed=self.config.objective == "infogan",
            moved=moved,
            labelled=labelled,
            pairs=pairs,
            across=self.across,
        )

    def _moved(self, step: int) -> Moved:
        pictures = self.data.images[self.order_of_moved.batch(step)]
        copies = moved(np.concatenate([pictures, pictures]), random.stream(self.config.seed, "movements", step))
        return Moved(self._tensor(self.across.share_of_pairs(copies)), self.config.invariance)

    def _labelled(self, step: int, real: mg.Tensor) -> Labelled:
        assert self.labelled is not None and self.code.first_categorical is not None
        first = self.code.index(self.code.first_categorical)
        batch = self.order_of_labelled.batch(step)
        pictures = self.data.images[self.labelled.places[batch]]
        copies = moved(pictures, random.stream(self.config.seed, "movements of labelled pictures", step))
        c = self.labelled.one_hot(self.code[first].width)[batch]
        images, c = (self._tensor(self.across.share(whole)) for whole in (copies, c))
        return Labelled(mg.cat([images, real], 0), c, self.config.weights[first])

    def _pairs(self, step: int) -> Pairs:
        z, c, held = draw_pairs(self.config, self.code, step)
        z, c = map(self.across.share_of_pairs, (z, c))
        held = self.across.share(held)
        return Pairs(Noise(self._tensor(z), self._tensor(c)), self._tensor(held), self.config.contrastive)

    def _tensor(self, array: np.ndarray) -> mg.Tensor:
        return mg.tensor(array, device=self.device)


def train(
    trainer: Trainer,
    run_dir: Path,
    *,
    say: Callable[[str], None] = print,
    progress: bool = True,
    events: Events | None = None,
) -> None:
    """Advance to the last update, with lines, sample grids and checkpoints in `run_dir`.

    `events` are told of every line and every grid. Of several processes the first one alone writes and tells.
    Raises `Diverged` where a number is not finite and `Interrupted` after Ctrl-C, with a checkpoint written; so it
    is before `Failed`, where one of several processes could not go on.
    A collapse (`watch`) is told to `say`, and stands as `notices` in the line of its update.
    """
    config, across = trainer.config, trainer.across
    if config.head_start and trainer.head_start is None:
        _take_head_start(trainer, run_dir, say, progress)
    started, before = time.perf_counter(), trainer.seconds
    times: list[float] = []
    watch = Watch(config, record.read(run_dir))
    shown = progress_bar(total=config.steps, initial=trainer.step) if progress and not across.rank else nullcontext()

    def write_down(stopping: bool) -> None:
        if _due(config.log_every, trainer):
            row = _log(trainer, run_dir, statistics.median(times) * 1000, watch)
            times.clear()
            if events:
                events.line(row)
            if bar:
                bar.set_postfix_str(_short(row), refresh=False)
            with bar.external_write_mode() if bar else nullcontext():
                for notice in row["notices"]:
                    say(f"update {trainer.step:,}: {notice}")
        if bar:
            bar.update()
        if _due(config.sample_every, trainer):
            grid = _draw_samples(trainer, run_dir)
            if events:
                events.picture(grid, trainer.step)
        if trainer.step in config.milestones:  # before the checkpoint: what that has passed is kept
            keep(trainer, run_dir)
        if _due(config.checkpoint_every, trainer) or stopping:
            save(trainer, run_dir)

    with _stop_on_ctrl_c() as stop, shown as bar:
        while trainer.step < config.steps:
            begun = time.perf_counter()
            try:
                with np.errstate(all="ignore"):  # a number that is not finite is found and named below
                    trainer.advance()
            except NotFinite:
                raise _diverged(run_dir, trainer.step + 1, trainer.explain()) from None
            except Failed as error:
                raise _kept(error, trainer, run_dir) from None
            now = time.perf_counter()
            times.append(now - begun)
            trainer.seconds = before + now - started
            stopping = across.any(stop.is_set())
            with across.agreed():
                if across.rank == 0:
                    write_down(stopping)
            if stopping:
                path = checkpoints.path(run_dir, trainer.step)
                raise Interrupted(f"stopped after update {trainer.step}: {path} is written; go on with --resume")


def _kept(error: Failed, trainer: Trainer, run_dir: Path) -> Failed:
    """The failure of an update that none of the processes has begun, with a checkpoint of the one before."""
    if trainer.across.rank == 0:
        save(trainer, run_dir)
    path = checkpoints.path(run_dir, trainer.step)
    told = f"{error.message}; {path} holds update {trainer.step:,}: go on with --resume"
    return Failed(told, error.exit_status)


def _take_head_start(trainer: Trainer, run_dir: Path, say: Callable[[str], None], progress: bool) -> None:
    """The head start and a checkpoint of update 0 behind it: a run that is resumed does not take it again."""
    begun, config, across = time.perf_counter(), trainer.config, trainer.across
    start = HeadStart(config, trainer.networks, trainer.data.images, trainer.device, trainer.labelled, across)
    try:
        with _stop_on_ctrl_c() as stop:
            trainer.head_start = start.take(stop=stop, progress=progress and not across.rank)
    except NotFinite as error:
        raise _diverged(run_dir, 0, str(error)) from None
    trainer.seconds += time.perf_counter() - begun
    kept = f"Q reads c1 with {trainer.head_start:.3f} nats in real pictures"
    with across.agreed():
        if across.rank == 0:
            save(trainer, run_dir)
            say(f"head start of {config.head_start:,} updates: {kept}")


def summary(trainer: Trainer, run_dir: Path) -> str:
    """What a finished run reached and what can be done with it now; draws its curves."""
    from infogan import figures

    curves = figures.curves(run_dir)
    last = record.read(run_dir)[-1]
    took = f"{duration(trainer.seconds)}, last ones {last['step_ms']:.0f} ms each"
    lines = [f"done: {trainer.step:,} updates in {took}"]
    for name, variable in zip(trainer.code.names, trainer.code, strict=True):
        lines.append(f"  {name}  bound {last['bound'][name]:.3f} nats {_note(name, variable, last)}")
    lines.append(f"in {run_dir}: checkpoints, {record.FILE}, {', '.join(str(p.relative_to(run_dir)) for p in curves)}")
    lines.append(f"next: infogan evaluate {run_dir}   and   infogan traverse {run_dir}")
    return "\n".join(lines)


def _note(name: str, variable: Variable, row: Mapping[str, Any]) -> str:
    """What the bound of a variable is to be compared with."""
    if isinstance(variable, Categorical):
        return f"of at most H({name}) = {variable.entropy:.3f}"
    trained, residual = row["bound_trained"][name], row["residual"][name]
    return f"(σ fitted, {residual:.3f}); as trained {trained:.3f}, never above {variable.limit:.3f}"


def save(trainer: Trainer, run_dir: Path) -> Path:
    """Write a checkpoint. Raises `Diverged` instead if any number in it is not finite."""
    parts = trainer.parts()
    _check_finite(parts, trainer, run_dir)
    record.flush(run_dir)
    return checkpoints.save(run_dir, trainer.step, parts, trainer.state())


def keep(trainer: Trainer, run_dir: Path) -> Path:
    """Write the networks as a milestone. Raises `Diverged` instead if any number in them is not finite."""
    networks = trainer.networks.state_dict()
    _check_finite({"networks": networks}, trainer, run_dir)
    return checkpoints.keep(run_dir, trainer.step, networks, trainer.state())


def _check_finite(parts: Mapping[str, Mapping[str, Any]], trainer: Trainer, run_dir: Path) -> None:
    for part, values in parts.items():
        for name, value in values.items():
            data = value.data if isinstance(value, mg.Tensor) else value
            if is_array(data) and not to_host((abs(data) < math.inf).all()):
                raise _diverged(run_dir, trainer.step, f"{part} {name} is not finite after it")


def _check_shares(config: Config, processes: int) -> None:
    """Raises `InputError` where several processes cannot share the batches evenly."""
    shared = {"batch_size": config.batch_size}
    if config.contrastive:
        shared["contrastive_batch"] = config.contrastive_batch
    if config.invariance or config.head_start:
        shared["invariance_batch"] = config.invariance_batch
    if config.labelled:
        shared["labelled"] = min(config.labelled, config.batch_size)
    for batch, n in shared.items():
        if n % processes:
            raise InputError(f"{batch}: {n} cannot be shared evenly by {processes} processes: give a multiple")


def _due(every: int, trainer: Trainer) -> bool:
    return trainer.step % every == 0 or trainer.step == trainer.config.steps


def _log(trainer: Trainer, run_dir: Path, step_ms: float, watch: Watch) -> dict[str, Any]:
    row = record.line(
        trainer.code,
        trainer.pending,
        step=trainer.step,
        images=trainer.step * trainer.config.batch_size,
        seconds=trainer.seconds,
        step_ms=step_ms,
    )
    row["notices"] = watch.see(row)
    record.append(run_dir, row)
    trainer.pending.clear()
    return row


def _draw_samples(trainer: Trainer, run_dir: Path) -> Path:
    from infogan import figures

    images, columns = trainer.samples()
    (run_dir / record.FIGURES).mkdir(exist_ok=True)
    return figures.sample_grid(images, record.grid_path(run_dir, trainer.step), columns=columns)


def _diverged(run_dir: Path, step: int, what: str) -> Diverged:
    try:
        last = checkpoints.latest(run_dir).path
    except InputError:
        last = None
    return Diverged(what, step, last)


def _measured(values: Mapping[str, Any]) -> Measured:
    found: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    return Measured(**found)


def _short(row: Mapping[str, Any]) -> str:
    bounds = " ".join(f"{name} {bound:.2f}" for name, bound in list(row["bound"].items())[:6])
    return f"D {row['loss_d']:.2f} G {row['loss_g']:.2f} bound {bounds}"


@contextmanager
def _stop_on_ctrl_c() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C sets, so that no update is cut in half; the second one interrupts."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked  # only the main thread may handle signals
        return

    def ask(number: int, frame: Any) -> None:
        asked.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)
