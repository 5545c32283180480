"""Every code block of the README and of docs/ works; the site is built strictly and asks no other host for anything.

A page's `python` blocks run from top to bottom in one folder; a block that begins with `# NAME.py` is also that file
for the commands. Every line of an `sh` block must be a command, with options, that exists; the slow tests run them,
some shortened by `SHORTER`. A block that is only to be read has `<!-- not run: REASON -->` in the line above its fence:
its commands must exist all the same, and its Python must be Python. An `ipython` block is a notebook's cell: its `!`
lines are commands, its `%pip` line must name what there is, the rest is Python that runs after them.
"""

from __future__ import annotations

import ast
import importlib
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

import click
import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(p for p in DOCS.rglob("*.md") if p.parent.name != "api")]
BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<reason>[^\n]+) -->\n)?^```(?P<language>[^\n]*)\n(?P<text>.*?)^```$", re.M | re.S
)
EXECUTED = ("python", "sh", "ipython")
GIVEN = {"README.md": "my_ops.py"}
"""The file of one's own that a page's commands name: it holds the page's Python."""
AFTERWARDS = {
    "README.md": "assert not report and 'tanh' in str(report), 'the broken rule is named'",
    "custom-kernels.md": """
from kernels.verify import find, verify
report = verify(find("conv2d", "shifts")[0])
assert report.ok, str(report)
""",
}
"""What must hold once a page's Python has run."""
SHORTER = {
    "infogan train": "--steps 2 --batch-size 16 --checkpoint-every 1",
    "infogan sweep": "--steps 1 --batch-size 16",
    "python -m kernels bench conv2d": "--shapes 2x3x8x8:4x3x3:p1 --rounds 2 --no-ceiling",
    "python -m minigrad gradcheck --second-order": "--op tanh",
}
"""Options added to a command that would take minutes; the last one of a name counts."""


class Block(NamedTuple):
    """A fenced block of a page, and why it is not run if it is not."""

    language: str
    text: str
    reason: str | None


def blocks(page: Path) -> list[Block]:
    found = [Block(m["language"], m["text"], m["reason"]) for m in BLOCK.finditer(page.read_text(encoding="utf-8"))]
    return [block for block in found if block.language in EXECUTED]


def having(language: str, *, run: bool) -> list[object]:
    """The pages with a block of this language, as parameters of a test."""
    pages = [p for p in PAGES if any(b.language == language and not (run and b.reason) for b in blocks(p))]
    return [pytest.param(p, id=p.relative_to(ROOT).as_posix()) for p in pages]


def python_of(page: Path, folder: Path) -> str:
    """The Python of a page as one program; blocks that name a file are written into `folder`."""
    program = ""
    for block in blocks(page):
        if block.language == "python" and not block.reason:
            program += block.text
            if named := re.match(r"# (\w+\.py)\b", block.text):
                (folder / named[1]).write_text(block.text, encoding="utf-8")
    if page.name in GIVEN:
        (folder / GIVEN[page.name]).write_text(program, encoding="utf-8")
    return program


def commands_of(block: Block) -> list[list[str]]:
    """The commands of an `sh` block, word by word: comments gone, lines joined, `&&` taken apart."""
    found: list[list[str]] = []
    for line in block.text.replace("\\\n", " ").splitlines():
        if block.language == "ipython":
            if not line.startswith(("!", "%")):
                continue
            line = line[1:]
        words = shlex.split(line, comments=True)
        while words:
            end = words.index("&&") if "&&" in words else len(words)
            found.append(words[:end])
            words = words[end + 1 :]
    return found


# ---- links ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [pytest.param(p, id=p.relative_to(ROOT).as_posix()) for p in PAGES])
def test_links_and_pictures_are_there(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)[)#]", page.read_text(encoding="utf-8"))
    assert not [t for t in targets if not re.match(r"https?://", t) and not (page.parent / t).exists()]


# ---- a command exists ------------------------------------------------------------------------------------


def check(words: list[str]) -> None:
    """Raise unless a command, its subcommand and its options exist; nothing is run."""
    if words[0] == "env":
        words = words[next(i for i in range(1, len(words)) if words[i - 1] != "-u" and words[i] != "-u") :]
    if words[0] == "mpiexec":
        words = words[words.index("-n") + 2 :]
    tool, rest = words[0].removeprefix(".venv/bin/"), words[1:]
    if tool in ("python", "python3") and rest[0] == "-m":
        tool, rest = rest[1], rest[2:]
    if tool in ("python", "python3"):
        assert (ROOT / rest[0]).is_file(), f"there is no {rest[0]}"
    elif tool == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
        unknown = [w for w in rest if "=" not in w and w not in targets]
        assert not unknown, f"the Makefile has no target {unknown}"
    elif tool == "pip":
        check_installation(rest)
    elif tool in ("infogan", "kernels", "minigrad") or tool.startswith("benchmarks."):
        check_click(tool, rest)
    else:
        assert tool in ("pytest", "venv", "marimo", "cp", "http.server"), f"no one knows the command {tool}"


def check_installation(words: list[str]) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert words[0] == "install", "pip installs"
    for asked in re.findall(r"\[([^]]+)\]", " ".join(words)):
        assert set(asked.split(",")) <= set(extras), f"there are no extras {asked}"


def check_click(tool: str, words: list[str]) -> None:
    module, name = {"infogan": ("infogan.cli", "cli")}.get(tool, (tool, "main"))
    if tool in ("kernels", "minigrad"):
        module = f"{tool}.__main__"
    command = getattr(importlib.import_module(module), name)
    while isinstance(command, click.Group):
        if words == ["--help"]:
            return
        assert words[0] in command.commands, f"{tool} has no command {words[0]}"
        command, words = command.commands[words[0]], words[1:]
    context = click.Context(command, help_option_names=["-h", "--help"])
    given, left, _ = command.make_parser(context).parse_args(args=list(words))
    assert not left, f"{tool} does not know what to do with {left}"
    if not given.get("help"):
        for parameter in command.params:
            value = given.get(parameter.name or "")
            choice = isinstance(parameter.type, click.Choice) and isinstance(value, str)
            assert not choice or value in parameter.type.choices, f"{parameter.name} of {tool} cannot be {value}"
            missing = (
                isinstance(parameter, click.Argument) and parameter.required and not isinstance(value, str | tuple)
            )
            assert not missing, f"{tool} needs {parameter.name}"


@pytest.mark.parametrize("page", having("sh", run=False))
def test_every_command_exists(page: Path) -> None:
    for block in blocks(page):
        for words in commands_of(block) if block.language != "python" else []:
            try:
                check(words)
            except (AssertionError, click.UsageError) as error:
                pytest.fail(f"{shlex.join(words)}: {error}")


@pytest.mark.parametrize(
    "line",
    [
        "infogan trian",
        "infogan train --stepps 3",
        "infogan traverse",
        "infogan traverse a b",
        "python -m kernels bench conv2d --cache lukewarm",
        "python docs/study/none.py",
        "make dinner",
        "pip install -e '.[none]'",
        "rm -rf runs",
    ],
)
def test_a_command_that_does_not_exist_is_found(line: str) -> None:
    with pytest.raises((AssertionError, click.UsageError)):
        check(shlex.split(line))


# ---- and works -------------------------------------------------------------------------------------------


def run(arguments: list[str], folder: Path) -> None:
    environment = {**os.environ, "MPLBACKEND": "agg", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(arguments, cwd=folder, capture_output=True, text=True, timeout=250, env=environment)
    assert done.returncode == 0, f"{shlex.join(arguments)}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"


@pytest.mark.parametrize("page", having("python", run=False))
def test_what_is_not_run_says_why_and_is_python(page: Path) -> None:
    for block in blocks(page):
        if block.language == "python":
            ast.parse(block.text)
        assert block.reason is None or len(block.reason.split()) > 1


@pytest.mark.parametrize("page", having("python", run=True))
def test_the_python_of_a_page_runs(page: Path, tmp_path: Path) -> None:
    program = python_of(page, tmp_path) + AFTERWARDS.get(page.name, "")
    (tmp_path / "page.py").write_text(program, encoding="utf-8")
    run([sys.executable, "-W", "error", "page.py"], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("page", having("sh", run=True))
def test_the_commands_of_a_page_run(page: Path, tmp_path: Path) -> None:
    python_of(page, tmp_path)
    done = set()  # a page may show a command twice
    for block in blocks(page):
        if block.language == "python" or block.reason:
            continue
        for words in commands_of(block):
            line = shlex.join(words)
            if line in done or (words[0] == "pip" and block.language == "ipython"):
                continue  # what pip is asked for, `test_every_command_exists` has read
            done.add(line)
            extra = next((more for prefix, more in SHORTER.items() if line.startswith(prefix)), "")
            module = ["-m", "infogan"] if words[0] == "infogan" else []
            assert module or words[0] == "python", f"{line}: say why it is not run"
            run([sys.executable, *module, *words[1:], *extra.split()], tmp_path)
        if block.language == "ipython":
            rest = [line for line in block.text.splitlines() if not line.startswith(("!", "%"))]
            run([sys.executable, "-c", "\n".join(rest)], tmp_path)


# ---- the site --------------------------------------------------------------------------------------------


def build(source: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """`make docs`, without its installation."""
    pytest.importorskip("sphinx", reason="the site is an extra")
    options = ["--quiet", "--fresh-env", "-W", "--keep-going", "-d", f"{site}.doctrees"]
    return subprocess.run(
        [sys.executable, "-m", "sphinx", *options, str(source), str(site)], capture_output=True, text=True, timeout=250
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("docs") / "site"
    done = build(DOCS, out)
    assert done.returncode == 0, done.stderr[-4000:]
    return out


@pytest.mark.slow
def test_the_site_holds_every_page_and_every_public_name(site: Path) -> None:
    for page in PAGES[1:]:
        assert (site / page.relative_to(DOCS).with_suffix(".html")).is_file()
    assert "nothing between you and the math" in (site / "index.html").read_text(encoding="utf-8")
    assert "def value" in re.sub("<[^>]+>", "", (site / "source" / "infogan" / "objective.py.html").read_text("utf-8"))
    told = {
        name for p in (site / "api").glob("*.html") for name in re.findall(r'<dt[^>]* id="([\w.]+)"', p.read_text())
    }
    for package in ("minigrad", "minigrad.nn", "minigrad.nn.functional", "minigrad.optim", "kernels", "infogan"):
        module = importlib.import_module(package)
        functions = set(importlib.import_module("minigrad.nn.functional").__all__) if package == "minigrad" else set()
        names = {n for n in set(module.__all__) - functions if type(getattr(module, n)) is not type(module)}
        assert {f"{package}.{name}" for name in names} <= told


@pytest.mark.slow
def test_the_site_asks_no_other_host(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        text = page.read_text(encoding="utf-8")
        loaded = re.findall(r'<(?:script|img|iframe|source)[^>]* src="([^"]*)"|<link[^>]* href="([^"]*)"', text)
        assert not [url for pair in loaded for url in pair if re.match(r"(https?:)?//", url)], page
    for sheet in site.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(https?:)?//|@import", sheet.read_text(encoding="utf-8")), sheet


@pytest.mark.slow
def test_a_broken_link_a_missing_anchor_and_a_lost_page_are_errors(tmp_path: Path) -> None:
    source = tmp_path / "docs"
    (source / "deep").mkdir(parents=True)
    (source / "conf.py").write_text((DOCS / "conf.py").read_text(encoding="utf-8"), encoding="utf-8")
    toctree = "\n```{toctree}\n:glob:\n*\n```\n"
    (source / "index.md").write_text("# Start\n[here](other.md#a-heading) [code](../code.py)\n" + toctree)
    (source / "other.md").write_text("# Other\n\n## A heading\n")
    (tmp_path / "code.py").write_text("x = 1\n")
    done = build(source, tmp_path / "whole")
    assert done.returncode == 0, done.stderr
    (source / "other.md").write_text("# Other\n[a](none.md) [b](index.md#none) [c](../none.py)\n")
    (source / "deep" / "lost.md").write_text("# Lost\n")
    done = build(source, tmp_path / "broken")
    assert done.returncode == 1
    for complaint in ("'none.md'", "'index': 'none'", "'other': 'a-heading'", "'../none.py'"):
        assert complaint in done.stderr
    assert "lost.md: WARNING: document isn't included in any toctree" in done.stderr
