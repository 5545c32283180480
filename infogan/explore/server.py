"""The explorer over HTTP, on Starlette and uvicorn: who may ask, what may be sent, what the page may load.

Nothing asked changes the run or any file. Every refusal is a status of 4xx and one JSON line, {"error": "…"}.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from importlib import resources
from typing import Any, TypeVar

import uvicorn
from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from infogan.errors import InputError
from infogan.explore.explorer import Asked, AskedGrid, Explorer

FIRST_PORT, PORTS_TRIED = 8421, 50
MOST_JSON = 1 << 16
MOST_FILE = 1 << 23
"""Bytes a question and a picture's file may have: 64 KiB and 8 MiB."""

_STILL_READ = 1 << 26
"""Bytes of a body too large that are read and dropped, so that its sender hears the refusal."""
_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
}
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_Question = TypeVar("_Question", bound=BaseModel)


def listen(host: str, port: int | None) -> socket.socket:
    """A socket on `host`; without a `port` the first free one from 8421 on, with 0 one the system chooses.

    Raises `InputError` for a host that is not this machine's and a port that is in use or not allowed.
    """
    ports = range(FIRST_PORT, FIRST_PORT + PORTS_TRIED) if port is None else [port]
    for candidate in ports:
        try:
            family, _, _, _, address = socket.getaddrinfo(host, candidate, type=socket.SOCK_STREAM)[0]
            return socket.create_server(address[:2], family=family)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise InputError(f"--host {host} --port {candidate}: {error.strerror or error}") from None
    if port is None:
        raise InputError(f"--port: none from {ports[0]} to {ports[-1]} is free on {host}: name another")
    raise InputError(f"--port {port} is in use on {host}: give another, or leave it out for the next free one")


def url(opened: socket.socket) -> str:
    """The address at which this machine's browser finds the page."""
    host, port = opened.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def server(explorer: Explorer, host: str) -> uvicorn.Server:
    """A server of the page; `.run(sockets=[…])` serves until Ctrl-C."""
    config = uvicorn.Config(
        application(explorer, host),
        loop="asyncio",
        http="h11",
        ws="none",
        lifespan="off",
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=1,
    )
    return uvicorn.Server(config)


def application(explorer: Explorer, host: str) -> ASGIApp:
    """The page, its files and the explorer's answers, for whoever asks by a name of `host`."""

    async def picture(request: Request) -> Response:
        return await _answer(explorer.picture, await _question(request, Asked))

    async def grid(request: Request) -> Response:
        return await _answer(explorer.grid, await _question(request, AskedGrid))

    async def read(request: Request) -> Response:
        content = await _body(request, ("image/", "application/octet-stream"), MOST_FILE)
        wishes = {name: request.query_params.get(name) == "1" for name in ("invert", "centre")}
        return await _answer(lambda: explorer.read(content, **wishes))

    async def about(request: Request) -> Response:
        return await _answer(explorer.about)

    async def curves(request: Request) -> Response:
        return await _answer(explorer.curves)

    routes = [Route(path, _file(*file), methods=["GET"]) for path, file in _page().items()]
    routes += [Route(f"/api/{f.__name__}", f, methods=["GET"]) for f in (about, curves)]
    routes += [Route(f"/api/{f.__name__}", f, methods=["POST"]) for f in (picture, grid, read)]
    refusals: dict[Any, Any] = {HTTPException: _refuse, InputError: _refuse_input}
    return _Guard(Starlette(routes=routes, exception_handlers=refusals), host)


class _Guard:
    """Turns away whoever asks by another name (DNS rebinding), and adds the headers to every answer."""

    def __init__(self, app: ASGIApp, host: str) -> None:
        self.app, self.host = app, host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        given = Request(scope).headers.get("host", "")
        app = self.app if _is_ours(given, self.host) else _refusal(403, f"host {given!r} is not this explorer's name")
        await app(scope, receive, send_with_headers)


def _is_ours(given: str, host: str) -> bool:
    """Whether a Host header names this server: an attacker's page can point its own name here, but no number.

    Where the server is this machine's alone, so must the name be; else every address will do, and its names.
    """
    name = given.rpartition(":")[0] if given.rpartition(":")[2].isdigit() else given
    name = name.strip("[]").lower()
    if name in ("localhost", host.lower()):
        return True
    if is_loopback(host):
        return is_loopback(name)
    return _address(name) is not None or name == socket.gethostname().lower()


def is_loopback(name: str) -> bool:
    """Whether a name or address stands for this machine alone."""
    address = _address(name)
    return name == "localhost" or (address is not None and address.is_loopback)


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


async def _answer(function: Callable[..., dict[str, Any]], *arguments: Any) -> Response:
    return JSONResponse(await run_in_threadpool(function, *arguments))


async def _question(request: Request, kind: type[_Question]) -> _Question:
    try:
        return kind.model_validate_json(await _body(request, ("application/json",), MOST_JSON))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the question"
        raise HTTPException(400, f"{where}: {first['msg'][:1].lower() + first['msg'][1:]}") from None


async def _body(request: Request, kinds: tuple[str, ...], most: int) -> bytes:
    """The whole body; refused is one too long, and a type that another site's page could send unasked."""
    if not request.headers.get("content-type", "").startswith(kinds):
        raise HTTPException(415, f"content-type must be {' or '.join(kinds)}")
    kept, length = bytearray(), 0
    async for chunk in request.stream():
        length += len(chunk)
        if length > _STILL_READ:
            break
        kept = kept + chunk if length <= most else bytearray()
    if length > most:
        raise HTTPException(413, f"too large: at most {most // 1024} KiB can be sent")
    return bytes(kept)


def _refusal(status: int, message: str) -> Response:
    return JSONResponse({"error": " ".join(message.split())}, status)


async def _refuse(request: Request, error: HTTPException) -> Response:
    answer = _refusal(error.status_code, error.detail)
    answer.headers.update(error.headers or {})
    return answer


async def _refuse_input(request: Request, error: InputError) -> Response:
    return _refusal(400, error.message)


def _page() -> dict[str, tuple[bytes, str]]:
    """Every file of the page by its path, with its type: read once, so that no path reaches the disk."""
    files = {}
    for file in resources.files("infogan.explore").joinpath("static").iterdir():
        kind = _TYPES.get("." + file.name.rpartition(".")[2])
        if kind:
            files["/" if file.name == "index.html" else f"/{file.name}"] = (file.read_bytes(), kind)
    return files


def _file(content: bytes, kind: str) -> Callable[[Request], Awaitable[Response]]:
    async def send(request: Request) -> Response:
        return Response(content, media_type=kind)

    return send
