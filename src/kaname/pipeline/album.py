"""Pictures of images and of videos: files in a folder, a video for each video. No torch."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from kaname.data.formats.files import make_folder
from kaname.data.video import VideoWriter, is_video
from kaname.geometry.image import write_image
from kaname.types import Frame, Image


class Album:
    """Use it in ``with``: one video is open at a time, for an encoder holds tens of frames, and it gets its name when
    the next source begins or all is done.

    Args:
        folder: made for the first picture.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._source: Path | None = None
        self._film: VideoWriter | None = None
        self._open = ExitStack()

    def __enter__(self) -> Album:
        return self

    def __exit__(self, *raised: object) -> None:
        self._open.__exit__(*raised)  # type: ignore[arg-type]

    def show(self, source: Path, frame: Frame, name: str, picture: Image) -> None:
        """Keep the picture of an image, called ``name``, or of a video's frame, ``name`` with the frame's number."""
        make_folder(self.folder)
        if source != self._source:
            self._open.close()
            self._source, self._film = source, None
        if not is_video(source):
            return write_image(self.folder / f"{name}.jpg", picture)
        if self._film is None:
            self._film = self._open.enter_context(VideoWriter(self.folder / f"{name.rpartition('_')[0]}.mp4"))
        return self._film.write(picture, frame.seconds)
