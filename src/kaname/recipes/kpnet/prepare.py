"""``check``: every problem of a data set, and what it holds; ``flow``: motion computed beforehand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from kaname.data.cache import default_folder
from kaname.data.flow import partner
from kaname.data.formats import mot_kp
from kaname.data.frame_source import FrameSource
from kaname.data.naming import video_file
from kaname.data.seeking import VideoReader
from kaname.errors import InputError
from kaname.geometry.image import read_image
from kaname.pipeline.flags import report_problems
from kaname.pipeline.jobs import Cluster, Desk, Job, run
from kaname.pipeline.jobs import check as check_jobs
from kaname.pipeline.labelled import warn_unjudged, without_points
from kaname.progress import Bar
from kaname.recipes.kpnet.classes import find_masks
from kaname.recipes.kpnet.config import DataSettings, KpnetConfig
from kaname.recipes.kpnet.labels import SETS, Picture, images_by_video, in_both, read_set, skeleton_of
from kaname.recipes.kpnet.motion import motion_of

FLOW_JOB = "kaname.recipes.kpnet.prepare:flow_of_video"


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
    problems += without_points(sets, data.root)
    for part, pictures in sets.items():
        for line in holdings(data, part, pictures):
            print(line)
        if not problems and (alone := without_neighbour(data, part, pictures)):
            print(f"{part}: {len(alone)} frames have none before them, {alone[0]} the first: six channels need "
                  "--video-root, or --missing-flow zero")  # fmt: skip
    report_problems(problems)
    warn_unjudged(sets)
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
        path = video_file(data.videos, video)
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
    filmed = sum(video_file(data.videos, video).is_file() for video in videos)
    return [
        f"{part}: {len(pictures)} frames of {len(videos)} videos ({filmed} with their video), {masks} with masks",
        f"{part}: {', '.join(f'{name} {count}' for name, count in things.items()) or 'no object'}",
    ]


def without_neighbour(data: DataSettings, part: str, pictures: list[Picture], delta: int = 1) -> list[str]:
    """The images of frames that have no other one to be compared with, neither in a video nor as an image."""
    images = images_by_video(data, part)
    sources = {
        video: FrameSource(video, video=video_file(data.videos, video), images=own) for video, own in images.items()
    }
    found: list[str] = []
    for picture in pictures:
        source = sources[picture.video]
        if not source.has(partner(picture.number, delta)[0]):
            found.append(picture.image.name)
    return found


def flow(config: KpnetConfig, videos: Sequence[str] | None = None, processes: int = 1, ray: str | None = None) -> None:
    """Compute and keep the motion of all labelled frames, and of the frames before them; exit code 2 where a video
    failed.

    Args:
        videos: only of these.
        processes: videos at once.
        ray: address of machines that work together, with one cache (``KANAME_CACHE``) for all.

    Raises:
        InputError: a video that no set has.
    """
    check_jobs(processes, ray is not None)
    jobs: list[Job] = []
    for part in SETS:
        numbers: dict[str, list[int]] = {}
        for picture in read_set(config.data, part) if (config.data.root / part).is_dir() else ():
            numbers.setdefault(picture.video, []).append(picture.number)
        images = images_by_video(config.data, part) if numbers else {}
        for video, own in numbers.items():
            given = {"config": config, "part": part, "images": {video: images[video]}, "numbers": own}
            jobs.append(Job(video, given, len(own)))
    if missing := sorted(set(videos or ()) - {job.name for job in jobs}):
        reason = f"no labelled frame of the video {missing[0]!r}"
        raise InputError(reason, path=config.data.root, remedy="check the name in --videos")
    chosen = [job for job in jobs if videos is None or job.name in videos]
    cluster = None if ray is None else Cluster(ray, default_folder())
    said = "{}: flow is kept".format
    ended = run(
        FLOW_JOB, chosen, processes=processes, title="flow", ended=lambda job, *_: said(job.name), cluster=cluster
    )
    for part in dict.fromkeys(job.arguments["part"] for job in chosen):
        kept = [count for one, *count in ended.results.values() if one == part]
        done, still = (sum(counts) for counts in zip(*kept, strict=True)) if kept else (0, 0)
        print(f"{part}: flow of {done} frames kept, {still} without a frame before")
    ended.report()


def flow_of_video(
    desk: Desk, config: KpnetConfig, part: str, images: Mapping[str, Mapping[int, Path]], numbers: Sequence[int]
) -> tuple[str, int, int]:
    """The job of a video: its set, how many frames have motion now, and how many have no frame before them."""
    motion, (video,) = motion_of(config, images), images
    done = 0
    for number in numbers:
        if not motion.pair(video, number).still:
            motion.before(video, number)
            done += 1
        desk.tell(1)
    return part, done, len(numbers) - done


def sample(out: Path, **how: object) -> None:
    """Render a data set."""
    from kaname.samples.kpnet import write

    write(out, **how)  # type: ignore[arg-type]
    print(f"rendered videos in {out}")
