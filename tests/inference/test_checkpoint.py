"""Checkpoints: whole or not there, read without running anything, refused when a single thing is off."""

from __future__ import annotations

import errno
import json
import os
import pickle
import random
from pathlib import Path
from typing import Any

import pytest
import torch

from kaname.apps.info import info
from kaname.errors import InputError
from kaname.inference import card as cards
from kaname.inference import checkpoint, checkpoint_card
from training.tiny_task import Net, make_settings, run

CARD = {
    "recipe": "gauge", "config": {"train": {"lr": 0.1}}, "input_size": [32, 48], "channels": ["start", "end"],
    "backbone": {"name": "small", "licence": "Apache-2.0"}, "heatmap_size": [32, 48], "trained": {"epoch": 3},
}  # fmt: skip


def written(path: Path, *, training: dict[str, Any] | None = None, **changes: Any) -> Path:
    checkpoint.save(path, card={**CARD, **changes}, model={"weight": torch.arange(6.0)}, training=training)
    return path


def test_round_trip(tmp_path: Path) -> None:
    path = written(tmp_path / "model.pt", training={"step": 3})
    found = checkpoint.load(path, recipe="gauge")
    assert found.card.items() >= {**CARD, "format": cards.FORMAT, "version": cards.VERSION}.items()
    assert torch.equal(found.model["weight"], torch.arange(6.0)) and found.training == {"step": 3}
    assert checkpoint.load(written(tmp_path / "b.pt")).training is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.pt", "model.pt"]


@pytest.mark.parametrize(
    "fault", [OSError(errno.ENOSPC, "No space left on device"), RuntimeError("write failed\nat 3")]
)
def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception) -> None:
    path = written(tmp_path / "last.pt")
    before = path.read_bytes()

    def half(content: object, file: Any) -> None:
        file.write(b"PK half")
        raise fault

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(InputError) as caught:
        written(path)
    assert caught.value.path == str(path) and "cannot be written" in str(caught.value) and "\n" not in str(caught.value)
    assert path.read_bytes() == before and [each.name for each in tmp_path.iterdir()] == ["last.pt"]


def test_an_interrupt_leaves_no_partial_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "last.pt")

    def stop(content: object, file: Any) -> None:
        file.write(b"PK")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", stop)
    with pytest.raises(KeyboardInterrupt):
        written(path)
    assert [each.name for each in tmp_path.iterdir()] == ["last.pt"]


def test_a_folder_that_vanished(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none/last\.pt: cannot be written \(No such file"):
        written(tmp_path / "none" / "last.pt")


class Evil:
    """Runs a command when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, (f"touch {os.environ['EVIL']}",))


def damage(kind: str, path: Path) -> None:
    whole = written(path).read_bytes()
    card = {"format": cards.FORMAT, "version": cards.VERSION, **CARD}
    texts: dict[str, object] = {
        "card that is no JSON": "{", "card that is a list": "[]", "foreign card": json.dumps({**card, "format": "x"}),
        "newer version": json.dumps({**card, "version": 99}), "version as a word": json.dumps({**card, "version": "1"}),
        "field missing": json.dumps({name: value for name, value in card.items() if name != "channels"}),
        "field of another type": json.dumps({**card, "config": 3}),
        "size of one": json.dumps({**card, "input_size": [3]}),
        "size of words": json.dumps({**card, "input_size": ["a", "b"]}), "card that is a number": 3,
    }  # fmt: skip
    middle = whole.index(b"weight") if b"weight" in whole else len(whole) // 2
    contents: dict[str, bytes] = {
        "empty": b"", "random": random.Random(3).randbytes(4000),
        "half": whole[: len(whole) // 2], "end missing": whole[:-30],
        "a bit flipped": whole[:middle] + bytes([whole[middle] ^ 4]) + whole[middle + 1 :],
        "pickled object": pickle.dumps(Evil()), "text": b"hello\n",
    }  # fmt: skip
    if kind in contents:
        path.write_bytes(contents[kind])
    elif kind in texts:
        torch.save({"card": texts[kind], "model": {}}, path)
    else:
        objects: dict[str, object] = {
            "object inside": {"card": json.dumps(card), "model": {}, "more": Evil()},
            "no card": {"weight": torch.ones(2)},
            "a tensor": torch.ones(2), "no weights": {"card": json.dumps(card)},
            "malformed weights": {"card": json.dumps(card), "model": {"a": 3}},
            "malformed training": {"card": json.dumps(card), "model": {}, "training": 3},
        }  # fmt: skip
        torch.save(objects[kind], path)


DAMAGES = {
    "empty": "not a readable", "random": "not a readable", "half": "not a readable", "end missing": "not a readable",
    "a bit flipped": "damaged", "pickled object": "pickled objects", "object inside": "pickled objects",
    "text": "not a readable", "no card": "no kaname card", "a tensor": "no kaname card",
    "card that is a number": "no kaname card", "card that is no JSON": "not JSON",
    "card that is a list": "not a kaname card",
    "foreign card": "not a kaname card", "newer version": "newer kaname", "version as a word": "not a whole number",
    "field missing": "lacks the field 'channels'", "field of another type": "'config' is not a mapping",
    "size of one": "'input_size'", "size of words": "'input_size'", "no weights": "no weights",
    "malformed weights": "no weights", "malformed training": "training state is damaged",
}  # fmt: skip


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_file_that_is_none_says_why(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVIL", str(tmp_path / "evil"))
    path = tmp_path / "model.pt"
    damage(kind, path)
    for reader in (checkpoint.load, checkpoint_card.read, info):  # without torch the same is said
        with pytest.raises(InputError) as caught:
            reader(path)
        assert DAMAGES[kind] in caught.value.reason and caught.value.path == str(path) and caught.value.remedy
    assert not (tmp_path / "evil").exists()


def test_missing_folder_and_other_recipe(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        checkpoint.load(tmp_path / "none.pt")
    with pytest.raises(InputError, match="not a folder"):
        checkpoint.load(tmp_path)
    with pytest.raises(InputError, match="of the recipe 'gauge', not of 'kpnet'; use `kaname gauge"):
        checkpoint.load(written(tmp_path / "a.pt"), recipe="kpnet")


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"last.bias": None}, r"missing: last\.bias"),
        ({"extra": torch.ones(1)}, "not part of the network: extra"),
        ({"last.bias": torch.ones(2)}, r"other shape: last\.bias \(2,\) instead of \(1,\)"),
        ({"last.bias": torch.ones(1, dtype=torch.int64)}, r"other type: last\.bias torch\.int64"),
    ],
)
def test_weights_that_do_not_fit_leave_the_network_alone(tmp_path: Path, change: dict[str, Any], part: str) -> None:
    torch.manual_seed(0)
    model, other = Net(), Net()
    weights = {name: value for name, value in {**other.state_dict(), **change}.items() if value is not None}
    checkpoint.save(tmp_path / "a.pt", card=CARD, model=weights, training=None)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(InputError, match=part):
        checkpoint.load_weights(model, checkpoint.load(tmp_path / "a.pt"))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


NAMED = {"key": "state_dict", "names": [["first.", "backbone.stem."], ["first.bias", "b"], ["last.", "head.0."]],
         "without": ["norm.running_mean"]}  # fmt: skip


def test_weights_under_the_names_of_another_library(tmp_path: Path) -> None:
    """The card says the key, the names and what is left out; what is read back are our own."""
    torch.manual_seed(0)
    net, other = Net(), Net()
    net.norm.running_mean += 3
    path = tmp_path / "best.pth"
    checkpoint.save(path, card={**CARD, "weights": NAMED}, model=net.state_dict(), training=None)
    raw = torch.load(path, weights_only=True)
    assert set(raw) == {"card", "state_dict"}
    assert {"backbone.stem.weight", "b", "head.0.bias", "norm.weight"} <= set(raw["state_dict"])
    assert len(raw["state_dict"]) == len(net.state_dict()) - 1 and "norm.running_mean" not in raw["state_dict"]
    checkpoint.load_weights(other, checkpoint.load(path))
    for name, value in net.state_dict().items():
        assert torch.equal(other.state_dict()[name], value) is (name != "norm.running_mean"), name
    del raw["state_dict"]["head.0.bias"]
    torch.save(raw, path)
    with pytest.raises(InputError, match=r"missing: last\.bias\)"):
        checkpoint.load_weights(other, checkpoint.load(path))


@pytest.mark.parametrize(
    "weights",
    [{"key": "card"}, {"names": [["first.", ""], ["last.", ""]]}, {"names": [["first.", "last."]]}],
)
def test_names_of_weights_that_cannot_be_read_back(tmp_path: Path, weights: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="cannot be read back"):
        checkpoint.save(tmp_path / "a.pt", card={**CARD, "weights": weights}, model=Net().state_dict(), training=None)
    assert not list(tmp_path.iterdir())


def test_the_card_of_a_run_holds_its_configuration(tmp_path: Path) -> None:
    run(tmp_path, make_settings(epochs=1))
    for name in ("model.pt", "last.pt"):
        card = checkpoint.load(tmp_path / name).card
        assert card["config"]["train"]["epochs"] == 1 and card["recipe"] == "tiny"
        assert card["trained"] == {"epoch": 1, "step": 6, "stage": 1}


def test_info_of_a_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    info(written(tmp_path / "a.pt", training={}))
    text = capsys.readouterr().out
    assert "32 x 48 (height x width)" in text and "start, end" in text and "train.lr = 0.1" in text
    assert "small (Apache-2.0)" in text and "resumable  yes" in text
    info(written(tmp_path / "b.pt"), as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert found["file"]["kind"] == "checkpoint" and found["file"]["resumable"].startswith("no")
    assert found["config"] == CARD["config"]


def test_partial_files_of_killed_processes_are_swept(tmp_path: Path) -> None:
    tmp_path.joinpath(".last.pt.999999.partial").write_bytes(b"half")
    tmp_path.joinpath("mine.partial").write_bytes(b"the user's")
    run(tmp_path, make_settings(epochs=1))
    assert sorted(path.name for path in tmp_path.glob("*partial*")) == ["mine.partial"]
    assert not list(tmp_path.glob(".*"))


def test_equal_contents_are_equal_bytes(tmp_path: Path) -> None:
    """One text in two places and two equal texts must not be told apart: the second is what a resumed run holds."""
    name = "".join(["lay", "er.weight"])
    other = "".join(["layer", ".weight"])
    assert name == other and name is not other
    for file, second in (("a.pt", name), ("b.pt", other)):
        training = {"optimizer": {name: torch.ones(2)}, "parameters": [second], "average": (second, {second: 1})}
        written(tmp_path / file, training=training)
    assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "b.pt").read_bytes()
