"""The flags that every ``train`` has, and how flags, YAML and ``key=value`` become one configuration.

Adding a flag to every recipe: one field of :class:`TrainFlags`, called like its key in the loop's settings; to one
recipe: its key in the flags of that recipe's command (`kaname.pipeline.key_flags`).
"""

from __future__ import annotations

import functools
import inspect
import os
import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from kaname import config as configuration
from kaname import zoo
from kaname.errors import InputError, shown
from kaname.pipeline.recipe import Recipe
from kaname.pipeline.weights import last_file, start_for, weights_file, weights_in
from kaname.training.settings import RunOptions, TrainSettings

if TYPE_CHECKING:
    from kaname.inference.runtimes import Running

OPTIONAL_VALUES = {"--resume": "auto", "--ema": "0.999"}
RUN_FOLDER = "KANAME_RUN_FOLDER"  # inherited by the processes of --devices, whose clocks would name others
OUT_NAMES = ["--out-dir", "--out", "--output-dir"]
CHECKPOINT_NAMES = ["--checkpoint", "--ckpt", "--weights", "--model-path"]

Checkpoint = Annotated[
    Path,
    Parameter(
        name=CHECKPOINT_NAMES,
        converter=weights_file,
        help="model.pt, best.pt, last.pt or an .onnx export; of a run's folder the best; or a shipped model's name.",
    ),
]
Weights = Annotated[
    Path,
    Parameter(
        name=CHECKPOINT_NAMES,
        converter=functools.partial(weights_file, trainable=True),
        help="model.pt, best.pt or last.pt; of a run's folder the best; or a shipped model's name.",
    ),
]
OutFolder = Annotated[Path, Parameter(name=OUT_NAMES, help="Folder to write into.")]
Results = Annotated[
    Path | None,
    Parameter(name=OUT_NAMES, help="Folder to write into; default: evaluation/<model>-<data> beside the model."),
]
OnnxFile = Annotated[Path, Parameter(name=[*OUT_NAMES, "--output"], help="The .onnx file to write.")]
ParityImages = Annotated[
    Path | None,
    Parameter(
        name=["--images", "--source"], help="Images or a video for the parity check; default: the model's own data."
    ),
]
Damage = Annotated[
    Literal["error", "blank"],
    Parameter(
        name="--damaged", help="Frames that damaged packets of a video have lost: blank: rows without an answer."
    ),
]
ParityCount = Annotated[int, Parameter(help="How many images (or windows of frames) to compare.")]
BoxFormat = Annotated[
    Literal["xyxy", "xywh", "cxcywh"] | None,
    Parameter(help="What a box of the JSON by image is; default xyxy, two corners."),
]
BoxUnits = Annotated[
    Literal["pixel", "normalised"] | None, Parameter(help="Of that JSON: pixels (default), or 0..1 of the image.")
]
BoxLabel = Annotated[
    str | None,
    Parameter(help="Take only boxes of this label (a detector's number or name); needed where there are several."),
]
BoxScore = Annotated[
    float | None, Parameter(help="Leave out boxes of a detector's COCO or YOLO results below this; default 0.5.")
]
CocoKeypoints = Annotated[
    Literal["index", "continuous"],
    Parameter(help="What COCO key points are: pixel indices, as COCO has them, or continuous pixels."),
]
ProfileFlag = Annotated[bool, Parameter(name="--profile", help="Say where the time went.", negative=())]
Overwrite = Annotated[bool, Parameter(help="Replace what the folder holds of something else.", negative=())]
Limit = Annotated[int, Parameter(help="At most this many pictures; 0 draws all.")]
Jobs = Annotated[
    int, Parameter(help="Videos at once, each in a process of its own; of several GPUs each takes the next.")
]
Device = Annotated[str, Parameter(help="auto, cpu, cuda, cuda:N or mps.")]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class TrainFlags:
    """Flags of every ``train``; ``None`` means not given."""

    config: Annotated[
        Path | None, Parameter(help="YAML file with the keys that differ from the defaults, or a preset's name.")
    ] = None
    epochs: Annotated[int | None, Parameter(help="Passes over the training set.")] = None
    batch_size: Annotated[int | None, Parameter(help="Samples per step, over all processes.")] = None
    accumulate: Annotated[int | None, Parameter(help="Batches summed into one optimiser step.")] = None
    lr: Annotated[float | None, Parameter(name=["--lr", "--learning-rate"], help="Peak learning rate.")] = None
    weight_decay: Annotated[float | None, Parameter(help="Weight decay.")] = None
    schedule: Annotated[
        Literal["cosine", "plateau", "step", "constant"] | None, Parameter(help="Learning-rate schedule.")
    ] = None
    early_stop: Annotated[int | None, Parameter(help="Stop after N epochs without a better score.")] = None
    ema: Annotated[float | None, Parameter(help="Moving average of the weights; bare: decay 0.999.")] = None
    seed: Annotated[int | None, Parameter(help="Seed of weights, order and augmentation.")] = None
    num_workers: Annotated[int | None, Parameter(help="Loader processes; -1 chooses.")] = None
    limit: Annotated[int | None, Parameter(help="Use only the first N samples.")] = None
    device: Annotated[str | None, Parameter(help="auto, cpu, cuda, cuda:N or mps.")] = None
    devices: Annotated[int | None, Parameter(help="Number of devices on this machine.")] = None
    strategy: Annotated[
        Literal["ddp", "fsdp"] | None, Parameter(help="Several processes: whole weights in each, or spread over them.")
    ] = None
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "fp16"] | None, Parameter(help="Arithmetic of the network.")
    ] = None
    cache_views: Annotated[
        int | None, Parameter(help="Frozen backbone: train on N stored augmented views of each image.")
    ] = None
    cache_budget: Annotated[float | None, Parameter(help="Gigabytes for stored features; 0 stores nothing.")] = None
    save_every: Annotated[
        str | None, Parameter(help="Also save inside an epoch: minutes (10, 10m) or steps (200steps).")
    ] = None
    logger: Annotated[
        Literal["tensorboard", "wandb", "none"] | None, Parameter(help="Where figures go beside log.csv.")
    ] = None
    backbone: Annotated[
        str | None, Parameter(help="small (with rates and sizes of its own), a hub name, timm:NAME or a local folder.")
    ] = None
    pretrained: Annotated[bool | None, Parameter(help="Start the backbone from pretrained weights.")] = None
    out_dir: Annotated[Path | None, Parameter(name=OUT_NAMES, help="Folder of the run.")] = None
    resume: Annotated[str | None, Parameter(help="Resume from CKPT; bare: from the newest in the run's folder.")] = None
    init: Annotated[
        Path | None,
        Parameter(help="Take the weights of CKPT, nothing else; zoo or NAME: of a shipped model, with its size."),
    ] = None
    dry_run: Annotated[bool, Parameter(help="Build all, one batch, print shapes, write nothing.", negative=())] = False
    print_config: Annotated[
        bool, Parameter(help="Print every value and where it came from, and stop.", negative=())
    ] = False

    def keys(self, section: str = "train") -> dict[str, Any]:
        """Configuration key to value, for the flags that are aliases of keys; ``section`` is that of the loop."""
        return {key: getattr(self, name) for name, key in self.flag_keys(section).items()}

    @classmethod
    def flag_keys(cls, section: str = "train") -> dict[str, str]:
        """The key that each of those flags is an alias of, by its field."""
        elsewhere = {"config", "out_dir", "resume", "init", "dry_run", "print_config"}
        sections = {"backbone": "model", "pretrained": "model"}
        names = [entry.name for entry in fields(cls) if entry.name not in elsewhere]
        return {name: f"{sections.get(name, section)}.{name}" for name in names}


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class RunFlags:
    """What a ``predict`` runs on."""

    device: Device = "auto"
    runtime: Annotated[
        str,
        Parameter(
            help="auto (the fastest as measured here; a long job measures), torch, compile, onnxruntime, openvino."
        ),
    ] = "auto"
    precision: Annotated[
        str, Parameter(help="fp32, bf16, fp16, or auto: any whose points were measured to move by at most 0.3 px.")
    ] = "fp32"

    def running(self) -> Running:
        """The same as a value.

        Raises:
            InputError: an unknown runtime or precision.
        """
        from kaname.inference.runtimes import Running  # here, so that help answers without NumPy

        return Running(self.device, self.runtime, self.precision)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class BoxFlags:
    """Where boxes come from, for the ``predict`` of a recipe that takes them; ``None`` means not given."""

    boxes: Annotated[
        Path | None,
        Parameter(help="File of boxes: JSON by image (and frame of a video), COCO, Label Studio; YOLO's folder."),
    ] = None
    label: BoxLabel = None
    box_score: BoxScore = None
    box_format: BoxFormat = None
    box_units: BoxUnits = None
    detector: Annotated[Path | None, Parameter(help="ONNX file that finds the boxes: YuNet, a YOLO, others.")] = None
    detector_config: Annotated[
        Path | None, Parameter(help="YAML file that says how the detector is read, where that is not recognised.")
    ] = None
    detector_score: Annotated[float | None, Parameter(help="Leave out what it finds with a lower score.")] = None


def resolve(
    recipe: Recipe,
    flags: TrainFlags,
    overrides: Sequence[str],
    extra: Mapping[str, Any] | None = None,
    *,
    groups: Mapping[str, Path] | None = None,
    defaults: Mapping[str, Path] | None = None,
) -> Any:
    """The configuration of a ``train`` call, or ``None`` after ``--print-config`` has printed it.

    Args:
        extra: further flags by configuration key.
        groups: a file for each section of the configuration for which one was asked for.
        defaults: files of the other sections, which a preset wins over.

    Raises:
        InputError: what `kaname.pipeline.presets.resolve` raises; no such network, pretrained weights asked of one that
            has none, a folder given twice.
    """
    from kaname.pipeline import presets  # here, so that predicting starts without what training alone needs
    from kaname.pipeline.starting import start_of

    given = {**flags.keys(recipe.loop), **(extra or {})}
    start = start_of(recipe, flags.init)
    asked = presets.Asked(flags.config, overrides, given, groups, defaults, start)
    found = presets.resolve(recipe.schema.value, recipe.name, asked)
    if flags.print_config:
        sys.stdout.write(found.text())
        return None
    folders = tuple(f"{name}.ckpt_dir=" for name in TrainSettings.section_names)
    if flags.out_dir is not None and any(word.startswith(folders) for word in overrides):
        reason = f"the run's folder is given twice, by {recipe.loop}.ckpt_dir and by --out-dir"
        raise InputError(reason, remedy="give one")
    presets.check_network(found)
    if start is not None:
        start.check(found.config)
    if recipe.weights in found.command and flags.resume is None:  # a resumed run does without them
        weights = configuration.value_at(found.config, recipe.weights)
        if weights is not None and not weights.exists():
            raise InputError("the weights do not exist", path=weights.absolute(), remedy="check the path")
    return found.config


def run_options(
    recipe: Recipe, flags: TrainFlags, settings: TrainSettings, folder: Path, *, data: Path | None = None
) -> RunOptions:
    """The part of a call that is not configuration; where no folder is given, a new one in ``folder`` is the run's.

    Args:
        data: the folder of the data, which no run is written into unasked.

    Raises:
        InputError: several processes that a launcher has started, and no folder: each would name its own.
    """
    out_dir = flags.out_dir
    if out_dir is None and RUN_FOLDER in os.environ:
        out_dir = Path(os.environ[RUN_FOLDER])  # a process that the first one has started for --devices
    elif out_dir is None and int(os.environ.get("WORLD_SIZE", os.environ.get("SLURM_NTASKS", "1"))) > 1:
        raise InputError("several processes need one folder for the run", remedy="give --out-dir")
    elif out_dir is None:
        out_dir = settings.ckpt_dir or default_run_folder(folder, resume=last_file(flags.resume), data=data)
        if flags.devices not in (None, 1):
            os.environ[RUN_FOLDER] = str(out_dir)
    start = start_for(recipe.name, flags.init)
    options = RunOptions(
        out_dir=out_dir,
        resume=last_file(flags.resume),
        init=start.checkpoint if start else flags.init and weights_in(flags.init, trainable=True),
        dry_run=flags.dry_run,
        command=shlex.join(["kaname", *sys.argv[1:]]),
    )
    if RUN_FOLDER not in os.environ:
        _check_start(options)
    return options


def _check_start(options: RunOptions) -> None:
    """Refuse at once what `kaname.training.resume.starting_point` would refuse after seconds of imports."""
    from kaname.inference.checkpoint_card import refuse_absent  # here, so that help answers without NumPy

    if options.resume and options.init and zoo.beside(options.init) is None:
        raise InputError("--resume and --init cannot be combined", remedy="give one of them")
    for name in (options.resume, options.init):
        if name not in (None, "auto"):
            refuse_absent(Path(name))
    last = options.out_dir / "last.pt"
    if last.exists() and not options.resume and not options.dry_run:
        remedy = "continue with --resume, or choose another --out-dir"
        raise InputError("this folder already holds a run", path=last, remedy=remedy)


def split_sources(words: Sequence[str]) -> tuple[list[Path], list[str]]:
    """Words of ``predict IMAGE ... key=value``: an existing path wins over a key."""
    paths: list[Path] = []
    overrides: list[str] = []
    for word in words:
        if configuration.is_override(word) and not Path(word).exists():
            overrides.append(word)
        else:
            paths.append(Path(word))
    return paths, overrides


def default_run_folder(folder: Path, *, resume: str | None, data: Path | None = None) -> Path:
    """``<folder>/runs_<time>``, or beside the data where that would lie inside it; to resume without a folder, the
    newest that holds a state to go on from (in the data too, where earlier versions put them)."""
    if data is not None and folder.resolve().is_relative_to(data.resolve()):
        folder = data.resolve().parent / folder
    places = {folder, data or folder}
    existing = sorted(
        (path for place in places for path in place.glob("runs_*/last.pt")), key=lambda path: path.stat().st_mtime
    )
    if resume == "auto" and existing:
        return existing[-1].parent
    if resume not in (None, "auto"):
        return Path(resume).parent
    name = folder / time.strftime("runs_%Y%m%d-%H%M%S")
    return next(
        place for number in range(1000) if not (place := Path(f"{name}{f'-{number}' if number else ''}")).exists()
    )


def validating(evaluate: Callable[..., None]) -> Callable[..., None]:
    """The verb ``validate`` of a recipe whose ``evaluate`` may choose another set: the same on the set ``val``."""

    @functools.wraps(evaluate)
    def validate(*words: Any, **named: Any) -> None:
        evaluate(*words, **{"split": "val", **named})

    signature = inspect.signature(evaluate)
    parameters = [one.replace(default="val") if one.name == "split" else one for one in signature.parameters.values()]
    validate.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    validate.__name__ = validate.__qualname__ = "validate"
    return validate


def report_problems(problems: Sequence[InputError]) -> None:
    """Print every problem as a line on stderr and stop with exit code 2, if there is one."""
    for problem in problems:
        print(shown(f"error: {problem}"), file=sys.stderr)
    if problems:
        raise SystemExit(2)


def normalize_words(words: Sequence[str]) -> list[str]:
    """Accept ``--learning_rate`` for ``--learning-rate``, and a bare ``--resume`` or ``--ema`` before other words."""
    result: list[str] = []
    for position, word in enumerate(words):
        if word == "--":
            return result + list(words[position:])
        if word.startswith("--") and len(word) > 2:
            name, equals, value = word.partition("=")
            word = name.replace("_", "-") + equals + value
        if word in OPTIONAL_VALUES:
            following = words[position + 1] if position + 1 < len(words) else "--"
            bare = following.startswith("-") or (configuration.is_override(following) and not Path(following).exists())
            if bare or (word == "--ema" and not _is_number(following)):
                word = f"{word}={OPTIONAL_VALUES[word]}"
        result.append(word)
    return result


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
