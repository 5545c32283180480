"""The evaluation of a run: what `evaluation.json` holds."""

from __future__ import annotations

from typing import Any

import numpy as np

import minigrad as mg
from infogan import data as data_sets
from infogan.codes import Categorical
from infogan.data import Dataset
from infogan.errors import InputError
from infogan.evaluation import classifier, clustering, meaning, pictures
from infogan.evaluation.classifier import Recipe
from infogan.evaluation.moments import PROPERTIES
from infogan.evaluation.statistics import re_estimated
from infogan.run import Run
from minigrad import serialize

FILE = "evaluation.json"
DRAWS = 10_000
SWEEP_NOISES = 50
SWEEP_STEPS = 21
MOST_FOR_STATISTICS = 10_000

Codes = dict[str, dict[str, Any]]


def evaluate(run: Run, data: str | None = None, recipe: Recipe | None = None) -> dict[str, Any]:
    """Measure a run, write `evaluation.json` into its folder and return its content.

    Of every code: `bound` (nats, H(c) included, σ fitted), `bound_trained`, `entropy`, on 10,000 fresh draws
    in evaluation mode; of continuous ones also `residual` (σ̂ in units of c) and `limit` (what the trained
    bound cannot pass).

    On labelled data, of every categorical code: agreement with the labels (`clustering.scores`) under the
    running batch statistics, the headline, and under `re_estimated` ones; of the code that a run with labelled
    pictures ties to classes also `accuracy`, category k standing for class k with no matching. `data` names the
    pictures: their test part if they have one, else the held-out one; by default the held-out part of the run's own.

    On grey pictures of ten classes, taken for digits: `distinct_digits` of every categorical code, and of
    every continuous code `slant`, `width` and `stroke` (`rho`, `effect`), the `property` it stands for, and
    `cross`; of the pictures as a whole `frechet` and `coverage` (`pictures.Real`). Classes and
    features are those of a `Classifier` that learnt from the run's own training pictures by `recipe`.

    A figure that cannot be measured is left out. Raises `InputError` where data do not fit the run.
    """
    training, shown = pictures_of(run, data)
    codes = bounds(run)
    result = {
        "step": run.step,
        "data": shown.name,
        "split": shown.split,
        "n_images": len(shown),
        "batch_statistics": "running",
        "draws": DRAWS,
        "codes": codes,
    }
    if shown.labels is not None:
        for name, found in agreement(run, training.images, shown).items():
            codes[name] |= found
        if training.labels is not None and are_digits(shown):
            reader = classifier.obtain(training.images, training.labels, recipe)
            result["reader"] = {
                "what": "convolutional classifier, for measurement only",
                "learnt_from": reader.learnt_from,
                "accuracy": reader.accuracy(shown.images, shown.labels),
            }
            result |= pictures.Real(reader, training, shown, DRAWS).beside(run)
            for name, found in pictures.of_categories(run, reader).items():
                codes[name] |= found
            for name, found in meanings(run, shown, drawn_as_one(run, codes)).items():
                codes[name] |= found
    try:
        serialize.write_json(run.folder / FILE, result)
    except OSError as error:
        raise InputError(f"{run.folder / FILE}: cannot be written ({error.strerror or error})") from None
    return result


def pictures_of(run: Run, data: str | None) -> tuple[Dataset, Dataset]:
    """What a run was trained on, and what it is measured with: the part of `data` that `evaluate` names.

    Raises `InputError`, before anything long, where they do not fit the run.
    """
    training = data_sets.load(run.config.data, frame=run.config.frame)
    split = "test" if data is not None and data_sets.has_test(data) else "held_out"
    shown = data_sets.load(data or run.config.data, split=split, frame=run.config.frame)
    for part in (training, shown):
        run.pictures(part.images[:1])
    return training, shown


def are_digits(shown: Dataset) -> bool:
    """Whether pictures are taken for digits: grey, labelled, of ten classes."""
    return shown.labels is not None and shown.images.shape[1] == 1 and len(np.unique(shown.labels)) == 10


def bounds(run: Run, draws: int = DRAWS) -> Codes:
    """Of each code, its bound by `draws` fresh pictures in evaluation mode, and its entropy."""
    z, c = run.latents(draws, "evaluate")
    parameters = run.Q(run.G(z, c))
    log_q = run.code.log_q(mg.Tensor(parameters), mg.Tensor(c))
    found: Codes = {}
    for index, (name, variable) in enumerate(zip(run.code.names, run.code, strict=True)):
        own, given = run.code.reading(parameters, index, c), run.code.value(c, index)
        found[name] = {
            "kind": run.code.kind(name),
            "bound": variable.bound(own, given),
            "bound_trained": float(log_q[index].numpy().mean(dtype=np.float64)) + variable.entropy,
            "entropy": variable.entropy,
        }
        if not isinstance(variable, Categorical):
            found[name] |= {"residual": variable.residual(own, given), "limit": variable.limit}
        if not isinstance(variable, Categorical) and (parent := run.code.parent(name)) is not None:
            category = run.code.value(c, run.code.index(parent)).argmax(axis=1)
            drawn = [np.flatnonzero(category == k) for k in range(run.code[parent].width)]
            errors = [variable.residual(own[rows], given[rows]) if len(rows) else None for rows in drawn]
            found[name]["residual_by_category"] = errors
    return found


def agreement(run: Run, training: np.ndarray, shown: Dataset) -> Codes:
    """Of every categorical code, `clustering.scores` on the labelled pictures `shown`; `re_estimated` are those
    under batch statistics estimated again on the pictures `training`."""
    found = _scores(run, shown)
    with re_estimated(run, training[:MOST_FOR_STATISTICS]):
        for name, again in _scores(run, shown).items():
            found[name]["re_estimated"] = again
    return found


def _scores(run: Run, shown: Dataset) -> Codes:
    assert shown.labels is not None
    code, read = run.code, run.encode(shown.images)
    categories = {name: read[name].argmax(axis=1) for name in code.categorical}
    found = {name: clustering.scores(own, shown.labels, code[name].width) for name, own in categories.items()}
    if run.config.labelled and (name := code.first_categorical):
        found[name]["accuracy"] = float(np.mean(categories[name] == shown.labels))
    return found


def meanings(run: Run, shown: Dataset, ones: list[int]) -> Codes:
    """What each continuous code means: `slant`, `width`, `stroke` (`meaning.follow`), `property` and `cross`.

    Effects are in units of the deviation within a class of the digits `shown`. `ones` are the categories of
    the first categorical code that are drawn as "1": a 1 has no width to speak of, so they are left out of
    width, which then says so under `left_out`.

    A code that the categories of another have of their own means something else in each of them: all this stands
    under `by_category` then, of a category `assign`ed among the codes it has. Width of `ones` is left out there, too.
    """
    assert shown.labels is not None
    real = shown.images[:, 0]
    spread = {p: meaning.within_class_deviation(of(real), shown.labels) for p, of in PROPERTIES.items()}
    found: Codes = {}
    own: dict[str, list[dict[str, Any]]] = {}
    for name in run.code.names:
        if run.code[name].discrete:
            continue
        images, category = sweeps(run, name)
        parent = run.code.parent(name)
        without = ones if parent in (None, run.code.first_categorical) else []
        flat = images.reshape(-1, *images.shape[-2:])
        values = {prop: of(flat).reshape(images.shape[:2]) for prop, of in PROPERTIES.items()}
        values["width"][np.isin(category, without)] = np.nan
        if parent is None:
            found[name] = _follows(values, spread)
            if ones:
                found[name]["width"]["left_out"] = ones
        else:
            each = range(run.code[parent].width)
            own[name] = [_follows({p: v[category == k] for p, v in values.items()}, spread) for k in each]
    _assign(found)
    for parent in run.code.categorical:
        _assign_own({name: own[name] for name in run.code.own(parent)}, found)
    return found


def _follows(values: dict[str, np.ndarray], spread: dict[str, float]) -> dict[str, Any]:
    """`meaning.follow` of every property by its values (sweeps, steps)."""
    return {prop: meaning.follow(v, spread[prop]) for prop, v in values.items()}


def _assign(codes: Codes) -> None:
    """Adds to each code the property it stands for among `codes`."""
    if codes:
        effects = {name: {prop: code[prop]["effect"] for prop in PROPERTIES} for name, code in codes.items()}
        for name, stands_for in meaning.assign(effects).items():
            codes[name] |= stands_for


def _assign_own(own: dict[str, list[dict[str, Any]]], found: Codes) -> None:
    """The same category by category, into `found` under `by_category`."""
    for name in own:
        found[name] = {"by_category": {}}
    for k in range(len(next(iter(own.values()), []))):
        codes = {name: each[k] for name, each in own.items()}
        _assign(codes)
        for name, code in codes.items():
            found[name]["by_category"][str(k)] = code


def sweeps(run: Run, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of the continuous code `name` moving over its range in 21 even steps, all else fixed.

    50 noises × every category of the first categorical code, or of that whose categories have `name` of their own
    (other codes are drawn with the noise): pictures (sweeps, 21, H, W) of the first channel, and the category of
    each sweep (sweeps,), −1 where there is none.
    """
    first = run.code.parent(name) or run.code.first_categorical
    k = 1 if first is None else run.code[first].width
    z, c = run.latents(SWEEP_NOISES, "sweeps")
    z, c = np.repeat(z, k, axis=0), np.repeat(c, k, axis=0)
    category = np.full(len(z), -1) if first is None else np.tile(np.arange(k), SWEEP_NOISES)
    if first is not None:
        c = run.fix(c, first, category)
    variable = run.code[name]
    assert not isinstance(variable, Categorical)
    values = np.linspace(*variable.sweep, SWEEP_STEPS)
    c = run.fix(c.repeat(SWEEP_STEPS, axis=0), name, np.tile(values, len(category)))
    images = run.G(z.repeat(SWEEP_STEPS, axis=0), c)[:, 0]
    return images.reshape(len(category), SWEEP_STEPS, *images.shape[1:]), category


def drawn_as_one(run: Run, codes: Codes) -> list[int]:
    """The categories of the first categorical code that show the digit 1, by `pictures.of_categories`."""
    first = run.code.first_categorical
    return [] if first is None else [k for k, shows in enumerate(codes[first]["classes"]) if shows == 1]


def in_words(result: dict[str, Any]) -> str:
    """`result` for people: a line a code, then what it rests on."""
    lines = [_line(name, code) for name, code in result["codes"].items()]
    if any("accuracy_hungarian" in code for code in result["codes"].values()):
        lines.append(
            f"errors: of c read on {result['n_images']:,} labelled pictures of {result['data']}, "
            f"{result['split']}; {result['batch_statistics']} batch statistics"
        )
    if "frechet" in result:
        lines.append(_pictures(result))
    return "\n".join(lines)


def _pictures(result: dict[str, Any]) -> str:
    far, shares, reader = result["frechet"], result["coverage"], result["reader"]
    line = f"pictures: Fréchet distance {far['generated']:.2f} (real ones {far['real']:.2f}) on {far['pictures']:,}"
    line += f", {shares['present']} of {shares['classes']} classes present, KL {shares['kl']:.3f} nats from the data's"
    return line + f" shares; by a classifier that is right on {reader['accuracy']:.1%} of real ones"


def _line(name: str, code: dict[str, Any]) -> str:
    line = f"{name} ({code['kind']}): bound {code['bound']:.3f}"
    if "residual" in code:
        line += f" nats (σ fitted, {code['residual']:.2f}), as trained {code['bound_trained']:.3f}"
        line += f" (at most {code['limit']:.3f})"
    else:
        line += f" of {code['entropy']:.3f} nats"
    if "accuracy_hungarian" in code:
        line += f", error {1 - code['accuracy_hungarian']:.1%} one-to-one"
        line += f" and {1 - code['accuracy_majority']:.1%} by majority"
    if "accuracy" in code:
        line += f", {1 - code['accuracy']:.1%} with no matching (category k is class k)"
    if "distinct_digits" in code:
        line += f", its {len(code['classes'])} categories show {code['distinct_digits']} distinct digits"
        line += f" ({np.mean(code['purity']):.1%} pure)"
    if "by_category" in code:
        line += f", stands for {by_category(code['by_category'])}"
    follows = code.get(code.get("property", ""))
    if follows and follows["rho"] is not None:
        line += f", stands for {code['property']}: rho {follows['rho']:.2f}, effect {follows['effect']:.2f}"
        line += f", cross {code['cross']:.2f}" if code["cross"] is not None else ""
        if "left_out" in follows:
            line += f" (without categories {', '.join(map(str, follows['left_out']))}, drawn as 1)"
    return line


def by_category(codes: dict[str, dict[str, Any]]) -> str:
    """What a code stands for in each category: `slant in 0, 2 (rho 0.81 to 0.95), …`, most frequent first."""
    found: dict[str, list[tuple[str, float]]] = {}
    for k, code in codes.items():
        follows = code.get(code.get("property", ""), {"rho": None})
        if follows["rho"] is not None:
            found.setdefault(code["property"], []).append((k, follows["rho"]))
    parts = []
    for prop, where in sorted(found.items(), key=lambda item: -len(item[1])):
        rhos = [rho for _, rho in where]
        parts.append(f"{prop} in {', '.join(k for k, _ in where)} (rho {min(rhos):.2f} to {max(rhos):.2f})")
    return "; ".join(parts) or "nothing measured"
