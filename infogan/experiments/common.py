"""What every experiment does alike: train or find its runs, and write down what it found and from what.

An experiment is a module with `measure`, which gives its result as a JSON object, `table`, which makes Markdown
of that, and functions that draw it.
"""

from __future__ import annotations

import json
import platform
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import infogan.config
import kernels
from infogan import start
from infogan.errors import InfoganError, InputError
from infogan.workers import train_all
from minigrad import serialize

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RESULT = "result.json"
TABLE = "table.md"

Runs = dict[str, dict[int, Path]]
"""Folders of trained runs: `runs[kind][seed]`, where a kind is a value of the field `objective`."""


@dataclass(frozen=True)
class Plan:
    """What an experiment is asked for: the settings of its runs, and where runs and results lie.

    Runs are shared: experiments of one `runs` folder use one run of a kind and a seed, `RUNS/KIND/seed-K`.
    """

    name: str
    data: str = "mnist-5k"
    seeds: Sequence[int] = (0, 1, 2, 3, 4)
    steps: int = 5000
    runs: Path = Path("runs/experiments")
    out: Path = Path("runs/experiments/result")
    jobs: int | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    own: Sequence[str] = ()
    """The words of options that this experiment alone has, as given."""

    @property
    def command(self) -> str:
        """The command that does this again."""
        words = ["infogan", "experiment", self.name, "--data", self.data, "--steps", str(self.steps)]
        words += [
            "--seeds",
            ",".join(map(str, self.seeds)),
            "--runs",
            str(self.runs),
            "--out",
            str(self.out),
            *self.own,
        ]
        return shlex.join([*words, *(w for f, v in self.fields.items() for w in ("--set", f"{f}={v}"))])

    def settings(self, kind: str, seed: int) -> dict[str, Any]:
        """The fields of one run."""
        own = {
            "data": self.data,
            "steps": self.steps,
            "objective": kind,
            "seed": seed,
            "milestones": milestones(self.steps),
        }
        taken = [name for name in self.fields if name in own]
        if taken:
            raise InputError(f"--set {taken[0]}: the experiment sets this itself")
        return {**self.fields, **own}


def milestones(steps: int) -> tuple[int, ...]:
    """The updates at which experiments look at a run.

    Every 100 to 1,000, then every 500, and the fifths of the run's length, where a reader of its own is trained.
    """
    often = [*range(100, 1001, 100), *range(1500, steps + 1, 500)]
    return tuple(sorted({step for step in often if step <= steps} | set(fifths(steps))))


def fifths(steps: int) -> list[int]:
    """20, 40, 60, 80 and 100 % of a run's length, in whole updates."""
    return sorted({max(1, round(steps * fifth / 5)) for fifth in range(1, 6)})


def train(plan: Plan, gan: Sequence[int] = ()) -> Runs:
    """InfoGAN of every seed of `plan`, and the regular GAN of the seeds `gan`, all trained side by side.

    Those that are there are left alone. Raises `InfoganError`, naming them, if any failed; the others are kept.
    """
    seeds_of = {"infogan": plan.seeds, "gan": gan}
    wanted = {kind: {seed: plan.settings(kind, seed) for seed in seeds} for kind, seeds in seeds_of.items() if seeds}
    return _trained(plan, wanted)


def train_rows(
    plan: Plan, rows: Mapping[str, Mapping[str, Any]], folder: Callable[[str], str] = lambda row: row
) -> Runs:
    """The runs of every row, settings by name, and every seed of `plan`, trained side by side: `runs[row][seed]`.

    A row's runs lie in RUNS/`folder(row)`. Those that are there are left alone. Raises `InfoganError`, naming them,
    if any failed; the others are kept.
    """
    return _trained(plan, {row: {seed: {**rows[row], "seed": seed} for seed in plan.seeds} for row in rows}, folder)


def _trained(
    plan: Plan, wanted: Mapping[str, Mapping[int, Mapping[str, Any]]], folder: Callable[[str], str] = lambda row: row
) -> Runs:
    """The runs of the settings `wanted[row][seed]`, trained."""
    runs: Runs = {row: {seed: plan.runs / folder(row) / f"seed-{seed}" for seed in wanted[row]} for row in wanted}
    settings = {runs[row][seed]: wanted[row][seed] for row in wanted for seed in wanted[row]}
    failed = {where: why for where, why in train_all(settings, jobs=plan.jobs).items() if why is not None}
    if failed:
        told = "; ".join(f"{where}: {why}" for where, why in failed.items())
        raise InfoganError(f"{len(failed)} of {len(settings)} runs failed: {told}; the same command tries again")
    return runs


def updates(plan: Plan, runs: Runs) -> int:
    """The updates of all runs together."""
    return plan.steps * sum(len(seeds) for seeds in runs.values())


def basis(plan: Plan) -> dict[str, Any]:
    """What a result rests on: command, settings, seeds, machine and versions."""
    kind_and_seed = {"seed", "objective", "milestones", "image_size", "channels"}
    settings = infogan.config.make(plan.settings("infogan", 0)).model_dump(mode="json", exclude=kind_and_seed)
    return {
        "experiment": plan.name,
        "command": plan.command,
        "seeds": list(plan.seeds),
        "settings": settings,
        **made_on(),
    }


def made_on() -> dict[str, Any]:
    """The machine and the versions of what computes."""
    return {
        "machine": {
            "platform": platform.platform(),
            "processor": _processor(),
            "threads": kernels.get_num_threads(),
        },
        "versions": {"python": platform.python_version(), **start.versions()},
    }


def begun(plan: Plan) -> dict[str, Any]:
    """What an earlier, perhaps interrupted, experiment of the same settings found; nothing where there was none.

    Raises `InputError` where `plan.out` holds the result of other settings, or a file that is damaged.
    """
    path = plan.out / RESULT
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        there = {key: found[key] for key in ("experiment", "settings")}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise InputError(f"{path} is damaged: give another --out, or move it away") from None
    if there != {key: basis(plan)[key] for key in there}:
        raise InputError(f"{path} is the result of other settings: give another --out")
    return found


def write(plan: Plan, found: Mapping[str, Any]) -> Path:
    """Write `result.json`: `basis` first, then what was `found`."""
    return _write_result(plan.out, {**basis(plan), **found})


def _write_result(out: Path, content: Mapping[str, Any]) -> Path:
    out.mkdir(parents=True, exist_ok=True)
    serialize.write_json(out / RESULT, content)
    return out / RESULT


def publish(plan: Plan, found: Mapping[str, Any], table: str, figures: Mapping[str, Figure]) -> list[Path]:
    """Write `result.json`, `table.md` with the command below, and each figure as NAME.png; what was written.

    `found` should hold `updates`, all updates of the experiment together, and `goal`: `text` and whether it is
    `met`, `None` where nothing was aimed at.
    """
    return put(plan.out, {**basis(plan), **found}, f"{table}\n\n{below(plan, found)}", figures)


def put(out: Path, content: Mapping[str, Any], text: str, figures: Mapping[str, Figure]) -> list[Path]:
    """Write an experiment's three kinds of file into `out`; what was written."""
    from infogan.figures import drawn

    written = [_write_result(out, content), out / TABLE]
    serialize.write_atomically(out / TABLE, f"{text}\n".encode())
    for name, figure in figures.items():
        written.append(out / f"{name}.png")
        serialize.write_atomically(written[-1], drawn(figure))
    return written


def below(plan: Plan, found: Mapping[str, Any]) -> str:
    """The lines below a table: the goal and whether it was met, then what the figures rest on."""
    lines = []
    if found.get("goal"):
        lines.append(f"Goal: {found['goal']['text']}. {'Met' if found['goal']['met'] else 'Missed'}.\n")
    machine = made_on()["machine"]
    seeds = ", ".join(map(str, plan.seeds))
    lines.append(f"`{plan.command}`: seeds {seeds}; {found.get('updates', 0):,} updates in all; "
                 f"{machine['processor']}, {machine['threads']} thread{'s'[: machine['threads'] > 1]}.")  # fmt: skip
    return "\n".join(lines)


def _processor() -> str:
    """The processor by its maker's name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
