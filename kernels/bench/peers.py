"""PyTorch and JAX on the same problems: the one room of this package that may load a framework, with `--peers`.

Each is asked for what its users would write, on the same numbers; its results are held to the same answers.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kernels.bench.ceiling import Product
from kernels.bench.contestants import Contestant, Results
from kernels.bench.work import Work
from kernels.registry import KernelError


def peers(device: str) -> tuple[list[Contestant], dict[str, Product]]:
    """Those that are installed, and their matrix products. Raises `KernelError` if there are none."""
    found: list[Contestant] = []
    products: dict[str, Product] = {}
    if importlib.util.find_spec("torch") is not None:
        found += [Torch(device, channels_last=False), Torch(device, channels_last=True)]
        products["PyTorch"] = _torch_product(device)
    if importlib.util.find_spec("jax") is not None and device == "cpu":
        found.append(Jax())
        products["JAX"] = _jax_product()
    if not found:
        raise KernelError("--peers: neither PyTorch nor JAX is installed; pip install 'infogan[peers]'")
    return found, products


class Torch:
    """PyTorch, eager: contiguous or channels-last tensors, full float32 (no TF32)."""

    kind = "peer"

    def __init__(self, device: str, *, channels_last: bool) -> None:
        import torch

        self.torch, self.device, self.channels_last = torch, device, channels_last
        self.name = "torch channels_last" if channels_last else "torch"
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cuda.matmul.allow_tf32 = False

    def note(self, work: Work) -> str:
        if self.channels_last and not any(a is not None and a.ndim == 4 for a in work.arrays.values()):
            raise NotImplementedError
        return ""

    def _tensor(self, a: np.ndarray | None, *, grad: bool = False) -> Any:
        if a is None:
            return None
        tensor = self.torch.from_numpy(np.array(a, order="C")).to(self.device)
        if tensor.ndim == 4 and self.channels_last:
            tensor = tensor.contiguous(memory_format=self.torch.channels_last)
        return tensor.requires_grad_(grad)

    def prepare(self, work: Work) -> Callable[[], Any]:
        if work.problem.op == "matmul":
            pairs = [tuple(self._tensor(a) for a in call.case.arrays.values()) for call in work.calls]
            return self._on_stream(lambda: [a @ b for a, b in pairs])
        prepare = {
            "adam_step": self._adam,
            "batch_norm_inference": self._inference,
            "conv2d_grad_weight": self._grad_weight,
        }
        if work.problem.op in prepare:
            return self._on_stream(prepare[work.problem.op](work))
        return self._on_stream(self._differentiable(work))

    def _on_stream(self, run: Callable[[], Any]) -> Callable[[], Any]:
        """On the stream whose events are the clock."""
        if self.device == "cpu":
            return run
        from kernels.device import module

        stream = self.torch.cuda.ExternalStream(module("cuda").cuda.get_current_stream().ptr)

        def on_stream() -> Any:
            with self.torch.cuda.stream(stream):
                return run()

        self.torch.cuda.synchronize()
        return on_stream

    def _differentiable(self, work: Work) -> Callable[[], Any]:
        """A forward pass, autograd's backward pass of one that was made before, or both."""
        with_grad = work.which != "forward" or work.problem.op == "batch_norm_grad"
        forward, inputs, upstream = self._forward(work, with_grad)
        if not with_grad:
            return lambda: [forward()]
        gradients = self.torch.autograd.grad
        if work.which == "both":

            def both() -> list[Any]:
                y = forward()
                return [y, *gradients(y, inputs, upstream)]

            return both
        y = forward()
        return lambda: gradients(y, inputs, upstream, retain_graph=True)

    def _forward(self, work: Work, grad: bool) -> tuple[Callable[[], Any], list[Any], Any]:
        """The pass, what it is differentiated by in the order of the calls' results, and the cotangent."""
        F, arrays = self.torch.nn.functional, work.arrays
        problem = work.problem
        if problem.op.startswith("batch_norm"):
            settings = work.calls[0].case.settings
            x, gamma, beta = (self._tensor(arrays[n], grad=grad) for n in ("x", "gamma", "beta"))
            slope, eps = settings["activation"][1], settings.get("eps", 1e-5)
            run = lambda: F.leaky_relu(F.batch_norm(x, None, None, gamma, beta, training=True, eps=eps), slope)
            return run, [x, gamma, beta], self._tensor(arrays.get("gy"))
        stride, padding = problem.stride, problem.padding
        w = self._tensor(arrays["w"], grad=grad) if "w" in arrays else None
        if problem.op == "conv2d":
            x = self._tensor(arrays["x"], grad=grad and problem.input_gradient)
            inputs = [x, w] if problem.input_gradient else [w]
            return lambda: F.conv2d(x, w, None, stride, padding), inputs, self._tensor(arrays.get("gy"))
        gy = self._tensor(arrays["gy"], grad=grad)
        out, (kh, kw) = problem.output, problem.weight[2:]
        extra = [
            problem.shape[2 + i] - ((out[2 + i] - 1) * stride[i] - 2 * padding[i] + k) for i, k in enumerate((kh, kw))
        ]
        run = lambda: F.conv_transpose2d(gy, w, None, stride, padding, extra)
        return run, [gy, w], self._tensor(arrays.get("x"))

    def _grad_weight(self, work: Work) -> Callable[[], Any]:
        from torch.nn.grad import conv2d_weight

        gy, x, problem = self._tensor(work.arrays["gy"]), self._tensor(work.arrays["x"]), work.problem
        return lambda: [conv2d_weight(x, problem.weight, gy, stride=problem.stride, padding=problem.padding)]

    def _inference(self, work: Work) -> Callable[[], Any]:
        F, call = self.torch.nn.functional, work.calls[0].case
        x, gamma, beta, mean, var = (self._tensor(a) for a in call.arrays.values())
        slope, eps = call.settings["activation"][1], call.settings["eps"]
        return lambda: [F.leaky_relu(F.batch_norm(x, mean, var, gamma, beta, training=False, eps=eps), slope)]

    def _adam(self, work: Work) -> Callable[[], Any]:
        case = work.calls[0].case
        p, g, m, v = (self._tensor(a) for a in case.arrays.values())
        p.requires_grad_(True)
        p.grad = g
        names = ("lr", "betas", "eps", "weight_decay")
        optimiser = self.torch.optim.Adam([p], fused=True, **{n: case.settings[n] for n in names})
        step = self.torch.tensor(float(case.settings["step"] - 1), device=self.device)
        optimiser.state[p] = {"step": step, "exp_avg": m, "exp_avg_sq": v}

        def run() -> Any:
            optimiser.step()
            return [(p, m, v)]

        return run

    def results(self, work: Work, raw: Any) -> Results:
        if work.problem.op == "adam_step":
            return [tuple(self._host(t) for t in raw[0])]
        host = [self._host(t) for t in raw]
        if not work.problem.op.startswith("batch_norm") or work.problem.op == "batch_norm_inference":
            return [(a,) for a in host]
        # PyTorch keeps the statistics to itself.
        forward: Results = [(host[0], None, None)] if work.calls[0].op == "batch_norm" else []
        return forward + ([tuple(host[-3:])] if len(host) >= 3 else [])

    @staticmethod
    def _host(tensor: Any) -> np.ndarray:
        return tensor.detach().cpu().numpy()


def _torch_product(device: str) -> Product:
    def prepare(a: np.ndarray, b: np.ndarray) -> Callable[[], Any]:
        import torch

        x, y = torch.from_numpy(a).to(device), torch.from_numpy(b).to(device)
        if device == "cpu":
            return lambda: torch.mm(x, y).numpy()
        from kernels.device import module

        stream = torch.cuda.ExternalStream(module("cuda").cuda.get_current_stream().ptr)

        def run() -> Any:
            with torch.cuda.stream(stream):
                return module("cuda").from_dlpack(torch.mm(x, y))

        return run

    return prepare


class Jax:
    """JAX on the processor, jitted; its thread pool is its own and keeps to no limit."""

    kind, name = "peer", "jax"

    def __init__(self) -> None:
        import jax

        self.jax = jax

    def note(self, work: Work) -> str:
        if work.calls[0].dtype != np.float32:
            raise NotImplementedError  # float64 is a switch of the whole process in JAX
        return "JAX's own threads"

    def prepare(self, work: Work) -> Callable[[], Any]:
        jax = self.jax
        function, arguments, upstream = self._function(work)
        if work.which == "forward" and upstream is None:
            step, given = jax.jit(function), arguments
        elif work.which == "both":

            def both(g: Any, *inputs: Any) -> Any:
                y, pull = jax.vjp(function, *inputs)
                return y, *pull(g)

            step, given = jax.jit(both), [upstream, *arguments]
        else:
            # What the backward pass keeps of the forward one is its argument, so that only the former is timed.
            _, pull = jax.vjp(function, *arguments)
            step, given = jax.jit(lambda p, g: p(g)), [pull, upstream]
        return lambda: jax.block_until_ready(step(*given))

    def _function(self, work: Work) -> tuple[Callable[..., Any], list[Any], Any]:
        """A function, its arguments in the order of the calls' gradients, and the cotangent if there is one."""
        jnp, lax = self.jax.numpy, self.jax.lax
        problem, case = work.problem, work.calls[0].case
        arrays = {n: jnp.asarray(a) for n, a in work.arrays.items() if a is not None}
        op = problem.op
        if op == "matmul":
            if work.which == "forward":
                return jnp.matmul, [jnp.asarray(a) for a in case.arrays.values()], None
            g, bt = work.calls[-2].case.arrays.values()
            at, _ = work.calls[-1].case.arrays.values()
            return jnp.matmul, [jnp.asarray(m) for m in (at.T, bt.T)], jnp.asarray(g)  # type: ignore[union-attr]
        if op == "adam_step":
            return _jax_adam(jnp, case.settings), list(arrays.values()), None
        if op == "batch_norm_inference":
            return _jax_norm(jnp, case.settings), list(arrays.values()), None
        if op.startswith("batch_norm"):
            inputs = [arrays[n] for n in ("x", "gamma", "beta")]
            return _jax_norm(jnp, {"eps": 1e-5, **case.settings}), inputs, arrays.get("gy")
        pads = [(p, p) for p in problem.padding]

        def conv(x: Any, w: Any) -> Any:
            return lax.conv_general_dilated(x, w, problem.stride, pads)

        if op == "conv2d":
            if problem.input_gradient or work.which == "forward":
                return conv, [arrays["x"], arrays["w"]], arrays.get("gy")
            return lambda w: conv(arrays["x"], w), [arrays["w"]], arrays.get("gy")
        like = {"x": jnp.zeros(problem.shape, jnp.float32), "w": jnp.zeros(problem.weight, jnp.float32)}
        if op == "conv2d_grad_weight":
            turned = lambda gy, x: self.jax.linear_transpose(lambda w: conv(x, w), like["w"])(gy)[0]
            return turned, [arrays["gy"], arrays["x"]], None
        up = lambda gy, w: self.jax.linear_transpose(lambda x: conv(x, w), like["x"])(gy)[0]
        return up, [arrays["gy"], arrays["w"]], arrays.get("x")

    def results(self, work: Work, raw: Any) -> Results:
        flat = [np.asarray(a) for a in self.jax.tree.leaves(raw)]
        if work.problem.op == "adam_step":
            return [tuple(flat)]
        if not work.problem.op.startswith("batch_norm") or work.problem.op == "batch_norm_inference":
            return [(a,) for a in flat]
        forward: Results = [(flat[0], None, None)] if work.calls[0].op == "batch_norm" else []
        return forward + ([tuple(flat[-3:])] if len(flat) >= 3 else [])


def _jax_norm(jnp: Any, settings: Mapping[str, Any]) -> Callable[..., Any]:
    slope, eps = settings["activation"][1], settings["eps"]

    def norm(x: Any, gamma: Any, beta: Any, mean: Any = None, var: Any = None) -> Any:
        axes, shape = (0, *range(2, x.ndim)), (1, -1) + (1,) * (x.ndim - 2)
        mean = x.mean(axes) if mean is None else mean
        var = x.var(axes) if var is None else var
        z = (x - mean.reshape(shape)) * (gamma / jnp.sqrt(var + eps)).reshape(shape) + beta.reshape(shape)
        return jnp.where(z > 0, z, slope * z)

    return norm


def _jax_adam(jnp: Any, s: Mapping[str, Any]) -> Callable[..., Any]:
    (b1, b2), t = s["betas"], s["step"]

    def adam(p: Any, g: Any, m: Any, v: Any) -> Any:
        g = g + s["weight_decay"] * p
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        return p - s["lr"] / (1 - b1**t) * m / (jnp.sqrt(v / (1 - b2**t)) + s["eps"]), m, v

    return adam


def _jax_product() -> Product:
    def prepare(a: np.ndarray, b: np.ndarray) -> Callable[[], Any]:
        import jax

        x, y = jax.numpy.asarray(a), jax.numpy.asarray(b)
        product = jax.jit(jax.numpy.matmul)
        return lambda: np.asarray(jax.block_until_ready(product(x, y)))

    return prepare
