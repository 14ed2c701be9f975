"""``kaname landmark train``: its words become a configuration, and the pipeline trains it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from kaname.pipeline.flags import CHECKPOINT_NAMES, TrainFlags, resolve, run_options
from kaname.recipes.landmark import RECIPE

IMAGE_NAMES, ANNOTATION_NAMES = ["--image-dir", "--images"], ["--annotation-dir", "--annotations"]
Images = Annotated[Path | None, Parameter(name=IMAGE_NAMES, help="The images, with sub-folders; default data/raw.")]
Annotations = Annotated[Path | None, Parameter(name=ANNOTATION_NAMES, help="Their folder; default data/annotated.")]
Splits = Annotated[Path | None, Parameter(help="Folder with train.txt, val.txt and test.txt, as split writes them.")]
Bones = Annotated[str | None, Parameter(name="--skeleton", help="A name of configs/skeleton, or a YAML file.")]


def train(
    *overrides: Annotated[str, Parameter(help="key=value of the configuration; see --print-config.")],
    image_dir: Images = None,
    annotation_dir: Annotations = None,
    val_annotation_dir: Annotated[Path | None, Parameter(help="Annotations that choose the weights.")] = None,
    split_dir: Splits = None,
    skeleton: Bones = None,
    checkpoint: Annotated[
        Path | None, Parameter(name=CHECKPOINT_NAMES, help="Weights (.pth, .safetensors) to start from; all must fit.")
    ] = None,
    new_head: Annotated[
        bool | None, Parameter(help="Replace the last layer, for other landmarks.", negative=())
    ] = None,
    size: Annotated[int | None, Parameter(help="Side of the crop that the network sees.")] = None,
    save_freq: Annotated[int | None, Parameter(help="Keep the weights of every N epochs; 0 keeps none.")] = None,
    val: Annotated[bool, Parameter(help="Validate afterwards, with pictures.", negative=())] = False,
    debug: Annotated[bool, Parameter(help="Write augmented samples as pictures.", negative=())] = False,
    flags: TrainFlags = TrainFlags(),  # noqa: B008
) -> None:
    """Train a landmark detector: best_model.pth, final_model.pth, last.pt, logs and curves in the run's folder."""
    extra = {
        "data.images": image_dir, "data.annotations": annotation_dir, "data.val_annotations": val_annotation_dir,
        "data.split": split_dir, "data.skeleton": skeleton, "model.weights": checkpoint, "model.new_head": new_head,
        "size": size, "save_freq": save_freq,
    }  # fmt: skip
    config = resolve(RECIPE, flags, overrides, extra)
    if config is None:
        return
    from kaname.pipeline.train import run

    options = run_options(RECIPE, flags, config.train, Path("checkpoints"), data=config.data.images)
    run(RECIPE, config, options, validate=val, debug=debug)
