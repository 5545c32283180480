"""The table of symbols, as a cell that every chapter can fold out."""

from __future__ import annotations

from pathlib import Path

import marimo as mo

TABLE = Path(__file__).resolve().parents[1] / "notation.md"


def notation() -> mo.Html:
    """Symbol, name and file, folded away until asked for."""
    return mo.accordion({"Notation: symbol → name → file": mo.md(TABLE.read_text(encoding="utf-8"))})
