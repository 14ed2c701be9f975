"""``kpnet``: key points of hands and tools in video of fixed view, each with its visibility.

In: an RGB image, or an RGB image with the optical flow and the difference to the frame before it. Out: ``Points`` with
one row under each channel of a skeleton (27 in the Open Suturing Skills Challenge: two hands of six points, three tools
and two needles of three), in pixels of the original image, with a score and a visibility: 0 out of frame, 1 hidden, 2
visible.

A backbone with maps at strides 8, 16 and 32 (ConvNeXt) and a feature pyramid give a heatmap and a visibility for each
channel, and a segmentation that only helps to learn. Stage 1 trains all of it, stage 2 (``--resume``) without the
segmentation.

Train: ``kaname kpnet train --data-root ./data --in-chans 6 --image-size 540,960 --resize-only``.
"""

from __future__ import annotations

from kaname.pipeline.answering import Answering
from kaname.pipeline.judging import Judging
from kaname.pipeline.recipe import Recipe

MAPS, VISIBILITY, SEGMENTATION = "heatmaps", "visibility", "segmentation"
FLOW, FOREGROUND = "flow", "foreground"
STATES = ("out of frame", "hidden", "visible")  # of a point, by its number

RECIPE = Recipe.of(
    __name__,
    summary="Key points of hands and tools, in images and video.",
    verbs={
        "sample": ("verbs:sample", "Render suturing-like videos with exact key points and masks."),
        "prepare": ("verbs:prepare", "Bring labels of other programs into the documented folders."),
        "check": ("verbs:check", "Read a data set and report every problem."),
        "split": ("verbs:split", "Divide labelled videos into train and val."),
        "flow": ("verbs:flow", "Compute the optical flow of all training frames beforehand."),
        "masks": ("verbs:masks", "Make pseudo masks of whole videos from their labelled frames, by SAM 2."),
        "train": ("commands:train", "Train a key point detector."),
        "evaluate": ("judging:evaluate", "Score a model, predictions or trackers: HOTA-KP, PCK, visibility."),
        "validate": ("judging:validate", "Score a model on the validation videos."),
        "infer": ("verbs:infer", "Find and follow the key points of many videos, as MOT-KP text."),
        "predict": ("verbs:predict", "Find the key points in images or a video, each frame on its own."),
        "export": ("verbs:export", "Write an ONNX file and check that it answers the same."),
        "visualize": ("judging:visualize", "Draw truth and predictions of a video, and the lines between."),
        "suggest": ("judging:suggest", "Choose the frames to label next."),
        "draw": ("judging:draw", "Draw labels or predictions on their frames."),
    },
    schema="config:KpnetConfig",
    samples="data:Frames",
    task="epochs:task_fields",
    debug="report:debug",
    data="data.root",
    paths=("data.video_root", "data.pseudo_root"),
    fixed=(
        *("image_size", "heatmap_size", "resize_only", "in_chans", "motion"),
        *("model.backbone", "model.width", "model.normalize"),
    ),
    answering=Answering.of(__name__, feed="motion:feed_of"),
    judging=Judging.of(
        __name__,
        compare="comparing:compare",
        layers="report:layers",
        asked="walking:asked",
        telling="labels:telling",
        late=("pck_px", "similarity", "scale_px"),
        scored=("hota.json", "*_pred.txt"),
    ),
)
