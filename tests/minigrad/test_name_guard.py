"""PyPI has another distribution called `kernels`; where it is installed, importing stops with a line that says so."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import kernels

ROOT = Path(kernels.__file__).parents[1]


def run(folder: Path, *code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        text=True,
        capture_output=True,
    )


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """A folder in which somebody else's `kernels` comes first."""
    (tmp_path / "kernels").mkdir()
    (tmp_path / "kernels" / "__init__.py").write_text("def get_kernel(name):\n    return name\n")
    return tmp_path


@pytest.fixture
def overwritten(tmp_path: Path) -> Path:
    """One folder into which both distributions were installed, ours last."""
    for package in ("kernels", "minigrad", "infogan"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "kernels-0.10.0.dist-info").mkdir()
    return tmp_path


@pytest.mark.parametrize("place", ["other", "overwritten"])
def test_importing_stops(place: str, request: pytest.FixtureRequest) -> None:
    done = run(request.getfixturevalue(place), "-c", "import minigrad")
    assert done.returncode == 1
    assert "another distribution owns the name 'kernels'" in done.stderr.splitlines()[-1]
    assert "environment of its own" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("place", ["other", "overwritten"])
def test_the_command_says_so_in_one_line(place: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    code = "import sys; from infogan.cli import main; sys.exit(main(['train', '--out', 'run']))"
    done = run(request.getfixturevalue(place), "-c", code)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "another distribution owns the name 'kernels'" in done.stderr


def test_our_own_folder_is_fine(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "kernels", tmp_path / "kernels", ignore=shutil.ignore_patterns("__pycache__"))
    assert run(tmp_path, "-c", "import minigrad").returncode == 0
