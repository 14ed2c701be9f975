"""Weights of SAM 2.1: each size of Meta's files to its last name and shape, folders, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kaname.errors import InputError
from kaname.inference.sam2_weights import Weights, check, expected, find, load, names_in_file
from kaname.models import hub, sam2
from kaname.models.sam2 import Prompt
from models.tiny_sam2 import save_tiny, tiny_config, tiny_model

ROOT = Path(__file__).resolve().parents[2]


def bare(size: str) -> Any:
    """The network without memory for its weights."""
    from transformers import Sam2VideoModel

    with torch.device("meta"):
        return Sam2VideoModel(sam2.config_of(size))


@pytest.mark.parametrize(("size", "count"), list(zip(sam2.SIZES, (471, 519, 615, 903), strict=True)))
def test_every_name_of_a_size(size: str, count: int) -> None:
    """As many as Meta's file has, no two of ours from one but the matrix that transformers holds twice."""
    model = bare(size)
    assert len(expected(model)) == count
    names = [part for name in model.state_dict() for part in names_in_file(name)]
    assert len(names) == count + 1 and len(set(names)) == count


@pytest.mark.parametrize("size", sam2.SIZES)
def test_names_and_shapes_are_those_of_the_files(size: str) -> None:
    listed = ROOT.parent / "shared" / "research" / "sam2.1_state_dict_names.txt"
    if not listed.is_file():
        pytest.skip("needs the list of names of Meta's files in ../shared/research")
    rows = [line.split("\t") for line in listed.read_text("utf-8").splitlines()]
    theirs = {name: shape for own, name, shape in rows if own == size}
    assert {name: "x".join(map(str, value.shape)) for name, value in expected(bare(size)).items()} == theirs


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fifth size, small enough to be written: ``sam2.1_hiera_b+`` is the tiny network here."""
    backbone = tiny_config().vision_config.backbone_config
    plain = {name: getattr(backbone, name) for name in sam2.SIZES["sam2.1_hiera_b+"]}
    monkeypatch.setitem(sam2.SIZES, "sam2.1_hiera_b+", plain)
    build = sam2.config_of
    monkeypatch.setattr(sam2, "config_of", lambda size: tiny_config() if size == "sam2.1_hiera_b+" else build(size))


def as_meta_writes(path: Path, **changes: Any) -> Path:
    """A file of the small size; a change of None removes a tensor."""
    tensors = {name: value.clone() for name, value in expected(tiny_model()).items()} | changes
    torch.save({"model": {name: value for name, value in tensors.items() if value is not None}}, path)
    return path


def test_a_file_of_metas(small: None, tmp_path: Path) -> None:
    """Every tensor is where it was: the network answers as the one whose weights were written."""
    path = as_meta_writes(tmp_path / "sam2.1_hiera_base_plus.pt")
    weights = find(str(path), "configs/sam2.1/sam2.1_hiera_b+.yaml")
    assert weights == Weights(path, "sam2.1_hiera_b+") and weights.files == [path]
    check(weights)
    taken, given = load(weights), tiny_model()
    assert all((value == given.state_dict()[name]).all() for name, value in taken.model.state_dict().items())
    own = sam2.Sam2Propagator(given, sam2.processor_of(given.config))
    picture, prompts = np.full((40, 60, 3), 99, np.uint8), {0: {1: Prompt(inside=np.array([[20.0, 20.0]]))}}
    answers = [list(one.track(lambda _: picture, prompts, range(3))) for one in (taken, own)]
    assert all((a[1][1] == b[1][1]).all() for a, b in zip(*answers, strict=True))
    assert load(find(str(path))).model.config == given.config, "without --config the file tells its size"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"obj_ptr_proj.layers.1.bias": None}, "missing: obj_ptr_proj.layers.1.bias"),
        ({"extra.weight": torch.zeros(1)}, "not part of the network: extra.weight"),
        ({"maskmem_tpos_enc": torch.zeros(6, 1, 1, 64)},
         r"other shape: maskmem_tpos_enc \(6, 1, 1, 64\) instead of \(7, 1, 1, 64\)"),
        ({"no_obj_embed_spatial": None}, "weights of SAM 2.0, give those of SAM 2.1"),
        ({"image_encoder.trunk.blocks.4.norm1.weight": None}, "not SAM 2.1 of any size: .* 4 blocks of width 8"),
    ],
)  # fmt: skip
def test_what_does_not_fit(small: None, tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    path = as_meta_writes(tmp_path / "sam2.pt", **changes)
    with pytest.raises(InputError, match=said) as caught:
        load(find(str(path)))
    assert caught.value.path == str(path)


def test_another_size_than_asked_for(small: None, tmp_path: Path) -> None:
    path = as_meta_writes(tmp_path / "sam2.pt")
    for refuse in (check, load):
        with pytest.raises(InputError, match=r"is sam2.1_hiera_b\+, but --config says sam2.1_hiera_l; give --config"):
            refuse(find(str(path), "sam2.1_hiera_l.yaml"))
    with pytest.raises(InputError, match=r"facebook/sam2.1-hiera-tiny: .*sam2.1_hiera_t, but --config says"):
        find("facebook/sam2.1-hiera-tiny", "sam2.1_hiera_l")


@pytest.mark.parametrize("content", [b"nothing", b""])
def test_a_damaged_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "sam2.pt"
    path.write_bytes(content)
    with pytest.raises(InputError, match="not a readable checkpoint"):
        check(find(str(path)))
    torch.save({"weights": {}}, path)
    with pytest.raises(InputError, match="not a checkpoint of SAM 2 as Meta writes it"):
        check(find(str(path)))


def test_a_local_folder(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "tiny")
    weights = find(str(folder))
    assert [path.name for path in weights.files] == ["config.json", "model.safetensors"]
    check(weights)
    taken, given = load(weights).model.state_dict(), tiny_model().state_dict()
    assert all((value == given[name]).all() for name, value in taken.items())
    with pytest.raises(InputError, match=r"is a network of its own, but --config says sam2.1_hiera_t"):
        check(find(str(folder), "sam2.1_hiera_t"))
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"no config.json with model.safetensors"):
        find(str(folder))


def test_a_folder_with_a_processor_of_its_own(tmp_path: Path) -> None:
    """As the hub's folders have it: it prepares pictures, whatever ours would do."""
    folder = save_tiny(tmp_path / "tiny")
    own = sam2.processor_of(tiny_config())
    own.image_processor.image_mean = [0.25, 0.25, 0.25]
    own.save_pretrained(folder)
    weights = find(str(folder))
    assert len(weights.files) > 2
    assert list(load(weights).processor.image_processor.image_mean) == [0.25, 0.25, 0.25]


def test_a_folder_that_lacks_a_tensor(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = save_tiny(tmp_path / "tiny")
    tensors = load_file(folder / "model.safetensors")
    tensors.pop("no_memory_embedding")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"missing: no_memory_embedding"):
        load(find(str(folder)))


def test_nothing_is_fetched_without_a_word(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Name, size and licence come first."""
    import huggingface_hub

    said: list[str] = []
    monkeypatch.setattr(hub, "ensure_reachable", lambda name: None)

    def fetch(name: str, **_: Any) -> str:
        assert said == ["downloading facebook/sam2.1-hiera-base-plus (about 323 MB; licence: Apache-2.0) once into the "
                        "Hugging Face cache"]  # fmt: skip
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)
    found = find("facebook/sam2.1-hiera-base-plus", "sam2.1_hiera_b+", notice=said.append)
    assert found == Weights(tmp_path, "sam2.1_hiera_b+")


def test_the_hub_is_out_of_reach() -> None:
    """The suite has no network."""
    with pytest.raises(InputError, match=r"not in the local cache.*give a local folder"):
        find("facebook/sam2.1-hiera-tiny")
    for config, size in ((None, "base-plus"), ("sam2.1_hiera_l.yaml", "large")):
        with pytest.raises(InputError, match=f"facebook/sam2.1-hiera-{size} is not in the local cache"):
            find(None, config)
    with pytest.raises(InputError, match="the checkpoint does not exist"):
        find("sam2/checkpoints/sam2.1_hiera_tiny.pt")
