"""One way to solve the exercises of chapter 6. Run it: the chapter runs with these answers and checks them."""

import math
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from guide import solve

import minigrad as mg


def information_of(joint):
    """6.1. Σ P(c, x) log P(c, x) / P(c) P(x), over the places where P(c, x) is not 0."""
    independent = joint.sum(1, keepdims=True) * joint.sum(0)
    there = joint > 0
    return float((joint[there] * np.log(joint[there] / independent[there])).sum())


def bound(logits, c):
    """6.2. E log Q(c|x) + log K, from the logits by log-softmax."""
    return (mg.log_softmax(logits, 1) * c).sum(1).mean() + math.log(logits.shape[1])


def right_side(joint, f):
    """6.3. Column y of P(x, y), over its sum P(y), is P(x'|y)."""
    total = 0.0
    for x in range(joint.shape[0]):
        for y in range(joint.shape[1]):
            given_y = joint[:, y] / joint[:, y].sum()
            for other in range(joint.shape[0]):
                total += joint[x, y] * given_y[other] * f[other, y]
    return total


ANSWERS = {"information_of": information_of, "bound": bound, "right_side": right_side}

if __name__ == "__main__":
    sys.exit(solve.main(__file__, ANSWERS))
