"""Several processes train one run: threads stand for them here, joined by a wire of their own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import small_runs

import kernels
import minigrad as mg
from infogan import checkpoints, config, parallel, start, training
from infogan.data import load
from infogan.errors import InputError, Interrupted
from infogan.headstart import HeadStart
from infogan.parallel import Alone, Failed, Together
from infogan.training import Trainer
from kernels import nccl
from minigrad import nn
from minigrad.nn.utils import share_statistics
from minigrad.rules.norm import sum_over


class Ends:
    """What the threads of a run put down for each other, and where they wait."""

    def __init__(self, size: int) -> None:
        self.size, self.given = size, [np.empty(0)] * size
        self.gate = threading.Barrier(size, timeout=30)

    def exchange(self, rank: int, array: np.ndarray) -> list[np.ndarray]:
        """The arrays of all."""
        self.given[rank] = array.copy()
        self.gate.wait()
        found = list(self.given)
        self.gate.wait()
        return found


class Thread:
    """A `parallel.Wire` between threads; it notes the size of every message."""

    def __init__(self, ends: Ends, rank: int) -> None:
        self.ends, self.rank, self.size = ends, rank, ends.size
        self.messages: list[int] = []

    def sum_(self, array: np.ndarray) -> None:
        self.messages.append(array.size)
        array[...] = sum(self.ends.exchange(self.rank, array))

    def rows(self, array: np.ndarray) -> np.ndarray:
        return np.concatenate(self.ends.exchange(self.rank, array))

    def abort(self, status: int) -> None:
        self.ends.gate.abort()


def together(size: int, work: Callable[[Together], Any]) -> list[Any]:
    """What `work` returns in each of `size` processes; an exception is returned too."""
    ends = Ends(size)

    def one(rank: int) -> Any:
        try:
            return work(Together(Thread(ends, rank)))
        except Exception as error:
            return error

    with ThreadPoolExecutor(size) as pool:
        found = list(pool.map(one, range(size)))
    for error in found:
        if isinstance(error, threading.BrokenBarrierError):
            raise error
    return found


def make_sure(layer: nn.Linear) -> None:
    """Larger weights: what the first ones tell of two readings is 1e-7 nats, and a gradient of it lost on a test."""
    layer.weight.data *= 30


class Exact(Trainer):
    """A trainer in float64, whose Adam does not blow up rounding and whose Q is sure of something from the start.

    The gradient of a bias before a batch-norm is zero but for rounding, which Adam's usual ε of 1e-8 would make as
    large as a step: such a bias has no effect, and no value of its own to compare.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        self.networks.to(np.float64)
        make_sure([m for m in self.networks.Q_head.modules() if isinstance(m, nn.Linear)][-1])
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["eps"] = 1e-3

    def _tensor(self, array: np.ndarray) -> mg.Tensor:
        return super()._tensor(array.astype(np.float64) if array.dtype == np.float32 else array)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_runs.write_pictures(tmp_path_factory.mktemp("pictures"))


def trained(pictures: Path, across: Alone, updates: int, **changes: Any) -> tuple[dict[str, np.ndarray], list[dict]]:
    """All networks' values after some updates, and what each update measured."""
    data = load(str(pictures))
    trainer = Exact(config.make({**small_runs.settings(pictures, **changes), "image_size": 8}), data, "cpu", across)
    with np.errstate(all="ignore"):
        measured = [vars(trainer.advance()) for _ in range(updates)]
    return {k: v.numpy().copy() for k, v in trainer.networks.state_dict().items()}, measured


@pytest.mark.parametrize("processes", [2, 4])
@pytest.mark.parametrize("changes", [
    {"batch_size": 8},
    {"batch_size": 8, "objective": "gan"},
    {"batch_size": 4, "codes": "cat:3,uniform,uniform", "contrastive": 0.7, "contrastive_batch": 8},
    {"batch_size": 8, "invariance": 0.8, "invariance_batch": 12},
    {"batch_size": 8, "labelled": 12},
    {"batch_size": 4, "invariance": 0.5, "invariance_batch": 8, "labelled": 4},
])  # fmt: skip
def test_shares_of_a_batch_train_as_the_whole_of_it(pictures: Path, processes: int, changes: dict[str, Any]):
    """Batch-norm's statistics, running ones too, gradients, Adam, losses and all that is measured, in float64."""
    one, measured = trained(pictures, Alone(), 4, **changes)
    for several, measured_there in together(processes, lambda across: trained(pictures, across, 4, **changes)):
        for name, value in one.items():
            np.testing.assert_allclose(several[name], value, rtol=1e-10, atol=1e-10, err_msg=name)
        for here, there in zip(measured, measured_there, strict=True):
            assert here.keys() == there.keys() and here["readings"] == there["readings"]
            for field in here.keys() - {"readings"}:
                if here[field] is not None:
                    np.testing.assert_allclose(there[field], here[field], rtol=1e-10, atol=1e-10, err_msg=field)


class ExactHeadStart(HeadStart):
    """A head start in float64, its Adam as `Exact`'s."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.head.to(np.float64)
        make_sure(self.head)
        for group in self.optimiser.param_groups:
            group["eps"] = 1e-3

    def _tensor(self, array: np.ndarray) -> mg.Tensor:
        return mg.tensor(array.astype(np.float64))


@pytest.mark.parametrize("processes", [2, 3])
def test_a_head_start_is_that_of_one_process(pictures: Path, processes: int):
    """Its updates share their batches, of which the joint law of readings is the whole one's; Q's lessons do not.

    What Q reads is compared, not its weights: the lessons' Adam blows up the bias without effect (`Exact`).
    """
    data = load(str(pictures))
    changes = {"image_size": 8, "batch_size": 6, "head_start": 4, "head_start_categories": 5, "invariance_batch": 12}

    def taken(across: Alone) -> tuple[list[float], np.ndarray]:
        trainer = Exact(config.make({**small_runs.settings(pictures), **changes}), data, "cpu", across)
        start = ExactHeadStart(trainer.config, trainer.networks, data.images, "cpu", None, across)
        found = [start.advance(step) for step in range(1, 5)]
        found.append(start.finish())
        trainer.networks.eval()
        return found, trainer.networks.Q(mg.tensor(data.images.astype(np.float64))).detach().numpy()

    information, reading = taken(Alone())
    assert max(information) > 0.01
    for informed, read in together(processes, taken):
        np.testing.assert_allclose(informed, information, rtol=1e-9, atol=1e-10)
        np.testing.assert_allclose(read, reading, rtol=1e-6, atol=1e-8)


def test_a_head_start_is_taken_once_by_all(pictures: Path, tmp_path: Path):
    """Its checkpoint is the first process's; a run resumed by another number of processes does not take it again."""
    settings = small_runs.settings(pictures, head_start=3, head_start_categories=5, invariance_batch=8, steps=4)
    told: list[str] = []

    def work(across: Together) -> int:
        trainer = start.begin(settings, tmp_path / "run", "cpu", None, resume=False, across=across)
        training.train(trainer, tmp_path / "run", progress=False, say=told.append)
        return trainer.step

    assert together(2, work) == [4, 4]
    assert sum("head start of 3 updates" in line for line in told) == 1
    told.clear()
    longer = {**settings, "steps": 6}

    def more(across: Together) -> int:
        trainer = start.begin(longer, tmp_path / "run", "cpu", None, resume=True, say=told.append, across=across)
        training.train(trainer, tmp_path / "run", progress=False, say=told.append)
        return trainer.step

    assert together(4, more) == [6] * 4
    assert told == ["going on after update 4 of 6"]


def test_batch_norm_over_processes_is_that_of_the_whole_batch():
    """Values far from zero, and the parts' means far apart: what would cancel in a difference of squares."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(6, 3, 2, 2)) + 1e4 + 10 * np.arange(6)[:, None, None, None]
    g = rng.normal(size=x.shape)
    layer = nn.BatchNorm2d(3, activation=("leaky_relu", 0.1)).to(np.float64)
    layer.bias.data[:] = [0.5, -0.5, 0.1]

    def passed(across: Alone) -> list[np.ndarray]:
        mine = nn.BatchNorm2d(3, activation=("leaky_relu", 0.1)).to(np.float64)
        mine.load_state_dict(layer.state_dict())
        share_statistics(mine, across if across.size > 1 else None)
        part = mg.Tensor(across.share(x), requires_grad=True)
        y = mine(part)
        y.backward(mg.Tensor(across.share(g)))
        own = [p.grad.data for p in (mine.weight, mine.bias)]
        rows = [across.rows(y.detach().numpy()), across.rows(part.grad.numpy())]
        return [*rows, *(across.sum_(a.copy()) for a in own), mine.running_mean.numpy(), mine.running_var.numpy()]

    whole = passed(Alone())
    for found in together(3, passed):
        for a, b in zip(found, whole, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


def test_a_sum_over_processes_and_batch_norm_have_every_derivative():
    """The second derivative of a mean over processes of batch-norm's output, beside one process."""
    rng = np.random.default_rng(1)
    x, v = rng.normal(size=(4, 2)), rng.normal(size=(4, 2))

    def second(across: Alone) -> np.ndarray:
        part = mg.Tensor(across.share(x), requires_grad=True)
        layer = nn.BatchNorm1d(2).to(np.float64)
        share_statistics(layer, across if across.size > 1 else None)
        (first,) = mg.grad((layer(part) ** 3).sum(), [part], create_graph=True)
        (found,) = mg.grad((first * mg.Tensor(across.share(v))).sum(), [part])
        return across.rows(found.numpy())

    whole = second(Alone())
    for found in together(2, second):
        np.testing.assert_allclose(found, whole, rtol=1e-8, atol=1e-10)
    y = together(2, lambda across: sum_over(mg.Tensor(np.full(3, 1.0 + across.rank)), processes=across).numpy())
    assert all((found == 3.0).all() for found in y)


def test_gradients_go_by_one_message_each_optimiser(pictures: Path):
    def largest(across: Together) -> list[int]:
        data = load(str(pictures))
        settings = {**small_runs.settings(pictures), "image_size": 8}
        trainer = Trainer(config.make(settings), data, "cpu", across)
        trainer.advance()
        counts = [
            sum(p.size for p in of()) for of in (trainer.networks.of_discriminator, trainer.networks.of_generator)
        ]
        assert isinstance(across.wire, Thread)
        assert sorted(across.wire.messages)[-2:] == sorted(counts)
        return across.wire.messages

    first, second = together(2, largest)
    assert first == second


def test_a_failure_in_one_process_is_told_in_all_and_leaves_a_checkpoint(pictures: Path, tmp_path: Path):
    class Torn:
        def __init__(self, images: np.ndarray) -> None:
            self.images, self.reads = images, 0

        def __getitem__(self, places: np.ndarray) -> np.ndarray:
            self.reads += 1
            if self.reads > 2:
                raise OSError("the disk is gone")
            return self.images[places]

    def work(across: Together) -> None:
        trainer = start.begin(small_runs.settings(pictures), tmp_path / "run", "cpu", None, resume=False, across=across)
        if across.rank == 1:
            object.__setattr__(trainer.data, "images", Torn(trainer.data.images))
        training.train(trainer, tmp_path / "run", progress=False)

    for error in together(2, work):
        assert isinstance(error, Failed) and error.exit_status == 1
        assert error.message.startswith("process 1 of 2: OSError: the disk is gone; ")
        assert "holds update 2: go on with --resume" in error.message
    assert checkpoints.latest(tmp_path / "run").step == 2


def test_ctrl_c_in_one_process_stops_all_after_the_same_update(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A thread gets no signals: what the signal's handler sets is set here by the fourth update of one process."""
    events: dict[int, threading.Event] = {}

    @contextmanager
    def handled() -> Iterator[threading.Event]:
        yield events.setdefault(threading.get_ident(), threading.Event())

    monkeypatch.setattr(training, "_stop_on_ctrl_c", handled)
    in_head_start = HeadStart.advance

    def head_start_step(of: HeadStart, step: int) -> float:
        if of.across.rank == 1 and step == 2:
            events[threading.get_ident()].set()
        return in_head_start(of, step)

    def head_start(across: Together) -> None:
        settings = small_runs.settings(pictures, head_start=9, invariance_batch=8)
        trainer = start.begin(settings, tmp_path / "head", "cpu", None, resume=False, across=across)
        training.train(trainer, tmp_path / "head", progress=False)

    with monkeypatch.context() as patched:
        patched.setattr(HeadStart, "advance", head_start_step)
        for error in together(2, head_start):
            assert isinstance(error, Interrupted) and "stopped in the head start" in error.message
    assert not checkpoints.exist(tmp_path / "head")
    events.clear()

    def work(across: Together) -> None:
        trainer = start.begin(small_runs.settings(pictures), tmp_path / "run", "cpu", None, resume=False, across=across)

        def advance(of: Callable[[], Any] = trainer.advance) -> Any:
            measured = of()
            if across.rank == 1 and trainer.step == 4:
                events[threading.get_ident()].set()
            return measured

        trainer.advance = advance  # type: ignore[method-assign]
        training.train(trainer, tmp_path / "run", progress=False)

    for error in together(2, work):
        assert isinstance(error, Interrupted) and "stopped after update 4" in error.message
    assert checkpoints.latest(tmp_path / "run").step == 4


@pytest.mark.parametrize("changes, line", [
    ({"batch_size": 6}, "batch_size: 6 cannot be shared evenly by 4 processes: give a multiple"),
    ({"head_start": 2, "invariance_batch": 9},
     "invariance_batch: 9 cannot be shared evenly by 4 processes: give a multiple"),
    ({"labelled": 10, "batch_size": 16}, "labelled: 10 cannot be shared evenly by 4 processes: give a multiple"),
])  # fmt: skip
def test_what_cannot_be_shared_is_refused_before_anything_is_written(
    pictures: Path, tmp_path: Path, changes: dict[str, Any], line: str
):
    settings = small_runs.settings(pictures, **changes)
    run_dir = tmp_path / "run"
    found = together(4, lambda across: start.begin(settings, run_dir, "cpu", None, resume=False, across=across))
    assert [error.message for error in found] == [line] * 4
    assert all(error.exit_status == 2 for error in found) and not run_dir.exists()


def test_another_process_must_have_the_same_data(pictures: Path, tmp_path: Path):
    here = small_runs.write_pictures(tmp_path)

    def work(across: Together) -> None:
        with across.agreed():
            if across.rank == 0:
                start.new_run(small_runs.settings(here), tmp_path / "run", "cpu", None, across)
                shutil.copy(small_runs.write_pictures(tmp_path, count=30, name="other.npz"), here)
        with across.agreed():
            if across.rank:
                start.joined_run(tmp_path / "run", "cpu", across)

    for error in together(2, work):
        assert isinstance(error, Failed) and error.exit_status == 2
        assert "process 1 of 2: data" in error.message and "not those of the first process" in error.message


def test_an_error_that_others_cannot_know_of_ends_them_once_told(monkeypatch: pytest.MonkeyPatch):
    registered: list[tuple[Any, ...]] = []
    monkeypatch.setattr(parallel.atexit, "register", lambda *given: registered.append(given))
    first, second = (Together(Thread(Ends(2), rank)) for rank in range(2))
    with pytest.raises(InputError), first.guard():
        raise InputError("no such file")
    assert registered == [(first.wire.abort, 2)]
    with pytest.raises(Failed), first.guard():
        raise Failed("known to all", 1)
    with pytest.raises(SystemExit, match="1"), second.guard():
        raise Failed("known to all", 1)
    assert len(registered) == 1


def test_cores_are_divided_among_the_processes_of_a_host():
    assert together(2, lambda across: across.threads()) == [max(1, kernels.get_num_threads() // 2)] * 2
    assert Alone().threads() is None


def test_without_a_launcher_or_mpi4py(monkeypatch: pytest.MonkeyPatch):
    assert parallel.join(environment={}).size == 1
    assert parallel.join(environment={"PMI_SIZE": "1", "PMI_RANK": "0"}).size == 1
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with pytest.raises(InputError, match="pip install 'infogan\\[mpi\\]' brings both"):
        parallel.join(environment={"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "0"})
    with pytest.raises(SystemExit):
        parallel.join(environment={"PMI_SIZE": "2", "PMI_RANK": "1"})


class Comm:
    """MPI's communicator for two processes, one of which this is."""

    def Get_rank(self) -> int:
        return 0

    def Get_size(self) -> int:
        return 2

    def Allreduce(self, place: str, array: np.ndarray, operation: str) -> None:
        assert (place, operation) == ("in place", "sum")
        array *= 2

    def Allgather(self, array: np.ndarray, whole: np.ndarray) -> None:
        whole[:] = np.concatenate([array, array])


def test_what_mpi_is_asked_for(monkeypatch: pytest.MonkeyPatch):
    MPI = SimpleNamespace(COMM_WORLD=Comm(), SUM="sum", IN_PLACE="in place")
    monkeypatch.setitem(sys.modules, "mpi4py", SimpleNamespace(MPI=MPI))
    across = parallel.join(environment={"PMI_SIZE": "2", "PMI_RANK": "0"})
    assert (across.rank, across.size) == (0, 2)
    assert across.mean(1.5, 2.0) == (1.5, 2.0)
    assert across.rows(np.arange(4).reshape(2, 2)).tolist() == [[0, 1], [2, 3], [0, 1], [2, 3]]
    with pytest.raises(InputError, match="mpiexec started 3 processes and mpi4py sees 2"):
        parallel.join(environment={"PMI_SIZE": "3", "PMI_RANK": "0"})


def test_what_nccl_is_asked_for(monkeypatch: pytest.MonkeyPatch):
    """A stand-in takes the calls: this shows what is asked, not that NCCL does it."""
    calls: list[Any] = []

    class Communicator:
        def __init__(self, *given: Any) -> None:
            calls.append(given)

        def allReduce(self, *given: Any) -> None:
            calls.append(given)

    runtime = SimpleNamespace(getDeviceCount=lambda: 2)
    cuda = SimpleNamespace(
        runtime=runtime,
        Device=lambda i: SimpleNamespace(use=lambda: calls.append(i)),
        get_current_stream=lambda: SimpleNamespace(ptr=7),
        nccl=SimpleNamespace(
            get_unique_id=lambda: (1, 2), NcclCommunicator=Communicator, NCCL_FLOAT32=7, NCCL_FLOAT64=8, NCCL_SUM=0
        ),
    )
    monkeypatch.setattr(nccl.device, "module", lambda device: SimpleNamespace(cuda=cuda))
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(cuda=cuda))
    monkeypatch.setitem(sys.modules, "cupy.cuda", cuda)
    sums = nccl.Sums(4, 3, 1, lambda row: row + 10)
    sums.sum_(SimpleNamespace(data=SimpleNamespace(ptr=99), dtype=np.dtype(np.float64), size=5))
    assert calls == [1, (4, (11, 12), 3), (99, 99, 5, 8, 0, 7)]
    with pytest.raises(kernels.device.DeviceError, match="more processes on this host than CUDA devices"):
        nccl.Sums(4, 3, 2, lambda row: row)


def mpiexec(*given: str, processes: int = 2, **options: Any) -> subprocess.Popen[str]:
    """The command under MPI's launcher, which lies beside this Python or is on the PATH."""
    pytest.importorskip("mpi4py")
    launcher = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert launcher is not None
    command = [launcher, "-n", str(processes), sys.executable, "-m", "infogan.cli", *given]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def lines(run_dir: Path) -> list[dict[str, Any]]:
    return [json.loads(text) for text in (run_dir / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_a_run_of_two_processes_follows_that_of_one(pictures: Path, tmp_path: Path):
    fields = {"invariance": 0.5, "invariance_batch": 8, "labelled": 12}
    one = small_runs.launch(*small_runs.arguments(pictures, tmp_path / "one", **fields))
    two = mpiexec(*small_runs.arguments(pictures, tmp_path / "two", **fields, steps=6))
    out, error = two.communicate(timeout=60)
    assert two.returncode == 0, error
    assert "2 processes of cpu" in out and out.count("done: 6 updates") == 1
    more = mpiexec(*small_runs.arguments(pictures, tmp_path / "two", **fields), "--resume", processes=4)
    out, error = more.communicate(timeout=60)
    assert more.returncode == 0 and "going on after update 6 of 12" in out, error
    assert one.communicate(timeout=60) and one.returncode == 0
    for first, second in zip(lines(tmp_path / "one"), lines(tmp_path / "two"), strict=True):
        assert first["step"] == second["step"]
        assert second["loss_d"] == pytest.approx(first["loss_d"], rel=1e-4)
        assert second["loss_g"] == pytest.approx(first["loss_g"], rel=1e-4)
    a, b = (checkpoints.latest(tmp_path / run).tensors for run in ("one", "two"))
    assert a.keys() == b.keys()


@pytest.mark.slow
def test_two_processes_take_a_head_start(pictures: Path, tmp_path: Path):
    """What it is worth is held against one process in float64 above: float32 cannot show it here, as the first
    gradients of a head so small are rounding, which Adam makes as large as any."""
    run = mpiexec(*small_runs.arguments(pictures, tmp_path / "run", head_start=2, invariance_batch=8, steps=2))
    out, error = run.communicate(timeout=60)
    assert run.returncode == 0, error
    assert out.count("head start of 2 updates") == 1 and out.count("done: 2 updates") == 1


@pytest.mark.slow
def test_bad_input_is_one_line(pictures: Path, tmp_path: Path):
    run = mpiexec(*small_runs.arguments(pictures, tmp_path / "run", batch_size=5))
    _, error = run.communicate(timeout=60)
    assert run.returncode == 2
    told = [text for text in error.splitlines() if text.startswith("infogan: ")]
    assert told == ["infogan: batch_size: 5 cannot be shared evenly by 2 processes: give a multiple"]


def begun(run_dir: Path) -> None:
    """Wait until a run has a checkpoint."""
    end = time.monotonic() + 60
    while not checkpoints.exist(run_dir):
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["ctrl-c", "killed"])
def test_a_run_that_is_stopped_or_loses_a_process_goes_on(pictures: Path, tmp_path: Path, how: str):
    run_dir = tmp_path / "run"
    run = mpiexec(*small_runs.arguments(pictures, run_dir, steps=100_000))
    begun(run_dir)
    if how == "ctrl-c":
        run.send_signal(signal.SIGINT)
    else:
        os.kill(_child(run.pid), signal.SIGKILL)
    out, error = run.communicate(timeout=60)
    assert run.returncode != 0
    assert f"should one be killed, all end: infogan train --out {run_dir} --resume" in out
    if how == "ctrl-c":
        assert error.count("go on with --resume") == 1
    steps = checkpoints.latest(run_dir).step
    again = small_runs.command("train", "--out", str(run_dir), "--resume", "--steps", str(steps + 3))
    assert again.returncode == 0 and f"going on after update {steps:,}" in again.stdout


def _child(launcher: int) -> int:
    """The process id of a rank: the launcher's grandchild that is this Python."""
    found = subprocess.run(["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True).stdout
    rows = [row.split(None, 2) for row in found.splitlines()[1:]]
    family, grown = {launcher}, True
    while grown:
        more = {int(pid) for pid, parent, _ in rows if int(parent) in family} - family
        family, grown = family | more, bool(more)
    return max(int(pid) for pid, _, text in rows if int(pid) in family and text.startswith(sys.executable))
