"""The explorer over HTTP: right pictures, right readings, and one line of JSON for whatever cannot be."""

from __future__ import annotations

import base64
import io
import json
import re
import socket
import struct
import sys
import zlib
from importlib import resources
from typing import Any

import numpy as np
import pytest
from explored import serving
from made_runs import line, make_run, write_metrics
from PIL import Image

from infogan.cli import main
from infogan.errors import InputError
from infogan.explore import pictures, server

CODES = {"c1": 3, "c2": -0.5, "c3": 1.5}
NOISE = {"seed": 5}
ASKED = {"codes": CODES, "noise": NOISE}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory):
    folder = make_run(tmp_path_factory.mktemp("runs") / "tiny", codes="cat:4,uniform,normal:1:2")
    bound = {"c1": 0.5, "c2": float("nan"), "c3": 0.1}
    write_metrics(folder, [line(step, bound=bound) for step in range(1, 1001)])
    with serving(folder) as found:
        yield found


@pytest.fixture(scope="module")
def colour_page(tmp_path_factory: pytest.TempPathFactory):
    folder = make_run(tmp_path_factory.mktemp("runs") / "colour", channels=3, image_size=16, codes="cat:30,cat:3")
    with serving(folder) as found:
        yield found


def opened(url: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.removeprefix("data:image/png;base64,")))))


def picture_file(pixels: np.ndarray, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def as_bytes(images: np.ndarray) -> np.ndarray:
    return np.rint(255 * images).astype(np.uint8)


# ---- answers


def test_picture_is_that_of_infogan_generate(page):
    status, found = page.post("/api/picture", ASKED)
    image = page.run.generate(1, seed=5, **CODES)
    assert status == 200
    np.testing.assert_array_equal(opened(found["picture"]), as_bytes(image)[0, 0])
    assert found["reading"]["c1"] == pytest.approx(page.run.encode(image)["c1"][0].tolist())
    assert found["reading"]["c3"] == pytest.approx(page.run.encode(image)["c3"][0].tolist())
    assert found["real"] == pytest.approx(float(1 / (1 + np.exp(-page.run.D(image)[0]))))


def test_each_control_changes_the_picture(page):
    before = page.post("/api/picture", ASKED)[1]["picture"]
    others = [{"c1": 2}, {"c2": 0.5}, {"c3": 0}]
    changed = [{"codes": {**CODES, **other}, "noise": NOISE} for other in others]
    changed += [
        {"codes": CODES, "noise": {"seed": 6}},
        {"codes": CODES, "noise": {"seed": 5, "towards": 6, "mix": 0.5}},
    ]
    assert all(page.post("/api/picture", asked)[1]["picture"] != before for asked in changed)


def test_noise_blends_from_one_seed_to_the_other(page):
    def blended(mix: float, seed: int = 5, towards: int = 6) -> np.ndarray:
        noise = {"seed": seed, "towards": towards, "mix": mix}
        return opened(page.post("/api/picture", {"codes": CODES, "noise": noise})[1]["picture"])

    np.testing.assert_array_equal(blended(0), blended(0, towards=7))
    assert np.abs(blended(1).astype(int) - blended(0, seed=6)).max() <= 1  # a last bit of float32
    np.testing.assert_array_equal(blended(0.25), blended(0.75, 6, 5))


def test_grid_holds_the_picture_of_every_pair(page):
    status, found = page.post("/api/grid", {**ASKED, "across": "c2", "down": "c1"})
    assert status == 200 and found["down"] == [0, 1, 2, 3] and found["across"] == np.linspace(-2, 2, 9).tolist()
    cells = opened(found["strip"]).reshape(4, 9, 28, 28)
    for row, column in ((0, 0), (2, 5), (3, 8)):
        codes = {**CODES, "c1": row, "c2": found["across"][column]}
        alone = opened(page.post("/api/picture", {"codes": codes, "noise": NOISE})[1]["picture"])
        assert np.abs(cells[row, column].astype(int) - alone).max() <= 1


def test_grid_of_one_code_is_a_row(page):
    found = page.post("/api/grid", {**ASKED, "across": "c3"})[1]
    assert found["down"] == [] and opened(found["strip"]).shape == (9 * 28, 28)


def test_grid_of_many_categories_shows_those_beside_the_chosen_one(colour_page):
    asked = {"codes": {"c1": 26, "c2": 1}, "noise": {"seed": 0}, "across": "c1", "down": "c2"}
    found = colour_page.post("/api/grid", asked)[1]
    assert found["across"] == list(range(24, 30)) and opened(found["strip"]).shape == (18 * 16, 16, 3)


def test_generated_picture_sent_back_is_read_the_same(page):
    found = page.post("/api/picture", ASKED)[1]
    pixels = opened(found["picture"])
    for file in (picture_file(pixels), picture_file(pixels.repeat(10, 0).repeat(10, 1)), picture_file(pixels, "BMP")):
        status, read = page.read(file)
        assert status == 200
        np.testing.assert_array_equal(opened(read["picture"]), pixels)
        np.testing.assert_allclose(read["reading"]["c1"], found["reading"]["c1"], atol=1e-3)


def test_wishes_for_a_picture_are_met(page):
    pixels = np.zeros((60, 90), np.uint8)
    pixels[5:25, 20:60] = 200  # a bar twice as wide as tall, in the upper left
    inverted = opened(page.read(picture_file(pixels), "?invert=1")[1]["picture"])
    assert inverted[-1, -1] == 255
    fitted = opened(page.read(picture_file(pixels), "?centre=1")[1]["picture"]).astype(float)
    rows, columns = np.nonzero(fitted)
    assert (columns.min(), columns.max()) == (4, 23) and (rows.min(), rows.max()) == (9, 18)
    empty = opened(page.read(picture_file(np.zeros((9, 9), np.uint8)), "?centre=1")[1]["picture"])
    assert not empty.any()


def test_photographs_come_upright_and_opaque():
    tall = np.zeros((40, 20, 3), np.uint8)
    tall[:, :10] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # taken with the camera turned: to be turned back by a quarter
    upright = pictures.take(picture_file(tall, "JPEG", exif=exif), 1, 8)
    assert upright[:4].mean() > 200 > 50 > upright[4:].mean()
    clear = np.zeros((8, 8, 4), np.uint8)
    assert (pictures.take(picture_file(clear), 3, 8) == 255).all()
    deep = np.full((8, 8), 128 * 257, np.uint16)
    assert (pictures.take(picture_file(deep), 1, 8) == 128).all()


def test_curves_are_thinned_and_have_no_infinities(page):
    _, _, content = page.ask("GET", "/api/curves")
    found = json.loads(content)
    assert found["step"][0] == 1 and found["step"][-1] == 1000 and len(found["step"]) <= 401
    assert found["bounds"]["c2"] == [None] * len(found["step"]) and found["losses"]["loss_g"][0] == 2


def test_curves_before_the_first_line_and_of_a_damaged_file(tmp_path):
    folder = make_run(tmp_path / "run", codes="cat:2")
    with serving(folder) as page:
        assert json.loads(page.ask("GET", "/api/curves")[2])["step"] == []
        write_metrics(folder, [{"step": 1, "bound": {}}])
        status, _, content = page.ask("GET", "/api/curves")
        assert status == 400 and "metrics.jsonl" in json.loads(content)["error"]


# ---- refusals


def without(name: str) -> dict[str, Any]:
    return {"codes": {k: v for k, v in CODES.items() if k != name}, "noise": NOISE}


def codes(**changes: Any) -> dict[str, Any]:
    return {"codes": {**CODES, **changes}, "noise": NOISE}


BAD = [
    (codes(c9=1), "no code 'c9'"),
    (codes(c1=4), "no category 4"),
    (codes(c1=-1), "no category -1"),
    (codes(c1=1.5), "no category 1.5"),
    (codes(c1=True), "codes.c1"),
    (codes(c1="3"), "codes.c1"),
    (codes(c2=2.5), "c2: 2.5 is not from -2 to 2"),
    (codes(c2=1e300), "c2"),
    (codes(c2=float("nan")), "finite"),
    (codes(c2=float("inf")), "finite"),
    (without("c3"), "c3 not given"),
    ({"codes": CODES, "noise": {"seed": -1}}, "noise.seed"),
    ({"codes": CODES, "noise": {"seed": 2**63}}, "noise.seed"),
    ({"codes": CODES, "noise": {"seed": 1, "mix": 1.5}}, "noise.mix"),
    ({"codes": CODES, "noise": {"seed": 1, "mix": float("nan")}}, "noise.mix"),
    ({"codes": CODES}, "noise"),
    ({**ASKED, "more": 1}, "more"),
    ([], "the question"),
    (b"not JSON", "JSON"),
    (b"", "JSON"),
    (b"[" * 60000, "JSON"),
    (b"\xff\xfe", "JSON"),
]


@pytest.mark.parametrize(("question", "part"), BAD, ids=[part for _, part in BAD])
def test_bad_questions_get_one_line(page, question, part):
    status, found = page.post("/api/picture", question)
    assert status == 400 and list(found) == ["error"]
    assert part in found["error"] and "\n" not in found["error"] and len(found["error"]) < 200


@pytest.mark.parametrize(
    ("axes", "part"),
    [
        ({"across": "c1", "down": "c1"}, "two codes"),
        ({"across": "c7"}, "no code 'c7'"),
        ({"across": "c1", "down": "z"}, "no code 'z'"),
        ({"across": 1}, "across"),
        ({}, "across"),
    ],
)
def test_bad_grids_get_one_line(page, axes, part):
    status, found = page.post("/api/grid", {**ASKED, **axes})
    assert status == 400 and part in found["error"]


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims to hold width × height pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(10))) + chunk(b"IEND", b"")
    )


def test_what_is_no_picture_is_refused(page):
    whole = picture_file(np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8))
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"/>'
    for content in (b"", b"text", svg, whole[:200], whole[: len(whole) // 2], b"%PDF-1.4", bomb(0, 5)):
        status, found = page.read(content)
        assert status == 400 and "no whole picture" in found["error"], content[:20]
    for size in ((100_000, 100_000), (20_000, 1000), (2**31 - 1, 2**31 - 1)):
        status, found = page.read(bomb(*size))
        assert status == 400 and ("at most" in found["error"] or "no whole picture" in found["error"])


def test_what_is_too_long_is_refused_and_heard(page):
    status, found = page.post("/api/picture", b" " * (server.MOST_JSON + 1))
    assert status == 413 and "64 KiB" in found["error"]
    status, found = page.read(bytes(server.MOST_FILE + 1))
    assert status == 413 and "8192 KiB" in found["error"]
    pieces = (bytes(1 << 20) for _ in range(12))  # no length said beforehand
    status, _, content = page.ask("POST", "/api/read", pieces, content_type="image/png", transfer_encoding="chunked")
    assert status == 413 and "8192 KiB" in json.loads(content)["error"]


def test_other_paths_methods_and_types_are_refused(page):
    asked = json.dumps(ASKED).encode()
    for method, path, kind, right in (
        ("GET", "/api/nothing", "", 404),
        ("GET", "/../pyproject.toml", "", 404),
        ("GET", "/%2e%2e/explorer.py", "", 404),
        ("GET", "/api/picture", "", 405),
        ("PUT", "/api/picture", "application/json", 405),
        ("DELETE", "/", "", 405),
        ("POST", "/api/picture", "text/plain", 415),  # what a form on another site can send
        ("POST", "/api/read", "application/x-www-form-urlencoded", 415),
        ("POST", "/api/read", "multipart/form-data", 415),
    ):
        status, _, content = page.ask(method, path, asked if method != "GET" else None, content_type=kind)
        assert status == right, (method, path)
        assert list(json.loads(content)) == ["error"]


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.evil.example", "192.168.1.5", "", "["],
)
def test_another_name_is_refused(page, host):
    for method, path in (("GET", "/"), ("GET", "/api/about"), ("POST", "/api/picture")):
        status, _, content = page.ask(method, path, host=host, content_type="application/json")
        assert status in (400, 403), (method, path)
        assert b"cat" not in content and b"<html" not in content


def test_our_names_are_taken(page):
    for host in ("127.0.0.1", f"127.0.0.1:{page.port}", "localhost:8421", "LOCALHOST", "[::1]:8421"):
        assert page.ask("GET", "/api/about", host=host)[0] == 200, host


def test_an_open_server_takes_addresses_and_its_own_name_but_no_other(page):
    with serving(page.run.folder, "0.0.0.0") as wide:
        for host, right in (("192.168.1.5:8421", 200), (socket.gethostname(), 200), ("evil.example", 403)):
            assert wide.ask("GET", "/api/about", host=host)[0] == right, host


def test_nothing_asked_changes_the_run(page):
    def state() -> dict[str, bytes]:
        return {str(p): p.read_bytes() for p in sorted(page.run.folder.rglob("*")) if p.is_file()}

    def weights() -> dict[str, np.ndarray]:
        return {name: np.array(value) for name, value in page.run.networks.state_dict().items()}

    files, kept = state(), weights()
    before = page.post("/api/picture", ASKED)[1]
    for question, _ in BAD:
        page.post("/api/picture", question)
    page.post("/api/grid", {**ASKED, "across": "c1", "down": "c2"})
    page.read(bomb(20_000, 1000))
    page.ask("DELETE", "/api/about")
    assert page.post("/api/picture", ASKED)[1] == before and state() == files
    for name, value in weights().items():
        np.testing.assert_array_equal(value, kept[name])


# ---- the page and the command


def test_every_answer_keeps_the_page_to_itself(page):
    for path in ("/", "/main.js", "/api/about", "/nothing"):
        _, headers, _ = page.ask("GET", path)
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
        assert headers["x-content-type-options"] == "nosniff" and headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in headers


def test_page_asks_for_nothing_but_its_own_files(page):
    static = resources.files("infogan.explore").joinpath("static")
    names = {file.name for file in static.iterdir()}
    text = "".join(static.joinpath(name).read_text(encoding="utf-8") for name in names)
    assert set(re.findall(r"https?://[^\"\s]+", text)) == {"http://www.w3.org/2000/svg"}  # a name, not an address
    html = page.ask("GET", "/")[2].decode()
    used = set(re.findall(r'(?:href|src)="([\w.]+)"', html)) | set(re.findall(r'from "\./([\w.]+)"', text))
    assert used | {"index.html"} == names
    kinds = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
    for name in used:
        status, headers, _ = page.ask("GET", f"/{name}")
        assert status == 200 and headers["content-type"].split(";")[0] == kinds[name.split(".")[1]]


def test_every_control_of_the_page_has_a_name(page):
    html = page.ask("GET", "/")[2].decode()
    for tag in re.findall(r"<(?:input|select|canvas)\b[^>]*>", html):
        name = re.search(r'id="([\w-]+)"', tag)[1]
        labelled = f'for="{name}"' in html or "aria-label" in tag
        around = html[: html.index(tag)]
        assert labelled or around.rfind("<label") > around.rfind("</label>"), tag
    assert html.count('aria-live="polite"') >= 2 and 'lang="en"' in html


def test_a_busy_port_is_said_or_passed_over(page):
    with pytest.raises(InputError, match=f"--port {page.port} is in use on 127.0.0.1"):
        server.listen("127.0.0.1", page.port)
    with server.listen("127.0.0.1", None) as first, server.listen("127.0.0.1", None) as second:
        assert server.FIRST_PORT <= first.getsockname()[1] < second.getsockname()[1]
        assert server.url(second) == f"http://127.0.0.1:{second.getsockname()[1]}/"
    with server.listen("0.0.0.0", 0) as wide:
        assert server.url(wide).startswith("http://127.0.0.1:")
    with pytest.raises(InputError, match=r"--host 192\.0\.2\.1"):
        server.listen("192.0.2.1", None)


def test_command_ends_in_one_line(page, capsys, monkeypatch, tmp_path):
    assert main(["explore", str(page.run.folder), "--port", str(page.port), "--no-browser"]) == 2
    assert f"--port {page.port} is in use" in capsys.readouterr().err.splitlines()[-1]
    assert main(["explore", str(tmp_path)]) == 2
    assert "holds no run" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert main(["explore", str(page.run.folder)]) == 2
    assert "pip install 'infogan[explore]'" in capsys.readouterr().err


def test_command_says_where_the_page_is(page, capsys, monkeypatch):
    served = []
    monkeypatch.setattr("uvicorn.Server.run", lambda self, sockets: served.append(sockets[0].getsockname()))
    assert main(["explore", str(page.run.folder), "--port", "0", "--no-browser"]) == 0
    said = capsys.readouterr()
    assert served[0][0] == "127.0.0.1" and f"http://127.0.0.1:{served[0][1]}/" in said.out
    assert main(["explore", str(page.run.folder), "--host", "0.0.0.0", "--no-browser"]) == 0
    assert served[1][0] == "0.0.0.0" and "whoever reaches this machine" in capsys.readouterr().err
