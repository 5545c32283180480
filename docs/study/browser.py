"""Make chapters that run in a browser alone: no Python, no server, no installation on the reader's side.

    python docs/study/browser.py build/study/browser
    python -m http.server --directory build/study/browser      # then open http://127.0.0.1:8000

marimo's export runs Python by Pyodide, which has NumPy, matplotlib and igraph but can have neither Numba nor this
project. Chapters 1, 2 and 6 need no more than that: the engine works with NumPy alone. So a copy of each carries the
project's sources in itself (a zip file as text, in a setup cell that is folded away) and unpacks them before its first
import. That cell also imports what the guide will: Pyodide loads, in its own versions, the packages that cells import.
A list of dependencies at the head of the file would instead ask for the versions installed here, which Pyodide may not
have. The pages are static; the reader's browser fetches Pyodide and its packages from where marimo's export points to,
and so needs a network.
"""

from __future__ import annotations

import base64
import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

STUDY = Path(__file__).resolve().parent
ROOT = STUDY.parents[1]
CHAPTERS = {"01_tape": "igraph, matplotlib", "02_products": "matplotlib", "06_information": "matplotlib"}
"""What a chapter needs of Pyodide's packages beside those it imports itself: Pyodide loads what a cell imports."""
SOURCES = ("kernels/*.py", "minigrad/**/*.py", "infogan/*.py", "docs/study/guide/*.py", "docs/study/notation.md")
_UNPACK = """\
with app.setup(hide_code=True):
    import base64
    import io
    import sys
    import tempfile
    import zipfile

    import {packages}

    _home = tempfile.mkdtemp()
    _packed = "{packed}"
    zipfile.ZipFile(io.BytesIO(base64.b64decode(_packed))).extractall(_home)
    sys.path[:0] = [_home, _home + "/docs/study"]

"""


def packed_sources() -> str:
    """The project's sources that a chapter may import, as a zip file in base64; the same bytes every time."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted({p for pattern in SOURCES for p in ROOT.glob(pattern)}):
            undated = zipfile.ZipInfo(path.relative_to(ROOT).as_posix())
            archive.writestr(undated, path.read_bytes(), zipfile.ZIP_DEFLATED)
    return base64.b64encode(buffer.getvalue()).decode()


def self_contained(chapter: str) -> str:
    """The text of a chapter that brings its sources along."""
    text = (STUDY / f"{chapter}.py").read_text(encoding="utf-8")
    before, found, after = text.partition("with app.setup:\n")
    if not found:
        raise ValueError(f"{chapter} has no setup cell to unpack the sources in")
    return before + _UNPACK.format(packages=CHAPTERS[chapter], packed=packed_sources()) + after


def run_when_opened(page: Path) -> None:
    """Let the chapter in `page` run when it is opened, as docs/study/pyproject.toml does for `marimo edit`.

    marimo's export takes no such setting from anywhere: it writes its own default, to wait for a press of "run all".
    """
    text = page.read_text(encoding="utf-8")
    page.write_text(text.replace('"auto_instantiate": false', '"auto_instantiate": true'), encoding="utf-8")


def main(out: Path) -> None:
    """Write a folder for each chapter, and a page that lists them, into `out`."""
    import uv  # marimo's export reads a notebook's imports with it

    environment = {**os.environ, "UV": uv.find_uv_bin()}
    out.mkdir(parents=True, exist_ok=True)
    links = []
    for chapter in CHAPTERS:
        copy = out / f"{chapter}.py"
        copy.write_text(self_contained(chapter), encoding="utf-8")
        command = [sys.executable, "-m", "marimo", "-q", "-y", "export", "html-wasm", str(copy)]
        subprocess.run([*command, "-o", str(out / chapter), "--mode", "edit", "-f"], check=True, env=environment)
        run_when_opened(out / chapter / "index.html")
        links.append(f'<li><a href="{chapter}/index.html">{chapter}</a></li>')
    page = f"<!doctype html><meta charset=utf-8><title>The study guide</title><ul>{''.join(links)}</ul>"
    (out / "index.html").write_text(page, encoding="utf-8")
    print(f"wrote {out}: python -m http.server --directory {out}, then open http://127.0.0.1:8000")


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print(__doc__)
        sys.exit(0 if sys.argv[1:] in (["-h"], ["--help"]) else 2)
    main(Path(sys.argv[1]))
