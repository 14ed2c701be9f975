"""``report.html`` of evaluations and of training runs."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from kaname.data.log import read_rows
from kaname.geometry.image import read_image
from kaname.recipes.tracknet.config import DataSettings
from kaname.recipes.tracknet.labels import sets
from kaname.reporting.report import data_hash
from kaname.tracking.table import write_rows
from kaname.tracking.trajectory import DETECTED, Row
from pages import page_of
from recipes.tracknet.clips import TINY, call, flight, write_clip, write_set
from recipes.tracknet.conftest import Trained


def metrics(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "metrics.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A clip of 80 frames with one fault of each kind in four different seconds; labels and rows."""
    folder = tmp_path_factory.mktemp("faulty")
    truth = flight(80, 5)
    seen = [1] * 80
    seen[30] = seen[31] = 0
    write_clip(folder / "data" / "game1" / "Clip1", truth, visibility=seen, status=[2] * 80)
    rows = [Row(n, 0, float(x), float(y), 0.8, DETECTED, "game1/Clip1") for n, (x, y) in enumerate(truth)]
    rows[5] = Row(5, 0, truth[5, 0] + 30, truth[5, 1], 0.97, DETECTED, "game1/Clip1")  # far away
    rows[31] = Row(31, 0, 10.0, 10.0, 0.99, DETECTED, "game1/Clip1")  # nothing there
    rows[30] = Row(30, 0, float("nan"), float("nan"), 0.0, "", "game1/Clip1")
    rows[60] = Row(60, 0, truth[60, 0], truth[60, 1], 0.2, DETECTED, "game1/Clip1")  # under the threshold
    write_rows(folder / "predictions.csv", rows)
    return folder / "data", folder / "predictions.csv"


def test_predictions_alone_give_a_page(faulty: tuple[Path, Path], tmp_path: Path) -> None:
    data, file = faulty
    out = call("evaluate", "--data", data, "--predictions", file, "--out", tmp_path).done().out
    page = page_of(tmp_path)
    assert page == page_of(tmp_path / "train") and f"metrics.json and report.html in {tmp_path}" in out
    assert page.count("Not here: predictions were read from predictions.csv.") == 2, "neither curves nor speed"
    settings = metrics(tmp_path)["settings"]
    assert settings["data_hash"] in page and "a model that the predictions do not name" in page
    assert "too few to resample" in page and "count as balls to be found" in page
    worst = sorted(path.name for path in (tmp_path / "train" / "worst").iterdir())
    # The answer with the highest score where nothing is, the one far away, the missed ball, the farthest right one.
    assert [name[:1] + name[-8:-4] for name in worst[:3]] == ["10031", "20005", "30060"] and len(worst) >= 4
    assert "answer (score 0.99) where no ball is to be found" in page and "wrong, 30.0 px away (score 0.97)" in page
    assert "missed; the highest peak has 0.20, 0 px away" in page and "easy, bounce" in page
    best = list((tmp_path / "train" / "best").iterdir())
    assert not {path.name[2:] for path in best} & {name[2:] for name in worst}
    assert read_image(best[0]).shape[1] == 480 and page.count("data:image/jpeg") == len(worst) + len(best)


def test_the_flight_of_the_worst_clip(faulty: tuple[Path, Path], tmp_path: Path) -> None:
    data, file = faulty
    call("evaluate", "--data", data, "--predictions", file, "--out", tmp_path).done()
    page = page_of(tmp_path)
    assert "game1/Clip1: 3 errors in 80 frames" in page and "px, downwards" in page
    for title in ("x, px", "y, px, downwards"):
        drawing = page[page.index(f'aria-label="{title}"') :].split("</svg>")[0]
        # One dot a frame but for the one without ball and answer; the label's line breaks where there is no ball.
        assert drawing.count("<circle") == 79 and drawing.count("<polyline") == 2


def test_counts_and_table_by_visibility_and_status(faulty: tuple[Path, Path], tmp_path: Path) -> None:
    data, file = faulty
    call("evaluate", "--data", data, "--predictions", file, "--out", tmp_path).done()
    page = page_of(tmp_path)
    table = page[page.index("fp2: no ball there") :].split("</table>")[0]
    cells = [re.sub(r"<[^>]+>|\s+", " ", row).split() for row in table.split("<tr>")[1:]]
    assert cells[0] == ["all", "80", "76", "1", "1", "1", "1"] and ["absent", "2", "0", "0", "1", "0", "1"] in cells
    assert ["bounce", "78", "76", "1", "0", "1", "0"] in cells
    assert "pck_4px" in page and "l2_median_px" in page and "fp1_4px" not in page


def test_the_log_has_the_figure_of_the_report(trained: Trained) -> None:
    """Of a model that finds some balls and misses some, on clips whose last window begins in the one before."""
    card = json.loads(torch.load(trained.model, weights_only=True)["card"])
    row = read_rows(trained.run / "log.csv")[card["trained"]["epoch"] - 1]
    report = json.loads((trained.run / "report" / "metrics.json").read_text(encoding="utf-8"))
    assert row["val_f1"] == pytest.approx(report["all"]["f1_4px"]["value"]) and row["val_f1"] > 0
    assert json.loads((trained.run / "report" / "predictions.json").read_text(encoding="utf-8"))["frames"] % 3


def test_frames_that_the_loss_leaves_out_count_in_the_log(dots: Path, tmp_path: Path) -> None:
    """With ``absent=mask`` nothing teaches the network that there may be no ball: its false alarms are counted."""
    call(
        "train", "--data", dots, *TINY, "--out-dir", tmp_path, "--epochs", 8, "--batch-size", 4, "--lr", "1e-2",
        "--ema", "0.9", "data.sequence.length=3", "data.absent=mask", "training.scheduler.warmup_epochs=1",
    ).done()  # fmt: skip
    card = json.loads(torch.load(tmp_path / "best.pt", weights_only=True)["card"])
    row = read_rows(tmp_path / "log.csv")[card["trained"]["epoch"] - 1]
    report = json.loads((tmp_path / "report" / "metrics.json").read_text(encoding="utf-8"))["all"]
    assert row["val_f1"] == pytest.approx(report["f1_4px"]["value"]) and report["precision_4px"]["value"] < 1


def test_the_page_of_a_model(trained: Trained, tmp_path: Path) -> None:
    call("evaluate", "--checkpoint", trained.model, "--out", tmp_path).done()
    page = page_of(tmp_path)
    assert "Not here" not in page and "random weights" in page and "absent: negative" in page
    assert "frames per second" in page and ">cpu<" in page and "fp32" in page and "16 frames of 1 clips (game4)" in page
    assert "trained on (" not in page and "chose the weights" not in page
    assert "12 epochs" in page and "backbone" not in metrics(tmp_path)["settings"]
    call("evaluate", "--checkpoint", trained.model, "--out", tmp_path, "--split", "all").done()
    page = page_of(tmp_path)
    assert "trained on (game1, game2)" in page and "chose the weights (game3)" in page and "all sets" in page
    # The file of predictions knows it as well.
    words = ("--predictions", tmp_path / "all" / "predictions.csv", "--data", trained.data, "--split", "all")
    call("evaluate", *words, "--out", tmp_path / "again", "--smooth", "kalman", "--occluded-absent").done()
    page = page_of(tmp_path / "again")
    assert "trained on (game1, game2)" in page and "Smoothed (kalman)" in page and "count as no ball" in page


def test_without_out_nothing_is_written_over(trained: Trained, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    shutil.copy(trained.model, run / "best.pt")
    place = run / "evaluation" / "best-data"
    said = call("evaluate", "--checkpoint", run / "best.pt").done().out
    assert str(place / "test") in said and not (place / "metrics.json").exists()
    call("evaluate", "--checkpoint", run / "best.pt", "--split", "val").done()
    first = (place / "test" / "metrics.json").read_bytes()
    call("evaluate", "--checkpoint", run / "best.pt", "data.split.test_games=[1]").done()
    assert (place / "test" / "metrics.json").read_bytes() == first
    assert metrics(run / "evaluation" / "best-data-2" / "test")["settings"]["games"] == ["game1"]
    other = write_set(tmp_path / "other" / "data", games=1)
    call("evaluate", "--checkpoint", run / "best.pt", "--data", other).done()
    assert metrics(run / "evaluation" / "best-data-3" / "train")["settings"]["data"] == other.as_posix()
    assert "own data is another folder" in page_of(run / "evaluation" / "best-data-3" / "train")
    call("evaluate", "--checkpoint", run / "best.pt", "--data", other, "--out", other / "out").refused("mixed with")


def test_every_run_has_a_page(dots: Path, tmp_path: Path) -> None:
    words = ("train", "--data", dots, *TINY, "--epochs", 1, "--limit", 4)
    assert "report in" in call(*words, "--out-dir", tmp_path / "run").done().out
    page = page_of(tmp_path / "run")
    assert "training, folder run" in page and "16 frames of 1 clips (game3)" in page and "Only the first" not in page
    assert "absent: mask" in page and "chose the weights (game3)" in page
    assert metrics(tmp_path / "run" / "report")["settings"]["set"] == "val"
    assert not (tmp_path / "run" / "metrics.json").exists()
    call(*words, "--out-dir", tmp_path / "dry", "--dry-run").done()
    assert not (tmp_path / "dry").exists()


def test_a_run_scores_at_most_64_windows(tmp_path: Path) -> None:
    data = write_set(tmp_path / "data", games=3, frames=30, clips=9)
    words = ("--epochs", 1, "--limit", 4, "data.split.test_games=[]", "data.sequence.length=3")
    call("train", "--data", data, *TINY, *words, "--out-dir", tmp_path / "run").done()
    settings = metrics(tmp_path / "run" / "report")["settings"]
    assert settings["clips"] == 5 and settings["frames"] <= 64 * 3 and "Only the first" in page_of(tmp_path / "run")


def test_a_run_without_validation_games_says_so(tmp_path: Path) -> None:
    data = write_set(tmp_path / "data", games=1)
    call("train", "--data", data, *TINY, "--epochs", 1, "--limit", 4, "--out-dir", tmp_path / "run").done()
    assert "trained on (game1)" in page_of(tmp_path / "run")


def test_the_hash_follows_labels_and_frames(tmp_path: Path) -> None:
    def hash_of(folder: Path) -> str:
        clips = sets(DataSettings(root=folder))["train"]
        return data_hash((path, clip.label(number)) for clip in clips for number, path in enumerate(clip.frames))

    one = write_set(tmp_path / "one", games=1)
    first = hash_of(one)
    assert first == hash_of(shutil.copytree(one, tmp_path / "two")), "wherever it lies"
    label = one / "game1" / "Clip1" / "Label.csv"
    label.write_text(label.read_text().replace("0003.png,1", "0003.png,2"))
    assert hash_of(one) != first
    with (tmp_path / "two" / "game1" / "Clip1" / "0002.png").open("ab") as file:
        file.write(b"0")
    assert hash_of(tmp_path / "two") != first


def test_a_frame_that_cannot_be_drawn_is_named(faulty: tuple[Path, Path], tmp_path: Path) -> None:
    data = shutil.copytree(faulty[0], tmp_path / "data")
    frame = data / "game1" / "Clip1" / "0031.png"
    frame.write_bytes(frame.read_bytes()[:60])
    call("evaluate", "--data", data, "--predictions", faulty[1], "--out", tmp_path / "out").done()
    assert "game1/Clip1/0031.png could not be drawn" in page_of(tmp_path / "out")
