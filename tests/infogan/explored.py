"""The explorer of a tiny run, served on a port of its own in a thread."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infogan.explore import server
from infogan.explore.explorer import Explorer
from infogan.run import Run, load


@dataclass
class Page:
    """A served explorer, and how to ask it."""

    run: Run
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def ask(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        """Status, headers and body of the answer; underscores in the names of headers stand for dashes."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, sent, encode_chunked="transfer_encoding" in headers)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def post(self, path: str, question: Any) -> tuple[int, dict[str, Any]]:
        """Status and JSON of the answer to a question in JSON, or in bytes that claim to be."""
        body = question if isinstance(question, bytes) else json.dumps(question).encode()
        status, _, content = self.ask("POST", path, body, content_type="application/json")
        return status, json.loads(content)

    def read(self, content: bytes, query: str = "", kind: str = "image/png") -> tuple[int, dict[str, Any]]:
        """Status and JSON of the answer to a picture's file."""
        status, _, content = self.ask("POST", f"/api/read{query}", content, content_type=kind)
        return status, json.loads(content)


@contextmanager
def serving(folder: Path, host: str = "127.0.0.1") -> Iterator[Page]:
    """The explorer of the run in `folder` until the block ends."""
    run = load(folder)
    with server.listen("127.0.0.1", 0) as opened:
        served = server.server(Explorer(run), host)
        thread = threading.Thread(target=served.run, kwargs={"sockets": [opened]})
        thread.start()
        try:
            yield Page(run, opened.getsockname()[1])
        finally:
            served.should_exit = True
            thread.join(timeout=10)
            assert not thread.is_alive()
