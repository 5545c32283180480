"""The update in JAX: one jitted function of weights and moments, whose memory it may take over.

Running statistics are left out, which costs the others a little time that JAX does not spend.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.contestants import Batch, Losses, Problem, Update

Weights = dict[str, list[Any]]


def _norm(x: Any, gamma: Any, beta: Any, slope: float) -> Any:
    axes, shape = (0, *range(2, x.ndim)), (1, -1) + (1,) * (x.ndim - 2)
    mean, var = x.mean(axes), x.var(axes)
    z = (x - mean.reshape(shape)) * (gamma / jnp.sqrt(var + 1e-5)).reshape(shape) + beta.reshape(shape)
    return jnp.where(z > 0, z, slope * z)


def _conv(x: Any, w: Any, b: Any) -> Any:
    return lax.conv_general_dilated(x, w, (2, 2), [(1, 1), (1, 1)]) + b.reshape(1, -1, 1, 1)


def _up_conv(x: Any, w: Any, b: Any) -> Any:
    turned = jnp.flip(w, (2, 3)).transpose(1, 0, 2, 3)
    y = lax.conv_general_dilated(x, turned, (1, 1), [(2, 2), (2, 2)], lhs_dilation=(2, 2))
    return y + b.reshape(1, -1, 1, 1)


def _generate(w: list[Any], zc: Any, side: int) -> Any:
    h = _norm(zc @ w[0].T + w[1], w[2], w[3], 0.0)
    h = _norm(h @ w[4].T + w[5], w[6], w[7], 0.0).reshape(len(zc), -1, side, side)
    h = _norm(_up_conv(h, w[8], w[9]), w[10], w[11], 0.0)
    return jax.nn.sigmoid(_up_conv(h, w[12], w[13]))


def _trunk(w: list[Any], x: Any, slope: float) -> Any:
    h = _conv(x, w[0], w[1])
    h = jnp.where(h > 0, h, slope * h)
    h = _norm(_conv(h, w[2], w[3]), w[4], w[5], slope).reshape(len(x), -1)
    return _norm(h @ w[6].T + w[7], w[8], w[9], slope)


def _read(w: list[Any], features: Any, slope: float) -> Any:
    h = _norm(features @ w[0].T + w[1], w[2], w[3], slope)
    return h @ w[4].T + w[5]


def make(problem: Problem) -> Update:
    """Jitted, float32."""
    c, terms = problem.config, problem.terms()
    side, slope = c.image_size // 4, c.leaky_slope
    weights = {name: [jnp.array(a) for a in arrays] for name, arrays in problem.weights().items()}

    def information(parameters: Any, codes: Any) -> Any:
        total = jnp.zeros(())
        for discrete, columns, outputs, entropy, weight in terms:
            read, code = parameters[:, outputs], codes[:, columns]
            if discrete:
                log_q = (jax.nn.log_softmax(read, 1) * code).sum(1)
            else:
                log_q = -0.5 * (code[:, 0] - read[:, 0]) ** 2 - 0.5 * math.log(2 * math.pi)
            total = total + weight * (log_q.mean() + entropy)
        return total

    def judge(d: Weights, features: Any) -> Any:
        return features @ d["D_head"][0].T + d["D_head"][1]

    def loss_d(d: Weights, fake: Any, real: Any, codes: Any) -> Any:
        features = _trunk(d["trunk"], fake, slope)
        value = jax.nn.softplus(-judge(d, _trunk(d["trunk"], real, slope))).mean()
        value += jax.nn.softplus(judge(d, features)).mean()
        return value - information(_read(d["Q_head"], features, slope), codes), value

    def loss_g(g: Weights, d: Weights, zc: Any, codes: Any) -> Any:
        features = _trunk(d["trunk"], _generate(g["G"], zc, side), slope)
        value = jax.nn.softplus(-judge(d, features)).mean()
        return value - information(_read(d["Q_head"], features, slope), codes), value

    def adam(p: Any, gradient: Any, m: Any, v: Any, t: Any, rate: float) -> Any:
        m, v = c.beta1 * m + (1 - c.beta1) * gradient, c.beta2 * v + (1 - c.beta2) * gradient * gradient
        root = jnp.sqrt(v) / jnp.sqrt(1 - c.beta2**t) + 1e-8
        return p - rate / (1 - c.beta1**t) * m / root, m, v

    def descend(w: Weights, gradients: Weights, moments: Any, t: Any, rate: float) -> Any:
        flat, tree = jax.tree.flatten(w)
        stepped = [
            adam(*each, t, rate)
            for each in zip(flat, jax.tree.leaves(gradients), *map(jax.tree.leaves, moments), strict=True)
        ]
        new, m, v = (jax.tree.unflatten(tree, part) for part in zip(*stepped, strict=True))
        return new, (m, v)

    def step(state: Any, batch: Batch) -> Any:
        d, g, moments_d, moments_g, t = state
        t = t + 1
        fake = _generate(g["G"], jnp.concatenate([batch.z_d, batch.c_d], 1), side)
        gradients, of_d = jax.grad(loss_d, has_aux=True)(d, fake, batch.real, batch.c_d)
        d, moments_d = descend(d, gradients, moments_d, t, c.learning_rate_d)
        zc = jnp.concatenate([batch.z_g, batch.c_g], 1)
        gradients, of_g = jax.grad(loss_g, has_aux=True)(g, d, zc, batch.c_g)
        g, moments_g = descend(g, gradients, moments_g, t, c.learning_rate_g)
        return (d, g, moments_d, moments_g, t), of_d, of_g

    jitted = jax.jit(step, donate_argnums=0)
    d = {name: weights[name] for name in ("trunk", "D_head", "Q_head")}
    g = {"G": weights["G"]}
    none = lambda w: tuple(jax.tree.map(jnp.zeros_like, w) for _ in range(2))
    state = [(d, g, none(d), none(g), jnp.zeros(()))]

    def run(batch: Batch) -> Losses:
        state[0], of_d, of_g = jitted(state[0], Batch(*map(np.asarray, batch)))
        jax.block_until_ready(state[0])
        return Losses(float(of_d), float(of_g))

    return run
