"""The user's cache folder, wherever the system puts it: what is kept from one command to the next."""

from __future__ import annotations

from pathlib import Path


def folder(kind: str) -> Path:
    """Where things of a kind are kept: data, classifiers, claims. It need not be there yet."""
    from platformdirs import user_cache_path

    return user_cache_path("infogan", appauthor=False) / kind
