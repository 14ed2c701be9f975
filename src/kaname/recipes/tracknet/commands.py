"""``kaname tracknet train``: its words become a configuration, and the pipeline trains it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from kaname.config import find_group
from kaname.models.names import check_input
from kaname.pipeline.flags import TrainFlags, resolve, run_options
from kaname.recipes.tracknet import RECIPE

Data = Annotated[str, Parameter(help="A name or YAML file of configs/data, or a folder with game1/Clip1/0000.jpg ...")]

USUAL = {"model": "vit_heatmap", "training": "default"}


def train(
    *overrides: Annotated[str, Parameter(help="key=value of the configuration; see --print-config.")],
    data: Data | None = None,
    model: Annotated[str | None, Parameter(help="A name or YAML file of configs/model.")] = None,
    training: Annotated[str | None, Parameter(help="A name or YAML file of configs/training.")] = None,
    flags: TrainFlags = TrainFlags(),
) -> None:
    """Train a ball detector: best.pt, last.pt, logs and curves in the run's folder."""
    from kaname.recipes.tracknet.labels import data_group

    groups = {name: find_group(name, value) for name, value in {"model": model, "training": training}.items() if value}
    defaults = {name: find_group(name, usual) for name, usual in USUAL.items() if name not in groups}
    data_file, extra = data_group(data or "tracknet")
    # A folder, or the published set by its name, says nothing of windows and sizes: a preset may.
    (defaults if extra or data in (None, "tracknet") else groups)["data"] = data_file
    config = resolve(RECIPE, flags, overrides, extra, groups=groups, defaults=defaults)
    if config is None:
        return
    check_input(config.model.pretrained_model_name, config.data.resize[::-1], " (data.resize is [width, height])")
    from kaname.pipeline.train import run

    run(RECIPE, config, run_options(RECIPE, flags, config.training, Path("runs/tracknet"), data=config.data.root))
