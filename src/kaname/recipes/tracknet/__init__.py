"""``tracknet``: frames or clips of a match -> the ball in every frame, or nothing.

In: RGB frames of a video (or a folder of frames); the network sees windows of ``data.sequence.length`` consecutive
ones. Out: one row a frame, the ball's ``(x, y)`` in pixels of the original frame and its score, or no ball.

A network (a ViT with an upsampling decoder, or the small U-Net with the frames stacked) gives one heatmap a frame; its
peak is the ball, its height the score. Sizes of the configuration are ``[width, height]``, as in the written guide.

Train: ``kaname tracknet train --data tracknet --model vit_heatmap --training default``. What to expect is in
docs/tracknet.md, measured.
"""

from __future__ import annotations

from kaname.recipes import Recipe

BALL = "ball"

RECIPE = Recipe(
    name="tracknet",
    summary="The ball, in frames and in video.",
    verbs={
        "sample": ("sample", "Render a small data set of clips with exact truth."),
        "check": ("check", "Read a data set and report every problem, also frames that leak between games."),
        "train": ("train", "Train a ball detector."),
        "evaluate": ("evaluate", "Score a model or a file of predictions."),
        "predict": ("predict", "Find the ball in videos or folders of frames."),
        "export": ("export", "Write an ONNX file and check that it answers the same."),
        "draw": ("draw", "Draw labels or predictions on their frames."),
    },
    predictions=("predictions.csv", "ball.csv"),
)
