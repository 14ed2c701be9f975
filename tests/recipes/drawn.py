"""Small data sets of the recipes of the tests, with exact truth."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from kaname.codecs import roi_mask
from kaname.data.formats import coco
from kaname.data.formats import points as points_json
from kaname.data.formats import skeleton as skeletons
from kaname.data.formats.files import make_folder, write_json
from kaname.data.formats.skeleton import Group, Skeleton
from kaname.geometry.affine import Affine
from kaname.geometry.boxes import around
from kaname.geometry.image import write_image
from kaname.types import Sample, Size

CREATURE = Skeleton("creature", {"body": Group(("left", "right", "top"), (("left", "top"),))}, (("left", "right"),))
COLOURS = {"left": (255, 80, 80), "right": (255, 80, 80), "top": (80, 80, 255)}
PLACES = np.array([[6, 26], [26, 26], [16, 6]], np.float64)  # in a box of 32 x 32


def clips(out: Path, count: int, seed: int) -> None:
    """Clips of two creatures that drift; some points are hidden, some absent. The last clip is for validation."""
    make_folder(out)
    skeletons.write(out / "skeleton.yaml", CREATURE)
    size: Size = (64, 96)
    for clip in range(count):
        random, place = np.random.default_rng((seed, clip)), out / ("val" if clip == count - 1 else "train")
        frames, labels = (place / kind / f"clip_{clip}" for kind in ("frames", "labels"))
        make_folder(frames)
        make_folder(labels)
        boxes = np.array([[8.0, 10, 40, 42], [50, 14, 82, 46]]) + random.integers(-4, 5, (2, 1))
        write_json(labels / "boxes.json", boxes.tolist())
        visible, start = random.choice([1, 2, 2, 2, 0], (2, 3)), random.uniform(-2, 2, (2, 3, 2))
        drift = random.uniform(-0.8, 0.8, (2, 1, 2))
        for number in range(6):
            image = random.integers(0, 60, (*size, 3), np.uint8)
            xy = boxes[:, None, :2] + PLACES + start + drift * number
            for row, column in np.argwhere(visible).tolist():
                colour = [part // (3 - int(visible[row, column])) for part in COLOURS[CREATURE.names[column]]]
                cv2.circle(image, np.floor(xy[row, column]).astype(int).tolist(), 3, colour, -1)
            xy[visible == 0] = np.nan
            path = frames / f"{number:04d}.png"
            write_image(path, image)
            points, seen = (dict(zip(CREATURE.names, np.moveaxis(a, 1, 0), strict=True)) for a in (xy, visible))
            points_json.write_labels(labels / f"{number:04d}.json", Sample(path, points, seen, size=size))


def blobs(out: Path, count: int, seed: int) -> None:
    """Noise with one to three ellipses that may overlap, COCO labels, and a small extractor."""
    random, places = np.random.default_rng(seed), {"train": range(count - 2), "val": range(count - 2, count)}
    angles, size = np.linspace(0, 2 * np.pi, 24, endpoint=False), (64, 80)
    for name, numbers in places.items():
        make_folder(out / name / "images")
        samples: list[Sample] = []
        for number in numbers:
            image, polygons = random.integers(0, 80, (*size, 3), np.uint8), []
            for _ in range(1 + number % 3):
                centre, radii = random.uniform((18, 18), (62, 46)), random.uniform(8, 16, 2)
                polygons.append([centre + radii * np.stack([np.cos(angles), np.sin(angles)], axis=1)])
                image[roi_mask.inside(polygons[-1], Affine.identity(), size)] = random.integers(120, 256, 3)
            path = out / name / "images" / f"{number:03d}.png"
            write_image(path, image)
            boxes = np.stack([around(one[0]) for one in polygons])
            samples.append(Sample(path, boxes=boxes, polygons=polygons, labels=["blob"] * len(boxes), size=size))
        coco.write(out / name / "labels.json", samples)
    write_extractor(out / "extractor.onnx", random)


def write_extractor(path: Path, random: np.random.Generator) -> None:
    """One convolution and what stands behind it."""
    import onnx
    from onnx import helper, numpy_helper

    kernels = numpy_helper.from_array(random.normal(0, 0.3, (6, 3, 5, 5)).astype(np.float32), "kernels")
    nodes = [
        helper.make_node("Conv", ["images", "kernels"], ["raw"], strides=[4, 4], pads=[2, 2, 2, 2]),
        helper.make_node("Relu", ["raw"], ["features"]),
        helper.make_node("ReduceMean", ["features"], ["score"], keepdims=0),
    ]
    ends = [
        [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)]
        for name, shape in (("images", [1, 3, 64, 64]), ("score", []))
    ]
    graph = helper.make_graph(nodes, "extractor", *ends, [kernels])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), str(path))
