"""``check``: every problem of a data set, and what it holds; ``flow``: motion computed beforehand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from kaname.data.flow import partner
from kaname.data.formats import mot_kp
from kaname.data.frame_source import FrameSource
from kaname.data.seeking import VideoReader
from kaname.errors import InputError
from kaname.geometry.image import read_image
from kaname.pipeline.flags import report_problems
from kaname.progress import Bar
from kaname.recipes.kpnet.classes import find_masks
from kaname.recipes.kpnet.config import DataSettings, KpnetConfig
from kaname.recipes.kpnet.labels import SETS, Picture, images_by_video, in_both, read_set, skeleton_of
from kaname.recipes.kpnet.motion import motion_of


def check(data: DataSettings) -> None:
    """Report every problem by file and row, and what each set holds; exit code 2 if there is a problem."""
    if not data.root.is_dir():
        raise InputError("the data set does not exist", path=data.root, remedy="check --data-root")
    problems: list[InputError] = []
    sets: dict[str, list[Picture]] = {}
    for part in SETS:
        folder = data.root / part
        if not folder.is_dir():
            if part == "train":
                problems.append(InputError("the data set has no folder 'train'", path=folder))
            continue
        found = problems_of(data, part)
        problems += found
        if not found:
            sets[part] = read_set(data, part)
            problems += list(_beside_videos(data, sets[part]))
    for video in sorted({one.video for one in sets.get("train", ())} & {one.video for one in sets.get("val", ())}):
        problems.append(in_both(video, data))
    for part, pictures in sets.items():
        for line in holdings(data, part, pictures):
            print(line)
        if not problems and (alone := without_neighbour(data, part, pictures)):
            print(f"{part}: {len(alone)} frames have none before them, {alone[0]} the first: six channels need "
                  "--video-root, or --missing-flow zero")  # fmt: skip
    report_problems(problems)
    print("no problems")


def problems_of(data: DataSettings, part: str) -> list[InputError]:
    """What is wrong with the labels, the images and the masks of a set."""
    folder, skeleton = data.root / part, skeleton_of(data)
    found = list(mot_kp.problems(folder / "mot", folder / "frames", skeleton=skeleton, predictions=False))
    images = [path for own in images_by_video(data, part).values() for path in own.values()]
    masks = sorted((folder / "masks").glob("*.png"))
    with Bar(f"reading {part}", len(images) + len(masks)) as bar:
        for path in [*images, *masks]:
            try:
                read_image(path)
            except InputError as error:
                found.append(error)
            bar.advance()
    return found if found else list(_wrong_masks(data, part))


def _wrong_masks(data: DataSettings, part: str) -> Iterator[InputError]:
    """Masks of another size than their video, or with a value that is no class; also those between labelled frames."""
    try:
        pictures = read_set(data, part)
        known = find_masks(data.root / part / "masks", data.pseudo_root, skeleton_of(data))
    except InputError as error:
        yield error
        return
    sizes = {picture.video: picture.size for picture in pictures}
    own = {frame: masks for frame, masks in known.items() if frame[0] in sizes}
    with Bar(f"masks of {part}", len(own)) as bar:
        for (video, _), masks in own.items():
            try:
                masks.read(sizes[video])
            except InputError as error:
                yield error
            bar.advance()


def _beside_videos(data: DataSettings, pictures: list[Picture]) -> Iterator[InputError]:
    """Frames that their video does not have, or has in another size."""
    for video in sorted({picture.video for picture in pictures}):
        path = data.videos / f"{video}.mp4"
        if not path.is_file():
            continue
        own = [picture for picture in pictures if picture.video == video]
        try:
            with VideoReader(path) as reader:
                count, size = len(reader), reader.read(0).image.shape[:2]
                reader.read(count - 1)  # of a file that was cut off the beginning is there
        except InputError as error:
            yield error
            continue
        for picture in own:
            if picture.number >= count:
                reason = f"frame {picture.number} of a video of {count} frames"
                yield InputError(reason, path=picture.image, remedy=f"check it against {path.name}")
        if own[0].size != size:
            height, width = own[0].size
            reason = f"{size[1]} x {size[0]} pixels, but its frames have {width} x {height}"
            yield InputError(reason, path=path, remedy="extract the frames from this video again")


def holdings(data: DataSettings, part: str, pictures: list[Picture]) -> list[str]:
    """What a set holds, in lines."""
    things = Counter(thing.group for picture in pictures for thing in picture.things)
    masks = sum(bool(picture.masks) for picture in pictures)
    videos = {picture.video for picture in pictures}
    filmed = sum((data.videos / f"{video}.mp4").is_file() for video in videos)
    return [
        f"{part}: {len(pictures)} frames of {len(videos)} videos ({filmed} with their video), {masks} with masks",
        f"{part}: {', '.join(f'{name} {count}' for name, count in things.items()) or 'no object'}",
    ]


def without_neighbour(data: DataSettings, part: str, pictures: list[Picture], delta: int = 1) -> list[str]:
    """The images of frames that have no other one to be compared with, neither in a video nor as an image."""
    images = images_by_video(data, part)
    sources = {
        video: FrameSource(video, video=data.videos / f"{video}.mp4", images=own) for video, own in images.items()
    }
    found: list[str] = []
    for picture in pictures:
        source = sources[picture.video]
        if not source.has(partner(picture.number, delta)[0]):
            found.append(picture.image.name)
    return found


def flow(config: KpnetConfig) -> None:
    """Compute and keep the motion of all labelled frames, and of the frames before them."""
    for part in SETS:
        if not (config.data.root / part).is_dir():
            continue
        pictures = read_set(config.data, part)
        motion = motion_of(config, images_by_video(config.data, part))
        done = 0
        with Bar(f"flow of {part}", len(pictures)) as bar:
            for picture in pictures:
                if not motion.pair(picture.video, picture.number).still:
                    motion.before(picture.video, picture.number)
                    done += 1
                bar.advance()
        print(f"{part}: flow of {done} frames kept, {len(pictures) - done} without a frame before")


def sample(out: Path, **how: object) -> None:
    """Render a data set."""
    from kaname.samples.kpnet import write

    write(out, **how)  # type: ignore[arg-type]
    print(f"rendered videos in {out}")
