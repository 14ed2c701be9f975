"""What every format of labels does: `FormatContract`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from kaname.errors import InputError
from kaname.types import Sample

HEIGHT, WIDTH = 40, 60


@contextlib.contextmanager
def full_disk(size: int) -> Iterator[None]:
    """No file of this process grows beyond ``size`` bytes."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class FormatContract:
    """``module`` has ``read(path, images)``, ``problems(path, images)`` and ``write(path, samples)``.

    Attributes:
        module: of `kaname.data.formats`.
        file: name of the label file.
        names: of the images; all of them signs that people use.
        points: what is on each image, by name; NaN where it is missing.
        cuts: where a file that is cut off must be refused: bytes from its start, from its end where negative.
    """

    module: ModuleType
    file = "labels.json"
    names: Sequence[str] = ("圧力計 (1).png", "a-b c.png", "100%25.png")
    points: Sequence[dict[str, tuple[float, float]]] = (
        {"先端": (3.25, 4.125), "end": (59.5, 0.5)},
        {"先端": (30.0, 39.0), "end": (np.nan, np.nan)},
        {"先端": (12.5, 7.25), "end": (41.0, 18.75)},
    )
    cuts: Sequence[int] = (1, 40, 200, -40, -3)

    def samples(self, images: Path) -> list[Sample]:
        """Samples that the format can hold, with their images in ``images``."""
        images.mkdir(parents=True, exist_ok=True)
        made: list[Sample] = []
        for name, points in zip(self.names, self.points, strict=True):
            Image.new("RGB", (WIDTH, HEIGHT), (90, 120, 60)).save(images / name)
            xy = {label: np.array([place]) for label, place in points.items()}
            visible = {label: np.where(np.isnan(one).any(axis=1), 0, 2) for label, one in xy.items()}
            made.append(self.sample(images / name, xy, visible, len(made)))
        return made

    def sample(self, image: Path, points: dict[str, Any], visible: dict[str, Any], number: int) -> Sample:
        """One sample; ``number`` is its place in the list."""
        return Sample(image=image, points=points, visible=visible, size=(HEIGHT, WIDTH))

    @pytest.fixture
    def images(self, tmp_path: Path) -> Path:
        """The folder of the images."""
        return tmp_path / "写真 1"

    @pytest.fixture
    def labels(self, tmp_path: Path, images: Path) -> Path:
        """A written label file."""
        path = tmp_path / "labels" / self.file
        self.module.write(path, self.samples(images))
        return path

    def refused(self, path: Path, images: Path | None) -> InputError:
        """The one line of a reader's refusal, which ``problems`` lists as well."""
        with pytest.raises(InputError) as caught:
            self.module.read(path, images)
        error = caught.value
        assert error.path and error.reason and error.remedy and "\n" not in str(error)
        assert str(error) in [str(one) for one in self.module.problems(path, images)]
        return error

    def test_what_is_written_is_read(self, labels: Path, images: Path) -> None:
        """Names, sizes and points within a millionth of a pixel; nothing is wrong with the file."""
        assert self.module.problems(labels, images) == []
        found = self.module.read(labels, images)
        written = self.samples(images)
        assert [one.image for one in found] == [one.image for one in written]
        for one, other in zip(written, found, strict=True):
            assert other.size == (HEIGHT, WIDTH)
            for name, xy in one.points.items():
                if np.isnan(xy).any():
                    continue
                np.testing.assert_allclose(other.points[name], xy, atol=1e-6, rtol=0)
                assert (np.asarray(other.visible[name]) > 0).all()

    def test_missing_points_stay_missing(self, labels: Path, images: Path) -> None:
        """Left out, or NaN with visibility 0; never a number."""
        missing = 0
        for one, other in zip(self.samples(images), self.module.read(labels, images), strict=True):
            for name in (name for name, xy in one.points.items() if np.isnan(xy).all()):
                xy, visible = other.points.get(name, np.zeros((0, 2))), other.visible.get(name, np.zeros(0))
                assert np.isnan(xy).all() and not np.asarray(visible).any()
                missing += 1
        assert missing

    def test_again_the_same(self, labels: Path, images: Path, tmp_path: Path) -> None:
        """Equal samples give equal bytes, also those that were read; text is UTF-8 as people read it."""
        before = labels.read_bytes()
        self.module.write(labels, self.samples(images))
        assert labels.read_bytes() == before
        again = tmp_path / "again" / self.file
        self.module.write(again, self.module.read(labels, images))
        assert again.read_bytes() == before
        first = [name for name in (*self.names, *self.points[0]) if not name.isascii()]
        assert all(name.split(".")[0].split(" ")[0] in before.decode("utf-8") for name in first)

    def test_an_empty_file(self, labels: Path, images: Path) -> None:
        """No bytes, or nothing but spaces and line ends."""
        for text in (b"", b" \n\n"):
            labels.write_bytes(text)
            assert self.refused(labels, images).path == str(labels)

    def test_a_file_that_is_cut_off(self, labels: Path, images: Path) -> None:
        """Wherever that is."""
        whole = labels.read_bytes()
        for cut in self.cuts:
            labels.write_bytes(whole[:cut])
            assert self.refused(labels, images).path == str(labels), cut

    @pytest.mark.parametrize("place", [0.0, 0.5, 1.0])
    def test_what_is_not_utf_8(self, labels: Path, images: Path, place: float) -> None:
        """A byte of another encoding, and a whole file of one."""
        whole = labels.read_bytes()
        cut = round(place * len(whole))
        for content in (whole[:cut] + b"\x83\xff" + whole[cut:], whole.decode("utf-8").encode("utf-16")):
            labels.write_bytes(content)
            assert self.refused(labels, images).path == str(labels)

    def test_a_missing_image(self, labels: Path, images: Path) -> None:
        """Is named, with its row."""
        (images / self.names[1]).unlink()
        error = self.refused(labels, images)
        named = f"{error.path} {error.row} {error.reason}"
        assert self.names[1] in named or Path(self.names[1]).stem in named, str(error)
        assert error.row is not None

    def test_files_and_folders_that_are_not_there(self, labels: Path, images: Path, tmp_path: Path) -> None:
        """Neither is taken for an empty one."""
        self.refused(labels.with_name(f"none{labels.suffix}"), images)
        self.refused(labels, tmp_path / "nowhere")
        (tmp_path / "empty").mkdir()
        self.refused(tmp_path / "empty", images)

    def test_two_samples_of_one_name(self, tmp_path: Path, images: Path) -> None:
        """Cannot be told apart later, so they are not written."""
        samples = self.samples(images)
        with pytest.raises(InputError):
            self.module.write(tmp_path / self.file, [*samples, samples[0]])
        assert not (tmp_path / self.file).exists()

    @pytest.mark.parametrize("old", [False, True])
    def test_a_disk_that_fills_up(self, labels: Path, images: Path, old: bool) -> None:
        """At the file's name stands the old file or nothing, and nothing half-written lies beside it."""
        before = labels.read_bytes()
        samples = self.samples(images)
        if not old:
            labels.unlink()
        with full_disk(len(before) // 2), pytest.raises(InputError) as caught:
            self.module.write(labels, samples[::-1] if self.order_is_free() else samples)
        assert caught.value.path == str(labels) and caught.value.remedy
        assert [path.name for path in labels.parent.iterdir()] == ([labels.name] if old else [])
        assert not old or labels.read_bytes() == before

    def order_is_free(self) -> bool:
        """Whether samples may come in any order, so that a second file differs from the first."""
        return True

    def test_a_place_that_is_no_folder(self, images: Path, tmp_path: Path) -> None:
        """A file stands where the folder should."""
        samples = self.samples(images)
        (tmp_path / "file").write_text("mine")
        with pytest.raises(InputError) as caught:
            self.module.write(tmp_path / "file" / self.file, samples)
        assert caught.value.path and (tmp_path / "file").read_text() == "mine"

    @pytest.mark.parametrize("read", ["read", "problems"])
    def test_no_crash_on_any_bytes(self, labels: Path, images: Path, read: str) -> None:
        """Flipped, doubled and lost parts of a file give samples or a user's error."""
        whole = labels.read_bytes()
        random = np.random.default_rng(0)
        call: Callable[..., Any] = getattr(self.module, read)
        for _ in range(60):
            start, stop = sorted(random.integers(0, len(whole), 2).tolist())
            middle = [whole[start:stop] * 2, b"", bytes(random.integers(32, 127, 5).tolist()), b"NaN", b"-1e999"]
            labels.write_bytes(whole[:start] + middle[int(random.integers(len(middle)))] + whole[stop:])
            with contextlib.suppress(InputError):
                call(labels, images)
