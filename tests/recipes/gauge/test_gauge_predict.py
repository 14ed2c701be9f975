from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

import kaname
from calling import Answer, call, snapshot
from kaname.geometry.image import read_image, write_image
from kaname.pipeline.sources import picture_names
from recipes.gauge.conftest import Trained
from recipes.gauge.dials import CHANNELS, dial_points, draw_dial, task, write_json


def predict(model: Path, out: Path, *words: object) -> Answer:
    return call("gauge", "predict", "--model-path", model, "--out", out, *words)


def rows(out: Path) -> dict[str, Any]:
    data = json.loads((out / "points.json").read_text(encoding="utf-8"))
    return {row["image"]: row for row in data["images"]}


@pytest.fixture
def image(trained: Trained) -> Path:
    return trained.data / "val" / "images" / "val_1.png"


def test_points_json(trained: Trained, image: Path, tmp_path: Path) -> None:
    predict(trained.model, tmp_path, image).done()
    data = json.loads((tmp_path / "points.json").read_text(encoding="utf-8"))
    assert (data["format"], data["version"], data["recipe"]) == ("kaname-points", 1, "gauge")
    assert data["coordinates"].startswith("continuous pixels of the original image")
    expected = {"threshold": 0.5, "min_score": 0.1, "bandwidth": 20.0, "tolerance": 10.0, "presence": 0.0}
    assert data["settings"] == {**expected, "second_look": 0.0, "search": 3, "clusters": data["settings"]["clusters"]}
    (row,) = data["images"]
    assert row["image"] == "val_1.png" and row["size"] == [64, 64] and set(row) == {"image", "size", "points", "scores"}
    for name in CHANNELS:
        assert len(row["points"][name]) == len(row["scores"][name]) <= (1 if name != "middle" else 9)
        assert all(0 <= score <= 1 for score in row["scores"][name])
    truth = dial_points(8)  # the ninth dial that was made
    every = np.array([*truth["start"], *truth["middle"], *truth["end"]])
    found = np.array(row["points"]["middle"])
    assert np.linalg.norm(every[:, None] - found[None], axis=2).min(axis=1).max() < 10 * 64 / 448
    picture = read_image(tmp_path / "pictures" / "val_1.jpg")
    assert picture.shape == (64, 64, 3)


def test_a_larger_photograph_answers_in_its_own_pixels(trained: Trained, tmp_path: Path) -> None:
    size = (160, 256)
    write_image(tmp_path / "p.png", draw_dial(dial_points(8, size), size))
    predict(trained.model, tmp_path / "out", tmp_path / "p.png", "--pictures").done()
    row = rows(tmp_path / "out")["p.png"]
    assert row["size"] == [160, 256]
    model = kaname.load(trained.model)
    answer = model.predict(tmp_path / "p.png")
    for name in CHANNELS:
        assert np.allclose(answer.xy[name], np.array(row["points"][name]).reshape(-1, 2))


def test_folders_and_names(trained: Trained, image: Path, tmp_path: Path) -> None:
    for name in ("a/計器 1.png", "a/x.y-z.PNG", "b/計器 1.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(image, tmp_path / name)
    (tmp_path / "a" / "notes.txt").write_text("no image")
    predict(trained.model, tmp_path / "one", tmp_path / "a").done()
    assert set(rows(tmp_path / "one")) == {"計器 1.png", "x.y-z.PNG"}
    assert {path.name for path in (tmp_path / "one" / "pictures").iterdir()} == {"計器 1.jpg", "x.y-z.jpg"}
    predict(trained.model, tmp_path / "two", tmp_path / "a", tmp_path / "b", tmp_path / "a" / "x.y-z.PNG").done()
    assert set(rows(tmp_path / "two")) == {(tmp_path / name).as_posix() for name in
                                           ("a/計器 1.png", "a/x.y-z.PNG", "b/計器 1.png")}  # fmt: skip
    assert len(list((tmp_path / "two" / "pictures").iterdir())) == 3


def test_names_that_differ_in_their_ending(trained: Trained, image: Path, tmp_path: Path) -> None:
    for name in ("a.png", "a.jpg", "a.JPEG"):
        write_image(tmp_path / "in.jpg", read_image(image))
        (tmp_path / "in.jpg").rename(tmp_path / name)
    predict(trained.model, tmp_path / "out", *(tmp_path / name for name in ("a.png", "a.jpg", "a.JPEG"))).done()
    assert len(rows(tmp_path / "out")) == 3 == len(list((tmp_path / "out" / "pictures").iterdir()))


def test_keys_change_the_extraction(trained: Trained, image: Path, tmp_path: Path) -> None:
    words = ("extract.threshold=0.8", "extract.min_score=0.05", "--clusters", "weighted")
    predict(trained.model, tmp_path, image, *words).done()
    settings = json.loads((tmp_path / "points.json").read_text())["settings"]
    assert (settings["threshold"], settings["min_score"], settings["clusters"]) == (0.8, 0.05, "weighted")
    predict(trained.model, tmp_path, image, "--min-score", "1", "--overwrite").done()
    assert all(not found for found in rows(tmp_path)["val_1.png"]["points"].values())


def test_an_existing_file_wins_over_a_key(
    trained: Trained, image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(image, tmp_path / "extract.threshold=0.9.png")
    predict(trained.model, tmp_path / "out", "extract.threshold=0.9.png", "extract.threshold=0.3").done()
    data = json.loads((tmp_path / "out" / "points.json").read_text())
    assert data["settings"]["threshold"] == 0.3 and data["images"][0]["image"] == "extract.threshold=0.9.png"


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["lost.png"], ["lost.png", "no such file"]),
        (["empty"], ["empty", "no image"]),
        (["text.png"], ["text.png"]),
        (["good.png", "cut.jpg"], ["cut.jpg"]),
        ([], ["no image to predict"]),
        (["good.png", "extract.threshold=x"], ["threshold"]),
        (["good.png", "extract.treshold=0.2"], ["treshold", "threshold"]),
        (["good.png", "train.lr=1"], ["train.lr=1", "extract"]),
        (["good.png", "extract.threshold=0.2", "--threshold", "0.3"], ["twice"]),
        (["good.png", "--boxes", "lost.json"], ["lost.json"]),
        (["good.png", "--device", "gpu"], ["gpu"]),
    ],
)
def test_predict_refuses(
    trained: Trained, image: Path, tmp_path: Path, words: list[str], parts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.png").write_text("no image")
    shutil.copy(image, tmp_path / "good.png")
    write_image(tmp_path / "cut.jpg", read_image(image))
    whole = (tmp_path / "cut.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) * 2 // 3])
    predict(trained.model, tmp_path / "out", *words).refused(*parts)
    assert not (tmp_path / "out" / "points.json").exists()


def test_an_output_that_is_a_file(trained: Trained, image: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("in the way")
    predict(trained.model, tmp_path / "out", image).refused("out")


def test_a_network_that_sees_nothing(trained: Trained, image: Path, tmp_path: Path) -> None:
    """Every cell at 0.09, the noise of a real map on top: under the minimum, so nothing, and no crash."""
    import torch

    content = torch.load(trained.model, weights_only=True)
    last = [name for name in content["model"] if name.startswith("decoder.") and name.endswith(".bias")][-1]
    content["model"][last.replace("bias", "weight")] *= 1e-3
    content["model"][last][:] = -2.4
    torch.save(content, tmp_path / "blind.pt")
    write_image(tmp_path / "black.png", np.zeros((50, 70, 3), np.uint8))
    predict(tmp_path / "blind.pt", tmp_path / "out", tmp_path / "black.png", image).done()
    empty = {name: [] for name in CHANNELS}
    assert all(row["points"] == empty == row["scores"] for row in rows(tmp_path / "out").values())
    maps = kaname.load(tmp_path / "blind.pt").maps(read_image(image))
    assert 0.05 < maps.min() < maps.max() < 0.1
    predict(tmp_path / "blind.pt", tmp_path / "out", image, "--min-score", "0", "--overwrite").done()
    assert rows(tmp_path / "out")["val_1.png"]["points"]["middle"]  # asked for, the noise does become points
    call("gauge", "validate", "--model-path", tmp_path / "blind.pt", "--out", tmp_path / "v").done()
    found = json.loads((tmp_path / "v" / "metrics.json").read_text())
    assert found["middle"]["pck"]["value"] == 0 and found["middle"]["mean_distance_px"]["value"] is None
    assert found["middle"]["mean_distance_px"]["reason"] and found["middle"]["non_assigned"]["value"] == 0


# ---- boxes and videos


def test_boxes(trained: Trained, tmp_path: Path) -> None:
    scene = np.full((100, 200, 3), 90, np.uint8)
    scene[10:74, 20:84] = draw_dial(dial_points(8))
    scene[20:84, 110:174] = draw_dial(dial_points(9))
    (tmp_path / "in").mkdir()
    write_image(tmp_path / "in" / "p.png", scene)
    labels = [task(1, "p.png", {}, (100, 200), boxes=[(20, 10, 64, 64), (110, 20, 64, 64)])]
    boxes = write_json(tmp_path / "boxes.json", labels)
    predict(trained.model, tmp_path / "out", tmp_path / "in" / "p.png", "--boxes", boxes).done()
    found = rows(tmp_path / "out")
    assert list(found) == ["p.png#1", "p.png#2"] and [row["box"] for row in found.values()] == [1, 2]
    model = kaname.load(trained.model)
    for row, (x, y) in zip(found.values(), [(20, 10), (110, 20)], strict=True):
        alone = model.predict(np.ascontiguousarray(scene[y : y + 64, x : x + 64]))
        assert np.allclose(np.array(row["points"]["middle"]) - (x, y), alone.xy["middle"], atol=1e-5)
        assert row["size"] == [100, 200]
    both = model.predict(tmp_path / "in" / "p.png", [[20, 10, 84, 74], [110, 20, 174, 84]])
    assert np.allclose(both[1].xy["middle"], found["p.png#2"]["points"]["middle"])
    draw = call("gauge", "draw", "--predictions", tmp_path / "out" / "points.json", "--images", tmp_path / "in",
                "--out", tmp_path / "drawn").done()  # fmt: skip
    assert draw.out.startswith("1 pictures")
    write_image(tmp_path / "in" / "q.png", scene)
    predict(trained.model, tmp_path / "o2", tmp_path / "in", "--boxes", boxes).refused("no box for q.png")


def video(path: Path, count: int = 5, size: tuple[int, int] = (64, 96)) -> list[np.ndarray]:
    """An mp4 of dials at 10 frames per second."""
    images = []
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.height, stream.width, stream.pix_fmt, stream.bit_rate = *size, "yuv420p", 4_000_000
        for seed in range(count):
            images.append(draw_dial(dial_points(seed, size), size))
            for packet in stream.encode(av.VideoFrame.from_ndarray(images[-1], format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return images


def test_a_video(trained: Trained, image: Path, tmp_path: Path) -> None:
    images = video(tmp_path / "v.mp4")
    predict(trained.model, tmp_path / "out", tmp_path / "v.mp4", image).done()
    found = rows(tmp_path / "out")
    assert list(found) == [*(f"v.mp4#{i}" for i in range(5)), "val_1.png"]
    assert [found[f"v.mp4#{i}"]["frame"] for i in range(5)] == list(range(5))
    assert [found[f"v.mp4#{i}"]["seconds"] for i in range(5)] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    assert found["v.mp4#3"]["size"] == list(images[3].shape[:2])
    tracks = kaname.load(trained.model).predict(tmp_path / "v.mp4")
    assert list(tracks.frames) == list(range(5)) and list(tracks.times) == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    for index in range(5):
        expected = np.array(found[f"v.mp4#{index}"]["points"]["middle"]).reshape(-1, 2)
        assert np.allclose(tracks.points[index].xy["middle"], expected)


def test_a_video_that_is_none(trained: Trained, tmp_path: Path) -> None:
    (tmp_path / "v.mp4").write_text("no video")
    predict(trained.model, tmp_path / "out", tmp_path / "v.mp4").refused("v.mp4")
    video(tmp_path / "w.mp4")
    boxes = write_json(tmp_path / "b.json", [task(1, "w.mp4", {}, boxes=[(0, 0, 9, 9)])])
    predict(trained.model, tmp_path / "out", tmp_path / "w.mp4", "--boxes", boxes).refused("w.mp4", "--boxes")
    assert not (tmp_path / "out").exists()


# ---- export


def test_the_export_answers_the_same(trained: Trained, exported: Path, tmp_path: Path) -> None:
    report = json.loads(exported.with_name("gauge.onnx.parity.json").read_text())
    assert report["passed"] and report["images"] == 3 and report["map_difference_max"] <= 1e-4
    assert report["point_distance_p99_px"] <= 0.05 and not report["unmatched"]
    one, other = kaname.load(trained.model), kaname.load(exported)
    assert {**other.card, "trained": 0} == {**one.card, "trained": 0}
    random = np.random.default_rng(0)
    noise = random.integers(0, 256, (90, 50, 3), np.uint8)
    for source in (noise, draw_dial(dial_points(3, (200, 130)), (200, 130)), draw_dial(dial_points(8))):
        ours, theirs = one.predict(source), other.predict(source)
        assert np.abs(one.maps(source) - other.maps(source)).max() < 1e-4
        for name in CHANNELS:
            assert ours.xy[name].shape == theirs.xy[name].shape
            assert np.abs(ours.xy[name] - theirs.xy[name]).max(initial=0) < 0.05


def test_the_images_of_the_parity_check(trained: Trained, image: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved.pt"
    shutil.copy(trained.model, moved)
    import torch

    content = torch.load(moved, weights_only=True)
    card = json.loads(content["card"])
    card["config"]["data"] = (tmp_path / "gone").as_posix()
    torch.save({**content, "card": json.dumps(card)}, moved)
    out = tmp_path / "x.onnx"
    call("gauge", "export", "--model-path", moved, "--out", out).refused("gone", "--images")
    call("gauge", "evaluate", "--model-path", moved, "--out", tmp_path / "e").refused("gone")
    call("gauge", "export", "--model-path", moved, "--out", out, "--images", tmp_path / "none").refused("none")
    assert not list(tmp_path.glob("*.onnx*"))
    call("gauge", "export", "--model-path", moved, "--out", out, "--images", image.parent, "--count", 2).done()
    assert json.loads((tmp_path / "x.onnx.parity.json").read_text())["images"] == 2


def test_export_refuses(trained: Trained, exported: Path, tmp_path: Path) -> None:
    before = snapshot(trained.run)
    call("gauge", "export", "--model-path", exported, "--out", tmp_path / "y.onnx").refused("ONNX", "checkpoint")
    call("gauge", "export", "--model-path", trained.model, "--out", tmp_path / "y.pt").refused("y.pt", ".onnx")
    call("gauge", "export", "--model-path", tmp_path / "no.pt", "--out", tmp_path / "y.onnx").refused("no.pt")
    call("gauge", "export", "--model-path", trained.model, "--out", tmp_path / "y.onnx", "--count", 0).refused(
        "--count"
    )
    assert snapshot(trained.run) == before and not list(tmp_path.iterdir())


def test_an_onnx_file_without_a_card(exported: Path, image: Path, tmp_path: Path) -> None:
    import onnx

    file = tmp_path / "x.onnx"
    model = onnx.load(str(exported))
    del model.metadata_props[:]
    onnx.save(model, str(file))
    predict(file, tmp_path / "out", image).refused(str(file))
    predict(tmp_path / "lost.onnx", tmp_path / "out", image).refused("lost.onnx")


def test_a_model_predicts_arrays_and_folders(trained: Trained, image: Path, tmp_path: Path) -> None:
    model = kaname.load(trained.model)
    array = read_image(image)
    one, two = model.predict(array), model.predict(image)
    for name in CHANNELS:
        assert np.array_equal(one.xy[name], two.xy[name])
    assert len(model.predict(trained.data / "val" / "images")) == 3 == len(model.predict([array, image, str(image)]))
    for bad in (array.astype(float), array[..., 0], np.zeros((0, 5, 3), np.uint8), tmp_path / "lost.png"):
        with pytest.raises(kaname.InputError):
            model.predict(bad)
    with pytest.raises(kaname.InputError):
        model.predict(array, [[1, 2, 3]])
    with pytest.raises(kaname.InputError):
        model.predict(array, [[70, 70, 90, 90]])


def test_names_of_pictures_are_never_shared() -> None:
    names = ["x/y/a.png", "x_y/a.png", "a.jpg", "a.png", "a.png.jpg"]
    found = picture_names(names)
    assert len(set(found)) == len(names) and all(name.endswith(".jpg") for name in found)


@pytest.mark.slow
def test_the_largest_image_fits_into_two_and_a_half_gigabytes(tmp_path: Path) -> None:
    """Of 11,000 x 10,900 pixels, just under the limit, with its picture; 2.3 GB were measured. More is refused."""
    rows, columns = (np.linspace(0, 255, side, dtype=np.uint8) for side in (10900, 11000))
    content = np.empty((10900, 11000, 3), np.uint8)
    content[..., 0], content[..., 1], content[..., 2] = rows[:, None], columns[None], 128
    write_image(tmp_path / "large.png", content)
    model = Path(__file__).parents[2] / "golden" / "gauge.onnx"
    words = ["gauge", "predict", tmp_path / "large.png", "--model-path", model, "--out", tmp_path / "out"]
    script = (
        "import resource, sys\nfrom kaname.cli import main\ntry:\n    main(sys.argv[1:])\n"
        "finally:\n    print('PEAK', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    done = subprocess.run([sys.executable, "-c", script, *map(str, words)], capture_output=True, text=True, check=True)
    assert int(done.stdout.split("PEAK")[1]) < 2_500_000
    assert (tmp_path / "out" / "pictures" / "large.jpg").is_file()
