"""Reading, writing and the one resize."""

from __future__ import annotations

import warnings
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from kaname.errors import InputError
from kaname.geometry.affine import Affine
from kaname.geometry.image import image_size, read_image, resize, write_image
from kaname.geometry.resampling import resample, resample_weights

sides = st.integers(1, 90)
sizes = st.tuples(sides, sides)


def noise(size: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8)


def by_torch(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    tensor = torch.from_numpy(image.astype(np.float64)).permute(2, 0, 1)[None]
    out = torch.nn.functional.interpolate(tensor, size, mode="bilinear", antialias=True, align_corners=False)
    return out[0].permute(1, 2, 0).numpy()


@settings(max_examples=60, deadline=None)
@given(sizes, sizes)
def test_resize_equals_torch_and_pillow(source: tuple[int, int], target: tuple[int, int]) -> None:
    image = noise((*source, 3))
    exact = by_torch(image / 255.0, target)
    assert np.abs(resize(image / 255.0, target) - exact).max() <= 1e-4
    pillow = np.asarray(Image.fromarray(image).resize(target[::-1], Image.Resampling.BILINEAR))
    small = resize(image, target)
    assert small.dtype == np.uint8
    assert np.abs(small.astype(int) - pillow).max() <= 1
    assert np.abs(small - exact * 255).max() <= 0.5001


def test_resize_of_a_photographs_size() -> None:
    image = cv2.GaussianBlur(noise((720, 1280, 3)), (0, 0), 1.5)
    assert np.abs(resize(image / 255.0, (288, 512)) - by_torch(image / 255.0, (288, 512))).max() <= 1e-4


@pytest.mark.parametrize("channels", [None, 1, 2, 3, 4, 5, 27])
@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.float32, np.float64])
def test_types_and_channels(channels: int | None, dtype: type) -> None:
    image = noise((21, 34) if channels is None else (21, 34, channels)).astype(dtype)
    for result in (resize(image, (13, 40)), Affine.rotate(20, (9, 9)).image(image, (13, 40))):
        assert result.shape == (13, 40, *image.shape[2:])
        assert result.dtype == (np.uint8 if dtype == np.uint8 else np.float32)
    alone = resize(image[..., -1] if channels else image, (13, 40))
    np.testing.assert_allclose(resize(image, (13, 40))[..., -1] if channels else alone, alone, rtol=1e-5)


@settings(max_examples=60, deadline=None)
@given(sizes, sizes)
def test_letterbox_is_resize_and_pad_exactly(source: tuple[int, int], target: tuple[int, int]) -> None:
    image = noise((*source, 3))
    into = Affine.letterbox(source, target)
    x1, y1, x2, y2 = np.rint(into.boxes([[0, 0, source[1], source[0]]])[0]).astype(int)
    expected = np.zeros((*target, 3), np.uint8)
    expected[y1:y2, x1:x2] = resize(image, (y2 - y1, x2 - x1))
    np.testing.assert_array_equal(into.image(image, target), expected)


@pytest.mark.parametrize(
    ("scale", "offset"), [(0.3, 4.2), (-0.3, 20.0), (2.5, -7.0), (-1.7, 9.3), (1.0, 0.5), (1e-4, 3)]
)
def test_weights(scale: float, offset: float) -> None:
    weights = resample_weights(37, 25, scale, offset)
    place = (np.arange(25) + 0.5 - offset) / scale
    radius = max(1 / abs(scale), 1)
    expected = np.maximum(0, 1 - np.abs(np.arange(37) + 0.5 - place[:, None]) / radius)
    expected[(place < 0) | (place > 37)] = 0
    total = expected.sum(axis=1, keepdims=True)
    expected = np.divide(expected, total, out=expected, where=total > 0)
    np.testing.assert_allclose(weights, expected, atol=1e-12)
    line = np.random.default_rng(0).random((37, 1))
    np.testing.assert_allclose(resample(line, (25, 1), (scale, 1), (offset, 0)), weights @ line, atol=1e-5)


@settings(max_examples=60, deadline=None)
@given(sizes, sizes, st.sampled_from([1, -1]), st.sampled_from([1, -1]), st.integers(-50, 99), st.integers(-50, 99))
def test_whole_shifts_and_flips_move_pixels(source, target, sy, sx, oy, ox) -> None:
    image = noise((*source, 3))
    down = resample_weights(source[0], target[0], sy, oy)
    across = resample_weights(source[1], target[1], sx, ox)
    expected = np.einsum("bj,ajc->abc", across, np.einsum("ai,ijc->ajc", down, image))
    np.testing.assert_array_equal(resample(image, target, (sy, sx), (oy, ox)), np.rint(expected))


@pytest.mark.parametrize("width", [1, 2, 7, 8, 33])
def test_flip_is_numpys_flip(width: int) -> None:
    image = noise((5, width, 3))
    flip = Affine.flip(width)
    np.testing.assert_array_equal(flip.image(image, (5, width)), image[:, ::-1])
    np.testing.assert_array_equal(flip.mask(image, (5, width)), image[:, ::-1])
    np.testing.assert_array_equal((flip @ flip).image(image, (5, width)), image)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_quarter_turns_are_numpys(turns: int) -> None:
    image = noise((9, 14, 3))
    size = (9, 14) if turns == 2 else (14, 9)
    corner = Affine.rotate(90 * turns, (0, 0)).boxes([[0, 0, 14, 9]])[0]
    turn = Affine.shift(-corner[0], -corner[1]) @ Affine.rotate(90 * turns, (0, 0))
    np.testing.assert_array_equal(turn.image(image, size), np.rot90(image, turns))
    np.testing.assert_array_equal(turn.mask(image, size), np.rot90(image, turns))


@pytest.mark.parametrize("angle", [0, 90, 30])
def test_outside_is_black(angle: float) -> None:
    image = np.full((10, 10, 3), 200, np.uint8)
    away = Affine.shift(500, 0) @ Affine.rotate(angle, (5, 5))
    assert not away.image(image, (20, 20)).any()
    near = (Affine.shift(5, 5) @ Affine.rotate(angle, (5, 5))).image(image, (20, 20))
    assert (near[10, 10] == 200).all()
    assert not near[0, 0].any()


def test_slanted_maps_do_not_alias() -> None:
    """Stripes of one pixel, shrunk to an eighth and turned, become grey."""
    stripes = np.zeros((800, 800), np.uint8)
    stripes[:, ::2] = 200
    turned = (Affine.rotate(30, (50, 50)) @ Affine.resize((800, 800), (100, 100))).image(stripes, (100, 100))
    middle = turned[30:70, 30:70].astype(int)
    assert np.abs(middle - 100).max() <= 2


def test_a_window_of_a_large_image_equals_the_whole() -> None:
    image = cv2.GaussianBlur(noise((900, 1200, 3)), (0, 0), 3)
    turn = Affine.rotate(25, (700, 300)) @ Affine.scaling(0.7, 0.6)
    whole = turn.image(image, (900, 1200))
    window = (Affine.shift(-400, -200) @ turn).image(image, (64, 80))
    difference = np.abs(whole[200:264, 400:480].astype(int) - window)
    assert difference.mean() < 0.5  # the reduction's grid differs with the window, by rounding to whole pixels
    assert difference.max() <= 3


def test_masks_keep_their_labels() -> None:
    labels = np.random.default_rng(0).choice(np.array([0, 7, 250, 60000]), (40, 50))
    for into in (Affine.letterbox((40, 50), (33, 33)), Affine.rotate(20, (10, 10)) @ Affine.scaling(1.7, 0.4)):
        moved = into.mask(labels, (33, 33), outside=-1)
        assert moved.dtype == labels.dtype
        assert set(np.unique(moved)) <= {-1, 0, 7, 250, 60000}
    assert Affine.identity().mask(np.ones((3, 3), bool), (3, 3)).dtype == bool
    np.testing.assert_array_equal(Affine.scaling(2, 3).mask(labels, (120, 100)), np.kron(labels, np.ones((3, 2), int)))


@pytest.mark.parametrize(
    "array", [np.zeros((0, 4)), np.zeros(4), np.zeros((2, 2, 2, 2)), np.zeros((4, 4), int), np.zeros((4, 4), bool)]
)
def test_what_is_no_image_is_refused(array: np.ndarray) -> None:
    with pytest.raises(InputError):
        resize(array, (4, 4))
    with pytest.raises(InputError):
        Affine.rotate(3, (1, 1)).image(array, (4, 4))
    with pytest.raises(InputError, match="size"):
        resize(np.zeros((4, 4)), (0, 4))


# --- files


def test_reads_rgb_whatever_the_name(tmp_path: Path) -> None:
    image = noise((13, 17, 3))
    for name in ("a.png", "目盛り 計器.png", "with - dash & space.PNG", "q'\"%s.png"):
        write_image(tmp_path / name, image)
        np.testing.assert_array_equal(read_image(tmp_path / name), image)
        np.testing.assert_array_equal(read_image(str(tmp_path / name)), image)
    assert sorted(path.suffix.lower() for path in tmp_path.iterdir()) == [".png"] * 4  # nothing else is left behind


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"])
def test_writes_formats(tmp_path: Path, suffix: str) -> None:
    image = cv2.GaussianBlur(noise((40, 60, 3)), (0, 0), 5)
    write_image(tmp_path / f"a{suffix}", image)
    assert np.abs(read_image(tmp_path / f"a{suffix}").astype(int) - image).mean() < 4


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path: Path, suffix: str, orientation: int) -> None:
    upright = np.zeros((16, 32, 3), np.uint8)
    upright[:8, :8] = (250, 10, 10)
    upright[8:, 24:] = (10, 10, 250)
    exif = Image.Exif()
    exif[0x0112] = orientation
    ways = Image.Transpose
    # What the camera stored, such that the viewer's turn (EXIF 2.32, tag 274) brings it upright.
    away = {2: ways.FLIP_LEFT_RIGHT, 3: ways.ROTATE_180, 4: ways.FLIP_TOP_BOTTOM, 5: ways.TRANSPOSE}
    away |= {6: ways.ROTATE_90, 7: ways.TRANSVERSE, 8: ways.ROTATE_270}
    stored = Image.fromarray(upright)
    stored = stored.transpose(away[orientation]) if orientation in away else stored
    path = tmp_path / f"a.{suffix}"
    stored.save(path, exif=exif)
    assert read_image(path).shape == upright.shape and image_size(path) == upright.shape[:2]
    assert np.abs(read_image(path).astype(int) - upright).mean() < 8
    assert read_image(path, expected=(16, 32)).shape == upright.shape
    with pytest.raises(InputError, match="32 x 16 pixels, not 16 x 32"):
        read_image(path, expected=(32, 16))


def test_modes_become_rgb(tmp_path: Path) -> None:
    image = noise((9, 11, 3))
    grey = noise((9, 11))
    wide = np.repeat(grey[:, :, None], 3, axis=2)
    cases = {
        "grey.png": (Image.fromarray(grey), wide),
        "alpha.png": (Image.fromarray(np.dstack([image, grey])), image),
        "grey-alpha.png": (Image.fromarray(np.dstack([grey, grey[::-1]]), "LA"), wide),
        "one-bit.png": (Image.fromarray(grey > 99), np.where(wide > 99, 255, 0)),
        "palette.png": (Image.fromarray(image).quantize(16), None),
        "animation.gif": (Image.fromarray(image).quantize(16), None),
        "cmyk.tif": (Image.fromarray(image).convert("CMYK"), None),
    }
    for name, (picture, expected) in cases.items():
        picture.save(tmp_path / name)
        if expected is None:
            expected = np.asarray(picture.convert("RGB"))
        np.testing.assert_array_equal(read_image(tmp_path / name), expected, err_msg=name)


@pytest.mark.parametrize("mode", ["RGB", "L", "LA", "P", "1", "RGBA", "CMYK"])
def test_strips_make_the_same_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    """Large images are converted strip by strip: here of 3 rows of 17."""
    random = np.random.default_rng(0).integers(0, 256, (17, 23, 3), dtype=np.uint8)
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    Image.fromarray(random).convert(mode).save(path)
    whole = read_image(path)
    monkeypatch.setattr("kaname.geometry.image.STRIP", 3 * 23 + 5)
    assert np.array_equal(read_image(path), whole)
    with Image.open(path) as opened:
        assert np.array_equal(whole, np.array(opened.convert("RGB")))


def test_jpegs_of_every_kind(tmp_path: Path) -> None:
    smooth = Image.fromarray(cv2.GaussianBlur(noise((64, 96, 3)), (0, 0), 4))
    path = tmp_path / "a.jpg"
    colour = [("RGB", {}), ("RGB", {"progressive": True}), ("RGB", {"subsampling": 0})]
    for mode, options in (*colour, ("L", {}), ("CMYK", {})):
        smooth.convert(mode).save(path, quality=90, **options)
        with Image.open(path) as opened:
            expected = np.asarray(opened.convert("RGB")).astype(int)
        assert np.abs(read_image(path) - expected).max() <= 1


def test_sixteen_bits_are_scaled(tmp_path: Path) -> None:
    deep = np.array([[0, 128, 129, 257, 32768, 65535]], np.uint16)
    for name in ("a.png", "a.tif"):
        write_image(tmp_path / name, deep)
        assert read_image(tmp_path / name)[0, :, 0].tolist() == [0, 0, 1, 1, 128, 255]
    colour = np.random.default_rng(0).integers(0, 65536, (6, 7, 3), dtype=np.uint16)
    cv2.imwrite(str(tmp_path / "c.png"), colour[:, :, ::-1])
    assert np.abs(read_image(tmp_path / "c.png") - colour / 257).max() <= 1
    wide = {"32.tif": np.int32(70000), "small.tif": np.int32(200), "float.tif": np.float32(0.2)}
    for name, value in wide.items():  # small numbers came out black
        Image.fromarray(np.full((3, 3), value)).save(tmp_path / name)
        with pytest.raises(InputError, match="convert it to 8"):
            read_image(tmp_path / name)


def check_refusal(path: Path, **options: float) -> str:
    with pytest.raises(InputError) as caught:
        read_image(path, **options)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    assert caught.value.path == str(path)
    return message


def test_what_is_no_image_file(tmp_path: Path) -> None:
    assert "no such file" in check_refusal(tmp_path / "missing.jpg")
    assert "folder" in check_refusal(tmp_path)
    for name, content, expected in (
        ("empty.jpg", b"", "0 bytes"),
        ("text.jpg", b"hello", "not an image"),
        ("page.svg", b"<svg/>", "not an image"),
        ("post.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
    ):
        (tmp_path / name).write_bytes(content)
        assert expected in check_refusal(tmp_path / name)


@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "tif", "webp", "gif"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.99])
def test_truncated_files(tmp_path: Path, suffix: str, share: float) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(noise((120, 160, 3))).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    check_refusal(path)


def test_trailing_bytes_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(noise((40, 50, 3))).save(path)
    whole = read_image(path)
    for tail in (b"\0\0\0", b"\n", b"trailing bytes " * 20):
        path.write_bytes(path.read_bytes() + tail)
        assert np.abs(read_image(path).astype(int) - whole).max() <= 1


def test_size_guard_reads_the_header_alone(tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(path)
    content = bytearray(path.read_bytes())
    content[16:24] = (60000).to_bytes(4, "big") + (50000).to_bytes(4, "big")
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    path.write_bytes(content)
    assert "3000 megapixels" in check_refusal(path)
    write_image(tmp_path / "small.png", noise((100, 200, 3)))
    assert "more than 0.01" in check_refusal(tmp_path / "small.png", max_megapixels=0.01)


def test_the_guard_of_pillow_is_not_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow's global limit (89 megapixels warn, 179 fail) neither refuses nor warns, and is left as it was."""
    write_image(tmp_path / "a.png", noise((100, 200, 3)))
    for theirs in (15_000, 5_000):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", theirs)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert read_image(tmp_path / "a.png").shape == (100, 200, 3)
        assert theirs == Image.MAX_IMAGE_PIXELS


def test_write_refuses_and_leaves_nothing(tmp_path: Path) -> None:
    image = noise((4, 5, 3))
    write_image(tmp_path / "a.png", image)
    for path, array in (
        (tmp_path / "a.xyz", image),
        (tmp_path / "a.png", image.astype(np.float32)),
        (tmp_path / "a.png", image[:, :, :2]),
        (tmp_path / "a.png", image[:0]),
        (tmp_path / "a.jpg", image[:, :, 0].astype(np.uint16)),
        (tmp_path / "a.jpg", np.zeros((1, 70000), np.uint8)),
        (tmp_path / "missing" / "a.png", image),
    ):
        with pytest.raises(InputError) as caught:
            write_image(path, array)
        assert "\n" not in str(caught.value)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), image)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def header(path: Path, width: int, height: int) -> Path:
    """A PNG whose header states a size that its pixels do not have."""
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(path, "png")
    content = bytearray(path.read_bytes())
    content[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("kind", ["empty", "folder", "missing", "text", "huge"])
def test_the_size_is_refused_as_the_image_is(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"{kind}.png"
    if kind == "folder":
        path.mkdir()
    elif kind == "huge":
        header(path, 60_000, 50_000)
    elif kind != "missing":
        path.write_text("" if kind == "empty" else "no image")
    said: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for reader in (read_image, image_size):
            with pytest.raises(InputError) as caught:
                reader(path)
            said.append(str(caught.value))
    assert said[0] == said[1]
    assert {"empty": "0 bytes", "folder": "a folder, not an image", "missing": "no such file",
            "text": "not an image that can be read", "huge": "3000 megapixels"}[kind] in said[0]  # fmt: skip


def test_large_images_and_damaged_exif_do_not_warn(tmp_path: Path) -> None:
    """120 megapixels, which Pillow warns of; an EXIF block that is cut off is no reason to say anything either."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert image_size(header(tmp_path / "a.png", 12_000, 10_000)) == (10_000, 12_000)
        exif = Image.Exif()
        exif[0x0112], exif[0x010F] = 6, "maker" * 20
        block = exif.tobytes()
        Image.fromarray(noise((10, 20, 3))).save(tmp_path / "b.jpg", exif=block[:40])
        Image.fromarray(noise((10, 20, 3))).save(tmp_path / "c.jpg", exif=block)
        for name in ("b.jpg", "c.jpg"):
            assert image_size(tmp_path / name) == read_image(tmp_path / name).shape[:2]
        assert image_size(tmp_path / "c.jpg") == (20, 10)
