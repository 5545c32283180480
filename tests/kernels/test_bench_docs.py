"""What docs/custom-kernels.md shows is run, in the order of the page."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from kernels import registry

PAGE = Path(__file__).resolve().parents[2] / "docs" / "custom-kernels.md"
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)


def _command(line):
    words = shlex.split(line)
    if words[0] == "infogan":
        return [sys.executable, "-m", "infogan", *words[1:]]
    assert words[:3] == ["python", "-m", "kernels"], line
    return [sys.executable, *words[1:]]


def test_the_python_of_the_page(monkeypatch):
    monkeypatch.setattr(registry, "_table", dict(registry._table))
    page = {}
    blocks = [text for language, text in BLOCKS if language == "python"]
    assert len(blocks) == 2
    for text in blocks:
        exec(compile(text, str(PAGE), "exec"), page)
    from kernels.verify import find, verify

    report = verify(find("conv2d", "shifts")[0])
    assert report.ok, str(report)


@pytest.mark.slow
def test_the_commands_of_the_page(tmp_path):
    lines = [line for language, text in BLOCKS if language == "sh" for line in text.splitlines()]
    assert len(lines) == 9
    for line in lines:
        done = subprocess.run(_command(line), cwd=tmp_path, capture_output=True, text=True, timeout=250)
        assert done.returncode == 0, f"{line}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
