"""``kaname info``, ``doctor``, ``convert`` and ``bench``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kaname.apps.bench import bench
from kaname.apps.convert import convert
from kaname.apps.doctor import doctor
from kaname.apps.info import info
from kaname.data.formats import coco, labelstudio, tracknet
from kaname.data.formats.tracknet_table import HEADER
from kaname.errors import InputError
from kaname.geometry.image import write_image
from kaname.types import Sample
from test_loading import onnx_file


def test_info_of_an_export(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = onnx_file(tmp_path / "model.onnx")
    info(path)
    text = capsys.readouterr().out
    assert "ONNX export" in text and "start, middle, end" in text and "trained from scratch" in text
    info(path, as_json=True)
    assert json.loads(capsys.readouterr().out)["file"]["kind"] == "ONNX export"


def test_doctor(capsys: pytest.CaptureFixture[str]) -> None:
    doctor()
    text = capsys.readouterr().out
    assert "kaname" in text and "CPU cores" in text and "torch" in text and "licences" in text and "DINOv3" in text


def test_columns_of_doctor_stay_apart(capsys: pytest.CaptureFixture[str]) -> None:
    """Also where a part's name is long."""
    from kaname.apps import doctor as module

    doctor()
    lines = [line.strip() for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
    parts = [line.split("  ", 1) for line in lines]
    assert [part[0] for part in parts] == [name for name, _ in (*module.PARTS, *module.LICENCES)]


def test_doctor_asks_torch_only_where_there_may_be_a_gpu() -> None:
    """Where it does not, it says what torch says."""
    from kaname.apps import doctor as module
    from kaname.inference.device import choose_device, choose_precision
    from kaname.inference.runtimes import has_driver

    device = choose_device("auto")
    assert module._chosen() == (str(device), choose_precision("auto", device))
    if device.type != "cpu" or has_driver() or not Path("/proc/cpuinfo").is_file():
        pytest.skip("there may be a GPU here")
    program = "import sys\nfrom kaname.apps.doctor import doctor\ndoctor()\nassert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0 and "device cpu, precision auto = " in done.stdout, done.stderr


def test_bench(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bench(repeats=1, model=onnx_file(tmp_path / "model.onnx"))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6 and all(line.endswith(" ms") for line in lines) and "model.onnx" in lines[-1]


def test_bench_of_a_model_lists_every_runtime(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KANAME_CACHE", str(tmp_path / "cache"))
    path = onnx_file(tmp_path / "model.onnx")
    bench(path, repeats=1)
    head, columns, *rows = capsys.readouterr().out.splitlines()
    assert head.startswith("model.onnx of gauge on c") and "noise" in head
    assert columns.split()[:3] == ["runtime", "precision", "ms"] and columns.split()[3:5] == ["times", "onnxruntime"]
    listed = {tuple(row.split()[:2]) for row in rows if row.split()[1] in ("fp32", "bf16", "fp16")}
    assert {("onnxruntime", "fp32"), ("openvino", "fp32")} <= listed and sum("chosen" in row for row in rows) == 1
    assert "reference" in next(row for row in rows if row.startswith("onnxruntime"))
    assert rows[-1].startswith("measured in ") and (tmp_path / "cache" / "runtimes.json").is_file()
    for wrong, reason in (({"model": path}, "named twice"), ({"count": 0}, "--count must be at least 1")):
        with pytest.raises(InputError, match=reason):
            bench(path, **wrong)  # type: ignore[arg-type]


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """Two images with points, one of them hidden, as COCO."""
    samples = []
    for number in range(2):
        image = tmp_path / "images" / f"{number}.png"
        image.parent.mkdir(exist_ok=True)
        write_image(image, np.zeros((20, 30, 3), np.uint8))
        points = {"start": np.array([[3.0 + number, 4.0]]), "end": np.array([[9.0, 8.0]])}
        visible = {"start": np.array([2]), "end": np.array([1 if number else 2])}
        samples.append(Sample(image, points, visible, (20, 30), boxes=np.array([[1.0, 1.0, 20.0, 15.0]])))
    coco.write(tmp_path / "coco.json", samples)
    return tmp_path


@pytest.mark.parametrize("target", ["coco", "labelstudio"])
def test_convert_clips_whose_frames_have_the_same_names(tmp_path: Path, target: str) -> None:
    """Files are named by their place in the data set, and found there again."""
    for number in range(2):
        folder = tmp_path / "data" / f"game{number + 1}" / "Clip1"
        folder.mkdir(parents=True)
        write_image(folder / "0000.png", np.zeros((20, 30, 3), np.uint8))
        (folder / "Label.csv").write_text(f"{HEADER}\n0000.png,1,{number + 3},4,0\n", encoding="utf-8")
    convert(source_format="tracknet", target_format=target, source=tmp_path / "data", target=tmp_path / "all.json")
    module = coco if target == "coco" else labelstudio
    found = module.read(tmp_path / "all.json", images=tmp_path / "data")
    assert [sample.image.parent.parent.name for sample in found] == ["game1", "game2"]
    assert [float(next(iter(sample.points.values()))[0, 0]) for sample in found] == pytest.approx([3.5, 4.5])


def test_convert_there_and_back(labelled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = labelled / "new" / "ls.json", labelled / "back.json"
    convert(source_format="coco", target_format="labelstudio", source=labelled / "coco.json", target=one,
            images=labelled / "images")  # fmt: skip
    text = capsys.readouterr().out
    assert "lost" not in text and "2 images" in text
    convert(source_format="labelstudio", target_format="coco", source=one, target=other, images=labelled / "images")
    first = coco.read(labelled / "coco.json", images=labelled / "images")
    again = coco.read(other, images=labelled / "images")
    for before, after in zip(first, again, strict=True):
        assert before.image.name == after.image.name
        for name, points in before.points.items():
            assert np.allclose(after.points[name], points, atol=1e-6)
            assert after.visible[name].tolist() == before.visible[name].tolist()
    assert labelstudio.read(one, images=labelled / "images")[0].size == (20, 30)


def test_convert_a_clip(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = tmp_path / "game1" / "Clip1"
    clip.mkdir(parents=True)
    points = {"ball": np.array([[3.5, 4.5]])}
    for number in range(2):
        write_image(clip / f"{number:04d}.png", np.zeros((20, 30, 3), np.uint8))
    tracknet.write(clip / "Label.csv", [Sample(Path("0000.png"), points), Sample(Path("0001.png"))])
    convert(source_format="tracknet", target_format="coco", source=clip, target=tmp_path / "coco.json")
    assert "lost: 2 frame numbers" in (text := capsys.readouterr().out) and "2 labels of game, clip" in text
    assert "added: 2 boxes" in text
    back = tmp_path / "back.csv"
    convert(source_format="coco", target_format="tracknet", source=tmp_path / "coco.json", target=back, images=clip)
    assert "boxes" not in (text := capsys.readouterr().out) and "frame numbers" not in text, "nobody has drawn any"
    assert back.read_text() == (clip / "Label.csv").read_text()
    with pytest.raises(InputError, match="nothing says of which game it is"):
        convert(source_format="coco", target_format="tracknet", source=tmp_path / "coco.json", target=tmp_path / "new")


def test_convert_several_points_of_one_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two dials in one image and one image without a box: each point goes to its box, none is lost, and back again."""
    sets = {
        "a.png": {"middle": [[4.0, 5.0], [24.5, 6.0], [6.0, 9.0], [26.0, 4.0], [3.0, 3.0]], "start": [[22.0, 3.0]]},
        "b.png": {"middle": [[1.0, 2.0], [8.0, 9.0]], "start": [[5.0, 5.0]]},
    }
    boxes = {"a.png": np.array([[0.0, 0, 10, 12], [20, 0, 30, 12]]), "b.png": np.zeros((0, 4))}
    samples = []
    for name, points in sets.items():
        write_image(tmp_path / name, np.zeros((20, 40, 3), np.uint8))
        samples.append(Sample(tmp_path / name, {key: np.array(xy) for key, xy in points.items()}, boxes=boxes[name]))
    labelstudio.write(tmp_path / "ls.json", samples)
    convert(source_format="labelstudio", target_format="coco", source=tmp_path / "ls.json",
            target=tmp_path / "coco.json", images=tmp_path)  # fmt: skip
    text = capsys.readouterr().out
    assert "several points 'middle' of one instance: written as middle#1 to middle#3" in text and "lost" not in text
    first, second = coco.read(tmp_path / "coco.json", images=tmp_path)
    assert first.points["middle#1"].tolist() == [[4.0, 5.0], [24.5, 6.0]]
    assert first.visible["middle#3"].tolist() == [2, 0] and first.visible["start"].tolist() == [0, 2]
    assert len(second.boxes) == 1 and second.points["middle#2"].tolist() == [[8.0, 9.0]]
    convert(source_format="coco", target_format="labelstudio", source=tmp_path / "coco.json",
            target=tmp_path / "back.json", images=tmp_path)  # fmt: skip
    for sample in labelstudio.read(tmp_path / "back.json", images=tmp_path):
        expected = sets[sample.image.name]
        assert {name: sorted(xy.tolist()) for name, xy in sample.points.items()} == {
            name: sorted(xy) for name, xy in expected.items()
        }


def test_convert_lists_what_is_lost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_image(tmp_path / "a.png", np.zeros((20, 40, 3), np.uint8))
    boxes = np.array([[0.0, 0, 10, 12], [20, 0, 30, 12]])
    labelstudio.write(tmp_path / "ls.json", [Sample(tmp_path / "a.png", {"x": np.array([[15.0, 5.0]])}, boxes=boxes)])
    tasks = json.loads((tmp_path / "ls.json").read_text(encoding="utf-8"))
    tasks[0]["annotations"][0]["result"].append({"type": "choices", "value": {"choices": ["clean"]}})
    (tmp_path / "ls.json").write_text(json.dumps(tasks), encoding="utf-8")
    convert(source_format="labelstudio", target_format="coco", source=tmp_path / "ls.json",
            target=tmp_path / "coco.json", images=tmp_path)  # fmt: skip
    text = capsys.readouterr().out
    assert "lost: 1 points outside of every box" in text
    assert "lost: 1 results that are neither points nor boxes" in text and "polygons" not in text
    assert len(coco.read(tmp_path / "coco.json", images=tmp_path)[0].boxes) == 2


def test_convert_refuses(labelled: Path) -> None:
    path = labelled / "coco.json"
    before = path.read_bytes()
    with pytest.raises(InputError, match="the same file"):
        convert(source_format="coco", target_format="coco", source=path, target=path)
    with pytest.raises(InputError):
        convert(source_format="labelstudio", target_format="coco", source=path, target=labelled / "x.json")
    with pytest.raises(InputError):
        convert(source_format="coco", target_format="coco", source=labelled / "none.json", target=labelled / "x.json")
    assert path.read_bytes() == before and not (labelled / "x.json").exists()
