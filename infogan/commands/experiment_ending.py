"""How every experiment on trained runs ends: its files written, its table shown, and what to do next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from infogan.experiments.common import Plan


def publish(plan: Plan, found: Mapping[str, Any], table: str, figures: Mapping[str, Figure], then: str) -> None:
    """Write what was `found` and show it; `then` is the command to go on with."""
    from infogan.experiments import common

    written = common.publish(plan, found, table, figures)
    click.echo(f"{table}\n\n{common.below(plan, found)}")
    click.echo(f"in {plan.out}: {', '.join(path.name for path in written)}")
    click.echo(f"next: {then}")
