"""The update in PyTorch as its users would write it."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.contestants import Batch, Losses, Problem, Update


def _networks(problem: Problem) -> dict[str, nn.Sequential]:
    c = problem.config
    side, slope = c.image_size // 4, c.leaky_slope
    g1, g2 = c.generator_channels
    t1, t2 = c.trunk_channels
    flat = side * side
    parts = {
        "G": nn.Sequential(
            nn.Linear(c.noise + c.code.width, c.generator_dense), nn.BatchNorm1d(c.generator_dense), nn.ReLU(),
            nn.Linear(c.generator_dense, flat * g1), nn.BatchNorm1d(flat * g1), nn.ReLU(),
            nn.Unflatten(1, (g1, side, side)),
            nn.ConvTranspose2d(g1, g2, 4, stride=2, padding=1), nn.BatchNorm2d(g2), nn.ReLU(),
            nn.ConvTranspose2d(g2, c.channels, 4, stride=2, padding=1), nn.Sigmoid(),
        ),
        "trunk": nn.Sequential(
            nn.Conv2d(c.channels, t1, 4, stride=2, padding=1), nn.LeakyReLU(slope),
            nn.Conv2d(t1, t2, 4, stride=2, padding=1), nn.BatchNorm2d(t2), nn.LeakyReLU(slope),
            nn.Flatten(),
            nn.Linear(t2 * flat, c.trunk_dense), nn.BatchNorm1d(c.trunk_dense), nn.LeakyReLU(slope),
        ),
        "D_head": nn.Sequential(nn.Linear(c.trunk_dense, 1)),
        "Q_head": nn.Sequential(
            nn.Linear(c.trunk_dense, c.q_dense), nn.BatchNorm1d(c.q_dense), nn.LeakyReLU(slope),
            nn.Linear(c.q_dense, c.code.parameters),
        ),
    }  # fmt: skip
    for name, arrays in problem.weights().items():
        for parameter, array in zip(parts[name].parameters(), arrays, strict=True):
            with torch.no_grad():
                parameter.copy_(torch.from_numpy(array))
    return parts


def make(problem: Problem, *, channels_last: bool = False, compiled: bool = False) -> Update:
    """Eager, or with channels-last memory, or with every network through `torch.compile`."""
    c, parts = problem.config, _networks(problem)
    memory = torch.channels_last if channels_last else torch.contiguous_format
    if channels_last:
        parts = {name: part.to(memory_format=memory) for name, part in parts.items()}
    adam = {"betas": (c.beta1, c.beta2), "fused": True}
    still = [p for name in ("trunk", "D_head", "Q_head") for p in parts[name].parameters()]
    optimiser_d = torch.optim.Adam(still, lr=c.learning_rate_d, **adam)
    optimiser_g = torch.optim.Adam(parts["G"].parameters(), lr=c.learning_rate_g, **adam)
    G, trunk, D, Q = (torch.compile(p) if compiled else p for p in parts.values())
    terms = problem.terms()

    def information(parameters: Any, codes: Any) -> Any:
        total = torch.zeros(())
        for discrete, columns, outputs, entropy, weight in terms:
            read, code = parameters[:, outputs], codes[:, columns]
            if discrete:
                log_q = (F.log_softmax(read, 1) * code).sum(1)
            else:
                log_q = -0.5 * (code[:, 0] - read[:, 0]) ** 2 - 0.5 * math.log(2 * math.pi)
            total = total + weight * (log_q.mean() + entropy)
        return total

    def run(batch: Batch) -> Losses:
        real, z_d, c_d, z_g, c_g = (torch.from_numpy(a) for a in batch)
        real = real.contiguous(memory_format=memory)
        with torch.no_grad():
            fake = G(torch.cat([z_d, c_d], 1))
        logits, features = D(trunk(real)), trunk(fake)
        loss_d = F.softplus(-logits).mean() + F.softplus(D(features)).mean()
        optimiser_d.zero_grad(set_to_none=True)
        (loss_d - information(Q(features), c_d)).backward()
        optimiser_d.step()
        for p in still:
            p.requires_grad_(False)
        features = trunk(G(torch.cat([z_g, c_g], 1)))
        loss_g = F.softplus(-D(features)).mean()
        optimiser_g.zero_grad(set_to_none=True)
        (loss_g - information(Q(features), c_g)).backward()
        optimiser_g.step()
        for p in still:
            p.requires_grad_(True)
        return Losses(loss_d.item(), loss_g.item())

    return run
