"""Options of the suites."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--peers", action="store_true", help="time PyTorch and JAX too, where they are installed")
    parser.addoption("--tiny", action="store_true", help="tiny shapes: shows that the suites work, times nothing")


@pytest.fixture(scope="session")
def tiny(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--tiny"))
