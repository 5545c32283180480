"""Batch-norm statistics of D and Q, taken afresh on real pictures without labels.

In training the trunk's running statistics mix real and generated batches and those of Q's head see generated
ones alone; on real pictures both are a little off, which moves what Q reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

import minigrad as mg
from infogan.run import Run
from minigrad import nn

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


@contextmanager
def re_estimated(run: Run, images: np.ndarray) -> Iterator[None]:
    """Within it, running statistics are the mean over batches of `images`; afterwards the old ones.

    Batches have the size of training's; a shorter rest is left out. Batch t enters with momentum 1/t, which
    makes the running value the plain mean of all so far.
    """
    parts = (run.networks.trunk, run.networks.Q_head)
    layers = [m for part in parts for m in part.modules() if isinstance(m, _NORMS)]
    before = [(layer.momentum, {k: v.numpy().copy() for k, v in layer.named_buffers()}) for layer in layers]
    size = min(run.config.batch_size, len(images))
    try:
        for layer in layers:
            layer.train()
        with mg.no_grad():
            for t in range(len(images) // size):
                for layer in layers:
                    layer.momentum = 1 / (t + 1)
                run.networks.Q(mg.Tensor(images[t * size : (t + 1) * size]))
        run.networks.eval()
        yield
    finally:
        for layer, (momentum, buffers) in zip(layers, before, strict=True):
            layer.momentum = momentum
            layer.load_state_dict(buffers, strict=False)
        run.networks.eval()
