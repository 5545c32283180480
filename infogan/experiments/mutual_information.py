"""How much a picture tells of the code that made it: InfoGAN against a regular GAN of the same networks and seeds.

A regular GAN has no Q of its own. Two Qs read it. One is a head on D's trunk, trained along but never training
the trunk. The other starts as a copy of that trunk and head and is then trained, all of it, on fresh pictures of
the frozen generator until it learns no more: were it weak, a low bound would say nothing of the pictures. It
starts from the copy, as D's features are already about these pictures, so that it begins where the first ends.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import minigrad as mg
from infogan import objective
from infogan.draws import draw_noise
from infogan.evaluation.report import DRAWS, bounds
from infogan.experiments import common
from infogan.experiments.common import Plan, Runs
from infogan.run import Run, load
from infogan.tables import markdown, number
from infogan.workers import side_by_side
from minigrad import optim

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PASS = 2.25 / math.log(10)
"""The share of H(c1) that InfoGAN's bound is to pass: 2.25 of 2.303 nats for ten categories."""
WITHIN = 1000


@dataclass(frozen=True)
class Lessons:
    """How a reader is taught, and when it has learnt enough.

    Adam with step `rate`, its weights averaged with `decay`, as the last ones sway from update to update. It is done
    when none of its bounds rose by `rise` nats in the last `span` updates, and stopped after `most` although it
    still learns; its entry says so. Bounds rest on `draws` pictures.
    """

    rate: float = 5e-4
    decay: float = 0.995
    rise: float = 0.01
    span: int = 500
    most: int = 3_500
    draws: int = DRAWS


LESSONS = Lessons()

Keys = tuple[str, ...]
Bounds = dict[str, float]
Curve = dict[str, Bounds]
"""Each code's bound, by update (as text, as JSON has it)."""


def measure(plan: Plan, runs: Runs) -> dict[str, Any]:
    """The result of the experiment on trained `runs` of both kinds; written as far as it is after every piece.

    `curves[kind][seed][update]` is each code's bound on fresh pictures in evaluation mode, in nats, H(c)
    included and σ fitted, of the Q trained along. `readers[seed][update]` is what a Q of its own reads in the
    regular GAN (`read`), which not every seed need have. `passes[seed]` tells when InfoGAN's bound of c1 passes its
    goal and whether it stays.
    Pieces are measured side by side; what an interrupted experiment has found is not measured again.
    """
    from tqdm import tqdm

    pieces: dict[Keys, tuple[Path, int, Lessons, bool]] = {}
    for kind in runs:
        for seed, folder in runs[kind].items():
            pieces |= {("curves", kind, str(seed), str(step)): (folder, step, LESSONS, False)
                       for step in common.milestones(plan.steps)}  # fmt: skip
    for seed, folder in runs["gan"].items():
        pieces |= {("readers", str(seed), str(step)): (folder, step, LESSONS, True)
                   for step in common.fifths(plan.steps)}  # fmt: skip
    before = common.begun(plan)
    same = before.get("lessons") == asdict(LESSONS)
    values = {keys: value for keys in pieces if same and (value := _value(before, keys)) is not None}
    left = [keys for keys in pieces if keys not in values]
    with tqdm(total=len(pieces), initial=len(values), unit=" readings", dynamic_ncols=True) as bar:
        for at, value in side_by_side(_piece, [pieces[keys] for keys in left], plan.jobs, bar.set_postfix_str):
            values[left[at]] = value
            bar.update()
            common.write(plan, _nested(pieces, values))
    found = _nested(pieces, values)
    return found | _conclusions(plan, runs, found)


def _value(found: Mapping[str, Any], keys: Keys) -> Any:
    here: Any = found
    for key in keys:
        here = here.get(key) if isinstance(here, Mapping) else None
    return here


def _nested(order: Iterable[Keys], values: Mapping[Keys, Any]) -> dict[str, Any]:
    """What was found, in the order of the pieces whichever ended first."""
    found: dict[str, Any] = {"lessons": asdict(LESSONS), "curves": {}, "readers": {}}
    for keys in order:
        if keys in values:
            here = found
            for key in keys[:-1]:
                here = here.setdefault(key, {})
            here[keys[-1]] = values[keys]
    return found


def _piece(folder: Path, step: int, lessons: Lessons, own: bool, tell: Callable[[str], None]) -> dict[str, Any]:
    """The bounds of a run after update `step`, or, if `own`, what a Q of its own reads there."""
    run = load(folder, step)
    if own:
        return read(run, lessons, lambda told: tell(f"{folder.name} at {step:,}: {told}"))
    return {name: code["bound"] for name, code in bounds(run, lessons.draws).items()}


def read(run: Run, lessons: Lessons = LESSONS, tell: Callable[[str], None] = lambda told: None) -> dict[str, Any]:
    """Train the trunk and Q's head of `run` to read its frozen generator, and say how much they can.

    Maximises λ L_I(G, Q) over Q alone on fresh batches, as `lessons` say. Every `span` updates the bounds of the
    averaged Q are measured on pictures it never trains on, in evaluation mode; it ends when none has risen by
    `rise` nats over its best before, or after `most` updates. Gives `start` (bounds before the first update,
    those of the Q trained along), `bound` (of each code the highest measured, which favours the regular GAN),
    `updates`, and `settled`: whether it ended by itself.
    """
    networks, code = run.networks, run.code
    reader = [networks.trunk, networks.Q_head]
    parameters = [p for part in reader for p in part.parameters()]
    optimiser = optim.Adam(parameters, lessons.rate, (run.config.beta1, run.config.beta2))
    statistics = [b for part in reader for b in part.buffers() if b.dtype == np.float32]
    average = optim.EMA([*parameters, *statistics], lessons.decay)
    z, c = run.latents(lessons.draws, "evaluate")
    images = run.G(z, c)

    def measured() -> Bounds:
        networks.eval()
        with average.applied():
            return dict(zip(code.names, code.bound(run.Q(images), c), strict=True))

    start = best = measured()
    updates, settled = 0, False
    while updates < lessons.most and not settled:
        for part in reader:
            part.train()
        for _ in range(min(lessons.span, lessons.most - updates)):
            updates += 1
            _learn(run, optimiser, updates)
            average.update()
        now = measured()
        settled = all(now[name] - best[name] < lessons.rise for name in best)
        best = {name: max(now[name], best[name]) for name in best}
        tell(f"{updates:,} updates, " + ", ".join(f"{name} {number(bound)}" for name, bound in now.items()))
    return {"start": start, "bound": best, "updates": updates, "settled": settled}


def _learn(run: Run, optimiser: optim.Optimizer, update: int) -> None:
    """One step of Q on a fresh batch; G stands still, its batch-norm by running statistics."""
    z, c = draw_noise(run.config, run.code, f"reader at {run.step}", update, run.config.batch_size)
    with mg.no_grad():
        fake = run.networks.generate(mg.Tensor(z), mg.Tensor(c))
    terms = objective.information(run.code, run.networks.Q(fake), mg.Tensor(c))
    optimiser.zero_grad()
    (-objective.weighted(terms, run.config.weights)).backward()
    optimiser.step()


def _conclusions(plan: Plan, runs: Runs, found: Mapping[str, Any]) -> dict[str, Any]:
    code = load(next(iter(runs["infogan"].values()))).code
    first = code.names[0]
    level = PASS * code.entropy[0]
    passes = {
        seed: passing({int(step): bound[first] for step, bound in curve.items()}, level)
        for seed, curve in found["curves"]["infogan"].items()
    }
    read_on = sum(reader["updates"] for readers in found["readers"].values() for reader in readers.values())
    text = f"InfoGAN's bound of {first} passes {level:.3f} of {code.entropy[0]:.3f} nats within {WITHIN:,} updates "
    met = all(p["first"] is not None and p["first"] <= WITHIN and p["stays"] for p in passes.values())
    return {
        "entropy": dict(zip(code.names, code.entropy, strict=True)),
        "level": level,
        "passes": passes,
        "updates": common.updates(plan, runs) + read_on,
        "goal": {"text": text + "and stays above, on every seed", "met": met},
    }


def passing(curve: Mapping[int, float], level: float) -> dict[str, Any]:
    """When a curve, update → nats, first reaches `level`, whether it `stays` there, and its `lowest` since.

    `first` is the first measured update, `None` where none does.
    """
    steps = sorted(curve)
    first = next((step for step in steps if curve[step] >= level), None)
    since = [curve[step] for step in steps if first is not None and step >= first]
    return {"first": first, "stays": bool(since) and min(since) >= level, "lowest": min(since, default=None)}


def table(found: Mapping[str, Any]) -> str:
    """The bounds of the first code at the end, and when InfoGAN's passed; a row a seed. Then the other codes."""
    first = next(iter(found["entropy"]))
    header = [f"nats of {number(found['entropy'][first])} for {first}", "InfoGAN", "passes at", "stays", "lowest since"]
    rows = []
    for seed, passes in found["passes"].items():
        own = shared = "–"
        if seed in found["readers"]:
            reader = _last(found["readers"][seed])
            own = number(reader["bound"][first]) + ("" if reader["settled"] else " (still rising)")
            shared = number(_last(found["curves"]["gan"][seed])[first])
        when = "never" if passes["first"] is None else f"{passes['first']:,}"
        info = _last(found["curves"]["infogan"][seed])[first]
        told = [number(info), when, "yes" if passes["stays"] else "no", number(passes["lowest"])]
        rows.append([f"seed {seed}", *told, own, shared])
    tables = [markdown([*header, "regular GAN, own Q", "shared trunk"], rows), _read(found, first), _others(found)]
    return "\n\n".join(tables)


def _read(found: Mapping[str, Any], first: str) -> str:
    """What Qs of their own read in the regular GAN, a row a seed and a column a point of its run."""
    steps = list(next(iter(found["readers"].values())))
    rows = []
    for seed, readers in found["readers"].items():
        cells = [f"{number(r['bound'][first])} ({r['updates']:,}{'' if r['settled'] else ', still rising'})"
                 for r in readers.values()]  # fmt: skip
        rows.append([f"seed {seed}", *cells])
    header = [f"{first} read by a Q of its own, nats (its updates)", *(f"after {int(step):,}" for step in steps)]
    return markdown(header, rows)


def _others(found: Mapping[str, Any]) -> str:
    names = list(found["entropy"])
    lines = {
        "InfoGAN": [_last(curve) for curve in found["curves"]["infogan"].values()],
        "regular GAN, own Q": [_last(readers)["bound"] for readers in found["readers"].values()],
        "regular GAN, shared trunk": [_last(curve) for curve in found["curves"]["gan"].values()],
    }
    rows = [[what, *(number(float(np.mean([b[n] for b in seeds]))) for n in names)] for what, seeds in lines.items()]
    return markdown(["mean over seeds, nats, at the end", *names], rows)


def _last(curve: Mapping[str, Any]) -> Any:
    return curve[max(curve, key=int)]


def figure(found: Mapping[str, Any]) -> Figure:
    """The bound of the first code over the updates: a line for the mean of the seeds, a band from least to most."""
    from infogan.figures import COLOURS, FAINT, INK, dress, page

    first = next(iter(found["entropy"]))
    sheet = page(7.4, 4.2)
    axes = sheet.subplots()
    ceiling, level = found["entropy"][first], found["level"]
    axes.axhline(ceiling, color=INK, lw=0.9, ls="--", label=f"H({first}) = {_logarithm(ceiling)}{ceiling:.3f}")
    axes.axhline(level, color=FAINT, lw=0.8, ls=":", label=f"goal within {WITHIN:,} updates: {level:.2f}")
    own = {
        seed: {step: reader["bound"] for step, reader in readers.items()} for seed, readers in found["readers"].items()
    }
    _draw(axes, found["curves"]["infogan"], first, COLOURS[0], "-", "InfoGAN")
    _draw(axes, own, first, COLOURS[1], "o-", "regular GAN, read by a Q of its own")
    _draw(axes, found["curves"]["gan"], first, COLOURS[2], "-", "regular GAN, read from D's trunk")
    dress(axes, f"What a picture tells of {first}, from below (band: least to most of the seeds)", "bound, nats")
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]), top=1.08 * ceiling)
    return sheet


def _draw(axes: Axes, curves: Mapping[str, Curve], name: str, colour: str, style: str, label: str) -> None:
    steps = sorted(int(step) for step in next(iter(curves.values())))
    values = np.array([[curve[str(step)][name] for step in steps] for curve in curves.values()])
    axes.fill_between(steps, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.18, lw=0)
    seeds = f"{len(values)} seed{'s'[: len(values) > 1]}"
    axes.plot(steps, values.mean(axis=0), style, color=colour, lw=1.4, ms=4, label=f"{label}, {seeds}")


def _logarithm(nats: float) -> str:
    """`"ln 10 = "` where `nats` is the logarithm of a whole number."""
    whole = round(math.exp(nats))
    return f"ln {whole} = " if math.isclose(math.log(whole), nats, rel_tol=1e-9) else ""
