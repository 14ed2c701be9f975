"""The size of an image file: from its header alone, and once."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from kaname.errors import InputError
from kaname.geometry.image import image_size, read_image, write_image


def noise(size: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)


def chunk(kind: bytes, content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")


@pytest.mark.parametrize("behind", [False, True])
def test_the_size_of_a_png_is_read_without_its_pixels(
    tmp_path: Path, behind: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing stands behind them; an orientation may."""
    path, exif = tmp_path / "a.png", Image.Exif()
    exif[0x0112] = 6
    write_image(path, noise((16, 32, 3)))
    if behind:
        content = path.read_bytes()
        end = len(content) - 12
        path.write_bytes(content[:end] + chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")) + content[end:])
    loaded, load = [], ImageFile.ImageFile.load
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda image: loaded.append(1) or load(image))
    assert image_size(path) == ((32, 16) if behind else (16, 32))
    assert bool(loaded) == behind
    assert read_image(path).shape[:2] == image_size(path)


def test_the_size_of_a_file_is_read_once_and_again_when_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, opened, first = tmp_path / "a.png", [], Image.open
    monkeypatch.setattr(Image, "open", lambda *given, **named: opened.append(1) or first(*given, **named))
    write_image(path, noise((10, 20, 3)))
    assert [image_size(path) for _ in range(3)] == [(10, 20)] * 3
    assert len(opened) == 1
    with pytest.raises(InputError, match="megapixels"):
        image_size(path, max_megapixels=1e-5)
    write_image(path, noise((12, 20, 3)))
    assert image_size(path) == (12, 20)
    path.unlink()
    with pytest.raises(InputError, match="no such file"):
        image_size(path)


def test_of_several_pictures_in_a_jpeg_the_first_counts(tmp_path: Path) -> None:
    pictures = [Image.fromarray(np.random.default_rng(seed).integers(0, 256, (40, 60, 3), np.uint8)) for seed in (0, 1)]
    pictures[0].save(tmp_path / "alone.jpg")
    pictures[0].save(tmp_path / "both.jpg", format="MPO", save_all=True, append_images=pictures[1:])
    assert image_size(tmp_path / "both.jpg") == (40, 60)
    assert np.array_equal(read_image(tmp_path / "both.jpg"), read_image(tmp_path / "alone.jpg"))


def test_what_begins_like_a_jpeg_may_be_none(tmp_path: Path) -> None:
    (tmp_path / "begun.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    for read in (image_size, read_image):
        with pytest.raises(InputError, match="not an image"):
            read(tmp_path / "begun.jpg")
