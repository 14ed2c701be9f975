"""One pass over an image for both, where the detector of boxes is the very file that a model reads features out of.

No torch. The network then sees the image as the features want it: a detector's own view is taken from there, unless its
mapping says something else, or it is known to want other colours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace

import numpy as np
from numpy.typing import NDArray

from kaname.files import content_hash
from kaname.inference.detector import Boxes, Detector
from kaname.inference.detector_layouts import LAYOUTS
from kaname.inference.detector_mapping import DetectorMapping
from kaname.inference.onnx_tensor import OnnxTensor
from kaname.types import Image, Size

COLOURS = ("order", "white")  # of these a layout's usual values are facts about its network


class JointPass:
    """What :func:`joint_pass` returns; called with an RGB uint8 image it answers features ``(1, C, h, w)`` and boxes.

    Args:
        source: whose tensor is read.
        detector: of the same file, which sees the same.
    """

    def __init__(self, source: OnnxTensor, detector: Detector) -> None:
        self.source, self.detector = source, detector
        self._run = source.with_outputs(detector.outputs)

    def __call__(self, image: Image) -> tuple[NDArray[np.float32], Boxes]:
        """Both, from one run of the network."""
        size: Size = (image.shape[0], image.shape[1])
        shown = self.source.view.into(size).image(image, self.source.view.input_size)
        features, outputs = self._run(shown[None])
        return features, self.detector.read(outputs, size)


def joint_pass(source: OnnxTensor, detector: Detector, say: Callable[[str], None] = print) -> JointPass | None:
    """The pass that gives both; None for a detector that is another file, or that has to see the image otherwise."""
    if content_hash(detector.path) != source.description["sha256"]:
        return None
    seen = {"fit": source.view.fit, "size": source.view.input_size, **asdict(source.preprocessing)}
    assert detector.mapping.layout is not None
    open_, usual = DetectorMapping(), LAYOUTS[detector.mapping.layout].usual
    stated = {name: value for name in seen if (value := getattr(detector.stated, name)) != getattr(open_, name)}
    wanted = {**{name: usual[name] for name in COLOURS if name in usual}, **stated}
    others = [name for name, value in wanted.items() if value != seen[name]]
    if others:
        listed = ", ".join(f"{name} {wanted[name]}, not {seen[name]}" for name in others)
        say(f"the detector is the extractor's own file, but is shown other images ({listed}): two passes an image")
        return None
    say("the detector is the extractor's own file: one pass an image gives boxes and features")
    own = Detector(detector.path, replace(detector.stated, **seen), detector.threads)
    own.found = detector.found
    return JointPass(source, own)
