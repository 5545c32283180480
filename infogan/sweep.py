"""One configuration over several seeds: a run each, and what they reached together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import infogan.config
from infogan.errors import InfoganError
from infogan.evaluation.report import DRAWS, bounds
from infogan.run import load
from infogan.tables import markdown, number, spread
from infogan.workers import Backend, train_all, trained
from minigrad import serialize

__all__ = ["Backend", "Outcome", "check", "folder_of", "result", "sweep", "table", "trained", "write"]

FILE = "sweep.json"


@dataclass(frozen=True)
class Outcome:
    """A seed, the folder of its run, and why it failed: `None` where it is trained to its last update."""

    seed: int
    folder: Path
    error: str | None


def folder_of(out: Path, seed: int) -> Path:
    """Where the run of `seed` lies in a sweep."""
    return out / f"seed-{seed}"


def sweep(
    settings: Mapping[str, Any],
    seeds: Sequence[int],
    out: Path,
    *,
    jobs: int | None = None,
    backend: Backend = Backend(),
    progress: bool = True,
) -> list[Outcome]:
    """Train the run of `settings` once for each of `seeds`, in `out/seed-K`, side by side.

    Finished runs are left alone and begun ones gone on with. A seed that fails does not stop the others:
    its outcome says why. `jobs` processes of `backend.threads` threads each; what is not given follows from
    the cores. Raises `InputError` before anything begins, and `Interrupted` after Ctrl-C.
    """
    infogan.config.make(settings)
    runs = {folder_of(out, seed): {**settings, "seed": seed} for seed in seeds}
    reasons = train_all(runs, jobs=jobs, backend=backend, progress=progress)
    return [Outcome(seed, folder, reasons[folder]) for seed, folder in zip(seeds, runs, strict=True)]


def result(settings: Mapping[str, Any], outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """What `sweep.json` holds: of every seed its folder and each code's bound or why it failed; their spread.

    Bounds are in nats, on 10,000 fresh draws in evaluation mode, σ fitted and H(c) included.
    """
    from tqdm import tqdm

    seeds: dict[str, dict[str, Any]] = {}
    found: dict[str, list[float]] = {}
    for outcome in tqdm(outcomes, unit=" runs", desc="bounds"):
        seeds[str(outcome.seed)] = entry = {"folder": outcome.folder.name, "error": outcome.error}
        if outcome.error is None:
            entry["bound"] = {name: code["bound"] for name, code in bounds(load(outcome.folder)).items()}
            for name, bound in entry["bound"].items():
                found.setdefault(name, []).append(bound)
    return {
        "settings": infogan.config.make(settings).model_dump(mode="json", exclude={"seed", "image_size", "channels"}),
        "draws": DRAWS,
        "seeds": seeds,
        "bound": {name: spread(values) for name, values in found.items()},
    }


def write(content: Mapping[str, Any], out: Path) -> Path:
    """Write `result`'s content to `out/sweep.json`."""
    serialize.write_json(out / FILE, content)
    return out / FILE


def table(content: Mapping[str, Any]) -> str:
    """`result`'s content for people: a row a seed, then their mean, deviation, median and worst."""
    names = list(content["bound"])
    rows = [
        [f"seed {seed}", *(number(entry["bound"][n]) if "bound" in entry else "failed" for n in names)]
        for seed, entry in content["seeds"].items()
    ]
    for key in ("mean", "deviation", "median", "worst"):
        rows.append([key, *(number(content["bound"][n][key]) for n in names)])
    return markdown(["bound, nats", *names], rows)


def check(outcomes: Sequence[Outcome]) -> None:
    """Raise `InfoganError`, naming every seed that failed and why, if any did."""
    failed = [f"seed {o.seed}: {o.error}" for o in outcomes if o.error is not None]
    if failed:
        ending = "; the same command tries again"
        raise InfoganError(f"{len(failed)} of {len(outcomes)} seeds failed: " + "; ".join(failed) + ending)
