"""Losses, all from logits where there are logits; dropout, embedding and one-hot codes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kernels import device
from kernels.device import Array
from minigrad import random
from minigrad.rules.arithmetic import clamp
from minigrad.rules.elementwise import softplus
from minigrad.rules.reductions import log_softmax, mean, sum
from minigrad.rules.shape import gather, getitem, reshape, squeeze, unsqueeze
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
    softened = softplus(-input, 1.0, math.inf)  # -log s(x)
    factor = 1.0 if pos_weight is None else (pos_weight - 1) * target + 1
    loss = (1 - target) * input + factor * softened
    return _reduced(loss if weight is None else loss * weight, reduction)


def _numbers(name: str, numbers: Array, count: int) -> None:
    """Refuse numbers outside 0 … count - 1, which indexing would take from the other end or wrap around."""
    if numbers.dtype.kind not in "iu":
        raise TypeError(f"{name}: class numbers are integers, not {numbers.dtype}")
    if numbers.size:
        low, high = (int(device.to_host(n)) for n in (numbers.min(), numbers.max()))
        if low < 0 or high >= count:
            raise IndexError(f"{name}: class numbers lie in 0 … {count - 1}, but {low if low < 0 else high} was given")


def nll_loss(input: Any, target: Any, weight: Any = None, ignore_index: int = -100, reduction: str = "mean") -> Any:
    """-w[target[n]] input[n, target[n]]; input (N, C) or (N, C, …) of log-probabilities, target without C.

    Targets equal to `ignore_index` count nothing; w is `weight` (C,) or 1, and the mean is a weighted one.
    """
    dim = 1 if input.ndim > 1 else 0
    wanted = as_array(target)
    counted = wanted != ignore_index
    kept = wanted * counted
    _numbers("nll_loss", kept, input.shape[dim])
    picked = squeeze(gather(input, dim, unsqueeze(kept, dim)), dim)
    factor = Variable.concrete(counted.astype(input.dtype))
    if weight is not None:
        factor = factor * getitem(weight, kept)
    loss = -picked * factor
    return sum(loss) / sum(factor) if reduction == "mean" else _reduced(loss, reduction)


def cross_entropy(input: Any, target: Any, weight: Any = None, ignore_index: int = -100, reduction: str = "mean",
                  label_smoothing: float = 0.0) -> Any:  # fmt: skip
    """-sum_k w_k p_k log softmax(input)_k; p is one at the class number `target`, or is `target` (probabilities).

    `label_smoothing` s makes p (1 - s) p + s / C. The rest is as in `nll_loss`.
    """
    dim = 1 if input.ndim > 1 else 0
    logs = log_softmax(input, dim)
    if weight is not None:
        weights = reshape(weight, (-1,) + (1,) * (input.ndim - dim - 1))
    if as_array(target).dtype.kind == "f":
        soft = target * (1 - label_smoothing) + label_smoothing / input.shape[dim]
        loss = -sum(logs * soft if weight is None else logs * soft * weights, dim)
        return sum(loss) * (1 / (loss.size or 1)) if reduction == "mean" else _reduced(loss, reduction)
    hard = nll_loss(logs, target, weight, ignore_index, reduction)
    if not label_smoothing:
        return hard
    wanted = as_array(target)
    counted = wanted != ignore_index
    factor = Variable.concrete(counted.astype(input.dtype))
    spread = -mean(logs if weight is None else logs * weights, dim) * factor
    if reduction == "mean":
        total = factor if weight is None else factor * getitem(weight, wanted * counted)
        smooth = sum(spread) / sum(total)
    else:
        smooth = _reduced(spread, reduction)
    return hard * (1 - label_smoothing) + smooth * label_smoothing


def gaussian_nll_loss(input: Any, target: Any, var: Any, full: bool = False, eps: float = 1e-6,
                      reduction: str = "mean") -> Any:  # fmt: skip
    """(log v + (input - target)^2 / v) / 2, v = max(var, eps); plus log(2 pi) / 2 with `full`.

    `var` has the input's shape, that shape with 1 for the last length, or without it. As in PyTorch the floor
    is not differentiated: the gradient passes to `var` as it is.
    """
    var = var if isinstance(var, Variable) else Variable.concrete(as_array(var))
    shape = as_array(input).shape
    if var.shape != shape and var.shape == shape[:-1]:
        var = unsqueeze(var, -1)
    if var.size and float(device.to_host(var.data.min())) < 0:
        raise ValueError("gaussian_nll_loss: var has a negative entry")
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
    _numbers("embedding", as_array(input), as_array(weight).shape[0])
    return getitem(weight, input)


def one_hot(tensor: Any, num_classes: int = -1) -> Any:
    """Integers as rows of num_classes zeros with a single one; by default as many as the largest needs."""
    raw = as_array(tensor)
    xp = device.array_module(raw)
    classes = (int(device.to_host(raw.max())) + 1 if raw.size else 0) if num_classes == -1 else num_classes
    _numbers("one_hot", raw, classes)
    return Variable.concrete((raw[..., None] == xp.arange(classes)).astype(np.int64))
