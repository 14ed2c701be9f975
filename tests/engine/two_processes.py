"""Trains the tiny task for ``test_runtime.py``; started by torchrun, by Fabric, or alone."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import torch
from tiny_task import make_settings, run

torch.set_num_threads(1)
# 21 samples in batches of 4: the last batch has one sample, so that a process has no share of it.
settings = make_settings(
    epochs=3, batch_size=4, accumulate=2, optimizer="sgd", lr=0.1, ema=0.8, clip=0.5, devices=int(sys.argv[2]),
    early_stop=2, num_workers=int(sys.argv[3]),
)  # fmt: skip
run(Path(sys.argv[1]), settings, train=21, val=5, noise=False)
