"""What a report says of a run, gathered: settings, pictures, measurements, times."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

import infogan.data
from infogan import config, evaluation, figures
from infogan.config import Config
from infogan.errors import InputError
from infogan.evaluation import clustering, written
from infogan.report.times import Times, measure
from infogan.run import Run, load

STAGES = ("measurements", "curves", "traversals", "confusion", "times")
"""What gathering does, in order: for the progress bar."""

_OPTIONS = (
    *("preset", "data", "image_size", "channels", "fit", "steps", "batch_size", "seed", "codes", "labelled", "noise"),
    *("objective", "checkpoint_every"),
)
"""Fields of `Config` that `infogan train` has an option for."""

T = TypeVar("T")


@dataclass(frozen=True)
class Picture:
    """A picture inside the page: its address with its content, and what it shows for who cannot see it."""

    src: str
    alt: str


@dataclass(frozen=True)
class Confusion:
    """How often Q read each category of the code `name` in pictures of each label: (categories, labels)."""

    name: str
    counts: np.ndarray
    order: list[int]
    data: str

    @property
    def rows(self) -> Iterator[tuple[int, list[tuple[int, float]]]]:
        """Each category, in an order that puts its class on the diagonal, with count and share by label."""
        for category in self.order:
            row = self.counts[category]
            total = max(int(row.sum()), 1)
            yield category, [(int(n), float(n / total)) for n in row]


@dataclass
class Facts:
    """A run for the page. What could not be had is `None` or empty, and `missing` says why, by stage."""

    run: Run
    environment: dict[str, Any]
    measured: dict[str, Any] | None = None
    curves: dict[str, Picture] = field(default_factory=dict)
    traversals: dict[str, Picture] = field(default_factory=dict)
    trees: dict[str, Picture] = field(default_factory=dict)
    confusion: Confusion | None = None
    times: Times | None = None
    missing: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of the run's folder."""
        return self.run.folder.resolve().name

    @property
    def config(self) -> Config:
        """The run's settings."""
        return self.run.config

    @property
    def defaults(self) -> Config:
        """The settings of a run of which only the preset is given."""
        return config.make({"preset": self.config.preset})

    @property
    def command(self) -> str:
        """The command line that makes this run again."""
        return command(self.config, self.environment)

    @property
    def notices(self) -> list[tuple[int, str]]:
        """What training was told of on its way (a collapse), each with its update."""
        return [(line["step"], text) for line in self.run.metrics for text in line.get("notices", [])]

    @property
    def last(self) -> dict[str, Any]:
        """The last line of the run's metrics, empty where there is none."""
        return self.run.metrics[-1] if self.run.metrics else {}


def gather(folder: str | Path, done: Callable[[str], None]) -> Facts:
    """Everything the page shows of the run in `folder`; `done` is called before each of `STAGES`.

    The evaluation is read if it is that of the newest checkpoint, and made otherwise. Raises `InputError`
    only where there is no run: data that are gone leave a note in `missing`.
    """
    run = load(folder)
    facts = Facts(run, config.read(folder)[1])

    def stage(name: str, make: Callable[[], T]) -> T | None:
        done(name)
        try:
            return make()
        except InputError as error:
            facts.missing[name] = error.message
            return None

    facts.measured = stage("measurements", lambda: _measured(run))
    facts.curves = stage("curves", lambda: _curves(run)) or {}
    facts.traversals = stage("traversals", lambda: _traversals(run, facts.measured)) or {}
    facts.trees = {name: _tree(run, name) for name in run.code.categorical if run.code.own(name)}
    facts.confusion = stage("confusion", lambda: _confusion(run))
    facts.times = stage("times", lambda: measure(run))
    return facts


def command(settings: Config, environment: dict[str, Any]) -> str:
    """`infogan train …` with every setting that is not its preset's default."""
    default = config.make({"preset": settings.preset})
    words = ["infogan", "train"]
    for name, value in settings.model_dump().items():
        if value == getattr(default, name) and name != "preset":
            continue
        text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
        words += [f"--{name.replace('_', '-')}", text] if name in _OPTIONS else ["--set", f"{name}={text}"]
    if environment.get("device", "cpu") != "cpu":
        words += ["--device", environment["device"]]
    if environment.get("kernel_file"):
        words += ["--kernel-file", environment["kernel_file"]["name"]]
    return shlex.join(words)


def _measured(run: Run) -> dict[str, Any]:
    found = written.read(run.folder)
    return found if found is not None and found["step"] == run.step else evaluation.evaluate(run)


def _curves(run: Run) -> dict[str, Picture]:
    both = figures.curve_figures(run.folder)
    last = run.metrics[-1]
    losses = f"Losses over {last['step']:,} updates: D ends at {last['loss_d']:.2f}, G at {last['loss_g']:.2f} nats."
    ends = ", ".join(f"{name} {bound:.2f}" for name, bound in last["bound"].items())
    bounds = f"Bound of each code over {last['step']:,} updates, in nats; at the end {ends}."
    says = {"losses": losses, "bounds": bounds}
    return {
        name: Picture(figures.data_url(figures.drawn(figure, "svg"), "svg+xml"), says[name])
        for name, figure in both.items()
    }


def _traversals(run: Run, measured: dict[str, Any] | None) -> dict[str, Picture]:
    found = {}
    for name in run.code.names:
        what = "category" if run.code[name].discrete else "value"
        alt = f"Generated pictures, {figures.ROWS} rows of one noise each; a column is a {what} of {name}."
        code = measured["codes"].get(name, {}) if measured else {}
        if "classes" in code:
            alt += f" The categories show, in order, {', '.join(map(str, code['classes']))}."
        elif "property" in code:
            alt += f" From left to right the {code['property']} changes most."
        found[name] = Picture(figures.data_url(figures.drawn(figures.traversal_figure(run, name)), "png"), alt)
    return found


def _tree(run: Run, name: str) -> Picture:
    own = ", ".join(run.code.own(name))
    alt = f"A tree: each category of {name} is a branch, and on it each of {own} moves along a row, all else fixed."
    return Picture(figures.data_url(figures.drawn(figures.tree_figure(run, name)), "png"), alt)


def _confusion(run: Run) -> Confusion:
    name = run.code.first_categorical
    if name is None:
        raise InputError("the code has no categorical variable")
    shown = infogan.data.load(run.config.data, split="held_out", frame=run.config.frame)
    if shown.labels is None:
        raise InputError(f"{shown.name} has no labels")
    read = run.encode(shown.images)[name].argmax(axis=1)
    counts = clustering.contingency(read, shown.labels, run.code[name].width)
    _, mapping = clustering.hungarian(counts)
    places = [counts.shape[1] if place is None else place for place in mapping]  # what is left over comes last
    order = sorted(range(len(counts)), key=places.__getitem__)
    return Confusion(name, counts, order, f"{shown.name}, {shown.split}")
