"""The study guide: chapters run as scripts, exercises can be failed and solved, shown code is the source."""

from __future__ import annotations

import ast
import importlib
import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytest.importorskip("marimo", reason="the study guide is an extra")

ROOT = Path(__file__).resolve().parents[1]
STUDY = ROOT / "docs" / "study"
CHAPTERS = sorted(p.stem for p in STUDY.glob("0?_*.py"))
TRAINED = {"05_game": ("film", "losses"), "07_digits": ("trainer", "measured", "own")}
"""What the training cell of a chapter defines: made once, and kept while other answers are tried."""
IN_A_BROWSER = ("01_tape", "02_products", "06_information")
OF_PYODIDE = ("numpy", "matplotlib", "igraph")
FORBIDDEN = ("numba", "scipy", "cupy", "sklearn", "skimage", "mlxtend", "pydantic", "safetensors", "tqdm")


def marked(chapters: list[str] | tuple[str, ...]) -> list[object]:
    """Those that train networks are slow."""
    return [pytest.param(c, marks=pytest.mark.slow if c in TRAINED else ()) for c in chapters]


def run(path: Path, folder: Path, *arguments: str) -> str:
    """What a script prints; it must end well and far from its own folder."""
    environment = {**os.environ, "MPLBACKEND": "agg", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(path), *arguments],
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


WRONG: dict[str, tuple[dict[str, str], tuple[str, str, str]]] = {
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
    "03_convolution": (
        {
            "height": "lambda H, K, s, p: H // s",
            "im2col": "lambda x, K: x.reshape(1, -1)",
            "even": "lambda K, s: True",
        },
        ("the engine makes", "right: (4, 9)", "covers unevenly"),
    ),
    "04_batch_norm": (
        {
            "rms_norm_vjp": "lambda g, x, gamma, eps: g",
            "vanishing": "lambda x: (x * 0 + 1, x**2)",
            "evaluation_vjp": "lambda g, x, gamma, m, v, eps: None",
        },
        ("must vanish", "Which changes of x does y not notice", "does the function return"),
    ),
    "05_game": (
        {
            "best_logit": "lambda p, q: p / (p + q)",
            "value_of_best": "lambda p, q: float('nan')",
            "log_one_minus_d": "lambda l: (1 - l.sigmoid()).log().mean()",
        },
        ("That is D* itself", "would be right", "At logits ±200"),
    ),
    "06_information": (
        {
            "information_of": "lambda joint: 0.0",
            "bound": "lambda logits, c: logits / 0 if False else missing",
            "right_side": "lambda joint, f: float((joint.sum(1)[:, None] * joint.sum(0) * f).sum())",
        },
        ("1.38629 would be right", "NameError", "the misprint"),
    ),
    "07_digits": (
        {
            "L_I": "lambda parameters, c: ((parameters[:, :10].log_softmax(1) * c[:, :10]).sum(1)).mean()",
            "accuracy_by_majority": "lambda categories, labels: 1.0",
            "regular_gan": "lambda settings: settings.model_copy(update={'lambda_categorical': 0.0})",
        },
        ("would be right", "0.8 would be right", "look for another field"),
    ),
}


RUN = """
import json, runpy, sys
from pathlib import Path
study, chapter, trained, wrong = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3]), sys.argv[4]
sys.path[0] = str(study)
from guide import solve
if trained:
    _, names = solve.load(study / f"{chapter}.py").app.run()
    kept = {name: names[name] for name in trained}
    print("---")
    answers = solve.load(study / "solutions" / f"{chapter}.py").ANSWERS
    found = solve.verdicts(chapter, {**answers, **kept})
    print("status", int(not all(found.values())))
else:
    kept = {}
    runpy.run_path(str(study / f"{chapter}.py"), run_name="__main__")
    print("---")
    try:
        runpy.run_path(str(study / "solutions" / f"{chapter}.py"), run_name="__main__")
    except SystemExit as end:
        print("status", end.code)
print("---")
found = solve.verdicts(chapter, {**eval(wrong), **kept})
print(json.dumps([[bool(v), v.text] for v in found.values()]))
"""


@pytest.mark.parametrize("chapter", marked(CHAPTERS))
def test_a_chapter_runs_and_its_exercises_tell_right_from_wrong(chapter: str, tmp_path: Path) -> None:
    """As a script with the exercises empty, then with the solutions, then with wrong answers: one process for all."""
    answers, hints = WRONG[chapter]
    wrong = "{" + ", ".join(f"{name!r}: {answer}" for name, answer in answers.items()) + "}"
    (tmp_path / "run.py").write_text(RUN)
    trained = json.dumps(TRAINED.get(chapter, ()))
    empty, solved, told = run(tmp_path / "run.py", tmp_path, str(STUDY), chapter, trained, wrong).split("---\n")
    name = f"Chapter {int(chapter[:2])}"
    assert f"{name}: 0 of 3 exercises solved" in empty
    assert empty.count("Nothing here yet") == 3
    assert f"{name}: 3 of 3 exercises solved" in solved
    assert "status 0" in solved
    found = json.loads(told.splitlines()[-1])
    assert len(found) == 3
    for (right, text), hint in zip(found, hints, strict=True):
        assert not right
        assert text.startswith("Not yet.")
        assert hint in text
    assert [p.name for p in tmp_path.iterdir()] == ["run.py"], "a chapter leaves nothing behind"


@pytest.fixture
def guide(monkeypatch: pytest.MonkeyPatch) -> None:
    """`guide` can be imported as the chapters do."""
    monkeypatch.syspath_prepend(str(STUDY))
    for name in [n for n in sys.modules if n.split(".")[0] == "guide"]:
        monkeypatch.delitem(sys.modules, name)


def test_a_drawing_is_shown_whole(guide: None) -> None:
    """With its caption it is no higher than the output of a cell, which scrolls beyond 610 pixels."""
    drawn = '<svg width="400" height="900" viewBox="0 0 400 900"></svg>'
    page = importlib.import_module("guide.pictures").framed(f"<?xml?>{drawn}", "1.1", "A drawing.").text
    assert 400 < int(re.search(r'<svg style="[^"]*max-height:(\d+)px"', page)[1]) < 550  # type: ignore[index]


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
        exec(textwrap.dedent(setup[1]), names)
        excerpt = source.extract(eval(expression, names))
        text = (ROOT / excerpt.file).read_text(encoding="utf-8")
        for part in excerpt.text.split("\n\n\n"):
            assert part.strip(), f"{chapter}: {expression}"
            assert part in text or textwrap.indent(part, "    ") in text, f"{chapter}: {expression}"


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


def test_no_line_of_an_equation_reads_as_a_list() -> None:
    for chapter in CHAPTERS:
        text = (STUDY / f"{chapter}.py").read_text(encoding="utf-8")
        torn = re.search(r"^ *[-+*] *\\", text, re.MULTILINE)
        assert not torn, f"{chapter}: Markdown would take {torn} for a list"


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
    """And every package of Pyodide's that it loads is imported by one of its cells: Pyodide looks nowhere else."""
    packed = importlib.import_module("browser").self_contained(chapter)
    (tmp_path / "packed.py").write_text(packed, encoding="utf-8")
    (tmp_path / "alone.py").write_text(
        "import importlib.util, runpy, sys\n"
        f"forbidden = {FORBIDDEN!r}\n"
        "class Without:\n"
        "    def __init__(self, finder):\n"
        "        self.finder = finder\n"
        "    def find_spec(self, name, *args):\n"
        "        return None if name.split('.')[0] in forbidden else self.finder.find_spec(name, *args)\n"
        "    def __getattr__(self, name):\n"
        "        return getattr(self.finder, name)\n"
        "sys.meta_path[:] = [Without(f) for f in sys.meta_path if hasattr(f, 'find_spec')]\n"
        "assert not [m for m in forbidden if importlib.util.find_spec(m)]\n"
        "runpy.run_path(sys.path[0] + '/packed.py', run_name='__main__')\n"
        "import kernels, minigrad\n"
        "assert not [m for m in forbidden if m in sys.modules]\n"
        f"assert not minigrad.__file__.startswith({str(ROOT)!r}), minigrad.__file__\n"
        f"print('loaded', *[m for m in {OF_PYODIDE!r} if m in sys.modules])\n"
    )
    said = run(tmp_path / "alone.py", tmp_path)
    assert "0 of 3 exercises solved" in said
    loaded = said.splitlines()[-1].split()
    assert loaded[:2] == ["loaded", "numpy"]
    imports = [node for node in ast.walk(ast.parse(packed)) if isinstance(node, ast.Import)]
    assert set(loaded[1:]) <= {alias.name for node in imports for alias in node.names}


@pytest.mark.parametrize("chapter", IN_A_BROWSER)
def test_a_packed_chapter_shows_no_wall_of_text_and_asks_for_no_version(chapter: str, guide: None) -> None:
    packed = importlib.import_module("browser").self_contained(chapter)
    assert "with app.setup(hide_code=True):" in packed
    assert "/// script" not in packed


def test_a_chapter_runs_when_it_is_opened() -> None:
    """marimo's own default is to open a notebook with nothing run."""
    from marimo._config.manager import get_default_config_manager

    for chapter in CHAPTERS:
        path = str(STUDY / f"{chapter}.py")
        assert get_default_config_manager(current_path=path).get_config()["runtime"]["auto_instantiate"] is True


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
    place = f"pathlib.Path({str(tmp_path)!r})"
    code = f"import browser, pathlib; browser.CHAPTERS = {{'02_products': 'matplotlib'}}; browser.main({place})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(STUDY)}
    )
    if done.returncode and "local imports" in done.stderr:
        pytest.skip("marimo's export fetches a tool of its own at its first use, and there is no network")
    assert done.returncode == 0, done.stderr[-3000:]
    written = (tmp_path / "02_products" / "index.html").read_text(encoding="utf-8")
    assert "b64decode" in written
    assert '"auto_instantiate": true' in written
    assert "02_products/index.html" in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_the_text_is_licensed() -> None:
    text = (STUDY / "LICENSE").read_text(encoding="utf-8")
    assert "CC BY 4.0" in text and "creativecommons.org/licenses/by/4.0" in text
    for chapter in CHAPTERS:
        assert (STUDY / f"{chapter}.py").read_text(encoding="utf-8").startswith("# Text under CC BY 4.0")
