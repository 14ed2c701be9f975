"""The verbs of ``kaname kpnet`` besides ``train``. Each imports what it needs when it runs: help answers at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from kaname import config as configuration
from kaname.config import from_dict, merged
from kaname.errors import InputError
from kaname.pipeline.flags import (
    CHECKPOINT_NAMES,
    OUT_NAMES,
    Checkpoint,
    Damage,
    Device,
    Jobs,
    OutFolder,
    ParityCount,
    ParityImages,
    RunFlags,
    Weights,
    split_sources,
)
from kaname.pipeline.split import SplitFlags
from kaname.recipes.kpnet import MAPS, RECIPE, VISIBILITY
from kaname.recipes.kpnet.commands import InputFlags
from kaname.recipes.kpnet.config import DataSettings, KpnetConfig
from kaname.schema import sides_of
from kaname.tracking.smooth import Smooth

Data = Annotated[
    Path | None,
    Parameter(name=["--data-root", "--data"], help="Folder with train/{frames,mot,masks} and val/{frames,mot}."),
]
Bones = Annotated[
    str | None,
    Parameter(
        name="--skeleton", help="A name of configs/skeleton, or a YAML file; default: skeleton.yaml of the data."
    ),
]
Videos = Annotated[Path | None, Parameter(help="Folder of VIDEO.mp4; default: movie in the data.")]
Size = Annotated[str | None, Parameter(help="Of the picture that the network sees: a square's side, or H,W.")]
Missing = Annotated[
    Literal["error", "zero"] | None, Parameter(help="zero: a frame that none is known before has not moved.")
]
Absent = Annotated[float | None, Parameter(help="A point is out of frame where that is more probable than this.")]
Pixels = Annotated[float | None, Parameter(help="Pixels within which a point is found; default 10.")]

Named = Annotated[str | None, Parameter(name="--videos", help="A file with a video a line, or names with commas.")]
Every = Annotated[int | None, Parameter(help="Take each N-th frame of a video.")]
RayAddress = Annotated[
    str | None, Parameter(name="--ray", help="Do videos on a Ray cluster: auto, HOST:PORT, ray://HOST:PORT, local.")
]
Overwrite = Annotated[bool, Parameter(help="Replace what another checkpoint or other settings have made.", negative=())]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class SmoothFlags:
    """Of smoothing along a video."""

    smooth: Annotated[
        Literal["none", "one-euro", "median"], Parameter(help="Smooth seen points along the video, looking back alone.")
    ] = "none"
    smooth_cutoff: Annotated[
        float, Parameter(help="one-euro: Hz of a point that rests; less is smoother and later.")
    ] = Smooth.cutoff
    smooth_beta: Annotated[float, Parameter(help="one-euro: Hz more for each pixel a second.")] = Smooth.beta
    smooth_window: Annotated[int, Parameter(help="median: frames, this one the last.")] = Smooth.window

    def chosen(self) -> Smooth:
        """As it is done."""
        return Smooth(self.smooth, self.smooth_cutoff, self.smooth_beta, self.smooth_window)


def sample(
    *,
    out: OutFolder,
    count: Annotated[int, Parameter(help="How many training videos.")] = 6,
    val_count: Annotated[int, Parameter(help="How many validation videos.")] = 2,
    length: Annotated[int, Parameter(help="Frames of a video.")] = 60,
    every: Annotated[int, Parameter(help="Label every so many frames, from the first on.")] = 15,
    seed: Annotated[int, Parameter(help="The same seed gives the same bytes.")] = 0,
    size: Annotated[str, Parameter(help="H,W of the frames.")] = "270,480",
    movie: Annotated[bool, Parameter(help="Also write the videos.")] = True,
) -> None:
    """Render suturing-like videos: OUT/train, OUT/val (frames, mot, masks) and OUT/movie."""
    from kaname.recipes.kpnet.prepare import sample as run

    sides = sides_of(size, "--size")
    run(out, count=count, val_count=val_count, length=length, every=every, seed=seed, size=sides, movie=movie)


def prepare(
    *,
    labels: Annotated[Path, Parameter(help="MOT-KP text, DeepLabCut's CSV, or JSON of surgical tools' points.")],
    out: OutFolder,
    video: Annotated[Path | None, Parameter(help="The video that was labelled.")] = None,
    images: Annotated[Path | None, Parameter(help="Folder of the labelled images.")] = None,
    skeleton: Bones = None,
    every: Annotated[int, Parameter(help="Keep every so many frames of a range.")] = 1,
    train: Annotated[str | None, Parameter(help="A:B, frames of the video (of a CSV: rows) to train on.")] = None,
    val: Annotated[str | None, Parameter(help="A:B, those to be scored on.")] = None,
    nan: Annotated[
        Literal["ignore", "hidden", "absent"],
        Parameter(help="A point without a label: nothing is known, it is hidden somewhere, or out of frame."),
    ] = "ignore",
) -> None:
    """Bring a video with MOT-KP text, or DeepLabCut's CSV or Sloth's JSON with images, into the layout."""
    from kaname.recipes.kpnet.layout import prepare as run

    given = {"train": train, "val": val}
    ranges = {name: text for name, text in given.items() if text is not None}
    run(labels, out, video=video, images=images, skeleton=skeleton, every=every, ranges=ranges, nan=nan)


def check(
    *,
    data_root: Data = None,
    skeleton: Bones = None,
    video_root: Videos = None,
    pseudo6_root: Annotated[Path | None, Parameter(help="Folder of pseudo masks.")] = None,
) -> None:
    """Report every problem of labels, images, masks and videos; exit code 2 if there is a problem."""
    from kaname.recipes.kpnet.prepare import check as run

    given = {"root": data_root, "skeleton": skeleton, "video_root": video_root, "pseudo_root": pseudo6_root}
    run(from_dict(DataSettings, {name: value for name, value in given.items() if value is not None}))


def split(
    *,
    out: OutFolder,
    data_root: Data = None,
    skeleton: Bones = None,
    video_root: Videos = None,
    flags: SplitFlags = SplitFlags(),
) -> None:
    """Divide labelled videos into OUT/train and OUT/val; a video is never on both sides, near copies neither."""
    from kaname.recipes.kpnet.dividing import split as run

    given = {"root": data_root, "skeleton": skeleton, "video_root": video_root}
    run(from_dict(DataSettings, {name: value for name, value in given.items() if value is not None}), out, flags)


def flow(
    *,
    fed: InputFlags = InputFlags(),
    named: Named = None,
    jobs: Jobs = 1,
    ray: RayAddress = None,
    cache_budget: Annotated[float | None, Parameter(help="Gigabytes that may be kept.")] = None,
) -> None:
    """Compute the optical flow of all labelled frames and keep it, so that training reads it at once."""
    from kaname.recipes.kpnet.prepare import flow as run
    from kaname.recipes.kpnet.sources import names_in

    flags = {**fed.keys(), "train.cache_budget": cache_budget}
    config = configuration.absolute(configuration.load(KpnetConfig, flags=flags), "data.root")
    run(config, None if named is None else names_in(named), jobs, ray)


def masks(
    *,
    video: Annotated[str | None, Parameter(help="One video, by its name.")] = None,
    named: Named = None,
    fps: Annotated[float, Parameter(help="So many frames of a second, and the labelled ones; 0: all.")] = 10.0,
    config: Annotated[str | None, Parameter(help="What --ckpt has to be: sam2.1_hiera_t, _s, _b+ or _l.")] = None,
    checkpoint: Annotated[
        str | None,
        Parameter(
            name=CHECKPOINT_NAMES,
            help="SAM 2.1: a hub name, a local folder, or Meta's .pt; default: from the hub, of --config, else _b+.",
        ),
    ] = None,
    device: Device = "auto",
    data_root: Data = None,
    skeleton: Bones = None,
    video_root: Videos = None,
    out: Annotated[Path, Parameter(name=OUT_NAMES, help="Folder of all videos' masks.")] = Path(
        "artifacts/seg_pseudo6"
    ),
    jobs: Jobs = 1,
    ray: RayAddress = None,
    overwrite: Annotated[bool, Parameter(help="Replace masks that were made otherwise.", negative=())] = False,
) -> None:
    """Make masks of whole videos from their labelled frames, by SAM 2: OUT/VIDEO/VIDEO_frame_ID.png, values 0..6."""
    from kaname.recipes.kpnet import masks as making
    from kaname.recipes.kpnet.sources import names_in

    if (video is None) == (named is None):
        raise InputError("name a video with --video, or several with --videos", remedy="--videos A36O,E66F")
    given = {"root": data_root, "skeleton": skeleton, "video_root": video_root}
    data = from_dict(DataSettings, {name: value for name, value in given.items() if value is not None})
    how = making.How(data, checkpoint, config, fps, device, out, overwrite)
    making.make([video] if video is not None else names_in(str(named)), how, processes=jobs, ray=ray)


def infer(
    *,
    data_root: Data = None,
    checkpoint: Checkpoint,
    out: OutFolder,
    video_root: Videos = None,
    named: Named = None,
    tracker: Annotated[
        Literal["none", "klt", "cotracker"], Parameter(help="Between detections; none detects in every frame.")
    ] = "none",
    k: Annotated[int, Parameter(name="--k", help="Detect in every K-th frame that is asked for.")] = 10,
    grid_size: Annotated[int, Parameter(help="CoTracker: support points along each side.")] = 0,
    vis_th: Annotated[float, Parameter(help="A followed point that is less probable is hidden.")] = 0.5,
    every: Every = None,
    third: Annotated[
        Literal["visibility", "confidence"], Parameter(help="The third value of a point in the files.")
    ] = "visibility",
    write_absent: Annotated[bool, Parameter(help="Write objects that are out of frame too.", negative=())] = False,
    smoothing: SmoothFlags = SmoothFlags(),
    absent: Absent = None,
    missing_flow: Missing = None,
    image_size: Size = None,
    heatmap_size: Annotated[str | None, Parameter(help="As in training; the file knows it.")] = None,
    in_chans: Annotated[int | None, Parameter(help="As in training; the file knows it.")] = None,
    cotracker: Annotated[Path | None, Parameter(help="Folder of a checkout of CoTracker with its weights.")] = None,
    damaged: Damage = "error",
    jobs: Jobs = 1,
    ray: RayAddress = None,
    overwrite: Overwrite = False,
    run_on: RunFlags = RunFlags(),
) -> None:
    """Find and follow key points in videos: VIDEO_pred.txt (MOT-KP) and VIDEO_pred.json, what made it.

    What is finished is skipped; what was stopped goes on.
    """
    from kaname.recipes.kpnet.choices import How, Stated
    from kaname.recipes.kpnet.infer import infer as run
    from kaname.recipes.kpnet.sources import names_in, videos_of

    given = {"absent": absent, "missing_flow": missing_flow}
    answers = {name: value for name, value in given.items() if value is not None}
    how = How(tracker, k, grid_size, vis_th, every, third, write_absent, answers, smooth=smoothing.chosen(),
              damaged=damaged)  # fmt: skip
    data = from_dict(DataSettings, {"root": data_root or Path("data"), "video_root": video_root})
    sources = videos_of(data.root / "val" / "frames", data.videos, None if named is None else names_in(named))
    stated = Stated(in_chans, image_size, heatmap_size)
    run(sources, checkpoint, out, how, stated=stated, processes=jobs, overwrite=overwrite, running=run_on.running(),
        cotracker=cotracker, videos=data.videos, ray=ray)  # fmt: skip


def predict(
    *sources: Annotated[str, Parameter(help="Images, folders, videos; key=value changes the answers.")],
    checkpoint: Checkpoint,
    out: OutFolder,
    named: Named = None,
    every: Every = None,
    video_root: Videos = None,
    missing_flow: Missing = None,
    absent: Absent = None,
    overlay: Annotated[
        bool, Parameter(help="Also draw the key points into a video of each video.", negative=())
    ] = False,
    pictures: Annotated[bool, Parameter(help="Also draw the key points on each image.")] = True,
    damaged: Damage = "error",
    jobs: Jobs = 1,
    ray: RayAddress = None,
    overwrite: Overwrite = False,
    run_on: RunFlags = RunFlags(),
) -> None:
    """Find key points, each frame on its own: NAME_pred.txt (MOT-KP, original pixels) and its record, a video each.

    Images are taken together by their video's name, or their folder's; of them there are points.json and pictures too.
    """
    from kaname.recipes.kpnet.predict import predict as run
    from kaname.recipes.kpnet.sources import names_in

    paths, words = split_sources(sources)
    answers = merged(words, {"video_root": video_root, "missing_flow": missing_flow, "absent": absent}, "answers")
    run(paths, checkpoint, out, answers, every=every, overlay=overlay, pictures=pictures, processes=jobs,
        overwrite=overwrite, running=run_on.running(), names=None if named is None else names_in(named),
        ray=ray, damaged=damaged)  # fmt: skip


def export(
    *,
    checkpoint: Weights,
    out: Annotated[Path, Parameter(name=[*OUT_NAMES, "--output"], help="The .onnx file to write.")],
    with_segmentation: Annotated[bool, Parameter(help="Also answer with the classes of cells.", negative=())] = False,
    images: ParityImages = None,
    count: ParityCount = 16,
) -> None:
    """Write an ONNX file that answers the same, from an image to heatmaps and visibilities.

    With six channels it also takes the flow in pixels and the difference to the frame before in 0..255.
    """
    from kaname.pipeline.export import export as run

    run(RECIPE, checkpoint, out, images, count, heads=None if with_segmentation else (MAPS, VISIBILITY))
