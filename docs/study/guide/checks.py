"""Exercises: a cell to fill, a cell that checks it, and a kind word where it is not right yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import marimo as mo
import numpy as np

import minigrad as mg
from minigrad.gradcheck import GradcheckError


class Hint(Exception):
    """An answer is not right yet; the text says what was seen and where to look."""


@dataclass(frozen=True)
class Verdict:
    """What a check found. True where the exercise is solved; in a notebook it shows itself."""

    exercise: str
    solved: bool
    text: str

    def __bool__(self) -> bool:
        return self.solved

    def _display_(self) -> mo.Html:
        return mo.callout(mo.md(f"**Exercise {self.exercise}.** {self.text}"), "success" if self.solved else "neutral")


def judge(exercise: str, check: Callable[[], str | None]) -> Verdict:
    """Run `check`, which raises `Hint` where the answer is wrong and may return a closing remark.

    Nothing a reader writes can stop the chapter: an exception in their code becomes part of the verdict.
    """
    try:
        remark = check()
    except NotImplementedError:
        return Verdict(exercise, False, "Nothing here yet: fill the cell above and this one will look at it.")
    except Hint as hint:
        return Verdict(exercise, False, f"Not yet. {hint}")
    except GradcheckError as error:
        return Verdict(exercise, False, f"Not yet. The gradient check says:\n\n```text\n{error}\n```")
    except Exception as error:
        return Verdict(exercise, False, f"Not yet. Your code stopped with `{type(error).__name__}: {error}`.")
    return Verdict(exercise, True, f"Right. {remark or ''}".strip())


def expect(condition: Any, hint: str) -> None:
    """Raise `Hint(hint)` unless `condition` holds."""
    if not condition:
        raise Hint(hint)


def close(found: Any, wanted: Any, what: str, tolerance: float = 1e-6) -> None:
    """Raise a `Hint` that shows both numbers, and where they part, unless `found` is near `wanted`."""
    expect(found is not None, f"{what} is `None`: does the function return its result?")
    found = found.data if isinstance(found, mg.Tensor) else np.asarray(found, dtype=np.float64)
    wanted = np.asarray(wanted, dtype=np.float64)
    expect(found.shape == wanted.shape, f"{what} has shape {found.shape}; {wanted.shape} would be right.")
    gap = np.abs(found - wanted)
    if not np.all(gap <= tolerance * (1 + np.abs(wanted))):
        at = np.unravel_index(int(np.argmax(np.nan_to_num(gap, nan=np.inf))), wanted.shape)
        place = f" at entry {[int(i) for i in at]}" if wanted.ndim else ""
        raise Hint(f"{what} is {found[at]:.6g}{place}; {wanted[at]:.6g} would be right.")


def tally(chapter: str, *verdicts: Verdict) -> mo.Html:
    """How many exercises are solved; printed too where the chapter runs as a script."""
    solved = sum(map(bool, verdicts))
    text = f"{chapter}: {solved} of {len(verdicts)} exercises solved"
    if mo.app_meta().mode == "script":
        print(text)
        for verdict in verdicts:
            print(f"  {verdict.exercise}: {'solved' if verdict else verdict.text.splitlines()[0]}")
    return mo.md(f"*{text}. One way to solve each is in `docs/study/solutions/`.*")
