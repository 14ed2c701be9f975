"""``roimask``: a frozen network's features and a box -> the mask of the person meant, not of others in the box.

In: an RGB image and boxes (from a file, from a detector, or the whole image as one). Out: ``Masks``, for each box the
probabilities of background, target and non-target on its grid (56 x 56), pasted at the image's own size when asked.

Only the decoder is trained. What it reads is one tensor inside an ONNX file that stays as it is (or a torch backbone's
map): the file is no part of a checkpoint, whose card says its hash, tensor and preprocessing. A box grows by a tenth on
each side; the part of the map in it, 14 x 14 cells by RoIAlign, goes through the default head, 3,541,507 parameters for
1,024 channels.

Train: ``kaname roimask train --data data --extractor FILE.onnx --tensor NAME``. What to expect is in docs/roimask.md,
measured.
"""

from __future__ import annotations

from kaname.pipeline.answering import Answering
from kaname.pipeline.judging import Judging
from kaname.pipeline.recipe import Recipe

MASKS = "masks"
EXTRACTOR = "ext_extractor/yolov9_e_wholebody25_0100_1x3x640x640_featext.onnx"
TENSOR = "/model.34/Concat_output_0"

RECIPE = Recipe.of(
    __name__,
    summary="The mask of one person among many.",
    verbs={
        "analyze": ("verbs:analyze", "Count pixels of background, target and others; class weights."),
        "sample": ("verbs:sample", "Render crowded scenes with exact masks, and a small extractor."),
        "check": ("verbs:check", "Read annotations and report every problem."),
        "split": ("verbs:split", "Divide one COCO file into two, for train and val."),
        "train": ("commands:train", "Train a mask decoder on a frozen extractor's features."),
        "evaluate": ("verbs:evaluate", "Score a model or a file of predictions."),
        "validate": ("verbs:validate", "evaluate, and the picture of true and predicted masks."),
        "predict": ("verbs:predict", "Find the mask in each box of images or a video."),
        "export": ("verbs:export", "Write an ONNX file that answers the same, with or without the extractor."),
        "draw": ("verbs:draw", "Draw true or predicted masks on their images."),
        "ablate": ("verbs:ablate", "Compare heads, losses and classes with several seeds; goes on when killed."),
    },
    schema="config:RoimaskConfig",
    samples="data:Rois",
    task="step:task_fields",
    debug="report:debug",
    pictures="report:draw_epoch",
    data="data.root",
    paths=(
        *("data.images", "data.val_images", "data.annotations", "data.val_annotations"),
        *("extractor.path", "loss.statistics"),
    ),
    fixed=("classes", "data.pad", "head", "extractor.tensor", "extractor.level"),
    answering=Answering.of(
        __name__,
        about="predictions:about",
        write="predictions:write",
        read="predictions:read",
        feed="feed:feed_of",
        predictions=("masks.json",),
    ),
    judging=Judging.of(
        __name__,
        asked="trials:asked",
        layers="report:layers",
        telling="evaluate:telling",
        draw_outputs="report:draw_outputs",
    ),
)
