"""The templates of the pages: one way to fill them, which escapes whatever comes from files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def fill(name: str, filters: Mapping[str, Callable[..., str]] | None = None, **given: Any) -> str:
    """The page of the template `name` in this folder; a name it needs and is not `given` is an error."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("infogan.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= filters or {}
    return environment.get_template(name).render(**given)
