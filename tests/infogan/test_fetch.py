"""`infogan data fetch`, from a server of the test's own that cuts, forgets and lies."""

from __future__ import annotations

import gzip
import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import small_runs
from test_data import write_idx

from infogan import data
from infogan.cli import main
from infogan.data import known
from infogan.data.known import File, Known
from infogan.errors import InputError


class Server(ThreadingHTTPServer):
    """Sends `content` by name in its `mode`, and keeps the `Range` of every request."""

    content: dict[str, bytes]
    mode = "ranges"
    asked: list[str | None]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        name, wanted, mode = self.path.rsplit("/", 1)[-1], self.headers["Range"], self.server.mode
        self.server.asked.append(wanted)
        body = self.server.content[name]
        begin = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and mode != "no ranges" else 0
        if mode == "missing" or begin >= len(body):
            self.send_error(404 if mode == "missing" else 416)
            return
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {begin + (mode == 'other part')}-{len(body) - 1}/{len(body)}")
        if "unknown length" not in mode:
            self.send_header("Content-Length", str(len(body) - begin))
        self.end_headers()
        self.wfile.write(body[begin : len(body) // 2 if "cut" in mode else None])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as made:
        made.content, made.asked = {}, []
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture
def cache(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and `mnist` made of 40 noisy pictures that the server has."""
    rng = np.random.default_rng(0)
    for part in ("train", "t10k"):
        write_idx(tmp_path / f"{part}-images-idx3-ubyte.gz", rng.integers(0, 256, (40, 8, 8), np.uint8), packed=True)
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte.gz", np.arange(40, dtype=np.uint8) % 3, packed=True)
    files = []
    for path in sorted(tmp_path.iterdir()):
        server.content[path.name] = content = path.read_bytes()
        url = f"http://127.0.0.1:{server.server_port}/sets/{path.name}"
        files.append(File(url, len(content), f"sha256:{hashlib.sha256(content).hexdigest()}"))
        path.unlink()
    monkeypatch.setitem(known.SETS, "mnist", Known("made", "free", "nowhere", "mnist", tuple(files)))
    monkeypatch.setattr(known, "cache_folder", lambda: tmp_path / "cache")
    return tmp_path / "cache"


BIGGEST = "train-images-idx3-ubyte.gz"


def fetch(capsys: pytest.CaptureFixture[str], *more: str, name: str = "mnist", status: int = 0) -> str:
    """What the command says: on success its output, else its one line of error."""
    assert main(["data", "fetch", name, *more]) == status
    said = capsys.readouterr()
    if status:
        assert said.err.count("\n") == 1, said.err
    return said.err if status else said.out


def begun(cache: Path, content: bytes) -> Path:
    """A download of the biggest file that was cut off after `content`."""
    part = cache / "mnist" / f"{BIGGEST}.part"
    part.parent.mkdir(parents=True, exist_ok=True)
    part.write_bytes(content)
    return part


def is_whole(folder: Path, server: Server) -> bool:
    """Whether just the server's files lie in `folder`, bit for bit."""
    return {path.name: path.read_bytes() for path in folder.iterdir()} == server.content


def test_what_was_fetched_is_found_by_its_name(cache, server, capsys, tmp_path):
    with pytest.raises(InputError, match="infogan data fetch mnist"):
        data.load("mnist")
    assert "infogan train --data mnist" in fetch(capsys)
    assert is_whole(cache / "mnist", server) and server.asked == [None] * 4
    found = data.load("mnist", split="test")
    assert found.name == "mnist" and data.has_test("mnist")
    raw = gzip.decompress(server.content["t10k-images-idx3-ubyte.gz"])[16:]
    np.testing.assert_array_equal(np.rint(found.images * 255).astype(np.uint8).tobytes(), raw)

    assert "was here" in fetch(capsys) and len(server.asked) == 4
    words = small_runs.arguments(Path("mnist"), tmp_path / "run", steps=2)
    assert main(words) == 0
    assert main([*words[:3], "--resume", "--steps", "3"]) == 0
    assert "mnist: 32 pictures of 8×8×1" in capsys.readouterr().out


def test_a_folder_of_ones_own_is_remembered(cache, server, capsys, tmp_path):
    fetch(capsys, "--to", str(tmp_path / "disk" / "digits"))
    assert is_whole(tmp_path / "disk" / "digits", server) and not (cache / "mnist").exists()
    assert len(data.load("mnist")) == 32
    fetch(capsys)
    assert len(server.asked) == 4


@pytest.mark.parametrize("mode", ["cut", "cut, unknown length"])
def test_a_download_that_was_cut_off_goes_on_where_it_ended(cache, server, capsys, mode):
    server.mode = mode
    first = known.SETS["mnist"].files[0]
    half = first.bytes // 2
    said = fetch(capsys, status=2)
    assert f"{first.name}: ended after {half:,} of {first.bytes:,} bytes: the same command goes on from there" in said
    assert (cache / "mnist" / f"{first.name}.part").stat().st_size == half and not known.is_here("mnist")
    server.mode, server.asked = "ranges", []
    fetch(capsys)
    assert server.asked == [f"bytes={half}-", None, None, None] and is_whole(cache / "mnist", server)


def test_a_server_without_ranges_sends_all_anew(cache, server, capsys):
    begun(cache, b"no beginning of it")
    server.mode = "no ranges"
    fetch(capsys)
    assert "bytes=18-" in server.asked and is_whole(cache / "mnist", server)


@pytest.mark.parametrize("mode", ["ranges", "unknown length"])
def test_another_file_than_was_meant_is_not_kept(cache, server, capsys, mode):
    server.mode = mode
    right = server.content[BIGGEST]
    for wrong, says in (
        (right[:-1] + bytes([right[-1] ^ 1]), "sha256 is"),
        (right + b"more", "sha256 is"),
        (right[:-1], f"of {len(right):,} bytes"),
    ):
        server.content[BIGGEST] = wrong
        assert says in fetch(capsys, status=2)
        assert not (cache / "mnist" / BIGGEST).exists() and not known.is_here("mnist")
    assert "416" in fetch(capsys, status=2)  # there is nothing after the part that came
    server.content[BIGGEST] = right
    fetch(capsys)
    assert is_whole(cache / "mnist", server)


def test_a_wrong_beginning_is_found_by_the_checksum(cache, server, capsys):
    part = begun(cache, b"no beginning of it")
    assert "not kept" in fetch(capsys, status=2) and not part.exists()
    begun_whole = part.write_bytes(bytes(len(server.content[BIGGEST]) + 5))
    assert begun_whole and "not kept" in fetch(capsys, status=2) and not part.exists()
    fetch(capsys)
    assert is_whole(cache / "mnist", server)


def test_a_damaged_file_that_is_there_is_named_and_left(cache, server, capsys):
    fetch(capsys)
    (cache / "mnist" / BIGGEST).write_bytes(b"mine")
    said = fetch(capsys, status=2)
    assert BIGGEST in said and "delete it" in said and (cache / "mnist" / BIGGEST).read_bytes() == b"mine"


def test_servers_that_have_nothing(cache, server, capsys):
    server.mode = "missing"
    assert "404" in fetch(capsys, status=2)
    begun(cache, b"beginning")
    server.mode = "other part"
    assert "another part" in fetch(capsys, status=2)
    assert "cannot be reached" in fetch(capsys, "--mirror", "http://127.0.0.1:1/", status=2)
    assert "cannot be reached" in fetch(capsys, "--mirror", "http://a b\n", status=2)
    assert "http://" in fetch(capsys, "--mirror", "file:///etc", status=2)


def test_a_mirror_is_asked_for_the_same_files(cache, server, capsys, monkeypatch):
    there = f"http://127.0.0.1:{server.server_port}/mirror/"
    files = tuple(
        File(f.url.replace("127.0.0.1", "no.invalid"), f.bytes, f.checksum) for f in known.SETS["mnist"].files
    )
    monkeypatch.setitem(known.SETS, "mnist", Known("made", "free", "nowhere", "mnist", files))
    fetch(capsys, "--mirror", there)
    assert is_whole(cache / "mnist", server)


def test_names_and_what_is_got_by_hand(cache, server, capsys):
    assert "mnist, " in fetch(capsys, name="mnits", status=2)
    said = fetch(capsys, name="celeba", status=2)
    assert "img_align_celeba.zip" in said and str(cache / "celeba") in said
    fetch(capsys)
    assert main(["data", "list"]) == 0
    listed = capsys.readouterr().out
    assert f"here, in {cache / 'mnist'}" in listed and "not here: infogan data fetch svhn brings it" in listed
    for name, found in known.SETS.items():
        assert name in listed and found.terms in listed and found.home in listed


def test_every_file_to_fetch_has_a_length_and_a_checksum():
    for found in known.SETS.values():
        assert bool(found.files) != bool(found.by_hand)
        for file in found.files:
            kind, _, digits = file.checksum.partition(":")
            assert len(bytes.fromhex(digits)) == hashlib.new(kind).digest_size and file.bytes > 4000
