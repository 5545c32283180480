"""`infogan report`: the page as a browser would read it."""

from __future__ import annotations

import json
import re
import shlex
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from made_runs import make_run
from small_runs import FIELDS, begin, write_pictures

import infogan
from infogan import cli, config, data, evaluation, report
from infogan.training import train


class Page(HTMLParser):
    """Tags with their attributes, text by the section it stands in, and tables as rows of cells."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: dict[str, str] = {}
        self.tables: dict[str, list[list[list[str]]]] = {}
        self._section = ""
        self.html = path.read_text()
        self.feed(self.html)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.append((tag, found))
        if tag == "section":
            self._section = found["id"]
        if tag == "table":
            self.tables.setdefault(self._section, []).append([])
        if tag == "tr":
            self.tables[self._section][-1].append([])
        if tag in ("td", "th"):
            self.tables[self._section][-1][-1].append("")

    def handle_data(self, text):
        self.text[self._section] = self.text.get(self._section, "") + text
        tables = self.tables.get(self._section)
        if tables and tables[-1] and tables[-1][-1]:
            tables[-1][-1][-1] += text.strip()

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [found for name, found in self.tags if name == tag]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two trained runs that differ in seed and slope, on pictures with labels."""
    folder = tmp_path_factory.mktemp("runs")
    pictures = write_pictures(folder)
    for name, changes in (("first", {}), ("sec<b>ond", {"seed": 3, "leaky_slope": 0.01, "objective": "gan"})):
        train(begin(pictures, folder / name, **changes), folder / name, progress=False)
    return [folder / "first", folder / "sec<b>ond"]


@pytest.fixture(scope="module")
def page(runs: list[Path]) -> Page:
    assert cli.main(["report", str(runs[0])]) == 0
    return Page(runs[0] / "report.html")


@pytest.fixture(scope="module")
def both(runs: list[Path]) -> Page:
    out = runs[0].parent / "both.html"
    assert cli.main(["report", str(runs[0]), "--compare", str(runs[1]), "--out", str(out)]) == 0
    return Page(out)


def test_asks_nothing_of_the_network(page, both):
    for one in (page, both):
        policy = [m["content"] for m in one.all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
        assert policy == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]
        addresses = [found[key] or "" for _, found in one.tags for key in ("src", "href") if key in found]
        assert addresses
        assert all(address.startswith(("data:image/", "#")) for address in addresses)
        assert not one.all("script") and not one.all("link")
        assert "url(" not in one.html and "@import" not in one.html


def test_can_be_read_without_eyes(page, both):
    for one in (page, both):
        assert [found["lang"] for found in one.all("html")] == ["en"]
        assert all(len(image["alt"] or "") > 30 for image in one.all("img"))
        assert len(one.all("caption")) == len(one.all("table")) > 4
        assert all(found.get("scope") in ("row", "col") for found in one.all("th"))
        levels = [int(tag[1]) for tag, _ in one.tags if re.fullmatch("h[1-6]", tag)]
        assert levels[0] == 1 and levels.count(1) == 1
        assert all(after - before <= 1 for before, after in pairwise(levels))
        targets = {found["id"] for found in one.all("section")}
        assert {(found["href"] or "")[1:] for found in one.all("a")} == targets


def test_settings_that_differ_come_first(page):
    changed, others = page.tables["settings"]
    names = [row[0] for row in changed[1:]]
    assert set(FIELDS) | {"data", "image_size"} == set(names)
    assert {row[0] for row in others[1:]} | set(names) == set(config.Config.model_fields)
    assert next(row for row in changed if row[0] == "noise")[1:3] == ["5", "62"]


def test_two_runs_stand_side_by_side(both):
    changed = both.tables["settings"][0]
    marked = {row[0].removesuffix("differs"): row[1:4] for row in changed if row[0].endswith("differs")}
    assert marked == {
        "seed": ["0", "3", "0"],
        "leaky_slope": ["0.1", "0.01", "0.1"],
        "objective": ["infogan", "gan", "infogan"],
    }
    assert len(both.all("img")) == 2 * 4  # two curves and two codes a run
    assert "<b>" not in both.html.replace("sec&lt;b&gt;ond", "")  # a folder's name is text
    assert both.text["again"].count("infogan train") == 2


def test_confusion_is_that_of_the_held_out_pictures(page, runs):
    run = infogan.load(runs[0])
    shown = data.load(run.config.data, split="held_out")
    read = run.encode(shown.images)["c1"].argmax(axis=1)
    rows = {int(row[0]): row[1:] for row in page.tables["confusion"][0][1:]}
    found = [[0 if cell == "·" else int(cell) for cell in rows[k]] for k in range(3)]
    expected = [[int(np.sum((read == k) & (shown.labels == j))) for j in range(3)] for k in range(3)]
    assert found == expected
    assert np.sum(found) == 8


def test_measurements_are_those_of_the_evaluation(page, runs):
    found = json.loads((runs[0] / "evaluation.json").read_text())
    assert found["step"] == 12
    assert f"{found['codes']['c1']['bound']:.3f} of its 1.099 nats" in page.text["codes"]
    names = [row[0] for row in page.tables["measurements"][0][1:]]
    assert {"bound", "accuracy hungarian", "re estimated, nmi"} <= set(names)


def test_keys_it_does_not_know_are_shown_and_older_ones_may_lack(runs, tmp_path):
    kept = runs[1] / "evaluation.json"
    before = kept.read_text() if kept.exists() else None
    found = evaluation.evaluate(infogan.load(runs[1]))
    found |= {"frechet": {"pixels": 12.5}, "notices": ["<i>few pictures</i>"]}
    del found["codes"]["c2"]
    kept.write_text(json.dumps(found))
    text = Page(report.write([runs[1]], tmp_path / "a.html")).text["measurements"]
    assert "frechet, pixels" in text and "12.5" in text and "<i>few pictures</i>" in text
    kept.write_text(before or json.dumps(found))


def test_times_add_up_to_the_update(page):
    (rows,) = page.tables["times"]
    shares = [float(row[4].removesuffix("%")) for row in rows[1:]]
    assert sum(shares) == pytest.approx(100, abs=1)
    assert {"linear", "conv2d", "outside of operations"} <= {row[0] for row in rows}
    assert {row[1] for row in rows[1:]} >= {"forward", "backward"}


def test_report_moves_nothing_in_the_run(runs):
    kept = {path: path.read_bytes() for path in (runs[0] / "checkpoints").iterdir()}
    report.write([runs[0]])
    assert {path: path.read_bytes() for path in (runs[0] / "checkpoints").iterdir()} == kept


def test_command_makes_the_run_again(both, runs, tmp_path):
    for number, folder in enumerate(runs):
        line = [text for text in both.text["again"].splitlines() if text.startswith("infogan train")][number]
        out = tmp_path / str(number)
        assert cli.main([*shlex.split(line)[1:], "--out", str(out)]) == 0
        assert config.read(out)[0] == config.read(folder)[0]
        assert (out / "checkpoints" / "latest").read_text() == (folder / "checkpoints" / "latest").read_text()


def test_a_run_whose_data_are_gone(tmp_path):
    folder = make_run(tmp_path / "run", codes="uniform", data="gone.npz")
    page = Page(report.write([folder]))
    assert "Not there" in page.text["confusion"]
    assert "gone.npz" in page.text["times"]
    assert "no lines yet" in page.text["curves"]
    assert len(page.all("img")) == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["no-such"], "holds no run"),
        (["RUN", "--compare", "RUN"], "is the run itself"),
        (["RUN", "--compare", "no-such"], "holds no run"),
        (["RUN", "--out", "RUN"], "is a folder"),
        (["RUN", "--out", "RUN/deep/page.html"], "there is no folder"),
    ],
)
def test_wrong_use_is_one_line(arguments, says, tmp_path, capsys):
    folder = make_run(tmp_path / "run", codes="uniform", data="gone.npz")
    assert cli.main(["report", *(a.replace("RUN", str(folder)) for a in arguments)]) == 2
    assert says in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.html"))
