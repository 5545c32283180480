"""How much a picture tells of the code that made it: InfoGAN against a regular GAN of the same networks and seeds.

A regular GAN has no Q of its own. Two Qs read it. One is a head on D's trunk, trained along but never training
the trunk. The other starts as a copy of that trunk and head and is then trained, all of it, on fresh pictures of
the frozen generator until it learns no more: were it weak, a low bound would say nothing of the pictures. It
starts from the copy, as D's features are already about these pictures, so that it begins where the first ends.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
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
from minigrad import optim

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PASS = 2.25 / math.log(10)
"""The share of H(c1) that InfoGAN's bound is to pass: 2.25 of 2.303 nats for ten categories."""
WITHIN = 1000
SPAN = 500
RISE = 0.01
"""A reader is done when none of its bounds rose by so many nats in the last `SPAN` updates."""
MOST = 10_000
"""Updates at which a reader is stopped although it still learns; its entry says so."""

Bounds = dict[str, float]
Curve = dict[str, Bounds]
"""Each code's bound, by update (as text, as JSON has it)."""


def measure(plan: Plan, runs: Runs) -> dict[str, Any]:
    """The result of the experiment on trained `runs` of both kinds; written as far as it is after every piece.

    `curves[kind][seed][update]` is each code's bound on `DRAWS` fresh pictures in evaluation mode, in nats, H(c)
    included and σ fitted, of the Q trained along. `readers[seed][update]` is what a Q of its own reads in the
    regular GAN (`read`). `passes[seed]` tells when InfoGAN's bound of c1 passes its goal and whether it stays.
    What an interrupted experiment has found is not measured again.
    """
    from tqdm import tqdm

    how = {"draws": DRAWS, "reader": {"rise": RISE, "span": SPAN, "most": MOST}}
    before = common.begun(plan)
    if any(before.get(key) != value for key, value in how.items()):
        before = {}
    found: dict[str, Any] = {**how, "curves": {kind: {} for kind in runs}, "readers": {}}
    pieces = [(kind, seed, step) for kind in runs for seed in runs[kind] for step in common.milestones(plan.steps)]
    readings = [(seed, step) for seed in runs["gan"] for step in common.fifths(plan.steps)]
    with tqdm(total=len(pieces) + len(readings), unit=" readings", dynamic_ncols=True) as bar:
        for kind, seed, step in pieces:
            done = _piece(before, "curves", kind, str(seed), str(step))
            curve = found["curves"][kind].setdefault(str(seed), {})
            curve[str(step)] = done or _bounds(load(runs[kind][seed], step))
            bar.update()
            if done is None:
                common.write(plan, found)
        for seed, step in readings:
            done = _piece(before, "readers", str(seed), str(step))
            tell = lambda told, seed=seed, step=step: bar.set_postfix_str(f"seed {seed} at {step:,}: {told}")
            reader = done or read(load(runs["gan"][seed], step), tell)
            found["readers"].setdefault(str(seed), {})[str(step)] = reader
            bar.update()
            if done is None:
                common.write(plan, found)
    return found | _conclusions(plan, runs, found)


def _piece(before: Mapping[str, Any], *keys: str) -> Any:
    """What an interrupted experiment had found already."""
    here: Any = before
    for key in keys:
        here = here.get(key) if isinstance(here, Mapping) else None
    return here


def _bounds(run: Run) -> Bounds:
    return {name: code["bound"] for name, code in bounds(run, DRAWS).items()}


def read(run: Run, tell: Callable[[str], None] = lambda told: None) -> dict[str, Any]:
    """Train the trunk and Q's head of `run` to read its frozen generator, and say how much they can.

    Maximises λ L_I(G, Q) over Q alone on fresh batches, by the Adam of the run's D and Q. Every `SPAN` updates
    its bounds are measured on `DRAWS` pictures it never trains on, in evaluation mode; it ends when none has risen
    by `RISE` nats over its best before, or after `MOST` updates. Gives `start` (bounds before the first update,
    those of the Q trained along), `bound` (of each code the highest measured, which favours the regular GAN),
    `updates`, and `settled`: whether it ended by itself.
    """
    networks, code, config = run.networks, run.code, run.config
    reader = [networks.trunk, networks.Q_head]
    parameters = [p for part in reader for p in part.parameters()]
    optimiser = optim.Adam(parameters, config.learning_rate_d, (config.beta1, config.beta2))
    z, c = run.latents(DRAWS, "evaluate")
    images = run.G(z, c)
    start = best = dict(zip(code.names, code.bound(run.Q(images), c), strict=True))
    updates, settled = 0, False
    while updates < MOST and not settled:
        for part in reader:
            part.train()
        for _ in range(min(SPAN, MOST - updates)):
            updates += 1
            _learn(run, optimiser, updates)
        networks.eval()
        now = dict(zip(code.names, code.bound(run.Q(images), c), strict=True))
        settled = all(now[name] - best[name] < RISE for name in best)
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
        shared, reader = _last(found["curves"]["gan"][seed]), _last(found["readers"][seed])
        own = number(reader["bound"][first]) + ("" if reader["settled"] else " (still rising)")
        when = "never" if passes["first"] is None else f"{passes['first']:,}"
        info = _last(found["curves"]["infogan"][seed])[first]
        told = [number(info), when, "yes" if passes["stays"] else "no", number(passes["lowest"])]
        rows.append([f"seed {seed}", *told, own, number(shared[first])])
    return markdown([*header, "regular GAN, own Q", "shared trunk"], rows) + "\n\n" + _others(found)


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
    dress(axes, f"What a picture tells of {first}, from below (band: {len(own)} seeds)", "bound, nats")
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]), top=1.08 * ceiling)
    return sheet


def _draw(axes: Axes, curves: Mapping[str, Curve], name: str, colour: str, style: str, label: str) -> None:
    steps = sorted(int(step) for step in next(iter(curves.values())))
    values = np.array([[curve[str(step)][name] for step in steps] for curve in curves.values()])
    axes.fill_between(steps, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.18, lw=0)
    axes.plot(steps, values.mean(axis=0), style, color=colour, lw=1.4, ms=4, label=label)


def _logarithm(nats: float) -> str:
    """`"ln 10 = "` where `nats` is the logarithm of a whole number."""
    whole = round(math.exp(nats))
    return f"ln {whole} = " if math.isclose(math.log(whole), nats, rel_tol=1e-9) else ""
