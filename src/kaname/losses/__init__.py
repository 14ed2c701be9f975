"""Losses: what the step of a recipe returns, as sums.

Every loss returns ``(loss_sum, weight)``, two scalars. The training loop adds both up over accumulation and over
processes and divides once, so that masked losses give the same gradient whatever the split of the batch.

- ``heatmap.py``: of logits: binary cross-entropy, masked mean square, CenterNet's focal loss.
- ``raw.py``: of raw heatmaps: mean square, adaptive wing.
- ``masked.py``: what both share.
"""
