"""Weights of other programs: read whole or not at all, written under their names with nothing more."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from kaname.errors import InputError
from kaname.inference import checkpoint
from kaname.inference.card import Weights
from kaname.inference.state_dict import Loaded, load_state_dict, write_state_dict
from kaname.models.backbones import build_backbone
from kaname.models.network import Network

LAYOUT = Weights("state_dict", (("backbone.body.", "backbone."), ("decoder.", "keypoint_head.")), ("mean", "std"))
HEAD = "decoder.layers.2."
LAST = "keypoint_head.layers.2."


def network(seed: int = 0, points: int = 5) -> Network:
    torch.manual_seed(seed)
    return Network(build_backbone("small:4", pretrained=False), size=(32, 32), out_channels=points)


def card_of(net: Network, **changes: Any) -> dict[str, Any]:
    own = {"mean_255": net.mean.flatten().tolist(), "std_255": net.std.flatten().tolist()}
    named = {"key": LAYOUT.key, "names": LAYOUT.names, "without": LAYOUT.without}
    return {
        "recipe": "landmark", "config": {}, "input_size": [32, 32], "channels": list("abcde"), "weights": named,
        "backbone": net.backbone.description, **own, **changes,
    }  # fmt: skip


def tensors(net: Network) -> dict[str, Tensor]:
    """As another program has them: renamed by hand."""
    return {
        name.replace("backbone.body.", "backbone.").replace("decoder.", "keypoint_head."): value
        for name, value in net.state_dict().items()
        if name not in ("mean", "std")
    }


def write_pth(path: Path, net: Network) -> None:
    torch.save({"meta": {"epoch": 3, "config": "a = 1\n"}, "state_dict": tensors(net)}, path)


def write_parallel(path: Path, net: Network) -> None:
    torch.save({f"module.{name}": value for name, value in tensors(net).items()}, path)


def write_own(path: Path, net: Network) -> None:
    checkpoint.save(path, card=card_of(net), model=net.state_dict(), training=None)


def write_own_otherwise(path: Path, net: Network) -> None:
    """A checkpoint that calls its tensors as we do."""
    checkpoint.save(path, card=card_of(net, weights={}), model=net.state_dict(), training={"step": 3})


WRITERS: dict[str, Callable[[Path, Network], None]] = {
    "mmpose.pth": write_pth,
    "bare.pth": lambda path, net: torch.save(tensors(net), path),
    "parallel.pt": write_parallel,
    "model.safetensors": lambda path, net: save_file(tensors(net), path),
    "own.pth": write_own,
    "own_otherwise.pt": write_own_otherwise,
}


def load(path: Path, net: Network, **words: Any) -> Loaded:
    return load_state_dict(path, net, LAYOUT, last=HEAD, **words)


@pytest.mark.parametrize("name", WRITERS)
def test_a_start_from_a_file_answers_as_the_file_does(name: str, tmp_path: Path) -> None:
    trained, fresh = network(1).eval(), network(2).eval()
    WRITERS[name](tmp_path / name, trained)
    loaded = load(tmp_path / name, fresh)
    images = {"images": torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)}
    assert torch.equal(fresh(images)["heatmaps"], trained(images)["heatmaps"])
    assert loaded.mapped == {
        theirs: ours for theirs, ours in zip(tensors(fresh), list(fresh.state_dict())[2:], strict=True)
    }
    assert not loaded.fresh
    count, parts = len(loaded.mapped), [sum(each.startswith(p) for each in loaded.mapped) for p in ("back", "key")]
    expected = f"{count} tensors ({parts[0]} of backbone, {parts[1]} of keypoint_head), every one used"
    assert loaded.lines() == [f"weights of {tmp_path / name}: {expected}"]


def without(name: str) -> Callable[[dict[str, Any]], Any]:
    return lambda content: content.pop(name)


FAULTS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "missing": (without("backbone.stem.0.weight"), r"missing: backbone\.stem\.0\.weight\)"),
    "missing head": (without(f"{LAST}bias"), rf"missing: {LAST}bias"),
    "surplus": (lambda c: c.update({"mean": torch.ones(3)}), r"not part of the network: mean"),
    "our name": (lambda c: c.update({f"{HEAD}bias": torch.ones(5)}), rf"not part of the network: {HEAD}bias"),
    "other shape": (
        lambda c: c.update({"backbone.stem.0.weight": torch.ones(4, 3, 1, 1)}),
        r"other shape: backbone\.stem\.0\.weight \(4, 3, 1, 1\) instead of \(4, 3, 3, 3\)",
    ),
    "double": (lambda c: c.update({f"{LAST}bias": torch.ones(5).double()}), rf"other type: {LAST}bias torch\.float64"),
    "not finite": (
        lambda c: c.update({f"{LAST}bias": torch.full((5,), torch.nan)}),
        rf"{LAST}bias holds values that are not finite",
    ),
    "other network": (
        lambda c: [c.pop(name) for name in list(c)] and c.update({"neck.weight": torch.ones(2)}),
        r"missing: backbone\.across.*not part of the network: neck\.weight",
    ),
    "some wrapped": (lambda c: c.update({"module.extra": torch.ones(1)}), r"not part of the network: module\.extra"),
    "no tensor": (lambda c: c.update({"epoch": 3}), "holds no state_dict of tensors"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("new_head", [False, True])
def test_a_tensor_that_does_not_fit_is_named_and_nothing_is_loaded(fault: str, new_head: bool, tmp_path: Path) -> None:
    change, match = FAULTS[fault]
    content, net = tensors(network(1)), network(2)
    change(content)
    torch.save({"state_dict": content}, tmp_path / "a.pth")
    before = {name: value.clone() for name, value in net.state_dict().items()}
    if new_head and fault in ("missing head", "double", "not finite"):
        load(tmp_path / "a.pth", net, new_head=True)  # the last layer of the file plays no part
        return
    with pytest.raises(InputError, match=match) as caught:
        load(tmp_path / "a.pth", net, new_head=new_head)
    assert caught.value.path == str(tmp_path / "a.pth") and caught.value.remedy
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_another_number_of_points_needs_a_new_head(tmp_path: Path) -> None:
    """Refused with both numbers; a new head replaces the last layer alone, and says so."""
    write_pth(tmp_path / "a.pth", network(1))
    net, began = network(2, points=7), network(2, points=7)
    with pytest.raises(InputError, match=r"the file has 5 points, the skeleton 7; give --new-head"):
        load(tmp_path / "a.pth", net)
    assert all(torch.equal(a, b) for a, b in zip(net.state_dict().values(), began.state_dict().values(), strict=True))
    loaded = load(tmp_path / "a.pth", net, new_head=True)
    for name, value in net.state_dict().items():
        source = began if name.startswith(HEAD) else network(1)
        assert torch.equal(value, source.state_dict()[name]), name
    assert loaded.fresh == (f"{LAST}weight", f"{LAST}bias") and not set(loaded.fresh) & set(loaded.mapped)
    assert loaded.lines()[1] == f"{LAST}weight, {LAST}bias start anew, for 7 points"


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"std_255": [255.0] * 3}, "trained with another normalisation"),
        ({"backbone": {"fuse": "nearest"}}, r"another upsampling of the fuse layers \(nearest, here None\)"),
        (
            {"heads": {"heatmaps": {"channels": list("abcde"), "activation": "none"}}},
            r"another activation of the heatmaps \(\['none'\], here \['sigmoid'\]\)",
        ),
    ],
)
def test_an_own_file_that_would_answer_otherwise(change: dict[str, Any], match: str, tmp_path: Path) -> None:
    net = network(1)
    checkpoint.save(tmp_path / "a.pth", card=card_of(net, **change), model=net.state_dict(), training=None)
    with pytest.raises(InputError, match=match):
        load(tmp_path / "a.pth", network(2))


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
def test_files_that_cannot_be_read(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        load(tmp_path / name, network())
    (tmp_path / name).write_bytes(b"hello, this is no file of weights at all")
    with pytest.raises(InputError, match="not a readable"):
        load(tmp_path / name, network())


@pytest.mark.parametrize("name", ["x.pth", "x.pt", "x.safetensors"])
def test_an_export_holds_the_tensors_and_nothing_more(name: str, tmp_path: Path) -> None:
    net = network(1)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    write_own(tmp_path / "own.pth", net)
    count = write_state_dict(tmp_path / name, checkpoint.load(tmp_path / "own.pth"))
    raw = load_file(tmp_path / name) if name.endswith("safetensors") else torch.load(tmp_path / name, weights_only=True)
    expected = tensors(net)
    assert set(raw) == set(expected) and count == len(raw)
    assert all(torch.equal(raw[key], value) and raw[key].is_contiguous() for key, value in expected.items())
    again = network(2)
    load(tmp_path / name, again)
    assert all(torch.equal(a, b) for a, b in zip(again.state_dict().values(), net.state_dict().values(), strict=True))


@pytest.mark.parametrize(("activation", "told"), [("none", False), ("sigmoid", True)])
def test_an_export_cannot_say_that_maps_go_through_a_sigmoid(activation: str, told: bool, tmp_path: Path) -> None:
    """Which other programs do not apply, so their maps would be others."""
    heads = {"heatmaps": {"channels": list("abcde"), "activation": activation}}
    net = network()
    checkpoint.save(tmp_path / "own.pth", card=card_of(net, heads=heads), model=net.state_dict(), training=None)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        write_state_dict(tmp_path / "x.pth", checkpoint.load(tmp_path / "own.pth"))
    assert ["go through a sigmoid" in str(one.message) for one in said] == [True] * told


def test_an_export_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_own(tmp_path / "own.pth", network())
    opened = checkpoint.load(tmp_path / "own.pth")
    with pytest.raises(InputError, match=r"an export is one of .*, got 'x.bin'; write x.safetensors"):
        write_state_dict(tmp_path / "x.bin", opened)
    for name in ("x.pth", "x.safetensors"):
        with pytest.raises(InputError, match="cannot be made"):
            write_state_dict(tmp_path / "own.pth" / name, opened)
        (tmp_path / name).write_bytes(b"old")
    monkeypatch.setattr(torch, "save", lambda content, file: file.write(b"half") and stop())
    monkeypatch.setattr("safetensors.torch.save", lambda tensors: stop())
    for name in ("x.pth", "x.safetensors"):
        with pytest.raises(KeyboardInterrupt):
            write_state_dict(tmp_path / name, opened)
        assert (tmp_path / name).read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["own.pth", "x.pth", "x.safetensors"]


def stop() -> None:
    raise KeyboardInterrupt
