"""``gauge``: photograph of a dial -> its start notch, its end notch and all its notches.

In: an RGB image of one dial (or a photograph and the dial's box). Out: ``Points`` with the names ``start``, ``end``
(at most one point each) and ``middle`` (every notch, start and end included), in pixels of the original image. A
network trained with ``needle=true`` also gives ``needle_tip`` and ``needle_pivot``, from which a value can be read.

A network (a frozen ViT with a tiny decoder, or the small U-Net) gives a heatmap of each; mean shift turns it into any
number of points. Lengths in the configuration are pixels of a 448 x 448 dial and scale with ``size``.

Train: ``kaname gauge train --data training_data --epochs 50``. What to expect is in docs/gauge.md, measured.
"""

from __future__ import annotations

from kaname.pipeline.answering import Answering
from kaname.pipeline.judging import Judging
from kaname.pipeline.recipe import Recipe

CHANNELS = ("start", "middle", "end")
NEEDLE = ("needle_tip", "needle_pivot")  # of the pointer: optional, a head of their own
REFERENCE_SIZE = 448

RECIPE = Recipe.of(
    __name__,
    summary="Notches of an analog dial.",
    verbs={
        "sample": ("verbs:sample", "Render a small data set of dials with exact truth."),
        "check": ("verbs:check", "Read a data set and report every problem."),
        "split": ("verbs:split", "Divide labelled dials, such as an export of Label Studio, into train and val."),
        "crop": ("verbs:crop", "Cut dials out of photographs, with their points."),
        "heatmaps": ("verbs:heatmaps", "Write the training labels of a Label Studio annotation."),
        "train": ("commands:train", "Train a notch detector."),
        "evaluate": ("verbs:evaluate", "Score a model or a file of predictions."),
        "validate": ("verbs:validate", "Evaluate every set, with pictures."),
        "predict": ("verbs:predict", "Find the notches in images or a video."),
        "read": ("verbs:read", "Read what dials in images or a video show."),
        "export": ("verbs:export", "Write an ONNX file and check that it answers the same."),
        "draw": ("verbs:draw", "Draw labels or predictions on their images."),
    },
    schema="config:GaugeConfig",
    samples="data:Dials",
    task="step:task_fields",
    debug="report:debug",
    fixed=("size", "model.backbone", "model.decoder", "model.normalize"),
    best_name="model.pt",
    answering=Answering.of(
        __name__,
        about="predictions:about",
        write="predictions:write",
        read="predictions:read",
        made="predictions:made",
        reading="reading:read_points",
        closer="closer:closer_of",
        section="extract",
        threshold="min_score",
        presence="presence",
    ),
    judging=Judging.of(__name__, draw_outputs="report:draw_outputs", late=("tolerance",)),
)
