"""Losses, all from logits where there are logits; dropout, embedding and one-hot codes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kernels import device
from minigrad import random
from minigrad.rules.arithmetic import clamp, maximum
from minigrad.rules.elementwise import log1p
from minigrad.rules.reductions import log_softmax, mean, sum
from minigrad.rules.shape import gather, getitem, unsqueeze
from minigrad.tape import Variable, as_array


def _reduced(loss: Any, reduction: str) -> Any:
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"reduction is 'mean', 'sum' or 'none', not {reduction!r}")
    return mean(loss) if reduction == "mean" else sum(loss) if reduction == "sum" else loss


def mse_loss(input: Any, target: Any, reduction: str = "mean") -> Any:
    """(input - target)^2."""
    return _reduced((input - target) ** 2, reduction)


def binary_cross_entropy_with_logits(input: Any, target: Any, weight: Any = None, reduction: str = "mean",
                                     pos_weight: Any = None) -> Any:  # fmt: skip
    """-(w t log s(x) + (1 - t) log(1 - s(x))), s the sigmoid and w `pos_weight`: from logits, without overflow."""
    softened = log1p((-input.abs()).exp()) + maximum(-input, 0.0)  # -log s(x)
    factor = 1.0 if pos_weight is None else (pos_weight - 1) * target + 1
    loss = (1 - target) * input + factor * softened
    return _reduced(loss if weight is None else loss * weight, reduction)


def nll_loss(input: Any, target: Any, reduction: str = "mean") -> Any:
    """-input[n, target[n]]; input (N, C) or (N, C, …) of log-probabilities, target of integers without C."""
    wanted = as_array(target)
    if wanted.dtype.kind not in "iu":
        raise TypeError(f"nll_loss: the target holds class numbers, integers, not {wanted.dtype}")
    picked = gather(input, 1, unsqueeze(target, 1)) if input.ndim > 1 else gather(input, 0, unsqueeze(target, 0))
    loss = -picked.squeeze(1 if input.ndim > 1 else 0)
    return _reduced(loss, reduction)


def cross_entropy(input: Any, target: Any, reduction: str = "mean", label_smoothing: float = 0.0) -> Any:
    """-sum_k p_k log softmax(input)_k; p is one at the class number `target`, or is `target` (probabilities)."""
    dim = 1 if input.ndim > 1 else 0
    logs = log_softmax(input, dim)
    classes = input.shape[dim]
    if as_array(target).dtype.kind == "f":
        soft = target * (1 - label_smoothing) + label_smoothing / classes
        loss = -sum(logs * soft, dim)
        return sum(loss) * (1 / (loss.size or 1)) if reduction == "mean" else _reduced(loss, reduction)
    if not label_smoothing:
        return nll_loss(logs, target, reduction)
    smooth = _reduced(-mean(logs, dim), reduction)
    return nll_loss(logs, target, reduction) * (1 - label_smoothing) + smooth * label_smoothing


def gaussian_nll_loss(input: Any, target: Any, var: Any, full: bool = False, eps: float = 1e-6,
                      reduction: str = "mean") -> Any:  # fmt: skip
    """(log v + (input - target)^2 / v) / 2, v = max(var, eps); plus log(2 pi) / 2 with `full`.

    As in PyTorch the floor is not differentiated: the gradient passes to `var` as it is.
    """
    var = var if isinstance(var, Variable) else Variable.concrete(as_array(var))
    v = var + (clamp(var.detach(), eps) - var.detach())
    loss = 0.5 * (v.log() + (input - target) ** 2 / v)
    return _reduced(loss + 0.5 * math.log(2 * math.pi) if full else loss, reduction)


def dropout(input: Any, p: float = 0.5, training: bool = True) -> Any:
    """Each entry 0 with probability p, else divided by 1 - p; drawn on the host from the global stream."""
    if not 0 <= p <= 1:
        raise ValueError(f"dropout: p is a probability, not {p}")
    if not training or p == 0:
        return input
    raw = as_array(input)
    kept = (random.generator().random(raw.shape) >= p) / (1 - p if p < 1 else 1)
    return input * Variable.concrete(device.to_device(kept.astype(raw.dtype), device.device_of(raw)))


def embedding(input: Any, weight: Any) -> Any:
    """Row input[…] of the weight (rows, width), for each integer of the input."""
    return getitem(weight, input)


def one_hot(tensor: Any, num_classes: int = -1) -> Any:
    """Integers as rows of num_classes zeros with a single one; by default as many as the largest needs."""
    raw = as_array(tensor)
    if raw.dtype.kind not in "iu":
        raise TypeError(f"one_hot: class numbers are integers, not {raw.dtype}")
    xp = device.array_module(raw)
    top = int(device.to_host(raw.max())) if raw.size else -1
    if raw.size and (int(device.to_host(raw.min())) < 0 or (num_classes != -1 and top >= num_classes)):
        raise ValueError(f"one_hot: class numbers lie in [0, {num_classes}); the largest is {top}")
    classes = top + 1 if num_classes == -1 else num_classes
    return Variable.concrete((raw[..., None] == xp.arange(classes)).astype(np.int64))
