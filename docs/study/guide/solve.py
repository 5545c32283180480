"""Run a chapter with its exercises filled in by a file of solutions."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

from guide.checks import Verdict

STUDY = Path(__file__).resolve().parents[1]


def load(path: Path) -> ModuleType:
    """A chapter or a file of solutions as a module; their names begin with a digit, so `import` cannot."""
    spec = importlib.util.spec_from_file_location(f"study_{path.parent.name}_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def verdicts(chapter: str, answers: dict[str, Any] | None = None) -> dict[str, Verdict]:
    """Run the chapter (a file's stem) with `answers` in place of the cells that define them: its verdicts."""
    _, names = load(STUDY / f"{chapter}.py").app.run(defs=answers or {})
    return {v.exercise: v for v in names.values() if isinstance(v, Verdict)}


def main(file: str, answers: dict[str, Any]) -> int:
    """What a file of solutions does as a script: 0 where its answers solve every exercise of its chapter."""
    found = verdicts(Path(file).stem, answers)
    return 0 if found and all(found.values()) else 1
