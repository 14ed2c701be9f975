"""``landmark``: faces of drawn characters -> 28 named landmarks each, or as many as a skeleton of one's own has.

In: an RGB image and the boxes of its faces (from a file, from a detector, or the whole image as one). Out: ``Points``
with a row a face under each landmark's name, in pixels of the original image, with a score.

A crop of each box, grown by a quarter and made square, is seen at ``size`` x ``size``; the network (HRNetV2-W18 in the
layout of the pretrained weights, or the small U-Net) gives a heatmap a landmark at a quarter of that, whose cell *i*
lies at index *4 i* of the input. DARK finds the peak between cells; the mirrored crop is answered too.

Train: ``kaname landmark train --image-dir data/raw --annotation-dir data/annotated --checkpoint WEIGHTS``. What to
expect is in docs/landmark.md, measured.
"""

from __future__ import annotations

from kaname.pipeline.answering import Answering
from kaname.pipeline.judging import Judging
from kaname.pipeline.recipe import Recipe

MAPS = "heatmaps"
STRIDE = 4  # input pixels in a cell
BOX_FACTOR = 1.25  # by which a face's box grows to its crop
EXTENT_FACTOR = 1.2  # from the landmarks' extent to a box like those of face detectors

RECIPE = Recipe.of(
    __name__,
    summary="Landmarks of characters' faces.",
    verbs={
        "crawl": ("kaname.apps.crawl:crawl", "Collect images by tags, with their sources."),
        "annotate": ("kaname.apps.annotate:annotate", "Place the landmarks in the browser."),
        "sample": ("verbs:sample", "Render a small data set of faces with exact truth."),
        "check": ("verbs:check", "Read annotations and report every problem."),
        "split": ("verbs:split", "Divide annotations into train, val and test."),
        "train": ("commands:train", "Train a landmark detector."),
        "evaluate": ("verbs:evaluate", "Score a model or a file of predictions."),
        "validate": ("verbs:validate", "Score a model on the validation faces."),
        "predict": ("verbs:predict", "Find the landmarks in images or a video."),
        "export": ("verbs:export", "Write weights for other programs, or an ONNX file that answers the same."),
        "draw": ("verbs:draw", "Draw annotations or predictions on their images."),
    },
    schema="config:LandmarkConfig",
    samples="data:Faces",
    task="step:task_fields",
    debug="report:debug",
    data="data.images",
    paths=("data.annotations", "data.val_annotations", "data.split", "data.skeleton", "model.weights"),
    weights="model.weights",
    fixed=("size", "data.skeleton", "model.backbone", "model.decoder", "model.fuse", "model.normalize"),
    heads=("loss",),
    best_name="best_model.pth",
    answering=Answering.of(__name__, threshold="min_score"),
    judging=Judging.of(__name__, layers="report:layers", telling="labels:telling", late=("failure",)),
)
