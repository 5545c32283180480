"""Before the first update: settings, data, device and folder, checked so that nothing is begun in vain."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import infogan.config
import kernels
from infogan import checkpoints, networks, record
from infogan.config import Config
from infogan.data import Dataset, Frame, is_name
from infogan.data import load as load_data
from infogan.data.known import SETS
from infogan.errors import InputError
from infogan.parallel import Alone
from infogan.training import Trainer
from infogan.update import ALONE
from kernels import device as devices

LIBRARIES = ("infogan", "numpy", "numba", "scipy", "safetensors", "cupy-cuda12x", "cupy-cuda13x")


def choose_backend(
    device: str = "cpu",
    threads: int | None = None,
    kernel_names: str | None = None,
    kernel_file: str | None = None,
) -> dict[str, str]:
    """Set the device's threads and kernels for this process.

    Returns what `kernel_file` registers, operation → name. Raises `InputError` for what is not there.
    """
    registered: dict[str, str] = {}
    try:
        devices.module(device)
        if threads is not None:
            kernels.set_num_threads(threads)
        if kernel_file is not None:
            registered = kernels.load_kernel_file(kernel_file)
            kernels.use(**registered)
        if kernel_names is not None:
            kernels.use(**kernels.parse_kernels(kernel_names))
    except (devices.DeviceError, kernels.KernelError, ValueError) as error:
        raise InputError(str(error)) from None
    return registered


def begin(
    settings: Mapping[str, Any],
    run_dir: Path,
    device: str,
    kernel_file: str | None,
    *,
    resume: bool,
    say: Callable[[str], None] = print,
    across: Alone = ALONE,
) -> Trainer:
    """A new run, or one to `resume`. Of several processes the first one checks and writes, then the others join.

    Raises `InputError`, or `Failed` in all of several processes.
    """
    with across.agreed():
        if across.rank == 0 and resume:
            trainer = resumed_run(settings, run_dir, device, kernel_file, say, across)
        elif across.rank == 0:
            trainer = new_run(settings, run_dir, device, kernel_file, across)
    with across.agreed():
        if across.rank:
            trainer = joined_run(run_dir, device, across)
    return trainer


def joined_run(run_dir: Path, device: str, across: Alone) -> Trainer:
    """The run that the first process has begun in `run_dir`, which all of them must see, as it stands.

    Raises `InputError` where the folder or the data are not the ones that the first process has.
    """
    config, environment = infogan.config.read(run_dir)
    data = load_data(config.data, frame=config.frame)
    if data.sha256 != environment["data"]["sha256"]:
        raise InputError(f"data {config.data!r} are not those of the first process (another sha256): give it the same")
    trainer = Trainer(config, data, device, across)
    if checkpoints.exist(run_dir):
        trainer.restore(checkpoints.latest(run_dir))
    return trainer


def new_run(
    settings: Mapping[str, Any], run_dir: Path, device: str, kernel_file: str | None, across: Alone = ALONE
) -> Trainer:
    """A run from its beginning, its `config.json` written.

    Raises `InputError`, before anything is written, where settings, data and folder do not fit together.
    """
    _refuse_another_run(run_dir)
    config = infogan.config.make(settings)
    data = load_data(config.data, frame=_asked_frame(config))
    decided = {**_decided(config, data), "data": lasting(config.data)}
    config = infogan.config.make({**decided, **_given(settings), **_named(config, data)})
    _check_pictures(config, data)
    trainer = Trainer(config, data, device, across)
    _write_config(trainer, run_dir, kernel_file)
    return trainer


def resumed_run(
    settings: Mapping[str, Any],
    run_dir: Path,
    device: str,
    kernel_file: str | None,
    say: Callable[[str], None] = print,
    across: Alone = ALONE,
) -> Trainer:
    """A run from its newest whole checkpoint, `metrics.jsonl` cut back to it; without one from its start.

    Raises `InputError` if `settings` would change what a run cannot change on its way.
    """
    for leftover in [*run_dir.glob(".*.tmp"), *run_dir.glob("*/.*.tmp")]:
        leftover.unlink()
    if not (run_dir / infogan.config.FILE).exists():
        say(f"{run_dir} holds no run yet: starting one")
        return new_run(settings, run_dir, device, kernel_file, across)
    config = _with_changes(infogan.config.read(run_dir)[0], settings, run_dir)
    data = load_data(config.data, frame=config.frame)
    _check_pictures(config, data)
    trainer = Trainer(config, data, device, across)
    if checkpoints.exist(run_dir):
        trainer.restore(checkpoints.latest(run_dir))
    check_milestones(config, run_dir, trainer.step)
    record.cut_back(run_dir, trainer.step)
    _write_config(trainer, run_dir, kernel_file)
    say(f"going on after update {trainer.step:,} of {config.steps:,}")
    return trainer


def check_milestones(config: Config, run_dir: Path, step: int) -> None:
    """Raises `InputError` for a milestone that the run in `run_dir` is past without having kept it."""
    kept = checkpoints.steps(run_dir)
    lost = [m for m in config.milestones if m <= step and m not in kept]
    if lost:
        raise InputError(
            f"milestones: {run_dir} is at update {step:,} and did not keep update {lost[0]:,}: "
            "name later ones, or train anew with another --out"
        )


def describe(trainer: Trainer) -> str:
    """Data, count, size, device, kernels and updates to come, in one line."""
    config, data = trainer.config, trainer.data
    size = "×".join(str(n) for n in (*data.images.shape[2:], data.images.shape[1]))
    used = kernels.chosen(trainer.device)
    names = sorted(set(used.values()))
    k, threads = trainer.across.size, kernels.get_num_threads()
    processes = f"{k} processes of " if k > 1 else ""
    shown = names[0] if len(names) == 1 else ",".join(f"{op}={name}" for op, name in used.items())
    return (
        f"{data.name}: {len(data):,} pictures of {size} | "
        f"{processes}{trainer.device}, {threads} thread{'s'[: threads > 1]}, kernels {shown} | "
        f"{config.steps - trainer.step:,} updates of {config.batch_size} pictures, "
        f"{config.objective}, code {config.codes}, seed {config.seed}"
    )


def _refuse_another_run(run_dir: Path) -> None:
    if run_dir.exists() and not run_dir.is_dir():
        raise InputError(f"--out {run_dir} is a file: give a folder")
    if (run_dir / infogan.config.FILE).exists() or (run_dir / record.FILE).exists() or checkpoints.exist(run_dir):
        raise InputError(f"--out {run_dir} holds another run: go on with it by --resume, or give another folder")


def _given(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {field: value for field, value in settings.items() if field != "data"}


def lasting(data: str) -> str:
    """A path so written that it is found from another working directory too; a name as it is."""
    path = Path(data).expanduser()
    return data if is_name(data) or not path.exists() else str(path.resolve())


def _of_pictures(data: Dataset) -> dict[str, Any]:
    """The fields that the pictures themselves decide."""
    _, channels, height, width = data.images.shape
    if height != width:
        raise InputError(f"data {data.name}: pictures are {height}×{width}: square ones are needed")
    return {"image_size": height, "channels": channels}


def _decided(config: Config, data: Dataset) -> dict[str, Any]:
    """The fields that nobody has set and the pictures decide: their shape, and under preset auto the networks."""
    shape = _of_pictures(data)
    return shape if config.preset != "auto" else {**shape, "network": networks.fitting(**shape)}


def preset_of(spec: str) -> str | None:
    """The preset of the data set that is named, `None` for other data."""
    return SETS[spec].preset if spec in SETS else None


def _named(config: Config, data: Dataset) -> dict[str, Any]:
    """Under preset auto that of the data set named, where its pictures fit and no other network was asked for."""
    preset = preset_of(config.data)
    if config.preset != "auto" or preset is None:
        return {}
    own = {field: infogan.config.PRESETS[preset][field] for field in infogan.config.STRUCTURE}
    asked = config.network if "network" in config.model_fields_set else own["network"]
    return {"preset": preset, **own} if own == {**_of_pictures(data), "network": asked} else {}


def _asked_frame(config: Config) -> Frame:
    """What pictures' files are to be brought to, as far as somebody has said."""
    asked = {f: getattr(config, f) if f in config.model_fields_set else None for f in ("image_size", "channels")}
    return Frame(asked["image_size"], asked["channels"], config.fit)


def _check_pictures(config: Config, data: Dataset) -> None:
    for field, found in _of_pictures(data).items():
        if getattr(config, field) != found:
            raise InputError(f"{field}: {getattr(config, field)} was asked for, but {data.name} has {found}")
    if config.batch_size > len(data):
        raise InputError(
            f"batch_size: {config.batch_size} is more than {data.name} has ({len(data)} pictures): give fewer"
        )


def _with_changes(config: Config, settings: Mapping[str, Any], run_dir: Path) -> Config:
    changed = infogan.config.make({**config.model_dump(), **settings})
    if "data" in settings:
        changed = infogan.config.make({**changed.model_dump(), "data": lasting(changed.data)})
    for field in settings:
        if field not in infogan.config.RESUMABLE and getattr(changed, field) != getattr(config, field):
            raise InputError(
                f"{field}: the run in {run_dir} has {getattr(config, field)!r}; "
                f"a resumed run can change only {', '.join(infogan.config.RESUMABLE)}"
            )
    return changed


def _write_config(trainer: Trainer, run_dir: Path, kernel_file: str | None) -> None:
    run_dir.mkdir(parents=True, exist_ok=True)
    infogan.config.write(trainer.config, _environment(trainer, kernel_file), run_dir / infogan.config.FILE)


def _environment(trainer: Trainer, kernel_file: str | None) -> dict[str, Any]:
    """Where the run is made and on what data: noted, never read back."""
    data = trainer.data
    return {
        "versions": {"python": platform.python_version(), **versions()},
        "platform": platform.platform(),
        "device": trainer.device,
        "threads": kernels.get_num_threads(),
        "kernels": kernels.chosen(trainer.device),
        "kernel_file": None if kernel_file is None else _fingerprint(Path(kernel_file)),
        "data": {
            "name": data.name,
            "split": data.split,
            "count": len(data),
            "shape": list(data.images.shape[1:]),
            "sha256": data.sha256,
        },
    }


def _fingerprint(path: Path) -> dict[str, str]:
    return {"name": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def versions() -> dict[str, str]:
    """The version of each library that has a part in a run, of those that are installed."""
    found = {}
    for library in LIBRARIES:
        try:
            found[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    return found
