"""What is predicted: videos by name, the frames that are asked for, and those between them. No torch."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kaname.data.formats.files import read_text
from kaname.data.formats.landmarks import images_below
from kaname.data.formats.mot_kp_files import FOREIGN, frame_images, frame_of
from kaname.data.naming import no_image, order, video_file, videos_in
from kaname.data.seeking import VideoReader
from kaname.data.video import FOLDER_RATE, VIDEO_ENDINGS, Damaged, frame_count, is_video
from kaname.errors import InputError, require
from kaname.geometry.image import image_size, read_image
from kaname.types import Frame, Size


@dataclass(frozen=True)
class Source:
    """A video, as its file, as images of some of its frames, or both.

    Attributes:
        name: of the video; its predictions are called by it.
        video: its file.
        images: of frames, by number.
    """

    name: str
    video: Path | None = None
    images: Mapping[int, Path] = field(default_factory=dict)

    @property
    def place(self) -> Path:
        """A path for messages."""
        return self.video or next(iter(self.images.values())).parent

    @property
    def contents(self) -> dict[str, Any]:
        """What predictions may depend on, by role."""
        video = {} if self.video is None else {"video": self.video}
        return video | ({"frames": list(self.images.values())} if self.images else {})

    def absolute(self) -> Source:
        """The same for a process that was started elsewhere."""
        images = {number: path.absolute() for number, path in self.images.items()}
        return Source(self.name, self.video and self.video.absolute(), images)

    def about(self, every: int | None) -> int:
        """About how many frames are asked for, from headers alone."""
        if every is None and self.images:
            return len(self.images)
        return -(-(len(self.images) if self.video is None else frame_count(self.video)) // (every or 1))


def videos_of(frames: Path | None, videos: Path, names: Sequence[str] | None) -> list[Source]:
    """The videos of a data set.

    Args:
        frames: folder of ``VIDEO_frame_ID.png``, in it or in folders of it; None: there are videos alone.
        videos: folder of ``VIDEO.mp4``.
        names: which; None: those that have frames.

    Raises:
        InputError: there are none, or one that is asked for is neither here nor there.
    """
    images: dict[str, dict[int, Path]] = {}
    for (video, number), path in (frame_images(frames) if frames is not None and frames.is_dir() else {}).items():
        if not video.startswith(FOREIGN):
            images.setdefault(video, {})[number] = path
    if names is None and not images:
        remedy = "check --data-root, or name videos: --videos LIST --video-root DIR"
        raise InputError("no frames VIDEO_frame_ID.png are here", path=frames, remedy=remedy)
    found: list[Source] = []
    for name in sorted(images) if names is None else names:
        file = path if (path := video_file(videos, name)).is_file() else None
        if file is None and name not in images:
            reason = f"no video {name!r}: " + (f"neither {videos / name}.mp4 nor frames in {frames}" if frames else
                                               f"there is no {videos / name}.mp4")  # fmt: skip
            raise InputError(reason, remedy="check the name, --video-root and --data-root")
        found.append(Source(name, file, dict(sorted(images.get(name, {}).items()))))
    return found


def sources_in(paths: Sequence[Path], further: Sequence[Source] = ()) -> tuple[list[Source], list[Source]]:
    """The videos and the images among paths; folders are read with their sub-folders, hidden ones are left out.

    An image belongs to the video that its name states (``VIDEO_frame_ID.png``), else in a folder to that folder, in the
    order of its images' numbers, and alone to none but itself.

    Args:
        further: videos that are given in another way.

    Raises:
        InputError: something that is not there, is neither, or has the name of something else.
    """
    videos = {one.name: one for one in further}
    images: dict[str, dict[int, Path]] = {}
    for path in {path.absolute(): path for path in paths}.values():
        if path.is_dir():
            _sort_in(path, images)
        elif not path.is_file():
            raise InputError("there is no such file", path=path, remedy="check the path")
        elif not is_video(path):
            _add(images, *(frame_of(path.stem) or (path.stem, 0)), path)
        elif path.stem in videos:
            reason = f"another video is called {path.stem} too: {videos[path.stem].video}"
            raise InputError(reason, path=path, remedy="predict them into two folders")
        else:
            videos[path.stem] = Source(path.stem, path)
    if both := sorted(videos.keys() & images.keys()):
        reason = f"a video and images are both called {both[0]}"
        raise InputError(reason, path=videos[both[0]].video, remedy="predict them into two folders")
    require(bool(videos or images), "nothing to predict", "name images, folders or videos after the verb")
    return list(videos.values()), [Source(name, None, dict(sorted(own.items()))) for name, own in images.items()]


def _sort_in(folder: Path, images: dict[str, dict[int, Path]]) -> None:
    names = images_below(folder)
    if not names:
        raise no_image(folder)
    if videos := videos_in(folder):
        print(f"left out of {folder}, videos beside images: {', '.join(videos)}")
    counts: Counter[Path] = Counter()
    for path in sorted((folder / name for name in names), key=lambda path: (path.parent, order(path.name))):
        named = frame_of(path.stem)
        _add(images, *(named or (path.parent.absolute().name, counts[path.parent])), path)
        counts[path.parent] += named is None


def _add(images: dict[str, dict[int, Path]], video: str, number: int, path: Path) -> None:
    other = images.setdefault(video, {}).setdefault(number, path)
    if other.absolute() != path.absolute():
        reason = f"frame {number} of {video} is {other} too"
        raise InputError(reason, path=path, remedy="predict them into two folders")


def names_in(text: str) -> list[str]:
    """The videos of a list: a text file with a name a line, or names with commas.

    Raises:
        InputError: no such file, no name, or a name twice.
    """
    path = Path(text)
    lines = read_text(path).splitlines() if path.is_file() else text.split(",")
    if not path.is_file() and (path.suffix == ".txt" or "/" in text):
        raise InputError("there is no such list of videos", path=path, remedy="a text file with a video a line")
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        name = line.partition("#")[0].strip()
        name = name[: -len(Path(name).suffix)] if name.lower().endswith(VIDEO_ENDINGS) else name
        if not name:
            continue
        where: dict[str, Any] = {"path": path, "row": number} if path.is_file() else {}
        if "/" in name or "\\" in name:
            raise InputError(f"{name!r} is a path", **where, remedy="write the video's name, and give --video-root")
        if name in seen:
            reason = f"the video {name!r} is in the list twice" + (f", first in line {seen[name]}" if where else "")
            raise InputError(reason, **where, remedy="remove one")
        seen[name] = number
    require(bool(seen), f"no video in the list {text!r}", "write a name a line, or names with commas")
    return list(seen)


class Stream:
    """The frames of a source that are asked for, and where they come from.

    Args:
        source: whose.
        every: each so-manieth frame of the video (of images alone: of these); None: those that have an image, else all.
        moving: whether what is between the frames is needed; then they come from the video, where there is one.
        damaged: what becomes of frames that damaged packets have lost (`kaname.data.video.frames`).

    Attributes:
        numbers: of the frames that are asked for, in order.
        reader: of the video; None: they are images.
    """

    def __init__(self, source: Source, every: int | None, *, moving: bool, damaged: Damaged = "error") -> None:
        self.source = source
        whole = source.video is not None and (moving or not source.images or every is not None)
        self.reader = VideoReader(source.video, damaged=damaged) if whole and source.video is not None else None
        images = list(source.images)
        if self.reader is None:
            self.numbers: Sequence[int] = images[:: every or 1]
        elif every is not None or not images:
            self.numbers = range(0, len(self.reader), every or 1)
        else:
            self.numbers = images
            self._check_images(self.reader)

    @property
    def inputs(self) -> dict[str, Any]:
        """What the predictions depend on, of `Source.contents`."""
        role = "frames" if self.reader is None else "video"
        return {role: self.source.contents[role]}

    @property
    def size(self) -> Size:
        """``(height, width)`` of the frames."""
        if self.reader is None:
            return image_size(next(iter(self.source.images.values())))
        height, width = self.reader.read(self.numbers[0]).image.shape[:2]
        return height, width

    @property
    def apart(self) -> int:
        """The largest step between two frames that are asked for."""
        return max((after - before for before, after in zip(self.numbers, self.numbers[1:], strict=False)), default=0)

    def frames(self, first: int, *, between: bool, delta: int = 0) -> Iterator[tuple[Frame, Frame | None]]:
        """The frames from number ``first`` on, each with the one ``delta`` before it, where the video has it.

        Args:
            between: also those that nobody asks for.
        """
        asked = [number for number in self.numbers if number >= first]
        if self.reader is None:
            for number in asked:
                path = self.source.images[number]
                yield Frame(number, number / FOLDER_RATE, read_image(path), path.name, path), None
            return
        shown: Iterable[int] = range(asked[0], asked[-1] + 1) if between and asked else asked
        wanted = set(shown)
        numbers = wanted | {number - delta for number in asked if number >= delta} if delta else wanted
        kept: deque[Frame] = deque()
        for frame in self.reader.frames(sorted(numbers)):
            while kept and kept[0].index < frame.index - delta:
                kept.popleft()
            if delta:
                kept.append(frame)
            if frame.index in wanted:
                yield frame, kept[0] if delta and kept[0].index == frame.index - delta else None

    def close(self) -> None:
        """Close the video."""
        if self.reader is not None:
            self.reader.close()

    def _check_images(self, reader: VideoReader) -> None:
        """The images are frames of this video."""
        last, path = max(self.source.images.items())
        if last >= len(reader):
            reason = f"frame {last} of a video of {len(reader)} frames ({reader.path})"
            raise InputError(reason, path=path, remedy="give the --video-root of the videos that the frames are from")
        size, own = image_size(path), self.size
        if size != own:
            reason = f"{size[1]} x {size[0]} pixels, but {reader.path.name} has {own[1]} x {own[0]}"
            raise InputError(reason, path=path, remedy="extract the frames from this video again")
