"""Figures from files of predictions: perfect, shifted and missing ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kaname.data.formats.files import write_json
from kaname.errors import InputError
from kaname.pipeline.answers import write
from kaname.recipes.kpnet.comparing import compare
from kaname.recipes.kpnet.config import AnswerSettings, DataSettings
from kaname.recipes.kpnet.evaluate import score
from kaname.recipes.kpnet.labels import Picture, read_set
from kaname.reporting.compare import comparison
from kaname.samples.kpnet import write as render
from kaname.types import Points, Prediction


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("kpnet") / "data"
    return render(out, count=1, val_count=2, length=9, every=3, size=(96, 160), movie=False)


@pytest.fixture(scope="module")
def pictures(data: Path) -> list[Picture]:
    return read_set(DataSettings(data), "val")


def predicted(
    path: Path, pictures: list[Picture], shift: float = 0.0, swapped: bool = False, without: str = "", **settings: float
) -> Path:
    """The truth as predictions, ``shift`` pixels to the right; with the needles' slots changing places."""

    def rows() -> Any:
        for picture in pictures:
            points, visible = picture.channels
            names = list(picture.skeleton.channels)
            xy = points + np.array([shift, 0.0])
            if swapped and picture.number % 2:
                xy[-6:], visible = np.concatenate([xy[-3:], xy[-6:-3]]), visible.copy()
                visible[-6:] = np.concatenate([visible[-3:], visible[-6:-3]])
            gone = np.array([name.startswith(without) if without else False for name in names])
            visible = np.where(gone | np.isnan(xy).any(axis=1), 0, visible)
            xy = np.where((visible > 0)[:, None], xy, np.nan)
            parts = [{name: part[number][None] for number, name in enumerate(names)}
                     for part in (xy, np.ones(len(names)), visible)]  # fmt: skip
            yield Prediction(picture.source, Points(parts[0], parts[1], picture.size, parts[2]))

    about = {"recipe": "kpnet", "model": "truth", "answers": settings, "skeleton": pictures[0].skeleton.to_dict()}
    write(path, rows(), about)
    return path


def figures(path: Path, pictures: list[Picture], **settings: Any) -> dict[str, dict[str, float]]:
    groups = score(path, pictures, AnswerSettings(**settings), {}).groups
    return {group: {name: entry["value"] for name, entry in one.items()} for group, one in groups.items()}


def test_the_truth_scores_one(tmp_path: Path, pictures: list[Picture]) -> None:
    found = figures(predicted(tmp_path / "points.json", pictures), pictures)
    assert found["all"]["pck"] == found["all"]["visibility"] == 1 and found["all"]["pixel_error"] < 1e-6
    for name in ("left_hand", "right_hand", "scissors"):
        assert found[name]["hota"] == pytest.approx(1.0), name


def test_a_shift_is_measured_in_pixels_and_lowers_hota(tmp_path: Path, pictures: list[Picture]) -> None:
    path = predicted(tmp_path / "points.json", pictures, shift=8.0)
    found = figures(path, pictures)
    assert found["all"]["pixel_error"] == pytest.approx(8.0) and found["all"]["pck"] == 1
    # exp(-64 / 200) = 0.726: right at 14 of 19 thresholds
    assert found["left_hand"]["hota"] == pytest.approx(14 / 19)
    assert figures(path, pictures, pck_px=5.0)["all"]["pck"] == 0
    assert figures(path, pictures, similarity="linear", scale_px=2.0)["left_hand"]["hota"] == 0


def test_a_class_that_is_never_found(tmp_path: Path, pictures: list[Picture]) -> None:
    """Only its own figures fall, and the mean over classes."""
    path = predicted(tmp_path / "points.json", pictures, without="left_hand")
    found = figures(path, pictures)
    assert found["left_hand"]["hota"] == found["left_hand"]["pck"] == 0 and found["left_hand"]["pixel_error"] is None
    assert found["right_hand"]["hota"] == pytest.approx(1.0)
    whole = figures(predicted(tmp_path / "whole.json", pictures), pictures)["all"]["hota"]
    assert found["all"]["hota"] == pytest.approx(whole - 1 / 6)


def test_needles_keep_their_ids_where_slots_change_places(tmp_path: Path, pictures: list[Picture]) -> None:
    """A detector fills slots anew in every frame; along time the nearest is the same."""
    plain = figures(predicted(tmp_path / "a.json", pictures), pictures)["needle"]["ass_a"]
    swapped = figures(predicted(tmp_path / "b.json", pictures, swapped=True), pictures)["needle"]["ass_a"]
    assert swapped == pytest.approx(plain)


def test_a_frame_without_a_prediction(tmp_path: Path, pictures: list[Picture]) -> None:
    path = predicted(tmp_path / "points.json", pictures[1:])
    with pytest.raises(InputError, match=r"no prediction for val00_frame_0.png"):
        score(path, pictures, AnswerSettings(), {})


def test_compare_by_video(tmp_path: Path, data: Path, pictures: list[Picture]) -> None:
    """A sample is a video; HOTA is made of its counts, so that it may be drawn again."""
    path = predicted(tmp_path / "points.json", pictures, shift=8.0)
    scored = compare(path, data, split="val", cluster=None, options={"pck_px": 9.0})
    assert set(scored.values) == {"val00", "val01"} and scored.sample == "video"
    rows = {
        figure: np.array([one["left_hand"][figure] for one in scored.values.values()]) for figure in ("hota", "pck")
    }
    assert scored.statistics["hota"](rows["hota"]) == pytest.approx(14 / 19)
    assert scored.statistics["pck"](rows["pck"]) == 1


def test_two_evaluations_are_compared_as_their_points_are(tmp_path: Path, data: Path, pictures: list[Picture]) -> None:
    """``hota.json`` of an evaluation says what its ``points.json`` says."""
    path = predicted(tmp_path / "points.json", pictures, shift=8.0)
    result = score(path, pictures, AnswerSettings(pck_px=9.0), {})
    write_json(tmp_path / "hota.json", result.files["hota.json"])
    one = compare(path, data, split="val", cluster=None, options={"pck_px": 9.0})
    other = compare(tmp_path / "hota.json", data, split=None, cluster=None, options={})
    assert one.values == other.values and one.settings["pck_px"] == other.settings["pck_px"] == 9.0


def test_compared_as_it_was_evaluated(tmp_path: Path, data: Path, pictures: list[Picture]) -> None:
    """``points.json`` says how it is scored; figures of different limits are not set beside each other."""
    path = predicted(tmp_path / "points.json", pictures, shift=8.0, pck_px=7.0)
    scored = compare(path, data, split="val", cluster=None, options={})
    other = compare(path, data, split="val", cluster=None, options={"pck_px": 9.0})
    rows = [np.array([entry["all"]["pck"] for entry in one.values.values()]) for one in (scored, other)]
    assert [one.statistics["pck"](own) for one, own in zip((scored, other), rows, strict=True)] == [0, 1]
    with pytest.raises(InputError, match=r"pck_px of B is 9.0, of A 7.0"):
        comparison(scored, other)


def test_each_video_and_each_alpha_stand_in_the_metrics(tmp_path: Path, pictures: list[Picture]) -> None:
    groups = score(predicted(tmp_path / "p.json", pictures, 8.0), pictures, AnswerSettings(), {}).groups
    entry = groups["left_hand"]["hota"]
    assert entry["videos"] == pytest.approx({"val00": 14 / 19, "val01": 14 / 19}) and entry["n"] == 2
    assert entry["alphas"] == pytest.approx([1.0] * 14 + [0.0] * 5)
    confusion = np.array(groups["all"]["visibility"]["confusion"])
    assert confusion.trace() == confusion.sum() > 0


def test_a_frame_without_objects_at_the_end_counts(tmp_path: Path, pictures: list[Picture]) -> None:
    """What is predicted there is wrong, and is not left out as if nobody had looked."""
    path = predicted(tmp_path / "points.json", pictures)
    last = [replace(one, things=()) if one.number == 6 else one for one in pictures]
    result = score(path, last, AnswerSettings(), {})
    assert result.settings["predictions_off_the_grid"] == 0
    assert result.groups["left_hand"]["det_pr"]["value"] < 1 and result.groups["left_hand"]["det_re"]["value"] == 1


def test_videos_are_chosen_by_name(tmp_path: Path, pictures: list[Picture]) -> None:
    path = predicted(tmp_path / "points.json", pictures)
    assert score(path, pictures, AnswerSettings(), {"videos": ["val01"]}).settings["videos"] == ["val01"]
    with pytest.raises(InputError, match="'val02', which is not labelled"):
        score(path, pictures, AnswerSettings(), {"videos": ["val02"]})


def test_labels_without_a_visible_point(tmp_path: Path, pictures: list[Picture]) -> None:
    path = predicted(tmp_path / "points.json", pictures)
    with pytest.raises(InputError, match="no visible point"):
        score(path, [replace(one, things=()) for one in pictures], AnswerSettings(), {})
