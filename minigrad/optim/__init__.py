"""Optimisers, learning-rate schedules and averages of weights, under PyTorch's names."""

from minigrad.optim import lr_scheduler
from minigrad.optim.ema import EMA
from minigrad.optim.optimizer import SGD, Adam, AdamW, Optimizer

__all__ = ["EMA", "SGD", "Adam", "AdamW", "Optimizer", "lr_scheduler"]
