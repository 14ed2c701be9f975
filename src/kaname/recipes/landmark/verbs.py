"""The verbs of ``kaname landmark`` besides ``train``. Each imports what it needs when it runs: help answers at once."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from kaname.config import merged
from kaname.errors import InputError
from kaname.pipeline.flags import (
    OUT_NAMES,
    BoxFlags,
    Checkpoint,
    Damage,
    Device,
    Limit,
    OutFolder,
    Overwrite,
    ParityCount,
    ParityImages,
    ProfileFlag,
    RunFlags,
    Weights,
    split_sources,
    validating,
)
from kaname.pipeline.sampling import Without
from kaname.pipeline.split import Group
from kaname.pipeline.weights import model_for
from kaname.recipes.landmark import RECIPE

IMAGE_NAMES, ANNOTATION_NAMES = ["--image-dir", "--images"], ["--annotation-dir", "--annotations"]
Images = Annotated[Path | None, Parameter(name=IMAGE_NAMES, help="The images, with sub-folders; default data/raw.")]
Annotations = Annotated[Path | None, Parameter(name=ANNOTATION_NAMES, help="Their folder; default data/annotated.")]
Splits = Annotated[Path | None, Parameter(help="Folder with train.txt, val.txt and test.txt, as split writes them.")]
Bones = Annotated[str | None, Parameter(name="--skeleton", help="A name of configs/skeleton, or a YAML file.")]
AnnotationFolder = Annotated[Path, Parameter(name=ANNOTATION_NAMES, help="Folder of the annotations.")]
MinScore = Annotated[float | None, Parameter(help="A landmark whose score is not above this is left out.")]
Method = Annotated[Literal["dark", "argmax"] | None, Parameter(help="How a peak is refined.")]
FlipTest = Annotated[bool | None, Parameter(help="Answer the mirrored crop too; takes twice as long.")]


def sample(
    *,
    out: OutFolder,
    count: Annotated[int, Parameter(help="How many images.")] = 100,
    seed: Annotated[int, Parameter(help="Image i depends on (seed, i) alone.")] = 0,
    size: Annotated[int, Parameter(help="Side of the images in pixels.")] = 384,
    variety: Annotated[
        Literal["rich", "plain"], Parameter(help="rich: everything the renderer knows; plain: clean faces, head-on.")
    ] = "rich",
    without: Without = None,
) -> None:
    """Render faces of characters with exact landmarks: OUT/images and OUT/annotated."""
    from kaname.samples.landmark import write

    write(out, count=count, seed=seed, size=size, variety=variety, without=without or ())
    print(f"{count} rendered faces in {out}")


def check(
    *,
    image_dir: Annotated[Path, Parameter(name=IMAGE_NAMES, help="Folder of the images, with sub-folders.")] = Path(
        "data/raw"
    ),
    annotation_dir: AnnotationFolder = Path("data/annotated"),
    skeleton: Annotated[str, Parameter(help="A name of configs/skeleton, or a YAML file.")] = "anime-face-28",
) -> None:
    """Report every problem of annotated faces by file, and what the set holds; exit code 2 if there is a problem."""
    from kaname.recipes.landmark import prepare

    prepare.check(image_dir=image_dir, annotation_dir=annotation_dir, skeleton=skeleton)


def split(
    *,
    annotation_dir: AnnotationFolder = Path("data/annotated"),
    out: Annotated[Path, Parameter(name=OUT_NAMES, help="Folder for the three lists.")] = Path("data/datasets"),
    train_ratio: Annotated[float | None, Parameter(help="Share of the faces to train on; default: the rest.")] = None,
    val_ratio: Annotated[float, Parameter(name=["--val-ratio", "--val"], help="Share to validate on.")] = 0.2,
    test_ratio: Annotated[
        float, Parameter(name=["--test-ratio", "--test"], help="Share to test on; the three sum to 1.")
    ] = 0.1,
    seed: Annotated[int, Parameter(help="The same faces and seed give the same parts.")] = 0,
    image_dir: Annotated[
        Path | None,
        Parameter(name=IMAGE_NAMES, help="Folder of the images, to find near duplicates; default: data/raw."),
    ] = None,
    group: Group = None,
) -> None:
    """Divide annotated faces at random: train.txt, val.txt and test.txt, one annotation file name a line.

    Faces of one image, near duplicates and images of one series stay together.
    """
    from kaname.recipes.landmark import prepare

    ratios = {"train_ratio": train_ratio, "val_ratio": val_ratio, "test_ratio": test_ratio}
    prepare.split(annotation_dir=annotation_dir, output_dir=out, **ratios, seed=seed, image_dir=image_dir, group=group)


def data_of(images: Path | None, annotations: Path | None, split: Path | None, skeleton: str | None) -> dict[str, Any]:
    """What flags say of the data, as a stored configuration says it."""
    given = {"images": images, "annotations": annotations, "split": split, "skeleton": skeleton}
    return {"data": {name: value for name, value in given.items() if value is not None}}


def evaluate(
    *,
    checkpoint: Checkpoint | None = None,
    predictions: Annotated[Path | None, Parameter(help="points.json to score instead of a model.")] = None,
    image_dir: Images = None,
    annotation_dir: Annotations = None,
    split_dir: Splits = None,
    skeleton: Bones = None,
    split: Annotated[
        str | None, Parameter(help="A set (train, val, test) or all; default: test, else val, else all.")
    ] = None,
    out: Annotated[Path, Parameter(name=OUT_NAMES, help="Folder to write into.")] = Path("eval_results"),
    visualize: Annotated[bool, Parameter(help="Draw annotated and predicted landmarks.")] = False,
    num_vis_samples: Annotated[int, Parameter(help="How many images --visualize draws.")] = 20,
    failure: Annotated[float | None, Parameter(help="A face whose NME (bbox) is above this has failed.")] = None,
    min_score: MinScore = None,
    method: Method = None,
    flip_test: FlipTest = None,
    overwrite: Overwrite = False,
    device: Device = "auto",
) -> None:
    """Score a model or a file of predictions: metrics.txt, metrics.json, report.html and a table."""
    from kaname.files import write_text
    from kaname.pipeline.evaluate import evaluate as run
    from kaname.recipes.landmark import labels
    from kaname.recipes.landmark.evaluate import summary_text
    from kaname.recipes.landmark.report import visualize as pictures

    given = {"failure": failure, "min_score": min_score, "method": method, "flip_test": flip_test}
    stored = data_of(image_dir, annotation_dir, split_dir, skeleton)
    labelled = labels.labelled(None, stored) if predictions is not None else None
    words = [f"{name}={value}" for name, value in stored["data"].items()]  # the rest is as in training
    results = run(
        RECIPE,
        labelled,
        checkpoint=checkpoint,
        predictions=predictions,
        out=out,
        split=split,
        changes=given,
        words=words,
        device=device,
        overwrite=overwrite,
    )
    name, result = list(results.items())[-1]
    write_text(out / "metrics.txt", summary_text(result))
    print(f"metrics.txt of the set {name} in {out}")
    if visualize:
        drawn = pictures(result.details[0], out / "visualizations", num_vis_samples)
        print(f"{drawn} pictures in {out / 'visualizations'}")


validate = validating(evaluate)


def predict(
    *sources: Annotated[str, Parameter(help="Images, folders, videos; key=value changes the answers.")],
    checkpoint: Checkpoint | None = None,
    out: OutFolder,
    boxes: BoxFlags = BoxFlags(),
    min_score: MinScore = None,
    method: Method = None,
    flip_test: FlipTest = None,
    pictures: Annotated[bool, Parameter(help="Also draw the landmarks on each image.")] = True,
    overwrite: Overwrite = False,
    damaged: Damage = "error",
    run_on: RunFlags = RunFlags(),
    profile: ProfileFlag = False,
) -> None:
    """Find landmarks: points.json (original pixels) and a picture of each image.

    Faces lie in the boxes of --boxes (also a folder of annotations), or where --detector finds them; without either
    each image is taken as one face.
    """
    from kaname.pipeline.predict import predict_images
    from kaname.recipes.landmark.prepare import boxes_of

    paths, words = split_sources(sources)
    checkpoint = model_for(RECIPE.name, checkpoint)
    changes = merged(words, {"min_score": min_score, "method": method, "flip_test": flip_test}, "answers")
    how = {"boxes": boxes_of(boxes), "changes": changes, "pictures": pictures, "deep": True, "damaged": damaged}
    how |= {"overwrite": overwrite, "profile": profile}
    predict_images(RECIPE, paths, checkpoint, out, **how, running=run_on.running())


def export(
    *,
    checkpoint: Weights,
    out: Annotated[
        Path, Parameter(name=[*OUT_NAMES, "--output"], help="x.pth or x.safetensors for other programs, or x.onnx.")
    ],
    images: ParityImages = None,
    count: ParityCount = 16,
) -> None:
    """Write the weights alone, in the layout that anime-face-detector loads, or an ONNX file with the crop inside."""
    from kaname.pipeline.export import export as run

    if out.suffix.lower() != ".onnx":
        from kaname.inference.card import backbone_name
        from kaname.inference.checkpoint import load
        from kaname.inference.state_dict import write_state_dict

        if out.resolve() == checkpoint.resolve():
            reason = "--out is the checkpoint itself, which the weights alone would replace"
            raise InputError(reason, path=out, remedy="choose another --out")
        opened = load(checkpoint, recipe=RECIPE.name)
        print(f"{write_state_dict(out, opened)} tensors in {out}")
        if not any(".stage4." in name for name in opened.model):  # of HRNet's four
            backbone = backbone_name(opened.card["backbone"])
            warnings.warn(f"{out}: of the backbone {backbone}; anime-face-detector loads hrnet_w18 alone", stacklevel=2)
        return
    run(RECIPE, checkpoint, out, images, count)


def draw(
    *,
    out: OutFolder,
    image_dir: Images = None,
    annotation_dir: Annotations = None,
    skeleton: Bones = None,
    predictions: Annotated[Path | None, Parameter(help="points.json; its images lie in --image-dir.")] = None,
    limit: Limit = 0,
    overwrite: Overwrite = False,
) -> None:
    """Draw annotations (with --annotation-dir), predictions (with --predictions), or both, on their images."""
    from kaname.pipeline.draw import draw as run
    from kaname.recipes.landmark import labels

    stored = data_of(image_dir, annotation_dir, None, skeleton)
    folder = None if annotation_dir is None and predictions is not None else labels.labelled(None, stored)
    run(RECIPE, folder, predictions, image_dir, out, limit, overwrite=overwrite)
