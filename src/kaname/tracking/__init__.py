"""From answers for single frames to answers for a video: trajectories, tracks. No torch.

Adding a new smoother: a function with the signature of those in ``trajectory.py`` and one line in its ``SMOOTHERS``.
"""
