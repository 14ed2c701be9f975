"""Names of figures as people read them, with their units. The files keep the short names."""

from __future__ import annotations

import re

WORDS = {
    "accuracy": "accuracy",
    "ap": "mask AP",
    "ap50": "mask AP at IoU 0.5",
    "ap75": "mask AP at IoU 0.75",
    "ass_a": "association (AssA)",
    "auc": "AUC",
    "boundary_iou": "boundary IoU",
    "det_a": "detection (DetA)",
    "f1": "F1",
    "failure_rate": "failure rate",
    "hota": "HOTA-KP",
    "identity_switches": "identity switches",
    "iou_image_mean": "IoU at the image's size",
    "iou_target_mean": "IoU of the target",
    "jitter": "jitter, px",
    "l2": "distance",
    "leak": "leak",
    "miou_classes_1_2": "mIoU (classes 1, 2)",
    "nme_bbox": "NME (bbox)",
    "non_assigned": "wrong (share of predicted)",
    "pck": "found (PCK)",
    "pixel_error": "pixel error, px",
    "start_end": "start and end",
}
UNITS = {"px": "px", "s": "s", "ms": "ms"}


def readable(name: str) -> str:
    """A figure's or a group's name in words.

    >>> readable("mean_distance_px"), readable("f1_5px"), readable("l2_median_px"), readable("nme_interocular")
    ('mean distance, px', 'F1 within 5 px', 'median distance, px', 'NME (interocular)')
    >>> readable("game 3"), readable("all")
    ('game 3', 'all')
    """
    if name in WORDS:
        return WORDS[name]
    if match := re.fullmatch(r"(\w+?)_(\d+(?:\.\d+)?)px", name):
        return f"{readable(match[1])} within {match[2]} px"
    if match := re.fullmatch(r"l2_(\w+)_px", name):
        return f"{match[1]} distance, px"
    if match := re.fullmatch(r"nme_(\w+)", name):
        return f"NME ({match[1].replace('_', ' ')})"
    words, _, unit = name.rpartition("_")
    if words and unit in UNITS:
        return f"{readable(words)}, {UNITS[unit]}"
    return name.replace("_", " ")
