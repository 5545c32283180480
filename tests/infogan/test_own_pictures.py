"""Anybody's folder of pictures: read with distrust, trained on by networks of its size, read by Q."""

from __future__ import annotations

import csv
import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import small_runs
from made_runs import make_run
from own_pictures import drawn, write_folder
from PIL import Image

import infogan
from infogan import data, networks, start
from infogan.cli import main
from infogan.data import Frame
from infogan.errors import InputError


def table(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_folder_is_read_in_order_with_its_subfolders_as_labels(tmp_path):
    write_folder(tmp_path / "shapes", 12)
    (tmp_path / "shapes" / "notes.txt").write_text("no picture")
    (tmp_path / "shapes" / ".hidden.png").write_bytes(b"")
    found = data.load(str(tmp_path / "shapes"), split="all")
    assert found.names == tuple(
        f"{kind}/{n:03d}.png" for kind, k in (("disc", 0), ("square", 1)) for n in range(k, 12, 2)
    )
    assert found.labels is not None and found.labels.tolist() == [0] * 6 + [1] * 6
    assert found.images.shape == (12, 1, 16, 16) and found.images.dtype == np.float32
    for name, image in zip(found.names, found.images, strict=True):
        pixels = np.asarray(Image.open(tmp_path / "shapes" / name))
        np.testing.assert_array_equal(image[0], pixels / np.float32(255))


def test_the_held_out_part_and_the_rest_are_all_pictures(tmp_path):
    folder = str(write_folder(tmp_path, 20))
    train, held = data.load(folder), data.load(folder, split="held_out")
    assert train.names and held.names and (len(train), len(held)) == (16, 4)
    assert sorted(train.names + held.names) == sorted(data.load(folder, split="all").names or ())
    assert held.labels is not None and sorted(held.labels.tolist()) == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (["b.png", "a.png"], None),
        (["one/b.png", "one/a.png"], None),
        (["one/b.png", "a.png"], None),
        (["two/x/b.png", "one/a.png", "two/c.png"], [0, 1, 1]),
    ],
)
def test_labels_are_subfolders_where_all_pictures_lie_in_several(tmp_path, names, labels):
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (16, 16)).save(tmp_path / name)
    found = data.load(str(tmp_path), split="all").labels
    assert (None if found is None else found.tolist()) == labels


@pytest.mark.parametrize(
    ("sizes", "side"), [([(29, 50)], 28), ([(16, 20)], 16), ([(4000, 50), (45, 45), (5, 5)], 32), ([(900, 700)], 64)]
)
def test_the_side_is_the_nearest_to_the_pictures_own(tmp_path, sizes, side):
    for number, size in enumerate(sizes):
        Image.new("L", size).save(tmp_path / f"{number}.png")
    assert data.load(str(tmp_path), split="all").images.shape[2:] == (side, side)


def test_a_grey_picture_saved_in_colour_is_grey_and_one_coloured_picture_makes_all_coloured(tmp_path):
    Image.new("RGB", (16, 16), (90, 90, 90)).save(tmp_path / "a.png")
    assert data.load(str(tmp_path), split="all").images.shape[1] == 1
    Image.new("RGB", (16, 16), (90, 90, 91)).save(tmp_path / "b.png")
    assert data.load(str(tmp_path), split="all").images.shape[1] == 3
    assert data.load(str(tmp_path), split="all", frame=Frame(channels=1)).images.shape[1] == 1


def test_crop_takes_the_middle_and_pad_the_whole_on_the_colour_of_the_edge(tmp_path):
    wide = np.full((16, 32), 200, np.uint8)
    wide[:, :4] = 10
    wide[4:12, 12:20] = 0
    Image.fromarray(wide).save(tmp_path / "wide.png")
    crop, pad = (
        data.load(str(tmp_path), split="all", frame=Frame(16, 1, fit)).images[0, 0] * 255 for fit in ("crop", "pad")
    )
    np.testing.assert_array_equal(crop, wide[:, 8:24])
    assert (pad[:4] == 200).all() and (pad[-4:] == 200).all()
    np.testing.assert_allclose(pad[4:12], wide.reshape(8, 2, 16, 2).mean((1, 3)), atol=1)


def test_every_broken_file_is_named_at_once(tmp_path, capsys):
    write_folder(tmp_path, 10)
    whole = (tmp_path / "disc" / "000.png").read_bytes()
    (tmp_path / "disc" / "002.png").write_bytes(whole[:60])
    assert main(["train", "--data", str(tmp_path), "--out", str(tmp_path / "run")]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "002.png" in line and "no whole picture" in line
    (tmp_path / "square" / "003.jpg").write_bytes(b"<html>not found</html>")
    with pytest.raises(InputError, match=r"2 of 11 files cannot be read: disc/002.png, square/003.jpg"):
        data.load(str(tmp_path))
    assert not (tmp_path / "run").exists()


def test_a_folder_without_pictures_and_one_picture_alone(tmp_path):
    with pytest.raises(InputError, match=r"no pictures \(\.png"):
        data.load(str(tmp_path))
    Image.new("L", (16, 16)).save(tmp_path / "one.png")
    with pytest.raises(InputError, match="1 pictures are too few"):
        data.load(str(tmp_path), split="held_out")
    assert data.load(str(tmp_path / "one.png"), split="all").names == ("one.png",)


def test_a_changed_file_is_seen_and_named_by_the_digest(tmp_path):
    write_folder(tmp_path, 6)
    before = data.load(str(tmp_path)).sha256
    assert data.load(str(tmp_path), split="held_out").sha256 == before
    Image.new("L", (16, 16), 255).save(tmp_path / "disc" / "000.png")
    assert data.load(str(tmp_path)).sha256 != before


def test_large_pictures_are_never_held_together(tmp_path):
    """Thirty photographs of 3 MB each are read in the memory of a few."""
    rng = np.random.default_rng(0)
    for number in range(30):
        noise = rng.integers(0, 256, (10, 10, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((1000, 1000)).save(tmp_path / f"{number:02d}.bmp")
    tracemalloc.start()
    try:
        data.load(str(tmp_path))
        assert tracemalloc.get_traced_memory()[1] < 12e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("size", "channels", "network"),
    [
        (28, 1, "mnist"),
        (32, 1, "mnist"),
        (32, 3, "sized"),
        (64, 1, "sized"),
        (28, 3, "sized"),
        (48, 1, "sized"),
        (64, 3, "sized"),
        (128, 3, "sized"),
        (8, 1, "mnist"),
    ],
)
def test_auto_takes_the_papers_networks_where_they_fit(size, channels, network):
    assert networks.fitting(size, channels) == network


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [16, 20, 28, 32, 48, 64, 128])
def test_networks_of_every_size(size, channels):
    settings = small_runs.make_config(image_size=size, channels=channels, network="sized")
    nets = networks.build(settings)
    rng = np.random.default_rng(0)
    z, c = (infogan.run.mg.Tensor(rng.normal(size=(3, n)).astype("f4")) for n in (5, 4))
    x = nets.generate(z, c).detach()
    assert x.shape == (3, channels, size, size)
    assert 0 < x.numpy().min() < x.numpy().max() < 1
    assert nets.Q(x).shape == (3, 4) and nets.D(x).shape == (3,)


def test_generator_and_reader_have_one_range():
    """In colour G's tanh meets D's [−1, 1]: mid-grey is what both have at rest."""
    colour, grey = (networks.build(small_runs.make_config(image_size=16, channels=n, network="sized")) for n in (3, 1))
    kinds = [[type(m).__name__ for m in (nets.G[-1], nets.G[-2], nets.trunk[0])] for nets in (colour, grey)]
    assert kinds == [["Affine", "Tanh", "Affine"], ["Sigmoid", "ConvTranspose2d", "Conv2d"]]
    rest = infogan.run.mg.Tensor(np.zeros((1, 3, 2, 2), "f4"))
    assert (colour.G[-1](colour.G[-2](rest)).numpy() == 0.5).all()
    assert (colour.trunk[0](infogan.run.mg.Tensor(np.full((1, 3, 2, 2), 0.5, "f4"))).numpy() == 0).all()


@pytest.mark.parametrize("colour", [False, True])
def test_from_a_folder_to_its_codes(tmp_path, capsys, colour):
    folder = write_folder(tmp_path / "shapes", 30, colour=colour, ending=".png")
    run = tmp_path / "run"
    fields = {k: v for k, v in small_runs.FIELDS.items() if k != "steps"}
    words = [
        w for k, v in fields.items() for w in ("--set", f"{k}={','.join(map(str, v)) if isinstance(v, tuple) else v}")
    ]
    assert main(["train", "--data", str(folder), "--out", str(run), "--steps", "4", *words]) == 0
    said = capsys.readouterr().out
    assert f"24 pictures of 16×16×{3 if colour else 1}" in said
    assert " for 4 updates" in said and "updates/s" in said
    settings = json.loads((run / "config.json").read_text())
    assert (settings["image_size"], settings["channels"], settings["network"]) == (16, 3 if colour else 1, "sized")
    assert main(["train", "--resume", "--out", str(run), "--steps", "5"]) == 0

    assert main(["encode", str(run), str(folder), "--out", str(tmp_path / "codes.csv")]) == 0
    rows = table(tmp_path / "codes.csv")
    opened = infogan.load(run)
    pictures = data.load(str(folder), split="all", frame=opened.config.frame)
    assert pictures.names is not None and [row["file"] for row in rows] == list(pictures.names)
    read = opened.encode(pictures.images)
    np.testing.assert_allclose(
        [[float(r[f"c1_p{k}"]) for k in range(3)] for r in rows], read["c1"], rtol=1e-4, atol=1e-6
    )
    assert [int(r["c1"]) for r in rows] == read["c1"].argmax(1).tolist()
    np.testing.assert_allclose(
        [[float(r["c2_mean"]), float(r["c2_deviation"])] for r in rows], read["c2"], rtol=1e-4, atol=1e-6
    )

    assert main(["generate", str(run), "--out", str(tmp_path / "grid.png")]) == 0
    with Image.open(tmp_path / "grid.png") as grid:
        assert grid.mode == ("RGB" if colour else "L")
    for command in ("traverse", "evaluate", "report") if colour else ():
        assert main([command, str(run)]) == 0


def test_a_given_frame_is_kept_and_one_that_changes_is_refused(tmp_path):
    folder = write_folder(tmp_path / "shapes", 30, size=40)
    asked = {**small_runs.FIELDS, "data": str(folder), "image_size": 20, "channels": 3, "fit": "pad"}
    trainer = start.new_run(asked, tmp_path / "run", "cpu", None)
    assert trainer.data.images.shape[1:] == (3, 20, 20) and trainer.config.fit == "pad"
    with pytest.raises(InputError, match=r"fit: the run in .* has 'pad'"):
        start.resumed_run({"fit": "crop"}, tmp_path / "run", "cpu", None)


def test_the_pace_leaves_the_run_as_it_is(tmp_path):
    from infogan import pace

    folder = write_folder(tmp_path / "shapes", 30)
    one = start.new_run({**small_runs.FIELDS, "data": str(folder)}, tmp_path / "one", "cpu", None)
    other = start.new_run({**small_runs.FIELDS, "data": str(folder)}, tmp_path / "other", "cpu", None)
    assert pace.of(one)
    assert one.advance() == other.advance()


def test_codes_of_pictures_without_files_are_numbered_and_arrays_are_exact(tmp_path):
    run = make_run(tmp_path / "run", codes="cat:3,uniform", image_size=8)
    pictures = small_runs.write_pictures(tmp_path)
    for out in ("codes.csv", "codes.npz"):
        assert main(["encode", str(run), str(pictures), "--out", str(tmp_path / out)]) == 0
    assert [row["picture"] for row in table(tmp_path / "codes.csv")] == [str(n) for n in range(40)]
    with np.load(tmp_path / "codes.npz") as held:
        assert set(held) == {"c1", "c2"}
        np.testing.assert_array_equal(held["c1"], infogan.load(run).encode(np.load(pictures)["images"])["c1"])


def test_encode_says_what_it_cannot_write_or_read(tmp_path, capsys):
    run = make_run(tmp_path / "run", codes="cat:3,uniform", image_size=8)
    pictures = small_runs.write_pictures(tmp_path)
    assert main(["encode", str(run), str(pictures), "--out", "codes.txt"]) == 2
    assert ".csv or .npz" in capsys.readouterr().err
    assert main(["encode", str(run), "mnist-5k", "--out", str(tmp_path / "c.csv")]) == 2
    assert "this run takes (N, 1, 8, 8)" in capsys.readouterr().err


def test_one_picture_is_read_as_the_explorer_reads_it(tmp_path):
    from infogan.explore import pictures

    rng = np.random.default_rng(1)
    path = tmp_path / "photograph.jpg"
    Image.fromarray(drawn(rng, "disc", 100, True)).resize((300, 200)).save(path)
    (mine,) = data.load(str(path), split="all", frame=Frame(16, 3, "pad")).images
    seen = pictures.take(Path(path).read_bytes(), 3, 16, fit="pad")
    np.testing.assert_array_equal(np.rint(mine * 255), seen.transpose(2, 0, 1))
