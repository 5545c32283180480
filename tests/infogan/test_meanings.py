"""What codes mean in real pictures: measures whose value is known, tables of attributes, and the page."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import small_runs
from made_runs import make_run
from own_pictures import write_folder

import infogan
from infogan import data
from infogan.cli import main
from infogan.errors import InputError
from infogan.evaluation import association, attributes, properties, real


def drawn(box: tuple[slice, slice], ground: float = 0.0, ink: float = 1.0, size: int = 20) -> np.ndarray:
    picture = np.full((1, 1, size, size), ground)
    picture[0, 0, box[0], box[1]] = ink
    return picture


def test_properties_of_a_bar_are_those_it_was_drawn_with():
    found = properties.of(drawn((slice(5, 15), slice(12, 16))))
    assert found["brightness"] == pytest.approx(40 / 400)
    assert found["area"] == pytest.approx(40 / 400)
    assert found["across"] == pytest.approx(0.4) and found["down"] == pytest.approx(0)
    assert found["slant"] == pytest.approx(0, abs=1e-12)
    assert found["width"] == pytest.approx(np.sqrt((4**2 - 1) / (10**2 - 1)))
    assert found["extent"] == pytest.approx(np.sqrt((4**2 - 1 + 10**2 - 1) / 12) / 10)
    assert found["contrast"] == pytest.approx(np.sqrt(0.1 * 0.9))


def test_ink_on_paper_is_measured_as_chalk_on_slate():
    chalk, ink = (properties.of(drawn((slice(3, 9), slice(2, 17)), *colours)) for colours in ((0.1, 0.9), (0.9, 0.1)))
    for what in ("area", "across", "down", "extent", "slant", "width"):
        assert chalk[what] == pytest.approx(ink[what]), what
    assert chalk["brightness"] + ink["brightness"] == pytest.approx(1)


def test_colour_has_its_own_properties_and_an_empty_picture_no_shape():
    orange = np.stack([np.full((4, 4), v) for v in (1.0, 0.5, 0.0)])[None]
    found = properties.of(orange)
    assert set(found) == set(properties.meanings(3)) > set(properties.of(orange[:, :1])) == set(properties.meanings(1))
    assert (found["warmth"], found["greenness"], found["saturation"]) == (1, 0, 1)
    for what in ("area", "across", "down", "extent", "slant", "width"):
        assert np.isnan(found[what]).all(), what


def test_known_associations():
    rng = np.random.default_rng(0)
    x, groups = rng.normal(size=300), np.arange(300) % 3
    rising = association.associate(x, np.exp(x))
    falling = association.associate(x, -(x**3))
    assert rising is not None and (rising.kind, rising.value) == ("rho", pytest.approx(1))
    assert falling is not None and falling.value == pytest.approx(-1)
    words = np.array(["left", "middle", "right"])[groups]
    same = association.associate(groups, words)
    assert same is not None and (same.kind, same.value) == ("nmi", pytest.approx(1))
    apart = association.associate(groups, 10.0 * groups + 0.001 * x)
    # ranks within a group of n consecutive ones: 1 − (n² − 1)/(N² − 1)
    assert apart is not None and (apart.kind, apart.value) == ("eta2", pytest.approx(1 - (100**2 - 1) / (300**2 - 1)))
    other_way = association.associate(10.0 * groups + 0.001 * x, words)
    assert other_way is not None and other_way.value == pytest.approx(apart.value)


def test_the_correlation_ratio_by_hand():
    assert association.correlation_ratio(np.array([0, 0, 1, 1]), np.array([1.0, 3.0, 5.0, 7.0])) == pytest.approx(
        16 / 20
    )


def test_chance_is_told_from_an_association():
    """Of 60 unrelated pairs about one in twenty is beyond chance; of 60 weakly related ones nearly all."""
    rng = np.random.default_rng(1)
    beyond = {0.0: 0, 0.5: 0}
    for weight in beyond:
        for _ in range(60):
            x = rng.normal(size=200)
            found = association.associate(x, weight * x + rng.normal(size=200))
            beyond[weight] += found is not None and found.beyond_chance
    assert beyond[0.0] <= 9 and beyond[0.5] >= 58


def test_nothing_is_said_of_what_does_not_vary_and_gaps_are_left_out():
    x = np.arange(10.0)
    assert association.associate(x, np.ones(10)) is None
    assert association.associate(np.zeros(10, int), x) is None
    assert association.associate(x, np.array(["", "a"] + [""] * 8)) is None
    found = association.associate(x, np.where(x < 4, np.nan, x))
    assert found is not None and found.pictures == 6


@pytest.fixture
def shapes(tmp_path: Path) -> data.Dataset:
    return data.load(str(write_folder(tmp_path / "shapes", 6)), split="all")


def table(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "known.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_table_finds_its_pictures_by_name(shapes, tmp_path):
    path = table(tmp_path, "weight,file,kind\n2.5,square/001.png,x\n-1,000.png,\n,004.png,z\n7,elsewhere.png,w\n")
    found = attributes.read(path, shapes)
    assert list(found) == ["weight", "kind"] and shapes.names is not None
    by_name = dict(zip(shapes.names, zip(found["weight"], found["kind"], strict=True), strict=True))
    assert by_name["square/001.png"] == (2.5, "x") and by_name["disc/000.png"] == (-1, "")
    assert np.isnan(by_name["disc/004.png"][0]) and by_name["disc/004.png"][1] == "z"
    assert np.isnan(by_name["disc/002.png"][0]) and by_name["disc/002.png"][1] == ""


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("file,a\n", "has no rows"),
        ("file,a\n000.png\n", "row 2 has 1 entries"),
        ("file,a\nx.png,1\n", "none of its rows is about a picture"),
        ("file,a\n000.png,1\ndisc/000.png,2\n", "more than one row is about 'disc/000.png'"),
        ("file,a,a\n000.png,1,2\n", "a name of its own"),
    ],
)
def test_a_table_that_is_none_is_refused(shapes, tmp_path, text, says):
    with pytest.raises(InputError, match=says):
        attributes.read(table(tmp_path, text), shapes)


def test_a_table_for_pictures_without_files_has_a_row_each(tmp_path):
    pictures = data.load(str(small_runs.write_pictures(tmp_path)), split="all")
    good = attributes.read(table(tmp_path, "n\n" + "\n".join(map(str, range(40)))), pictures)
    assert good["n"].tolist() == list(range(40))
    with pytest.raises(InputError, match="has 2 rows for 40 pictures"):
        attributes.read(table(tmp_path, "n\n1\n2\n"), pictures)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_page_of_meanings(tmp_path, capsys, channels):
    folder = write_folder(tmp_path / "shapes", 40, colour=channels == 3)
    run = make_run(
        tmp_path / "run", codes="cat:3,uniform", data=str(folder), image_size=16, channels=channels, network="sized"
    )
    opened = infogan.load(run)
    pictures = data.load(str(folder), split="all", frame=opened.config.frame)
    read = opened.encode(pictures.images)
    assert pictures.names is not None
    rows = [
        f"{name},{mean},{'abc'[k]}<b>"
        for name, mean, k in zip(pictures.names, read["c2"][:, 0], read["c1"].argmax(1), strict=True)
    ]
    known = table(tmp_path, "\n".join(["file,told,said", *rows]))
    assert main(["traverse", str(run), "--real", "--attributes", str(known)]) == 0
    said = capsys.readouterr().out
    assert "c2 (uniform): read as" in said and "told (ρ +1.00)" in said

    found = json.loads((run / real.FILE).read_text())
    shares = np.bincount(read["c1"].argmax(1), minlength=3) / 40
    categories = found["codes"]["c1"]["categories"]
    assert [c["share"] for c in categories] == pytest.approx(shares)
    surest = int(shares.argmax())
    mine = np.nonzero(read["c1"].argmax(1) == surest)[0]
    best = mine[np.argsort(-read["c1"][mine, surest], kind="stable")]
    assert categories[surest]["most_sure"] == [pictures.names[p] for p in best[:8]]
    assert categories[surest]["least_sure"] == [pictures.names[p] for p in best[::-1][:8]]
    order = np.argsort(read["c2"][:, 0], kind="stable")
    assert found["codes"]["c2"]["lowest"] == [pictures.names[p] for p in order[:8]]
    beside = found["codes"]["c2"]["associations"]
    assert beside["told"]["measure"] == "rho" and beside["told"]["value"] == pytest.approx(1, abs=1e-3)
    assert beside["folder"]["measure"] == "eta2" and ("warmth" in beside) == (channels == 3)

    page = (run / "meanings.html").read_text()
    assert page.count('src="data:image/png') == 2 and "<b>" not in page and 'src="http' not in page
    assert {p.name for p in (run / "figures").iterdir()} == {"real-c1.png", "real-c2.png"}


def test_codes_that_were_made_to_follow_a_property_are_found_to(tmp_path):
    """Q is set by hand to read brightness as c2: the association is 1, and that with an unrelated column is not."""
    folder = write_folder(tmp_path / "shapes", 60)
    run = infogan.load(
        make_run(tmp_path / "run", codes="cat:2,uniform", data=str(folder), image_size=16, network="sized")
    )
    pictures = data.load(str(folder), split="all", frame=run.config.frame)
    brightness = pictures.images.mean(axis=(1, 2, 3))
    run.encode = lambda images: {  # type: ignore[method-assign]
        "c1": np.stack(
            [images.mean((1, 2, 3)) < np.median(brightness), images.mean((1, 2, 3)) >= np.median(brightness)], 1
        )
        * 1.0,
        "c2": np.stack([images.mean((1, 2, 3)), np.ones(len(images))], 1),
    }
    found = real.measure(run)
    assert found.strongest("c2")[0][0] == "brightness"
    assert found.found["c2"]["brightness"].value == pytest.approx(1, abs=1e-3)  # float32 ties two
    assert found.found["c1"]["brightness"].value == pytest.approx(0.75, abs=0.01)
    assert found.shares("c1").tolist() == [0.5, 0.5]
    assert not found.found["c2"]["folder"].beyond_chance


def test_what_cannot_be_is_said_in_a_line(tmp_path, capsys):
    run = make_run(tmp_path / "run", codes="cat:3", image_size=8)
    assert main(["traverse", str(run), "--attributes", "x.csv"]) == 2
    assert "--attributes is for --real" in capsys.readouterr().err
    assert main(["traverse", str(run), "--real"]) == 2
    assert "this run takes (N, 1, 8, 8)" in capsys.readouterr().err
