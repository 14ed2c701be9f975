"""The recipe by its contract, with motion, masks and frames that are compared."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from contracts.recipe import RecipeContract, Trained


def changed(words: Sequence[object], flag: str, value: object) -> list[object]:
    """Words with another value of a flag, at the end where it was not given; a bare flag is replaced itself."""
    if flag not in words:
        return [*words, flag, value]
    place = list(words).index(flag) + (0 if str(value).startswith("--") else 1)
    return [*words[:place], value, *words[place + 1 :]]


class TestKpnet(RecipeContract):
    name, processes = "kpnet", True
    # The normalisation behind the first layer takes out what is constant, and of a still picture that is most of the
    # difference's channel: its own rounding is 2e-6 of that layer's gradient. test_step.py has the losses in float64.
    apart = 1e-5
    sample = ("--count", 2, "--val-count", 1, "--length", 5, "--every", 2, "--size", "64,96")
    train = (
        *("--image-size", "48,90", "--resize-only", "--heatmap-size", 16, "--in-chans", 6, "--backbone", "small:8"),
        *("model.width=8", "--device", "cpu", "--num-workers", 0, "--batch-size", 4, "--epochs", 2, "--lr", "1e-2"),
        *("--ema", "0.9", "--seg-loss-weight", 0.15, "--hm-consist-weight", 0.05, "--coord-consist-weight", 0.05),
        *("--aug-rotate-deg", 10, "--video-frames", 1),
        # The guide's losses and rates, with every term at work, in the place of those of the preset `small`.
        *("--hm-pos-weight", 50, "--coord-loss-weight", 0.2, "loss.sigma=2.0", "--schedule", "constant"),
        *("train.clip=0", "train.warmup_epochs=0"),
    )

    @classmethod
    def data_words(cls, data: Path) -> list[object]:
        return ["--data-root", data]

    @classmethod
    def sources(cls, data: Path) -> list[object]:
        return [data / "val" / "frames"]

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (("--in-chans", 3), ("in_chans = 6", "has 3")),
            (("--flow-delta", 2), ("motion.delta = 1", "has 2")),
            (("--flow-method", "dis"), ("motion.method = 'farneback'", "'dis'")),
            (("--image-size", "64,96"), ("image_size = '48,90'", "'64,96'")),
            (("--resize-only", "--no-resize-only"), ("resize_only = True", "False")),
            (("--heatmap-size", 12), ("heatmap_size = '16,16'", "'12,12'")),
        ],
    )
    def test_weights_of_another_input_are_refused(
        self, trained: Trained, tmp_path: Path, words: tuple[str, object], said: tuple[str, str]
    ) -> None:
        """With a line that names both sides, for weights and for a further stage alike."""
        for how in ("--init", "--resume"):
            call = changed(self.training(trained, tmp_path / "run"), *words)
            trained.kaname(*call, how, trained.last).refused(trained.last.name, *said)
        assert not (tmp_path / "run").exists()

    def test_three_channels_are_not_six(self, trained: Trained, tmp_path: Path) -> None:
        """A model of colours is neither tuned nor resumed with motion; its own data needs no video."""
        data = shutil.copytree(trained.data, tmp_path / "data")
        shutil.rmtree(data / "movie")
        plain = ("--in-chans", 3, "--hm-consist-weight", 0, "--coord-consist-weight", 0, "--video-frames", 0)
        words = self.training(replace(trained, data=data), tmp_path / "three")
        for flag, value in zip(plain[::2], plain[1::2], strict=True):
            words = changed(words, str(flag), value)
        trained.kaname(*changed(words, "--epochs", 1)).done()
        for how in ("--init", "--resume"):
            call = self.training(trained, tmp_path / "run")
            trained.kaname(*call, how, tmp_path / "three" / "last.pt").refused("in_chans = 3", "has 6")
        out = ("--out", tmp_path / "scored", "--data-root", data)
        trained.kaname("evaluate", "--checkpoint", tmp_path / "three" / "last.pt", *out).done()
        assert (tmp_path / "scored" / "hota" / "mot_challenge_kp_results.csv").is_file()

    def test_frames_without_motion_are_counted(self, trained: Trained, tmp_path: Path) -> None:
        """Where that is allowed; in the run's card and on its page."""
        data = shutil.copytree(trained.data, tmp_path / "data")
        (data / "movie" / "train01.mp4").unlink()
        words = changed(changed(self.training(replace(trained, data=data), tmp_path / "run"), "--epochs", 1),
                        "--video-frames", 0)  # fmt: skip
        trained.kaname(*words).refused("train01.mp4", "--missing-flow zero")
        said = trained.kaname(*words, "--missing-flow", "zero").done().out
        assert "3 of 6 training frames have no frame before" in said and "1 training frames begin their video" in said
        assert self.card(trained, tmp_path / "run" / "last.pt")["still_frames"] == 3
        assert "3 training frames had no frame before" in (tmp_path / "run" / "report.html").read_text()

    def test_another_skeleton_is_refused(self, trained: Trained, tmp_path: Path, root: Path) -> None:
        """As many channels under other names are other points."""
        other = tmp_path / "other.yaml"
        other.write_text((root / "configs" / "skeleton" / "oss25.yaml").read_text().replace("thumb", "toe"))
        data = shutil.copytree(trained.data, tmp_path / "data")
        for how in ("--init", "--resume"):
            words = self.training(replace(trained, data=data), tmp_path / "run")
            trained.kaname(*words, "--skeleton", other, how, trained.last).refused(trained.last.name)
        call = ("evaluate", "--checkpoint", trained.model, "--data-root", data, "--skeleton", other)
        trained.kaname(*call, "--out", tmp_path / "scored").refused("skeleton")
        assert not (tmp_path / "run").exists()

    def test_stored_views_need_a_frozen_backbone(self, trained: Trained, tmp_path: Path) -> None:
        trained.kaname(*self.training(trained, tmp_path / "run"), "--cache-views", 2).refused("cache-views")

    def test_a_model_with_motion_asks_for_the_frame_before(self, trained: Trained, tmp_path: Path) -> None:
        """It says where it looked; nothing moves only where that is asked for."""
        alone = tmp_path / "alone" / "other_frame_2.png"
        alone.parent.mkdir()
        alone.write_bytes((trained.data / "val" / "frames" / "val00" / "val00_frame_2.png").read_bytes())
        words = ("predict", alone, "--checkpoint", trained.model, "--out", tmp_path / "out")
        trained.kaname(*words).refused("frame 1 of other", "movie/other.mp4", "--missing-flow zero")
        assert not (tmp_path / "out").exists()
        trained.kaname(*words, "--missing-flow", "zero").done()
        assert json.loads((tmp_path / "out" / "points.json").read_text())["images"]

    def test_a_video_is_answered_frame_by_frame(self, trained: Trained, tmp_path: Path) -> None:
        """Its first frame, which has none before it, too."""
        words = ("predict", trained.data / "movie" / "val00.mp4", "--checkpoint", trained.model, "--out", tmp_path)
        trained.kaname(*words, "--absent", 1).done()
        assert json.loads((tmp_path / "val00_pred.json").read_text())["frames"] == 5
        assert not (tmp_path / "points.json").exists()

    def test_a_further_stage(self, trained: Trained, tmp_path: Path) -> None:
        """Stage 2 goes on without the segmentation, trains its own epochs, and says what is different."""
        words = changed(changed(self.training(trained, tmp_path / "two"), "--seg-loss-weight", 0), "--epochs", 1)
        said = trained.kaname(*words, "--resume", trained.last).done().out
        assert "stage 2" in said and "loss.seg_weight" in said and "afresh" not in said
        assert len((tmp_path / "two" / "log.csv").read_text(encoding="utf-8").splitlines()) == 2

    def test_a_killed_second_stage_ends_with_the_same_bytes(self, trained: Trained, tmp_path: Path) -> None:
        """With frames that are compared and frames without labels; killed in a step and while it writes."""
        words = changed(self.training(trained, tmp_path / "run"), "--seg-loss-weight", 0)
        trained.kaname(*self.further(words, tmp_path / "whole"), "--resume", trained.last).done()
        ends = [
            trained.kaname(*words, "--resume", trained.last, act=("signal_in_step", 2, int(signal.SIGKILL))),
            trained.kaname(*words, "--resume", act=("kill_while_saving", 2)),
        ]
        assert [end.code for end in ends] == [-signal.SIGKILL] * 2, ends
        trained.kaname(*words, "--resume").done()
        names = [path.relative_to(tmp_path / "whole") for path in (tmp_path / "whole").rglob("*.pt")]
        assert len(names) >= 2
        for name in names:
            assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
        one, other = ([line.rsplit(",", 1)[0] for line in (tmp_path / run / "log.csv").read_text().split()]
                      for run in ("run", "whole"))  # fmt: skip
        assert one == other and len(one) == 3  # a heading and its own two epochs

    @staticmethod
    def further(words: Sequence[object], out: Path) -> list[object]:
        """The same call into another folder."""
        return changed(words, "--out-dir", out)

    def test_an_export_may_have_the_segmentation(self, trained: Trained, exported: Path) -> None:
        """Every output that a file has was compared; the motion comes in as it is."""
        whole = trained.folder / "whole.onnx"
        trained.kaname("export", "--checkpoint", trained.model, "--out", whole, "--with-segmentation").done()
        cards = [self.card(trained, path) for path in (exported, whole)]
        assert [set(card["heads"]) for card in cards] == [
            {"heatmaps", "visibility"}, {"heatmaps", "visibility", "segmentation"},
        ]  # fmt: skip
        assert set(cards[0]["inputs"]) == {"images", "flow", "foreground"} and cards[0]["motion"]["delta"] == 1

    def test_the_weights_are_chosen_by_hota(self, trained: Trained, tmp_path: Path) -> None:
        """In the epochs that are scored; predictions and pictures are kept, also without that loss."""
        words = changed(self.training(trained, tmp_path / "run"), "--seg-loss-weight", 0)
        further = ("--val-hota", "--val-hota-interval", 0, "--dump-seg-val", "--dump-seg-limit", 2)
        trained.kaname(*words, *further).done()
        header, *rows = (tmp_path / "run" / "log.csv").read_text(encoding="utf-8").splitlines()
        column = header.split(",").index("val_hota")
        assert [bool(row.split(",")[column]) for row in rows] == [False, True]
        assert [path.parent.name for path in sorted((tmp_path / "run").glob("hota/*/points.json"))] == ["epoch_2"]
        shots = sorted(
            path.relative_to(tmp_path / "run").as_posix() for path in (tmp_path / "run").glob("seg_snap/*/*")
        )
        assert shots == [f"seg_snap/epoch_{epoch}/val00_frame_{frame}_overlay.jpg" for epoch in (1, 2)
                         for frame in (0, 2)]  # fmt: skip
