"""Another commit's kernels beside this tree's, run in turns: `python -m benchmarks.commits REF [bench options]`.

The commit is laid out in a temporary worktree. Turn by turn, each tree runs its own `python -m kernels bench`
in a process of its own, so that what slows the machine down slows both; then `compare` judges all rounds.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click

from kernels.bench import compare
from kernels.bench.results import Results, merge, read
from kernels.registry import KernelError

ROOT = Path(__file__).resolve().parent.parent


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("ref")
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
@click.option("--turns", type=click.IntRange(1), default=4, show_default=True, help="Of each tree.")
@click.option("--fail-over", type=click.FloatRange(min=1), help="Exit with 1 if anything is slower by this factor.")
def main(ref: str, options: tuple[str, ...], turns: int, fail_over: float | None) -> None:
    """Is this tree faster than REF? OPTIONS go to `python -m kernels bench`."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        tree = Path(folder, "tree")
        _git("worktree", "add", "--quiet", "--detach", str(tree), ref)
        try:
            old, new = _turns(tree, Path(folder), options, turns)
        finally:
            _git("worktree", "remove", "--force", str(tree))
    found = compare.compare(old, new)
    for line in compare.text(found):
        click.echo(line)
    if fail_over is not None and any(c.fails(fail_over) for c in found):
        sys.exit(1)


def _turns(tree: Path, folder: Path, options: Sequence[str], turns: int) -> tuple[Results, Results]:
    found: dict[Path, list[Results]] = {tree: [], ROOT: []}
    for turn in range(turns):
        for place in (tree, ROOT) if turn % 2 == 0 else (ROOT, tree):
            click.echo(f"… turn {turn + 1} of {turns}: {'this tree' if place == ROOT else 'the other'}", err=True)
            found[place].append(_bench(place, folder / "bench.json", options))
    return merge(found[tree]), merge(found[ROOT])


def _bench(place: Path, out: Path, options: Sequence[str]) -> Results:
    command = [sys.executable, "-m", "kernels", "bench", "--no-ceiling", *options, "--json", str(out)]
    out.unlink(missing_ok=True)
    # The working folder comes first on the path, so each tree runs its own kernels.
    done = subprocess.run(
        command, cwd=place, env={**os.environ, "PYTHONPATH": str(place)}, capture_output=True, text=True, check=False
    )
    if done.returncode or not out.exists():
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        where = "this tree" if place == ROOT else "the other commit"
        raise KernelError(f"the bench failed in {where}: {' '.join(last)}")
    return read(out)


def _git(*arguments: str) -> None:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise KernelError(f"git {' '.join(arguments[:2])}: {done.stderr.strip().splitlines()[-1]}")


if __name__ == "__main__":
    try:
        main.main(standalone_mode=False)
    except KernelError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2)
    except click.ClickException as error:
        click.echo(f"error: {error.format_message()}", err=True)
        sys.exit(2)
    except click.Abort:
        sys.exit(130)
