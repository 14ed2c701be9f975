"""Users, files and what is left of lost sessions."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from annotating import face_skeleton, paint
from kaname.apps.annotation.album import Album, Key, Missing
from kaname.apps.annotation.project import Conflict, Project
from kaname.apps.annotation.proposals import Proposals
from kaname.data.formats.landmarks import read_annotation
from kaname.errors import InputError

ONE, TWO = "1" * 32, "2" * 32
KEY: Key = ("a.png", 1)
steps = (f"step-{number:04}" for number in itertools.count())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.png", "b.png", "b.jpg", "furry/a.png"):
        paint(tmp_path / "raw" / name, (40, 50))
    return tmp_path


def opened(folder: Path) -> Project:
    return Project(Album(folder / "raw", folder / "out", face_skeleton()))


def do(project: Project, user: str, action: dict[str, Any] | None = None, key: Key = KEY, **save: bool) -> str | None:
    """A step, or (without an action) a save."""
    after = project.view(user, key)["version"]
    if action is None:
        return project.save(user, key, after, next(steps), finish=save.pop("finish", True), **save)
    return project.act(user, key, after, next(steps), action)


def place(number: int, at: tuple[int, int] = (5, 6)) -> dict[str, Any]:
    return {"kind": "place", "point": number, "at": list(at)}


def finish(project: Project, user: str, key: Key = KEY) -> None:
    for number in range(28):
        do(project, user, {"kind": "mark", "point": number, "as": "absent"}, key)
    do(project, user, key=key)


def test_files_are_named_so_that_none_hits_another(folder: Path) -> None:
    project = opened(folder)
    for image in project.album.images:
        do(project, ONE, place(0), (image, 1))
        do(project, ONE, key=(image, 1))
    files = {path.name: read_annotation(path).image for path in (folder / "out").glob("*.json")}
    assert files == {"a.json": "a.png", "b.jpg.json": "b.jpg", "b.png.json": "b.png", "furry__a.json": "furry/a.png"}


def test_files_are_found_by_what_they_say(folder: Path) -> None:
    (folder / "out").mkdir()
    content = {"image": "furry/a.png", "landmarks": [[1, 2]] * 28, "image_size": {"width": 50, "height": 40}, "by": "x"}
    (folder / "out" / "any name.json").write_text(json.dumps(content))
    project = opened(folder)
    key = ("furry/a.png", 1)
    assert project.view(ONE, key)["saved"] == "finished" and project.view(ONE, key)["state"]["places"][3] == (1, 2)
    do(project, ONE, place(3, (9, 9)), key)
    assert do(project, ONE, key=key) == "saved any name.json"
    assert json.loads((folder / "out" / "any name.json").read_text())["by"] == "x", "what others wrote stays"
    assert len(list((folder / "out").glob("*.json"))) == 1


def test_files_from_windows_are_those_of_their_images(folder: Path) -> None:
    finish(opened(folder), ONE, ("furry/a.png", 1))
    (path,) = (folder / "out").glob("*.json")
    content = {**json.loads(path.read_text()), "image": "furry\\a.png"}
    path.write_text(json.dumps(content))
    project = opened(folder)
    assert project.album.faces("furry/a.png") == [1] and project.album.finished("furry/a.png")
    path.write_text(json.dumps({**content, "note": "changed while the page is open"}))
    assert project.album.saved(("furry/a.png", 1)).left == []
    do(project, TWO, key=("furry/a.png", 1))
    assert [*(folder / "out").glob("*.json")] == [path] and json.loads(path.read_text())["image"] == "furry/a.png"


def test_a_finished_face_stays_finished_until_somebody_saves_it(folder: Path) -> None:
    project = opened(folder)
    finish(project, ONE)
    do(project, ONE, place(0))
    assert do(project, ONE, finish=False) == "your changes are kept, but not saved"
    kept = read_annotation(folder / "out" / "a.json")
    assert kept.finished and (kept.visible == 0).all()
    again = opened(folder)
    assert (
        again.unsaved() == 1 and again.view(ONE, KEY)["state"]["places"][0] == (5, 6) and again.view(ONE, KEY)["dirty"]
    )
    do(again, ONE, {"kind": "revert"})
    assert again.view(ONE, KEY)["state"]["places"][0] is None and not again.view(ONE, KEY)["dirty"]


def test_an_empty_face_has_no_file(folder: Path) -> None:
    project = opened(folder)
    assert do(project, ONE) == "nothing to save: no point is placed"
    do(project, ONE, place(0), ("a.png", 2))
    do(project, ONE, key=("a.png", 2))
    assert (folder / "out" / "a.face2.json").exists() and project.view(ONE, KEY)["faces"] == [1, 2]
    do(project, ONE, {"kind": "clear_all"}, ("a.png", 2))
    assert "removed" in str(do(project, ONE, key=("a.png", 2)))
    assert not (folder / "out" / "a.face2.json").exists()


def test_an_image_is_finished_when_all_of_its_faces_are(folder: Path) -> None:
    project = opened(folder)
    finish(project, ONE)
    assert project.view(ONE, KEY)["finished"] == 1
    do(project, ONE, place(0), ("a.png", 2))
    do(project, ONE, key=("a.png", 2))
    assert project.view(ONE, KEY)["finished"] == 0 and project.view(ONE, ("b.png", 1))["unfinished"] == "furry/a.png"


def test_whoever_saves_second_is_told(folder: Path) -> None:
    project = opened(folder)
    do(project, ONE, place(0))
    finish(project, TWO)
    with pytest.raises(Conflict, match="somebody else"):
        do(project, ONE)
    assert "Somebody else" in project.view(ONE, KEY)["warning"]
    do(project, ONE, force=True)
    assert read_annotation(folder / "out" / "a.json").points[0].tolist() == [5, 6]
    assert project.view(TWO, KEY)["state"]["places"][0] == (5, 6), "who changed nothing sees the new file"


def test_a_lost_session_is_offered_and_never_forced(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = opened(folder)
    do(project, ONE, place(0, (1, 1)))
    do(project, ONE, place(1, (2, 2)))
    assert not project.view(TWO, KEY)["others"], "the first user is still there"
    again = opened(folder)
    assert again.view(TWO, KEY)["others"] and again.view(TWO, KEY)["state"]["places"][0] is None
    do(again, TWO, {"kind": "adopt"})
    assert again.view(TWO, KEY)["state"]["places"][:2] == ((1, 1), (2, 2)) and not again.view(TWO, KEY)["others"]
    do(again, TWO, {"kind": "undo"})
    assert opened(folder).view(TWO, KEY)["state"]["places"][:2] == ((1, 1), None)
    monkeypatch.setattr("kaname.apps.annotation.project.GONE_AFTER", 0.0)
    assert again.here(ONE, KEY), "not heard of for a while"


def test_a_file_changed_or_removed_by_other_programs_is_seen(folder: Path) -> None:
    project = opened(folder)
    finish(project, ONE)
    path = folder / "out" / "a.json"
    content = json.loads(path.read_text())
    content["landmarks"][0], content["visible"][0] = [7, 8], 1
    path.write_text(json.dumps(content))
    assert project.view(ONE, KEY)["state"]["places"][0] == (7, 8)
    path.unlink()
    assert project.view(ONE, KEY)["saved"] == "" and project.view(ONE, KEY)["finished"] == 0


def test_an_image_of_another_size_is_warned_of(folder: Path) -> None:
    project = opened(folder)
    finish(project, ONE)
    paint(folder / "raw" / "a.png", (80, 100))
    assert "50 x 40" in project.view(ONE, KEY)["warning"]


@pytest.mark.parametrize("key", [("no.png", 1), ("../raw/a.png", 1), ("a.png", 3), ("a.png", 0), ("", 1)])
def test_only_what_is_there_is_shown(folder: Path, key: Key) -> None:
    with pytest.raises(Missing):
        opened(folder).view(ONE, key)


def test_annotations_that_do_not_fit_stop_the_start(folder: Path) -> None:
    (folder / "out").mkdir()
    size = {"width": 50, "height": 40}
    path = folder / "out" / "a.json"
    path.write_text(json.dumps({"image": "a.png", "landmarks": [[1, 2]] * 5, "image_size": size}))
    with pytest.raises(InputError, match="5 landmarks, and anime-face-28 has 28") as caught:
        opened(folder)
    assert caught.value.path == str(path)
    path.write_text(json.dumps({"image": "a.png", "landmarks": [[1, 2]] * 28, "image_size": size}))
    (folder / "out" / "b.json").write_text(path.read_text())
    with pytest.raises(InputError, match=r"a\.json is of the same face"):
        opened(folder)
    path.write_text("{")
    with pytest.raises(InputError, match="not JSON"):
        opened(folder)


def test_proposals_are_asked_for_once_and_the_second_face_needs_a_box(folder: Path) -> None:
    asked: list[Any] = []

    def model(image: np.ndarray, box: Any) -> tuple[np.ndarray, np.ndarray]:
        asked.append(box)
        return np.full((28, 2), 10.5 if box is None else 20.5), np.linspace(0, 1, 28)

    album = Album(folder / "raw", folder / "out", face_skeleton())
    project = Project(album, Proposals(model, album.path))
    assert project.view(ONE, KEY)["state"]["places"][0] == (10, 10) and project.view(TWO, KEY)["score"] == 0.5
    assert asked == [None]
    second = ("a.png", 2)
    assert project.view(ONE, second)["state"]["places"][0] is None
    do(project, ONE, {"kind": "box", "at": [[2, 2], [30, 30]]}, second)
    do(project, ONE, {"kind": "propose"}, second)
    assert project.view(ONE, second)["state"]["places"][0] == (20, 20) and asked[-1] == (2, 2, 28, 28)


def test_a_broken_image_comes_last_and_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "raw" / "b.jpg").write_bytes(b"broken")
    album = Album(folder / "raw", folder / "out", face_skeleton())
    proposals = Proposals(lambda image, box: (np.zeros((28, 2)), np.ones(28)), album.path)
    order = proposals.uncertain_first(album.images, lambda image: image == "a.png")
    assert order == ["b.png", "furry/a.png", "a.png", "b.jpg"]
    assert "b.jpg" in capsys.readouterr().out
