"""The study guide: chapters run as scripts, exercises can be failed and solved, shown code is the source."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("marimo", reason="the study guide is an extra")

ROOT = Path(__file__).resolve().parents[1]
STUDY = ROOT / "docs" / "study"
CHAPTERS = sorted(p.stem for p in STUDY.glob("0?_*.py"))
TRAINING = ("05_game", "07_digits")
IN_A_BROWSER = ("01_tape", "02_products", "06_information")
FORBIDDEN = ("numba", "scipy", "cupy", "sklearn", "skimage", "mlxtend", "pydantic", "safetensors", "tqdm")


def marked(chapters: list[str] | tuple[str, ...]) -> list[object]:
    """Those that train networks are slow."""
    return [pytest.param(c, marks=pytest.mark.slow if c in TRAINING else ()) for c in chapters]


def run(path: Path, folder: Path) -> str:
    """What a script prints; it must end well and far from its own folder."""
    environment = {**os.environ, "MPLBACKEND": "agg"}
    done = subprocess.run(
        [sys.executable, str(path)],
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_there_are_seven_chapters_and_a_solution_for_each() -> None:
    assert [c[:2] for c in CHAPTERS] == [f"{i:02d}" for i in range(1, 8)]
    assert sorted(p.stem for p in (STUDY / "solutions").glob("*.py")) == CHAPTERS


@pytest.mark.parametrize("chapter", marked(CHAPTERS))
def test_a_chapter_runs_and_its_empty_exercises_are_unsolved(chapter: str, tmp_path: Path) -> None:
    said = run(STUDY / f"{chapter}.py", tmp_path)
    assert f"Chapter {int(chapter[:2])}: 0 of 3 exercises solved" in said
    assert said.count("Nothing here yet") == 3
    assert not list(tmp_path.iterdir()), "a chapter leaves nothing behind"


@pytest.mark.parametrize("chapter", marked(CHAPTERS))
def test_its_solutions_solve_every_exercise(chapter: str, tmp_path: Path) -> None:
    said = run(STUDY / "solutions" / f"{chapter}.py", tmp_path)
    assert f"Chapter {int(chapter[:2])}: 3 of 3 exercises solved" in said


WRONG = {
    "01_tape": (
        {
            "exp": "lambda a: type(a)(a.value, ((a, 1.0),), 'exp')",
            "dloss_dw": "lambda w, x, b: 2 * (__import__('math').tanh(w * x + b) - w) * x",
            "order": "lambda loss: [loss]",
        },
        ("The value of exp", "would be right", "8 values lie behind this loss"),
    ),
    "02_products": (
        {
            "layer_norm_vjp": "lambda g, x: g / x.std()",
            "best_step": "lambda T, R: R ** 0.5",
            "blind_points": "lambda: [0.0, 0.5, 1.0]",
        },
        ("must vanish", "has a smaller error", "gradcheck still sees it"),
    ),
    "04_batch_norm": (
        {
            "rms_norm_vjp": "lambda g, x, gamma, eps: g",
            "vanishing": "lambda x: (x * 0 + 1, x)",
            "evaluation_vjp": "lambda g, x, gamma, m, v, eps: None",
        },
        ("The gradient check says", "Which changes of x does y not notice", "does the function return"),
    ),
    "06_information": (
        {
            "information_of": "lambda joint: 0.0",
            "bound": "lambda logits, c: logits / 0 if False else missing",
            "right_side": "lambda joint, f: float((joint.sum(1)[:, None] * joint.sum(0) * f).sum())",
        },
        ("1.38629 would be right", "NameError", "the misprint"),
    ),
}


@pytest.mark.parametrize("chapter", WRONG)
def test_wrong_answers_are_told_what_is_wrong(chapter: str, tmp_path: Path) -> None:
    answers, hints = WRONG[chapter]
    code = (
        "import sys; from guide import solve\nanswers = {"
        + ", ".join(f"{k!r}: {v}" for k, v in answers.items())
        + "}\n"
    )
    code += f"found = solve.verdicts({chapter!r}, answers)\n"
    code += "import json; print(json.dumps([[bool(v), v.text] for v in found.values()]))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(STUDY)},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert len(found) == 3
    for (solved, text), hint in zip(found, hints, strict=True):
        assert not solved
        assert text.startswith("Not yet.")
        assert hint in text


@pytest.fixture
def guide(monkeypatch: pytest.MonkeyPatch) -> None:
    """`guide` can be imported as the chapters do."""
    monkeypatch.syspath_prepend(str(STUDY))
    for name in [n for n in sys.modules if n.split(".")[0] == "guide"]:
        monkeypatch.delitem(sys.modules, name)


def things_shown() -> list[tuple[str, str]]:
    """(chapter, expression) of every argument of `show(…)` in the chapters."""
    found = []
    for chapter in CHAPTERS:
        for node in ast.walk(ast.parse((STUDY / f"{chapter}.py").read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "show":
                found += [(chapter, ast.unparse(a)) for a in node.args]
    return found


def test_shown_code_stands_in_the_file_it_names(guide: None) -> None:
    source = importlib.import_module("guide.source")
    shown = things_shown()
    assert len(shown) > 20
    for chapter, expression in shown:
        names: dict[str, object] = {}
        setup = re.search(
            r"with app\.setup:\n((?:    .*\n|\n)+)", (STUDY / f"{chapter}.py").read_text(encoding="utf-8")
        )
        assert setup is not None
        exec(inspect.cleandoc("if True:\n" + setup[1]), names)
        excerpt = source.extract(eval(expression, names))
        text = (ROOT / excerpt.file).read_text(encoding="utf-8")
        for part in excerpt.text.split("\n\n\n"):
            assert part.strip() and part in text, f"{chapter}: {expression}"


def test_a_rule_is_shown_with_its_products(guide: None) -> None:
    source = importlib.import_module("guide.source")
    mg = importlib.import_module("minigrad")
    excerpt = source.extract(mg.tanh)
    assert excerpt.file == "minigrad/rules/elementwise.py"
    assert "@primitive" in excerpt.text and "def tanh" in excerpt.text
    assert "tanh.defvjp(lambda g, out: g * (1 - out * out))" in excerpt.text


def test_no_chapter_pastes_code_of_the_project() -> None:
    for chapter in CHAPTERS:
        text = (STUDY / f"{chapter}.py").read_text(encoding="utf-8")
        assert "```python" not in text, f"{chapter}: code on the page comes from `show`"
        assert not re.search(r"\.py#L\d+|\.py:\d+|line \d+", text)


def test_the_tape_has_forty_lines() -> None:
    tree = ast.parse((STUDY / "01_tape.py").read_text(encoding="utf-8"))
    lines = 0
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name in ("Number", "sweep"):
            lines += node.end_lineno - node.lineno + 1  # type: ignore[operator]
    assert 30 <= lines <= 40


def test_every_name_of_the_notation_is_in_its_file() -> None:
    rows = (STUDY / "notation.md").read_text(encoding="utf-8").splitlines()[2:]
    assert len(rows) > 20
    for row in rows:
        _, names, files = re.sub(r"\$[^$]*\$", "", row).strip("| ").rsplit("|", 2)
        texts = "\n".join((ROOT / f).read_text(encoding="utf-8") for f in re.findall(r"`([^`]+)`", files))
        for name in re.findall(r"`([^`]+)`", names):
            for part in name.split("."):
                assert re.search(rf"\b{part}\b", texts), f"{name} is not in {files.strip()}"


@pytest.mark.parametrize("chapter", IN_A_BROWSER)
def test_a_packed_chapter_runs_with_numpy_and_no_heavy_library(chapter: str, tmp_path: Path, guide: None) -> None:
    browser = importlib.import_module("browser")
    (tmp_path / "packed.py").write_text(browser.self_contained(chapter), encoding="utf-8")
    (tmp_path / "alone.py").write_text(
        "import importlib.abc, runpy, sys\n"
        "class Forbidden(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        f"        if name.split('.')[0] in {FORBIDDEN!r}:\n"
        "            raise ModuleNotFoundError(f'no {name} in a browser', name=name)\n"
        "sys.meta_path.insert(0, Forbidden())\n"
        "runpy.run_path(sys.path[0] + '/packed.py', run_name='__main__')\n"
        "import kernels, minigrad\n"
        f"assert not [m for m in {FORBIDDEN!r} if m in sys.modules]\n"
        f"assert not minigrad.__file__.startswith({str(ROOT)!r}), minigrad.__file__\n"
        "print('from its own sources')\n"
    )
    said = run(tmp_path / "alone.py", tmp_path)
    assert "0 of 3 exercises solved" in said
    assert "from its own sources" in said


@pytest.mark.slow
def test_the_exports_are_written(tmp_path: Path) -> None:
    code = f"import export, pathlib; export.CHAPTERS = '01_*.py'; export.main(pathlib.Path({str(tmp_path)!r}))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(STUDY)}
    )
    assert done.returncode == 0, done.stderr[-3000:]
    page = (tmp_path / "01_tape.html").read_text(encoding="utf-8")
    assert "Figure 1.1" in page
    cells = json.loads((tmp_path / "01_tape.ipynb").read_text(encoding="utf-8"))["cells"]
    assert any("class Number" in "".join(c["source"]) for c in cells)


@pytest.mark.slow
def test_a_page_for_the_browser_carries_its_sources(tmp_path: Path) -> None:
    code = (
        f"import browser, pathlib; browser.CHAPTERS = ('02_products',); browser.main(pathlib.Path({str(tmp_path)!r}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(STUDY)}
    )
    assert done.returncode == 0, done.stderr[-3000:]
    page = (tmp_path / "02_products" / "index.html").read_text(encoding="utf-8")
    assert "b64decode" in page
    assert (tmp_path / "index.html").exists()


def test_the_text_is_licensed() -> None:
    text = (STUDY / "LICENSE").read_text(encoding="utf-8")
    assert "CC BY 4.0" in text and "creativecommons.org/licenses/by/4.0" in text
    for chapter in CHAPTERS:
        assert (STUDY / f"{chapter}.py").read_text(encoding="utf-8").startswith("# Text under CC BY 4.0")


def test_links_of_the_guide_are_there() -> None:
    text = (STUDY / "README.md").read_text(encoding="utf-8")
    targets = [t for t in re.findall(r"\]\(([^)#]+)\)", text) if not t.startswith("https://")]
    assert len(targets) > 8
    assert not [t for t in targets if not (STUDY / t).exists()]
