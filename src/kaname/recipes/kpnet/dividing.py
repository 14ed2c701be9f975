"""``split``: the labelled videos of a data set in the documented folders ``train`` and ``val``."""

from __future__ import annotations

from pathlib import Path

from kaname.data.formats.mot_kp_files import frame_images, frame_of, label_files
from kaname.data.naming import video_file
from kaname.errors import InputError
from kaname.files import whole_folder
from kaname.pipeline.flags import report_problems
from kaname.pipeline.split import SplitFlags, Unit, divide, place, say_next, shares_of
from kaname.recipes.kpnet.config import DataSettings
from kaname.recipes.kpnet.labels import SETS, in_both
from kaname.recipes.kpnet.prepare import problems_of

NAMED = ("skeleton.yaml",)


def split(data: DataSettings, out: Path, flags: SplitFlags) -> None:
    """Write a data set whose videos are divided anew; its files are linked where the disk can.

    Args:
        data: labelled videos in ``train`` and, where there is one, ``val``: all are divided.
        out: a new folder.

    Raises:
        InputError: bad labels, or fewer videos than sets; nothing is written then.
    """
    shares_of(flags)
    if flags.test:
        raise InputError("kpnet has no test set", remedy="keep whole videos aside, and leave --test out")
    if not (data.root / "train").is_dir():
        raise InputError("the data set has no folder 'train'", path=data.root, remedy="check --data-root")
    given = [part for part in SETS if (data.root / part).is_dir()]
    report_problems([problem for part in given for problem in problems_of(data, part)])
    homes: dict[str, str] = {}
    units: list[Unit] = []
    for part in given:
        for (video, _), image in frame_images(data.root / part / "frames").items():
            if homes.setdefault(video, part) != part:
                raise in_both(video, data)
            units.append(Unit(f"{video}/{image.name}", image, (("video", video),)))
    if len(homes) == 1:
        remedy = f"divide it by `kaname kpnet prepare` with --train A:B and --val B: (this one is {next(iter(homes))})"
        raise InputError("one video cannot become two sets", path=data.root, remedy=remedy)
    parts = divide(units, flags, what="frames")
    chosen = {units[number].name.partition("/")[0]: name for name, members in parts.items() for number in members}
    with whole_folder(out) as folder:
        _write(data, homes, chosen, Path(folder))
    for name in SETS:
        print(f"{name}: {', '.join(sorted(video for video, own in chosen.items() if own == name))}")
    say_next(["kpnet", "check", "--data-root", out], ["kpnet", "train", "--data-root", out])


def _write(data: DataSettings, homes: dict[str, str], chosen: dict[str, str], out: Path) -> None:
    """Each file of a video in its new set; what belongs to all videos in the root."""
    for part in dict.fromkeys(homes.values()):
        old = data.root / part
        for (video, _), image in frame_images(old / "frames").items():
            below = Path(video) if chosen[video] == "val" else Path()
            place(image, out / chosen[video] / "frames" / below / image.name)
        for file in label_files(old / "mot"):
            if file.video in chosen:
                place(file.path, out / chosen[file.video] / "mot" / file.path.name)
        for mask in sorted((old / "masks").glob("*_mask.png")):
            video = next((name for name in sorted(homes, key=len, reverse=True) if _is_of(mask, name)), None)
            if video is not None:
                place(mask, out / chosen[video] / "masks" / mask.name)
    for video in homes:
        if (film := video_file(data.videos, video)).is_file():
            place(film, out / "movie" / film.name)
    for name in NAMED:
        if (data.root / name).is_file():
            place(data.root / name, out / name)


def _is_of(mask: Path, video: str) -> bool:
    """Whether ``VIDEO_frame_ID_TOOL_mask.png`` is of a video."""
    rest = mask.stem.removeprefix(f"{video}_frame_")
    return rest != mask.stem and frame_of(f"{video}_frame_{rest.partition('_')[0]}") is not None
