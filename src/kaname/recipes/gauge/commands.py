"""``kaname gauge train``: its words become a configuration, and the pipeline trains it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from kaname.models.names import check_input
from kaname.pipeline.flags import TrainFlags, resolve, run_options
from kaname.recipes.gauge import RECIPE

Data = Annotated[Path, Parameter(help="Folder with train/ and val/, or with images/ and labels/.")]


def train(
    *overrides: Annotated[str, Parameter(help="key=value of the configuration; see --print-config.")],
    data: Data | None = None,
    size: Annotated[int | None, Parameter(help="Side of the network's input, a multiple of its patch.")] = None,
    normalize: Annotated[
        Literal["imagenet", "backbone", "none"] | None, Parameter(help="Normalization; none feeds 0..1.")
    ] = None,
    decoder: Annotated[
        Literal["linear", "upsample", "fpn"] | None, Parameter(help="Decoder after the backbone.")
    ] = None,
    allow_missing: Annotated[
        bool | None, Parameter(help="Accept dials without a start or an end.", negative=())
    ] = None,
    needle: Annotated[
        bool | None,
        Parameter(help="Also find the needle's tip and pivot (labels Needle Tip, Needle Centre).", negative=()),
    ] = None,
    val: Annotated[bool, Parameter(help="Validate afterwards, with pictures.", negative=())] = False,
    debug: Annotated[bool, Parameter(help="Write augmented samples as pictures.", negative=())] = False,
    flags: TrainFlags = TrainFlags(),  # noqa: B008
) -> None:
    """Train a notch detector: model.pt (the best), last.pt, logs and curves in the run's folder."""
    extra = {"data": data, "size": size, "model.normalize": normalize, "model.decoder": decoder}
    config = resolve(RECIPE, flags, overrides, {**extra, "allow_missing": allow_missing, "needle": needle})
    if config is None:
        return
    check_input(config.model.backbone, (config.size, config.size))
    from kaname.pipeline.train import run

    options = run_options(RECIPE, flags, config.train, Path("runs/gauge"), data=config.data)
    run(RECIPE, config, options, validate=val, debug=debug)
