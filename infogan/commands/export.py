"""`infogan export`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "kind",
    type=click.Choice(["onnx", "torch"]),
    required=True,
    help="onnx: graphs of G and of D with Q. torch: weights, and PyTorch modules that take them.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write to.  [default: RUN/export]")
def export(run: Path, kind: str, out: Path | None) -> None:
    """Write the networks of a RUN for other programs.

    onnx writes G.onnx and DQ.onnx and holds both against the run in onnxruntime, where that is installed.
    torch writes networks.safetensors and networks.py; weights that PyTorch has trained further are opened by
    infogan.load(RUN, weights=FILE).

    \b
    Examples:
      infogan export runs/first --format onnx
      infogan export runs/first --format torch --out torch
    """
    from infogan import export as writers
    from infogan.run import load

    opened, folder = load(run), out or run / "export"
    if kind == "torch":
        weights, modules = writers.write_torch(opened, folder)
        click.echo(f"{weights}: the weights\n{modules}: PyTorch modules; networks.load() opens them with the weights")
        return
    (generator, reader), off = writers.write_onnx(opened, folder)
    click.echo(f"{generator}: z (N, {opened.config.noise}) and c (N, {opened.code.width}) to images")
    click.echo(f"{reader}: images to D's logits (N,) and the parameters of Q (N, {opened.code.parameters})")
    if off is None:
        click.echo("not checked: onnxruntime is not installed (pip install 'infogan[export]')")
    else:
        click.echo(f"checked in onnxruntime: {off:.1e} from the run at most")
