"""The page itself: tables of what was gathered, and the template that lays them out."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infogan.config import Config
from infogan.errors import InputError
from infogan.evaluation.report import by_category
from infogan.progress import duration
from infogan.report.facts import STAGES, Facts, gather
from infogan.report.html import fill
from minigrad import serialize

FILE = "report.html"


@dataclass(frozen=True)
class Line:
    """A row of a table: what it is about, a value a run (`None`: that run has none), whether they differ."""

    name: str
    values: list[str | None]
    note: str = ""
    default: str = ""

    @property
    def differs(self) -> bool:
        """Whether the runs say different things."""
        return len(set(self.values)) > 1


def write(folders: Sequence[str | Path], out: str | Path | None = None) -> Path:
    """Write the page on one run, or on two side by side, to `out`, by default into the first one's folder.

    Runs that were not evaluated after their last checkpoint are evaluated. Raises `InputError` where a folder
    holds no run, both are the same, or `out` cannot be written.
    """
    from tqdm import tqdm

    if len({Path(folder).resolve() for folder in folders}) < len(folders):
        raise InputError(f"--compare {folders[-1]}: is the run itself: give another one")
    path = Path(out) if out is not None else Path(folders[0]) / FILE
    if path.is_dir():
        raise InputError(f"--out {path} is a folder: give the name of a file, such as {path / FILE}")
    if out is not None and not path.parent.is_dir():
        raise InputError(f"--out {path}: there is no folder {path.parent}")
    with tqdm(total=len(folders) * len(STAGES), unit=" steps", delay=2, leave=False, file=sys.stderr) as bar:

        def done(stage: str) -> None:
            bar.set_description(stage)
            bar.update()

        runs = [gather(folder, done) for folder in folders]
    serialize.write_atomically(path, render(runs).encode())
    return path


def render(runs: Sequence[Facts]) -> str:
    """The page as HTML. Whatever comes from a run is escaped."""
    changed, others = settings(runs)
    return fill(
        "page.html",
        {"percent": _percent, "number": _number},
        runs=runs,
        changed=changed,
        others=others,
        names=list(dict.fromkeys(name for facts in runs for name in facts.run.code.names)),
        figures=[list(key_figures(facts)) for facts in runs],
        measurements=measurements(runs),
        made=made(runs),
        about=about,
    )


def settings(runs: Sequence[Facts]) -> tuple[list[Line], list[Line]]:
    """The settings that are not the default, or not the same in all runs, and the others."""
    changed: list[Line] = []
    others: list[Line] = []
    for name, described in Config.model_fields.items():
        values = [getattr(facts.config, name) for facts in runs]
        default = getattr(runs[0].defaults, name)
        texts: list[str | None] = [_text(value) for value in values]
        line = Line(name, texts, described.description or "", _text(default))
        (changed if any(value != default for value in values) else others).append(line)
    return changed, others


def key_figures(facts: Facts) -> Iterator[tuple[str, str]]:
    """The few numbers that a reader wants first, each with what it is."""
    yield f"{facts.run.step:,}", "updates"
    if {"seconds", "step_ms"} <= set(facts.last):
        yield duration(facts.last["seconds"]), f"of training, {facts.last['step_ms']:.0f} ms an update at the end"
    for name, code in (facts.measured or {"codes": {}})["codes"].items():
        if "accuracy_hungarian" in code:
            yield _percent(1 - code["accuracy_hungarian"]), f"error of {name}, matched one-to-one to the labels"
        if {"distinct_digits", "classes"} <= set(code):
            yield f"{code['distinct_digits']} of {len(code['classes'])}", f"digits that the categories of {name} show"
    far = (facts.measured or {}).get("frechet", {})
    if {"generated", "real"} <= set(far):
        yield _number(far["generated"]), f"Fréchet distance of generated pictures ({_number(far['real'])} of real ones)"


def about(facts: Facts, name: str) -> list[str]:
    """What the code `name` means in a run, in a few sentences."""
    variable = facts.run.code[name]
    said = [f"{facts.run.code.kind(name)}, {'categorical' if variable.discrete else 'continuous'}."]
    code = (facts.measured or {"codes": {}})["codes"].get(name)
    if code is None:
        return said
    if variable.discrete:
        said.append(f"Pictures tell at least {code['bound']:.3f} of its {code['entropy']:.3f} nats.")
    elif "residual" in code:
        said.append(f"Q reads it to ±{code['residual']:.2f}: a bound of {_number(code['bound'])} nats.")
    if {"accuracy_hungarian", "accuracy_majority"} <= set(code):
        said.append(
            f"Against labels it errs on {_percent(1 - code['accuracy_hungarian'])} of pictures one-to-one "
            f"and on {_percent(1 - code['accuracy_majority'])} by majority."
        )
    if {"distinct_digits", "classes"} <= set(code):
        said.append(f"Its {len(code['classes'])} categories show {code['distinct_digits']} distinct digits.")
    if "by_category" in code:
        said.append(f"It stands for {by_category(code['by_category'])}.")
    follows = code.get(code.get("property", ""))
    if follows and follows["rho"] is not None:
        said.append(
            f"It stands for {code['property']}, which follows it with ρ = {follows['rho']:.2f} "
            f"over {follows['effect']:.2f} deviations of real digits."
        )
    return said


def measurements(runs: Sequence[Facts]) -> list[tuple[str, list[Line]]]:
    """Everything in the evaluations, under a heading a code and one for what stands beside the codes."""
    whole = [facts.measured or {} for facts in runs]
    names = list(dict.fromkeys(name for found in whole for name in found.get("codes", {})))
    tables = [(name, _lines([found.get("codes", {}).get(name, {}) for found in whole])) for name in names]
    rest = _lines([{key: value for key, value in found.items() if key != "codes"} for found in whole])
    return [*tables, *([("the run", rest)] if rest else [])]


def made(runs: Sequence[Facts]) -> list[Line]:
    """Where the runs were made: versions, machine, kernels, data."""
    return _lines([facts.environment for facts in runs])


def _lines(found: Sequence[Mapping[str, Any]]) -> list[Line]:
    flat = [dict(_flat(one)) for one in found]
    keys = dict.fromkeys(key for one in flat for key in one)
    return [Line(key, [one.get(key) for one in flat]) for key in keys]


def _flat(found: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Every value of nested dictionaries as text, under the names on the way to it."""
    for key, value in found.items():
        name = f"{before}{key.replace('_', ' ')}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name}, ")
        else:
            yield name, _text(value)


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_text(one)}" for key, one in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_text, value))
    if isinstance(value, float):
        return _number(value)
    return "–" if value is None else str(value)


def _number(value: float) -> str:
    return f"{value:.4g}".replace("-", "−")


def _percent(share: float) -> str:
    return f"{share:.1%}"
