"""ONNX graphs of G and of D with Q, written node by node from the modules, in evaluation mode.

`G.onnx` takes z (N, noise) and c (N, code.width) and gives pictures (N, C, H, W); `DQ.onnx` takes pictures and
gives D's logits (N,) and the parameters of Q(c|x), (N, code.parameters). N is free.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from infogan.errors import InfoganError, InputError
from infogan.networks.ranges import Affine
from infogan.run import Run
from kernels import slope_of
from minigrad import nn, serialize

OPSET, IR = 17, 8
"""Of 2022: what every runtime in use today reads."""

TOLERANCE = 1e-5
CHECKED = 16
"""Pictures on which a written graph is held against the run's own networks."""

_Given = tuple[str, dict[str, Any], list[tuple[str, np.ndarray]]]
"""An operator of ONNX, its attributes, and its inputs beside the data."""


def write_onnx(run: Run, folder: str | Path) -> tuple[list[Path], float | None]:
    """Write `G.onnx` and `DQ.onnx` into `folder`; returns them and by how much `onnxruntime` differs.

    The difference is the largest on `CHECKED` pictures, relative where values are above 1, and `None` where
    onnxruntime is not installed. Raises `InputError` where `onnx` is not installed or a layer has no
    counterpart, `InfoganError` where a graph differs by more than `TOLERANCE`; then nothing is written.
    """
    helper = _library("onnx.helper")
    z, c = run.latents(CHECKED, "export")
    images = run.G(z, c)
    generator = _graph(helper, run, ["z", "c"], ["images"])
    reader = _graph(helper, run, ["images"], ["logits", "parameters"])
    off = _difference(generator, {"z": z, "c": c}, [images])
    if off is not None:
        off = max(off, _difference(reader, {"images": images}, [run.D(images), run.Q(images)]) or 0.0)
        if not off <= TOLERANCE:
            raise InfoganError(f"the ONNX graphs differ from the run by {off:.1e}: nothing is written")
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, model in (("G.onnx", generator), ("DQ.onnx", reader)):
            serialize.write_atomically(folder / name, model)
    except OSError as error:
        raise InputError(f"--out {folder}: cannot be written ({error.strerror or error})") from None
    return [folder / "G.onnx", folder / "DQ.onnx"], off


def _library(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise InputError("export --format onnx needs the library onnx: pip install 'infogan[export]'") from None


def _difference(model: bytes, given: dict[str, np.ndarray], expected: list[np.ndarray]) -> float | None:
    try:
        runtime = importlib.import_module("onnxruntime")
    except ImportError:
        return None
    session = runtime.InferenceSession(model, providers=["CPUExecutionProvider"])
    found = session.run(None, given)
    return max(float((np.abs(a - b) / np.maximum(1, np.abs(b))).max()) for a, b in zip(found, expected, strict=True))


def _graph(helper: ModuleType, run: Run, inputs: list[str], outputs: list[str]) -> bytes:
    """A model, checked by ONNX's own checker, as the bytes of its file."""
    onnx = _library("onnx")
    settings, code, nets = run.config, run.code, run.networks
    shapes = {
        "z": [settings.noise],
        "c": [code.width],
        "images": [settings.channels, settings.image_size, settings.image_size],
        "logits": [],
        "parameters": [code.parameters],
    }
    graph = _Graph(helper)
    if outputs == ["images"]:
        graph.add("Concat", ["z", "c"], "zc", axis=1)
        graph.sequence(nets.G, "G", "zc", "images")
    else:
        graph.sequence(nets.trunk, "trunk", "images", "features")
        graph.sequence(nets.D_head, "D_head", "features", "logit")
        graph.constant("flat", np.array([-1], np.int64))
        graph.add("Reshape", ["logit", "flat"], "logits")
        graph.sequence(nets.Q_head, "Q_head", "features", "parameters")
    described = [[helper.make_tensor_value_info(n, 1, ["N", *shapes[n]]) for n in names] for names in (inputs, outputs)]
    model = helper.make_model(
        helper.make_graph(graph.nodes, "InfoGAN", *described, initializer=graph.constants),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR,
        producer_name="infogan",
    )
    columns = {
        name: {"code": code.kind(name), "input": _span(c), "parameters": _span(p)}
        for name, c, p in zip(code.names, code.columns, code.outputs, strict=True)
    }
    helper.set_model_props(model, {"codes": json.dumps(columns), "updates": str(run.step)})
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


def _span(columns: slice) -> list[int]:
    return [columns.start, columns.stop]


class _Graph:
    """Nodes and constants of a graph as they are added."""

    def __init__(self, helper: ModuleType) -> None:
        self.helper, self.nodes, self.constants = helper, [], []  # type: ignore[var-annotated]

    def add(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> None:
        """One node that gives `output`."""
        self.nodes.append(self.helper.make_node(operator, inputs, [output], **attributes))

    def constant(self, name: str, values: np.ndarray) -> str:
        """An array of the graph's own under `name`."""
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def sequence(self, module: nn.Module, name: str, source: str, target: str) -> None:
        """The layers of `module`, one after the other, from `source` to `target`."""
        steps = [(path, step) for path, layer in _layers(module, name) for step in _steps(path, layer)]
        for number, (path, (operator, attributes, arrays)) in enumerate(steps, start=1):
            output = target if number == len(steps) else f"{target}.{number}"
            names = [self.constant(f"{path}.{key}", values) for key, values in arrays]
            self.add(operator, [source, *names], output, **attributes)
            source = output


def _layers(module: nn.Module, name: str) -> list[tuple[str, nn.Module]]:
    if isinstance(module, nn.Sequential):
        return [pair for key, child in module.named_children() for pair in _layers(child, f"{name}.{key}")]
    return [(name, module)]


def _steps(path: str, layer: nn.Module) -> list[_Given]:
    """The operators that a layer becomes: itself, and the activation fused with it."""
    if isinstance(layer, Affine):
        scale, shift = (np.array([number], np.float32) for number in (layer.scale, layer.shift))
        return [("Mul", {}, [("scale", scale)]), ("Add", {}, [("shift", shift)])]
    for kind, write in _WRITERS.items():
        if isinstance(layer, kind):
            return [write(path, layer), *_activation(getattr(layer, "activation", None))]
    known = ", ".join(kind.__name__ for kind in (*_WRITERS, Affine))
    raise InputError(f"{path} is {type(layer).__name__}, which has no counterpart in ONNX here; known are {known}")


def _activation(activation: Any) -> list[_Given]:
    slope = slope_of(activation)
    if slope == 1:
        return []
    return [("Relu", {}, [])] if slope == 0 else [("LeakyRelu", {"alpha": slope}, [])]


def _arrays(layer: nn.Module, *names: str) -> list[tuple[str, np.ndarray]]:
    found = [(name, getattr(layer, name)) for name in names]
    return [(name, value.detach().numpy()) for name, value in found if value is not None]


def _linear(path: str, layer: nn.Linear) -> _Given:
    return "Gemm", {"transB": 1}, _arrays(layer, "weight", "bias")


def _conv(path: str, layer: nn.Conv2d | nn.ConvTranspose2d) -> _Given:
    settings = dict(layer.settings)
    attributes = {
        "kernel_shape": list(layer.kernel_size),
        "strides": list(settings["stride"]),
        "pads": [*settings["padding"], *settings["padding"]],
        "dilations": list(settings["dilation"]),
        "group": settings["groups"],
    }
    if isinstance(layer, nn.Conv2d):
        return "Conv", attributes, _arrays(layer, "weight", "bias")
    attributes["output_padding"] = list(settings["output_padding"])
    return "ConvTranspose", attributes, _arrays(layer, "weight", "bias")


def _batch_norm(path: str, layer: nn.BatchNorm1d | nn.BatchNorm2d) -> _Given:
    if not (layer.affine and layer.track_running_stats):
        raise InputError(f"{path}: a batch-norm without weights or running statistics has no counterpart in ONNX here")
    arrays = _arrays(layer, "weight", "bias", "running_mean", "running_var")
    return "BatchNormalization", {"epsilon": layer.eps}, arrays


def _flatten(path: str, layer: nn.Flatten) -> _Given:
    if (layer.start_dim, layer.end_dim) != (1, -1):
        raise InputError(f"{path}: Flatten from axis {layer.start_dim} to {layer.end_dim}: only 1 to −1 is written")
    return "Flatten", {"axis": 1}, []


def _unflatten(path: str, layer: nn.Unflatten) -> _Given:
    if layer.dim != 1:
        raise InputError(f"{path}: Unflatten of axis {layer.dim}: only that of axis 1 is written")
    return "Reshape", {}, [("shape", np.array([0, *layer.unflattened_size], np.int64))]


_WRITERS: dict[type[nn.Module], Callable[[str, Any], _Given]] = {
    nn.Linear: _linear,
    nn.Conv2d: _conv,
    nn.ConvTranspose2d: _conv,
    nn.BatchNorm1d: _batch_norm,
    nn.BatchNorm2d: _batch_norm,
    nn.Flatten: _flatten,
    nn.Unflatten: _unflatten,
    nn.ReLU: lambda path, layer: ("Relu", {}, []),
    nn.LeakyReLU: lambda path, layer: ("LeakyRelu", {"alpha": layer.negative_slope}, []),
    nn.Sigmoid: lambda path, layer: ("Sigmoid", {}, []),
    nn.Tanh: lambda path, layer: ("Tanh", {}, []),
    nn.Dropout: lambda path, layer: ("Identity", {}, []),
}
