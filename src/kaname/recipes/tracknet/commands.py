"""``kaname tracknet train``: its words become a configuration, and the pipeline trains it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from kaname.pipeline.flags import TrainFlags, find_group, resolve, run_options
from kaname.recipes.tracknet import RECIPE
from kaname.recipes.tracknet.config import TracknetConfig

Data = Annotated[str, Parameter(help="A name or YAML file of configs/data, or a folder with game1/Clip1/0000.jpg ...")]


def train(
    *overrides: Annotated[str, Parameter(help="key=value of the configuration; see --print-config.")],
    data: Data | None = None,
    model: Annotated[str | None, Parameter(help="A name or YAML file of configs/model.")] = None,
    training: Annotated[str | None, Parameter(help="A name or YAML file of configs/training.")] = None,
    flags: TrainFlags = TrainFlags(),  # noqa: B008
) -> None:
    """Train a ball detector: best.pt, last.pt, logs and curves in the run's folder."""
    from kaname.recipes.tracknet.labels import data_group

    data_file, extra = data_group("tracknet" if data is None else data)
    groups = {
        "data": data_file,
        "model": find_group("model", model or "vit_heatmap"),
        "training": find_group("training", training or "default"),
    }
    config = resolve(TracknetConfig, flags, overrides, extra, groups=groups, section="training")
    if config is None:
        return
    from kaname.pipeline.train import run

    run(RECIPE, config, run_options(flags, config.training, Path("runs/tracknet"), data=config.data.root))
