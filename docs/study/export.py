"""Write every chapter, as it comes out when run, as HTML and as .ipynb.

    python docs/study/export.py build/study

The figures are those of the sliders' first positions; chapters 5 and 7 train while they are exported. The HTML fetches
marimo's front end from the network when it is opened. The .ipynb is for reading elsewhere: to run it, start Jupyter in
docs/study, where the chapters' `guide` is; sliders need marimo.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

STUDY = Path(__file__).resolve().parent
CHAPTERS = "0?_*.py"


def main(out: Path) -> None:
    """Export all chapters into `out`."""
    out.mkdir(parents=True, exist_ok=True)
    for chapter in sorted(STUDY.glob(CHAPTERS)):
        for kind, options in (("html", []), ("ipynb", ["--include-outputs"])):
            target = out / f"{chapter.stem}.{kind}"
            command = [sys.executable, "-m", "marimo", "-q", "-y", "export", kind, str(chapter)]
            subprocess.run([*command, "-o", str(target), "-f", *options], check=True)
            print(f"wrote {target}", flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print(__doc__)
        sys.exit(0 if sys.argv[1:] in (["-h"], ["--help"]) else 2)
    main(Path(sys.argv[1]))
