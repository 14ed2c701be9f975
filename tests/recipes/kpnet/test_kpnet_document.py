"""The written guide's command lines, as they stand, on a rendered sample: only the device, a small network, a small
picture and fewer epochs are put in; the slow test keeps the picture's size too."""

from __future__ import annotations

import csv
import json
import shlex
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from contracts.commands import Commands, commands
from kaname.data.formats import mot_kp
from kaname.data.formats.mot_kp_files import frame_name
from kaname.geometry.image import write_image

STAGE1 = """train
--data-root ./data --image-size 540,960 --in-chans 6 --batch-size 8 --epochs 60 --lr 1e-4 --weight-decay 1e-4
--hm-pos-weight 80 --coord-loss-weight 0.2 --hm-consist-weight 0.05 --coord-consist-weight 0.05 --aug-rotate-deg 0
--seg-loss-weight 0.15 --pseudo6-root artifacts/seg_pseudo6 --out-dir artifacts/exp2_pretrain --device cuda
--dump-seg-val --dump-seg-interval 1 --dump-seg-limit 1000 --dump-seg-alpha 0.9 --resize-only --val-hota"""
STAGE2 = """train
--resume artifacts/exp2_pretrain/last.pt --data-root ./data --image-size 540,960 --in-chans 6 --batch-size 8 --epochs 20
--hm-pos-weight 80 --coord-loss-weight 0.05 --hm-consist-weight 0.05 --coord-consist-weight 0.05 --aug-rotate-deg 0
--seg-loss-weight 0.0 --pseudo6-root artifacts/seg_pseudo6 --out-dir artifacts/exp2_finetune --device cuda
--dump-seg-val --dump-seg-interval 1 --dump-seg-limit 1000 --resize-only --val-hota --val-hota-interval 1"""
EVALUATE = """evaluate
--GT_FOLDER artifacts/kp_eval/data/gt --TRACKERS_FOLDER artifacts/kp_eval/data/trackers
--OUTPUT_FOLDER artifacts/kp_eval/out_det --TRACKERS_TO_EVAL oss25_det"""
VISUALIZE = """visualize
--data-root ./data --gt-folder artifacts/kp_eval/data/gt --pred artifacts/kp_eval/data/trackers/val00_pred.txt
--video val00 --out artifacts/kp_eval/vis/val00_refine --limit 12"""
SMALL = ("--backbone", "small:8", "model.width=8", "--num-workers", "0")


def documented(line: str, **changes: object) -> list[str]:
    """A documented line with other values of some flags."""
    words = shlex.split(line)
    for name, value in {"device": "cpu", **changes}.items():
        flag = "--" + name.replace("_", "-")
        if flag in words:
            words[words.index(flag) + 1] = str(value)
    return words


def log(run: Path) -> list[dict[str, str]]:
    with (run / "log.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def kaname(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Commands, Path]]:
    """A working folder with ``data`` and pseudo masks of frames between the labelled ones."""
    folder = tmp_path_factory.mktemp("work")
    with commands("kpnet", folder) as call:
        words = ("--count", 2, "--val-count", 1, "--length", 5, "--every", 2, "--size", "90,160")
        call("sample", "--out", "data", *words).done()
        masks = folder / "artifacts" / "seg_pseudo6" / "train00"
        masks.mkdir(parents=True)
        for frame in range(4):
            write_image(masks / f"{frame_name('train00', frame)}.png", np.full((90, 160), frame, np.uint8))
        yield call, folder


def trained(kaname: tuple[Commands, Path], size: str) -> None:
    """Both stages one after the other, each with as many epochs as it was asked for."""
    call, folder = kaname
    one = documented(STAGE1, epochs=2, image_size=size)
    call(*one, *SMALL).done()
    first, second = folder / "artifacts" / "exp2_pretrain", folder / "artifacts" / "exp2_finetune"
    said = call(*documented(STAGE2, epochs=3, image_size=size), *SMALL).done().out
    assert "stage 2" in said and "loss.seg_weight: 0.15 -> 0.0" in said and "loss.coord_weight: 0.2 -> 0.05" in said
    assert len(log(first)) == 2 and len(log(second)) == 3
    assert all(row["val_hota"] for row in (*log(first), *log(second)))
    assert {"last.pt", "best.pt"} <= {path.name for path in first.iterdir()}
    for run, epochs in ((first, 2), (second, 3)):
        names = [f"seg_snap/epoch_{epoch}/val00_frame_{frame}_overlay.jpg" for epoch in range(1, epochs + 1)
                 for frame in (0, 2, 4)]  # fmt: skip
        assert sorted(path.relative_to(run).as_posix() for path in run.glob("seg_snap/*/*")) == names
        assert len(list(run.glob("hota/epoch_*/points.json"))) == epochs


def test_the_two_stages(kaname: tuple[Commands, Path]) -> None:
    """And a second stage with another heatmap is refused."""
    trained(kaname, "54,96")
    call, folder = kaname
    words = documented(STAGE2, epochs=1, image_size="54,96", out_dir="artifacts/other")
    call(*words, *SMALL, "--heatmap-size", 10).refused("heatmap_size", "10,10")
    assert not (folder / "artifacts" / "other").exists()


@pytest.mark.slow
def test_the_two_stages_at_the_documents_size(kaname: tuple[Commands, Path]) -> None:
    """540 x 960 lies on a canvas of 544 x 960."""
    _, folder = kaname
    for name in ("exp2_pretrain", "exp2_finetune"):
        (folder / "artifacts" / name).exists() and (folder / "artifacts" / name).rename(folder / f"small_{name}")
    trained(kaname, "540,960")


def test_evaluation_and_pictures(kaname: tuple[Commands, Path]) -> None:
    """The truth moved by 8 px: a similarity of 0.726 is a match at 14 of 19 thresholds."""
    call, folder = kaname
    gt, trackers = (folder / "artifacts" / "kp_eval" / "data" / name for name in ("gt", "trackers"))
    samples = mot_kp.read(folder / "data" / "val" / "mot" / "val00.txt")
    mot_kp.write(gt / "val00.txt", samples)
    for sample in samples:
        for name in sample.points:
            sample.points[name][:] += [8.0, 0.0]  # type: ignore[index]
    mot_kp.write(trackers / "val00_pred.txt", samples)
    call(*documented(EVALUATE)).done()
    out = folder / "artifacts" / "kp_eval" / "out_det"
    with (out / "hota" / "mot_challenge_kp_results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["TRACKER"], row["SEQ"]) for row in rows] == [("oss25_det", "val00"), ("oss25_det", "COMBINED_SEQ")]
    hands = json.loads((out / "metrics.json").read_text())["left_hand"]
    assert hands["hota"]["value"] == pytest.approx(14 / 19) and hands["pixel_error"]["value"] == pytest.approx(8)
    call(*documented(VISUALIZE)).done()
    names = {path.name for path in (folder / "artifacts" / "kp_eval" / "vis" / "val00_refine").iterdir()}
    assert names == {f"val00_frame_{frame}_overlay.jpg" for frame in (0, 2, 4)}


def test_a_missing_folder_of_masks_matters_only_with_their_loss(kaname: tuple[Commands, Path]) -> None:
    call, folder = kaname
    words = documented(STAGE1, epochs=1, image_size="54,96", pseudo6_root="nowhere", out_dir="lost")
    call(*words, *SMALL).refused("no folder of pseudo masks", "--seg-loss-weight 0")
    assert not (folder / "lost").exists()
    call(*documented(" ".join(words), seg_loss_weight=0), *SMALL, "--dry-run").done()
