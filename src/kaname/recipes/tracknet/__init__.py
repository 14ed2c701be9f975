"""``tracknet``: frames or clips of a match -> the ball in every frame, or nothing.

In: RGB frames of a video (or a folder of frames); the network sees windows of ``data.sequence.length`` consecutive
ones. Out: one row per frame, the ball's ``(x, y)`` in pixels of the original frame and its score, or no ball.

A network (a ViT with an upsampling decoder, or the small U-Net with the frames stacked) gives a heatmap of each frame;
its peak is the ball, its height the score. Sizes of the configuration are ``[width, height]``, as in the written guide.

Train: ``kaname tracknet train --data tracknet --model vit_heatmap --training default``. What to expect is in
docs/tracknet.md, measured.
"""

from __future__ import annotations

from dataclasses import replace

from kaname.pipeline.answering import Answering
from kaname.pipeline.judging import Judging
from kaname.pipeline.part import Part
from kaname.pipeline.recipe import Recipe

BALL = "ball"

RECIPE = Recipe.of(
    __name__,
    summary="The ball, in frames and in video.",
    verbs={
        "sample": ("verbs:sample", "Render a small data set of clips with exact truth."),
        "check": ("verbs:check", "Read a data set and report every problem, also frames that leak between games."),
        "split": ("verbs:split", "Divide a data set by match, or one match by clip, into train and val."),
        "train": ("commands:train", "Train a ball detector."),
        "evaluate": ("verbs:evaluate", "Score a model or a file of predictions."),
        "validate": ("verbs:validate", "Score a model on the validation games."),
        "predict": ("verbs:predict", "Find the ball in videos or folders of frames."),
        "export": ("verbs:export", "Write an ONNX file and check that it answers the same."),
        "draw": ("verbs:draw", "Draw labels or predictions on their frames."),
    },
    schema="config:TracknetConfig",
    samples="data:Windows",
    task="step:task_fields",
    loop="training",
    data="data.root",
    fixed=(
        *("data.resize", "data.normalize", "data.sequence.length", "model.pretrained_model_name", "model.decoder"),
        *("model.heatmap", "model.fusion", "model.lora"),
    ),
    offline="`--config small` (or `--model small_unet`)",
    answering=Answering.of(
        __name__,
        about="predictions:about",
        write="predictions:write",
        read=Part("kaname.tracking.table:stream_rows"),
        made="predictions:made",
        section="detect",
        threshold="score_threshold",
        predictions=("predictions.csv", "ball.csv"),
        unit="frame",
    ),
    judging=Judging.of(
        __name__,
        labelled="evaluate:labelled",
        telling="evaluate:telling",
        layers="report:layers",
        ways="evaluate:ways",
        late=("score_threshold", "tolerance"),
        # All peaks are written, whatever their score, so that thresholds can be tried.
        predicted=lambda settings: replace(settings, score_threshold=0.0),
    ),
)
