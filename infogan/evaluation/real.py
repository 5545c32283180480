"""What the codes mean in real pictures, with no label: shares, extremes, and what each code goes with.

G says what a code does to pictures it makes; here Q reads the code in the pictures a run was trained on. Of each
category: how many pictures fall into it, and which Q is most and least sure of. Of a continuous code: the pictures in
the order of its mean. Of each: its association with what can be measured in any picture (`properties`), and with
columns of a table that took no part in training (`attributes`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from infogan import data as data_sets
from infogan import readings
from infogan.codes import Categorical
from infogan.data import Dataset
from infogan.errors import InputError
from infogan.evaluation import attributes, properties
from infogan.evaluation.association import NAMES, Association, associate
from infogan.progress import slow
from infogan.run import BATCH, Run
from minigrad import serialize

FILE = "meanings.json"
FOLDER = "folder"
"""The attribute that stands for the subfolders, or other labels, where the data have them."""
SHOWN = 8
"""Pictures named at either end."""
_SAID = 3
"""Associations of a code told in a line."""


@dataclass(frozen=True)
class Meanings:
    """Of every code in `codes` what Q reads in the real pictures of `data`, and what it goes with.

    `read[code]`: probabilities (N, K), or mean and deviation (N, 2). `known[what]`: (N,) numbers or words.
    `found[code][what]`: the association, `None` where one of the two does not vary.
    """

    run: Run
    data: Dataset
    codes: Sequence[str]
    read: Mapping[str, np.ndarray]
    known: Mapping[str, np.ndarray]
    found: Mapping[str, Mapping[str, Association | None]]

    def category(self, name: str) -> np.ndarray:
        """The most probable category of each picture: (N,)."""
        return self.read[name].argmax(axis=1)

    def shares(self, name: str) -> np.ndarray:
        """The share of pictures whose most probable category is each: (K,), sums to 1."""
        counts = np.bincount(self.category(name), minlength=self.run.code[name].width)
        return counts / len(self.data)

    def by_certainty(self, name: str, k: int) -> np.ndarray:
        """Places of the pictures of category `k`, from the one Q is surest of to the one it is least sure of."""
        (mine,) = np.nonzero(self.category(name) == k)
        return mine[np.argsort(-self.read[name][mine, k], kind="stable")]

    def by_mean(self, name: str) -> np.ndarray:
        """Places of all pictures, from Q's smallest mean of a continuous code to its largest."""
        return np.argsort(self.read[name][:, 0], kind="stable")

    def strongest(self, name: str) -> list[tuple[str, Association]]:
        """What the code goes with beyond chance, the strongest first."""
        beyond = [(what, a) for what, a in self.found[name].items() if a is not None and a.beyond_chance]
        return sorted(beyond, key=lambda pair: -abs(pair[1].value))

    def name_of(self, place: int) -> str:
        """The file of a picture, or its number."""
        return str(place) if self.data.names is None else self.data.names[place]

    def as_json(self) -> dict[str, Any]:
        """All of it for a JSON file."""
        return {
            "step": self.run.step,
            "data": self.data.name,
            "n_images": len(self.data),
            "properties": properties.meanings(self.data.images.shape[1]),
            "measures": NAMES,
            "codes": {name: self._of(name) for name in self.codes},
        }

    def _of(self, name: str) -> dict[str, Any]:
        variable = self.run.code[name]
        own = self._of_categories(name) if isinstance(variable, Categorical) else self._of_means(name)
        beside = {what: None if a is None else a.as_json() for what, a in self.found[name].items()}
        return {"kind": variable.spec, **own, "associations": beside}

    def _of_categories(self, name: str) -> dict[str, Any]:
        variable = self.run.code[name]
        assert isinstance(variable, Categorical)
        entries = []
        for k, share in enumerate(self.shares(name)):
            order = self.by_certainty(name, k)
            certainty = float(self.read[name][order, k].mean()) if len(order) else None
            ends = {"most_sure": order[:SHOWN], "least_sure": order[::-1][:SHOWN]}
            named = {end: [self.name_of(place) for place in places] for end, places in ends.items()}
            entries.append({"share": float(share), "prior": variable.p[k], "certainty": certainty, **named})
        return {"categories": entries}

    def _of_means(self, name: str) -> dict[str, Any]:
        order, mean = self.by_mean(name), self.read[name][:, 0]
        return {
            "mean": float(mean.mean()),
            "deviation": float(mean.std()),
            "lowest": [self.name_of(place) for place in order[:SHOWN]],
            "highest": [self.name_of(place) for place in order[::-1][:SHOWN]],
        }


def measure(run: Run, table: str | Path | None = None, codes: Sequence[str] | None = None) -> Meanings:
    """What the codes of `run`, or some of them, mean in all pictures of its data; `table` is a CSV of attributes.

    Raises `InputError` where the data are gone or do not fit, and for a table that is none.
    """
    names = run.code.names if codes is None else [run.code.names[run.code.index(name)] for name in codes]
    data = data_sets.load(run.config.data, split="all", frame=run.config.frame)
    run.pictures(data.images[:1])
    known = {**_properties(data.images), **_labels(data)}
    given = {} if table is None else attributes.read(table, data)
    if taken := [name for name in given if name in known]:
        raise InputError(f"{table}: the column {taken[0]} has the name of something that is measured: rename it")
    known |= given
    read = readings.read(run, data.images)
    found: dict[str, dict[str, Association | None]] = {}
    for name in slow(names, "associations", " codes"):
        reading = read[name].argmax(axis=1) if run.code[name].discrete else read[name][:, 0]
        found[name] = {what: associate(reading, values) for what, values in known.items()}
    return Meanings(run, data, names, {name: read[name] for name in names}, known, found)


def write(meanings: Meanings) -> Path:
    """Write `meanings.json` into the folder of the run."""
    path = meanings.run.folder / FILE
    try:
        serialize.write_json(path, meanings.as_json())
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from None
    return path


def in_words(meanings: Meanings) -> str:
    """A line a code."""
    return "\n".join(_line(meanings, name) for name in meanings.codes)


def _line(meanings: Meanings, name: str) -> str:
    variable = meanings.run.code[name]
    if variable.discrete:
        shares = meanings.shares(name)
        own = f"shares of {shares.min():.1%} to {shares.max():.1%}"
    else:
        mean = meanings.read[name][:, 0]
        own = f"read as {mean.mean():.2f} ± {mean.std():.2f}"
    return f"{name} ({variable.spec}): {own}; {goes_with(meanings, name)}"


def goes_with(meanings: Meanings, name: str) -> str:
    """The strongest associations of a code, in words."""
    beyond = meanings.strongest(name)
    if not beyond:
        return "goes with nothing that was measured, beyond chance"
    return "goes with " + ", ".join(f"{what} ({value(a)})" for what, a in beyond[:_SAID])


def value(association: Association) -> str:
    """`"ρ +0.61"`, `"η² 0.35"` or `"NMI 0.22"`."""
    if association.kind == "rho":
        return f"ρ {association.value:+.2f}".replace("-", "−")
    return f"{'η²' if association.kind == 'eta2' else 'NMI'} {association.value:.2f}"


def _properties(images: np.ndarray) -> dict[str, np.ndarray]:
    starts = slow(range(0, len(images), BATCH), "measuring pictures", " batches")
    parts = [properties.of(images[at : at + BATCH]) for at in starts]
    return {what: np.concatenate([part[what] for part in parts]) for what in parts[0]}


def _labels(data: Dataset) -> dict[str, np.ndarray]:
    """Subfolders by name, other labels by number: words, since their order means nothing."""
    if data.labels is None:
        return {}
    if data.names is None:
        return {"label": data.labels.astype(str)}
    return {FOLDER: np.array([name.partition("/")[0] for name in data.names])}
