"""`evaluation.json` read back, checked before anybody builds on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from infogan.errors import InputError
from infogan.evaluation.report import FILE


class _Part(BaseModel):
    model_config = ConfigDict(strict=True)


class _Follows(_Part):
    rho: float | None
    effect: float | None


class _Meaning(_Part):
    property: str = ""
    slant: _Follows | None = None
    width: _Follows | None = None
    stroke: _Follows | None = None


class _Code(_Meaning):
    bound: float
    entropy: float
    residual: float = 0.0
    accuracy: float = 0.0
    accuracy_hungarian: float = 0.0
    accuracy_majority: float = 0.0
    distinct_digits: int = 0
    classes: list[int] = []
    purity: list[float] = []
    by_category: dict[str, _Meaning] = {}


class _Distances(_Part):
    generated: float = 0.0
    real: float = 0.0


class _Evaluation(_Part):
    step: int
    codes: dict[str, _Code]
    frechet: _Distances = _Distances()


def read(run_dir: str | Path) -> dict[str, Any] | None:
    """The content of `evaluation.json` in a run's folder, `None` where there is none.

    Raises `InputError` where what is there is not what `infogan evaluate` writes.
    """
    path = Path(run_dir) / FILE
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        _Evaluation.model_validate(found)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError):
        raise InputError(f"{path} is damaged: infogan evaluate {run_dir} writes it anew") from None
    return found
