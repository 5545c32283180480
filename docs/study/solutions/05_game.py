"""One way to solve the exercises of chapter 5. Run it: the chapter runs with these answers and checks them."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from guide import solve

import minigrad as mg


def best_logit(p, q):
    """5.1. D*/(1 − D*) = p/q."""
    return np.log(p) - np.log(q)


def value_of_best(p, q):
    """5.2. Σ p log D* + q log(1 − D*), each over the places where its factor is not 0."""
    both = p + q
    return sum(float((a[a > 0] * np.log(a[a > 0] / both[a > 0])).sum()) for a in (p, q))


def log_one_minus_d(logits):
    """5.3. 1 − σ(l) = σ(−l), and log σ(−l) = −softplus(l)."""
    return -mg.softplus(logits).mean()


ANSWERS = {"best_logit": best_logit, "value_of_best": value_of_best, "log_one_minus_d": log_one_minus_d}

if __name__ == "__main__":
    sys.exit(solve.main(__file__, ANSWERS))
