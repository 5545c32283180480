"""`infogan explore`."""

from __future__ import annotations

from pathlib import Path

import click

from infogan.errors import InputError


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--port", type=click.IntRange(0, 65535), help="Where to listen.  [default: the first free one from 8421]")
@click.option("--host", default="127.0.0.1", show_default=True,
              help="Who can reach the page: by default this machine alone; 0.0.0.0 lets every other in.")  # fmt: skip
@click.option("--no-browser", is_flag=True, help="Only say where the page is.")
def explore(run: Path, port: int | None, host: str, no_browser: bool) -> None:
    """Move the codes of a RUN by hand on a live page, and draw pictures for Q to read.

    \b
    Example: infogan explore runs/first
    """
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError:
        raise InputError("infogan explore needs Starlette and uvicorn: pip install 'infogan[explore]'") from None
    from infogan.explore import server
    from infogan.explore.explorer import Explorer
    from infogan.run import load

    explorer = Explorer(load(run))
    click.echo("getting the kernels ready: seconds, the first time perhaps a minute …", err=True)
    explorer.warm_up()
    with server.listen(host, port) as opened:
        address = server.url(opened)
        click.echo(f"exploring {run} after {explorer.run.step:,} updates at {address}  (Ctrl-C stops)")
        if not server.is_loopback(host):
            click.echo(f"--host {host}: whoever reaches this machine can use the page", err=True)
        if not no_browser:
            _show(address)
        server.server(explorer, host).run(sockets=[opened])


def _show(address: str) -> None:
    """Open the page where there is a screen; a browser in this very terminal would only get in the way."""
    import os
    import sys
    import webbrowser

    if sys.platform in ("win32", "darwin") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        webbrowser.open(address)
