"""What the README shows runs, and what it points to is there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "docs" / "architecture.md"]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_and_pictures_are_there(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8"))
    missing = [t for t in targets if not t.startswith("https://") and not (page.parent / t).exists()]
    assert not missing


def test_the_engines_example_runs() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"(<!-- not run[^\n]*-->\n)?```python\n(.*?)```", text, re.DOTALL)
    run = [code for skipped, code in blocks if not skipped]
    assert run
    for code in run:
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "tanh" in done.stdout, "the broken rule is named"
