from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from kaname.codecs.mask_regions import Choice, regions
from kaname.errors import InputError
from kaname.geometry.image import read_image
from kaname.reporting.mask_files import write_pictures
from kaname.types import Masks

SIZE = (40, 50)


def masks() -> Masks:
    random = np.random.default_rng(0)
    cells = random.dirichlet([1, 1, 1], (3, 6, 6)).transpose(0, 3, 1, 2).astype(np.float32)
    boxes = np.array([[2.0, 3, 30, 35], [10, 5, 45, 38], [60, 60, 70, 70]])
    return Masks(cells, boxes, ("background", "target", "non_target"), SIZE)


def test_a_mask_and_a_cutout_a_person(tmp_path: Path) -> None:
    image = np.random.default_rng(1).integers(1, 256, (*SIZE, 3), dtype=np.uint8)
    choice = Choice(0.3, overlap="exclusive")
    files = write_pictures(tmp_path / "new", "crowd", masks(), choice, cutouts_from=image)
    names = [path.relative_to(tmp_path / "new").as_posix() for path in files]
    assert names == [f"{kind}/crowd_{number}.png" for number in range(3) for kind in ("masks", "cutouts")]
    for number, region in enumerate(regions(masks(), choice)):
        whole = np.zeros(SIZE, bool)
        whole[region.rows, region.columns] = region.inside
        assert (read_image(files[2 * number])[..., 0] == 255 * whole).all() and whole.any() == (number < 2)
        rgba = cv2.cvtColor(cv2.imread(str(files[2 * number + 1]), cv2.IMREAD_UNCHANGED), cv2.COLOR_BGRA2RGBA)
        if number == 2:  # outside the image
            assert rgba.shape == (1, 1, 4) and not rgba.any()
            continue
        np.testing.assert_array_equal(rgba[..., 3] == 255, region.inside)
        np.testing.assert_array_equal(
            rgba[..., :3], image[region.rows, region.columns] * region.inside[..., None].astype(np.uint8)
        )


def test_masks_alone_and_an_image_of_another_size(tmp_path: Path) -> None:
    assert [path.name for path in write_pictures(tmp_path, "a", masks())] == ["a_0.png", "a_1.png", "a_2.png"]
    assert not (tmp_path / "cutouts").exists()
    with pytest.raises(InputError, match="an image of"):
        write_pictures(tmp_path, "a", masks(), cutouts_from=np.zeros((9, 9, 3), np.uint8))
