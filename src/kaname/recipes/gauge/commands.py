"""``kaname gauge train``: its words become a configuration, and the pipeline trains it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from kaname.models.names import check_input
from kaname.pipeline.flags import TrainFlags, resolve, run_options
from kaname.pipeline.key_flags import KeyFlags
from kaname.recipes.gauge import RECIPE
from kaname.recipes.gauge.config import GaugeConfig


class GaugeFlags(
    KeyFlags,
    schema=GaugeConfig,
    renamed={"--data": "data", "--size": "size", "--allow-missing": "allow_missing", "--needle": "needle"},
    model="decoder normalize",
):
    """Flags of ``train`` that are aliases of keys."""


def train(
    *overrides: Annotated[str, Parameter(help="key=value of the configuration; see --print-config.")],
    own: GaugeFlags = GaugeFlags(),
    val: Annotated[bool, Parameter(help="Validate afterwards, with pictures.", negative=())] = False,
    debug: Annotated[bool, Parameter(help="Write augmented samples as pictures.", negative=())] = False,
    flags: TrainFlags = TrainFlags(),
) -> None:
    """Train a notch detector: model.pt (the best), last.pt, logs and curves in the run's folder."""
    config = resolve(RECIPE, flags, overrides, own.keys())
    if config is None:
        return
    check_input(config.model.backbone, (config.size, config.size))
    from kaname.pipeline.train import run

    options = run_options(RECIPE, flags, config.train, Path("runs/gauge"), data=config.data)
    run(RECIPE, config, options, validate=val, debug=debug)
