"""One page on a run, or on two side by side: an HTML file that asks nothing of the network."""

from __future__ import annotations

from infogan.report.page import write

__all__ = ["write"]
