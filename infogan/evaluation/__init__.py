"""What a run has learnt, in numbers; the metrics themselves are functions of plain arrays."""

from __future__ import annotations

from infogan.evaluation.report import evaluate, in_words

__all__ = ["evaluate", "in_words"]
