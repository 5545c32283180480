"""One way to solve the exercises of chapter 2. Run it: the chapter runs with these answers and checks them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from guide import solve


def layer_norm_vjp(g, x):
    """2.1. J = (I − 11ᵀ/n − yyᵀ/n)/s, which is symmetric: take out of g its mean, and its part along y."""
    s = x.std()
    y = (x - x.mean()) / s
    return (g - g.mean() - y * (g * y).mean()) / s


def best_step(T, R):
    """2.2. d/dh (h² T/6 + R/h) = h T/3 − R/h² = 0."""
    return (3 * R / T) ** (1 / 3)


def blind_points():
    """2.3. 1 − y = 1 − y² where y is 0, and where it is 1 to rounding."""
    return [0.0, 20.0, 30.0]


ANSWERS = {"layer_norm_vjp": layer_norm_vjp, "best_step": best_step, "blind_points": blind_points}

if __name__ == "__main__":
    sys.exit(solve.main(__file__, ANSWERS))
