"""One way to solve the exercises of chapter 4. Run it: the chapter runs with these answers and checks them."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from guide import solve


def rms_norm_vjp(g, x, gamma, eps):
    """4.1. dr/dx_j = −r³ x_j / n, so the part along x̂ = r x stays and the mean's goes."""
    r = ((x * x).mean() + eps) ** -0.5
    hat = r * x
    return gamma * r * (g - hat * (g * hat).mean())


def vanishing(x):
    """4.2. A shift of the batch, and a stretch about its mean: y notices neither."""
    return np.ones_like(x), x - x.mean()


def evaluation_vjp(g, x, gamma, m, v, eps):
    """4.3. A straight line in x: its slope."""
    return g * gamma * (v + eps) ** -0.5


ANSWERS = {"rms_norm_vjp": rms_norm_vjp, "vanishing": vanishing, "evaluation_vjp": evaluation_vjp}

if __name__ == "__main__":
    sys.exit(solve.main(__file__, ANSWERS))
