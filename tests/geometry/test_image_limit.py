"""The limit on the size of images: one for all formats, and no other library's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kaname.errors import InputError
from kaname.geometry.image import exif_orientation, image_size, read_image


def noise(size: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.bmp", "a.jpg", "a.webp", "a.gif"])
def test_one_limit_for_every_format(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(noise((30, 50, 3))).save(tmp_path / name)
    said: list[str] = []
    for limit in ("0.001", "nan"):
        monkeypatch.setenv("KANAME_MAX_MEGAPIXELS", limit)
        for reader in (read_image, image_size, exif_orientation):
            with pytest.raises(InputError, match="50 x 30 = 0 megapixels, more than") as caught:
                reader(tmp_path / name)
            said.append(str(caught.value))
    assert len(set(said)) == 2 and all("KANAME_MAX_MEGAPIXELS" in line for line in said)
    monkeypatch.setenv("KANAME_MAX_MEGAPIXELS", "many")
    with pytest.raises(InputError, match="'many'"):
        read_image(tmp_path / name)
    monkeypatch.setenv("KANAME_MAX_MEGAPIXELS", "0.0015")
    assert read_image(tmp_path / name).shape == (30, 50, 3)


@pytest.mark.parametrize(
    "options", [{}, {"compression": "tiff_lzw"}, {"compression": "jpeg"}, {"compression": "packbits"}]
)
def test_the_guard_of_pillow_is_off_while_pixels_are_read(
    tmp_path: Path, options: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A TIFF between its limit and ours was called damaged; grey, tiled and turned ones too."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(noise((100, 200, 3))).save(tmp_path / "a.tif", exif=exif, **options)
    Image.fromarray(noise((100, 200))).save(tmp_path / "grey.tif", **options)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5_000)
    assert read_image(tmp_path / "a.tif").shape == (200, 100, 3)
    assert read_image(tmp_path / "grey.tif").shape == (100, 200, 3)
    assert Image.MAX_IMAGE_PIXELS == 5_000
