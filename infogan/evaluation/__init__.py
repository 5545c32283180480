"""What a run has learnt, in numbers; the metrics themselves are functions of plain arrays."""

from __future__ import annotations

from infogan.evaluation.disentanglement import beta_vae, dci, explicitness, factor_vae, mig, modularity, sap
from infogan.evaluation.report import evaluate, in_words

__all__ = ["beta_vae", "dci", "evaluate", "explicitness", "factor_vae", "in_words", "mig", "modularity", "sap"]
