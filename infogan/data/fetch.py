"""Download of a file whose length and checksum are known; one that was cut off goes on where it ended.

The standard library's client does it: the libraries made for data sets begin again from the first byte.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from infogan.data.known import File
from infogan.errors import InputError
from infogan.progress import bytes_bar

TIMEOUT = 30
"""Seconds without an answer or a byte after which a server is given up."""

_CHUNK = 1 << 16


def fetch(file: File, folder: Path, mirror: str | None = None) -> bool:
    """Bring `file` into `folder`, and tell whether it had to be downloaded.

    What has come is in `NAME.part` until it is whole and its checksum is right. `mirror` is the URL of a folder
    that has the file under the same name. Raises `InputError`, in one line, where it cannot be had.
    """
    target, url = folder / file.name, file.url if mirror is None else f"{mirror.rstrip('/')}/{file.name}"
    if not re.match("https?://", url):
        raise InputError(f"--mirror {mirror}: give a URL that begins with http:// or https://")
    if target.exists():
        if wrong := _difference(target, file):
            raise InputError(f"{target}: {wrong}: delete it, and it is fetched anew")
        return False
    folder.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    _download(url, part, file)
    if wrong := _difference(part, file):
        part.unlink()
        raise InputError(f"{url}: {wrong}: what came is another file, or a damaged one, and is not kept")
    os.replace(part, target)
    return True


def _download(url: str, part: Path, file: File) -> None:
    """Complete `part`. Raises `InputError` for an answer that is no such file, or ends too early."""
    there = part.stat().st_size if part.exists() else 0
    if there >= file.bytes:
        return
    answer = _ask(url, there, part)
    with answer:
        begin = _begin(answer, url, there)
        with open(part, "ab" if begin else "wb") as out, bytes_bar(file.name, file.bytes, begin) as bar:
            for chunk in _chunks(answer, url):
                out.write(chunk[: file.bytes + 1 - out.tell()])  # one byte too many is seen as such
                bar.update(len(chunk))
                if out.tell() > file.bytes:
                    break
    if (size := part.stat().st_size) < file.bytes:
        raise InputError(f"{url}: ended after {size:,} of {file.bytes:,} bytes: {_AGAIN}")


_AGAIN = "the same command goes on from there"


def _ask(url: str, begin: int, part: Path) -> HTTPResponse:
    """The answer to a request for all bytes from `begin` on; `part` goes where the server has none that follow it."""
    headers = {"User-Agent": "infogan", **({"Range": f"bytes={begin}-"} if begin else {})}
    try:
        answer: HTTPResponse = urlopen(Request(url, headers=headers), timeout=TIMEOUT)
    except HTTPError as error:
        error.close()
        if error.code == 416:
            part.unlink()
        raise InputError(f"{url}: the server answers {error.code} {error.reason}: give --mirror another one") from None
    except (URLError, OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise InputError(f"{url}: cannot be reached ({reason}): give --mirror another server") from None
    return answer


def _begin(answer: HTTPResponse, url: str, asked: int) -> int:
    """The place in the file of the answer's first byte: `asked`, or 0 from a server that only sends all."""
    if answer.status != 206:
        return 0
    found = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
    if found is None or int(found[1]) != asked:
        raise InputError(f"{url}: the server sends another part than was asked for: give --mirror another one")
    return asked


def _chunks(answer: HTTPResponse, url: str) -> Iterator[bytes]:
    try:
        while chunk := answer.read(_CHUNK):
            yield chunk
    except (OSError, HTTPException) as error:
        raise InputError(f"{url}: was cut off ({error or type(error).__name__}): {_AGAIN}") from None


def _difference(path: Path, file: File) -> str | None:
    """What is wrong with the file at `path`, if anything is."""
    kind, _, right = file.checksum.partition(":")
    with open(path, "rb") as content:
        found = hashlib.file_digest(content, lambda: hashlib.new(kind, usedforsecurity=False)).hexdigest()
    return None if found == right else f"its {kind} is {found}, not {right}"
