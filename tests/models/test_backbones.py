"""Every backbone by its contract; and what some of them have of their own: tokens, folders, names, hosts."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from contracts.backbone import BackboneContract
from kaname.errors import InputError
from kaname.models.backbones import BACKBONES, Backbone, build_backbone, freeze, unfreeze
from kaname.models.hub import KNOWN
from models.tiny_vits import TINY

TinyVit = Callable[[str], Path]
HUB = "facebook/dinov2-small"


def build(name: str, tiny_vit: TinyVit, **arguments: object) -> Backbone:
    source = str(tiny_vit(name)) if name in TINY else name
    return build_backbone(source, pretrained=name in TINY, notice=pytest.fail, **arguments).eval()


class TestSmall(BackboneContract):
    name = "small:8"


class TestSmallAtFullResolution(BackboneContract):
    name = "small:8"
    options = {"stride": 1}  # noqa: RUF012
    blur = 4.0
    exports = False


class TestSmallAtAQuarter(BackboneContract):
    name = "small:8"
    options = {"stride": 4}  # noqa: RUF012
    exports = False


class TestMobileNet(BackboneContract):
    name = "timm/mobilenetv4_conv_small_050"


class TestConvNext(BackboneContract):
    name = "timm:convnext_atto"
    exports = False


class TestTimmTransformer(BackboneContract):
    name = "timm:vit_tiny_patch16_224"
    exports = False


class LocalTransformer(BackboneContract):
    """A tiny transformer in a folder that ``save_pretrained`` wrote."""

    pretrained = True

    @pytest.fixture(scope="class")
    @classmethod
    def source(cls, tiny_vit: TinyVit) -> str:
        return str(tiny_vit(cls.name))


class TestDinov2(LocalTransformer):
    name = "dinov2"
    exports = False


class TestDinov2WithRegisters(LocalTransformer):
    name = "dinov2_with_registers"


class TestDinov3(LocalTransformer):
    name = "dinov3_vit"


class TestVit(LocalTransformer):
    name = "vit"


class TestDeit(LocalTransformer):
    name = "deit"
    exports = False


class TestIJepa(LocalTransformer):
    name = "ijepa"
    exports = False


class TestVitMsn(LocalTransformer):
    name = "vit_msn"
    exports = False


@pytest.mark.parametrize("kind", sorted(TINY))
def test_tokens_are_those_of_the_original(kind: str, tiny_vit: TinyVit) -> None:
    """The map equals the last tokens of transformers' own answer, row by row of the patch grid."""
    import transformers

    original = transformers.AutoModel.from_pretrained(tiny_vit(kind)).eval()
    backbone = build(kind, tiny_vit)
    assert backbone.mean == (0.4, 0.41, 0.42) and backbone.std == (0.2, 0.21, 0.22)
    images = torch.randn(1, 3, 2 * backbone.multiple, 3 * backbone.multiple)
    extra = {} if kind.startswith("dino") else {"interpolate_pos_encoding": True}
    with torch.no_grad():
        tokens = original(pixel_values=images, **extra).last_hidden_state[0]
        (got,) = backbone(images)
    assert tokens.shape[0] == TINY[kind][2] + 6
    for row in range(2):
        for column in range(3):
            torch.testing.assert_close(got[0, :, row, column], tokens[TINY[kind][2] + 3 * row + column])


@pytest.mark.parametrize("kind", sorted(TINY))
def test_a_patch_moves_its_own_cell(kind: str, tiny_vit: TinyVit) -> None:
    """Without attention between tokens, changing one patch changes one cell: that of its row and column."""
    backbone = build(kind, tiny_vit)
    model = backbone.body.model
    layers = model.layers if hasattr(model, "layers") else getattr(model, "encoder", None) or model.model
    holder = layers if isinstance(layers, torch.nn.ModuleList) else (getattr(layers, "layer", None) or layers.layers)
    del holder[:]
    patch = backbone.multiple
    images = torch.randn(1, 3, 2 * patch, 3 * patch)
    changed = images.clone()
    changed[:, :, patch : 2 * patch, 2 * patch : 3 * patch] += 1
    with torch.no_grad():
        moved = (backbone(images)[0] - backbone(changed)[0]).abs().amax(dim=1)[0] > 1e-6
    assert moved.nonzero().tolist() == [[1, 2]]


def test_a_wrong_count_of_registers_is_refused(tiny_vit: TinyVit) -> None:
    backbone = build("dinov3_vit", tiny_vit)
    backbone.body.prefix = 1
    with pytest.raises(InputError, match=r"gave 9 tokens, not 5 .*num_register_tokens"):
        backbone(torch.randn(1, 3, 32, 32))


def test_training_draws_no_random_positions(tiny_vit: TinyVit) -> None:
    backbone = build("dinov3_vit", tiny_vit).train()
    images = torch.randn(1, 3, 32, 48)
    assert torch.equal(backbone(images)[0], backbone(images)[0])


@pytest.mark.parametrize("name", ["small", "dinov2", "timm:convnext_atto"])
def test_unfrozen_it_trains_again(name: str, tiny_vit: TinyVit) -> None:
    backbone = build(name, tiny_vit)
    freeze(backbone)
    unfreeze(backbone)
    torch.nn.Sequential(backbone).train()
    assert all(module.training for module in backbone.modules())
    assert all(value.requires_grad for value in backbone.parameters())


def test_half_precision_folders_load_as_float32(tiny_vit: TinyVit, tmp_path: Path) -> None:
    import transformers

    transformers.AutoModel.from_pretrained(tiny_vit("dinov2")).half().save_pretrained(tmp_path)
    backbone = build_backbone(str(tmp_path), pretrained=True)
    assert {value.dtype for value in backbone.parameters()} == {torch.float32}


def test_six_channels_of_grey_answer_like_three(tiny_vit: TinyVit) -> None:
    three, six = build("dinov2", tiny_vit), build("dinov2", tiny_vit, in_channels=6)
    grey = torch.randn(1, 1, 28, 28)
    with torch.no_grad():
        torch.testing.assert_close(three(grey.expand(1, 3, 28, 28))[0], six(grey.expand(1, 6, 28, 28))[0])


def test_a_folder_of_timm(tmp_path: Path) -> None:
    import timm
    from timm.models import save_for_hf

    net = timm.create_model("mobilenetv4_conv_small_050", num_classes=7)
    save_for_hf(net, tmp_path, safe_serialization=True)
    shutil.copy(tmp_path / "config.json", tmp_path / "copy.json")
    backbone = build_backbone(str(tmp_path), pretrained=True, notice=pytest.fail)
    key, value = next(iter(net.state_dict().items()))
    assert torch.equal(backbone.body.net.state_dict()[key], value)
    json.dumps(backbone.description)
    assert str(tmp_path) not in json.dumps(backbone.description)


def test_new_channels_of_timm_start_at_zero(tmp_path: Path) -> None:
    """The kernels of the colours stay as they are, whatever the first layer is called; else timm halves them."""
    import timm
    from timm.models import save_for_hf

    for architecture in ("mobilenetv4_conv_small_050", "convnext_atto"):
        folder = tmp_path / architecture
        save_for_hf(timm.create_model(architecture, num_classes=7), folder, safe_serialization=True)
        three = build_backbone(str(folder), pretrained=True, notice=pytest.fail).eval()
        six, repeated = (
            build_backbone(str(folder), in_channels=6, options=options, notice=pytest.fail).eval()
            for options in ({"new_channels": "zero"}, {})
        )
        images, flow = torch.randn(1, 3, 64, 64), torch.randn(1, 3, 64, 64)
        with torch.no_grad():
            both = torch.cat([images, flow], dim=1)
            for one, other, third in zip(three(images), six(both), repeated(both), strict=True):
                torch.testing.assert_close(other, one, rtol=1e-3, atol=1e-3)
                assert not torch.allclose(third, one, rtol=0.01, atol=0.01)
        again = build_backbone(description=json.loads(json.dumps(six.description)))
        again.load_state_dict(six.state_dict())
    with pytest.raises(InputError, match="unknown new_channels 'one'; known: repeat, zero"):
        build_backbone("timm:convnext_atto", pretrained=False, in_channels=6, options={"new_channels": "one"})


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_well_known_architectures_need_no_network(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", pytest.fail)
    with torch.device("meta"):
        backbone = build_backbone(name, pretrained=False, notice=pytest.fail)
    megabytes = sum(value.numel() for value in backbone.parameters()) * 4e-6
    assert megabytes == pytest.approx(KNOWN[name].megabytes, rel=0.03)


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("smal", "did you mean small"),
        ("timm:convnext_ato", "timm:convnext_atto"),
        ("convnext_ato", "timm:convnext_atto"),
        ("facebook-dinov2-small", "facebook/dinov2-small"),
        ("./nowhere/at/all", "does not exist"),
        ("~nobody-here/weights", "does not exist"),
        ("small:0", "small"),
        ("small:wide", "small"),
    ],
)
def test_unknown_names(name: str, match: str) -> None:
    with pytest.raises(InputError, match=match):
        build_backbone(name, pretrained=False)


def test_bad_folders(tmp_path: Path, tiny_vit: TinyVit) -> None:
    with pytest.raises(InputError, match=r"no config\.json"):
        build_backbone(str(tmp_path))
    config = tmp_path / "config.json"
    for text, match in (
        ("{", "not a JSON file"),
        ("{}", "neither a Hugging Face model"),
        ('{"model_type": "bert"}', "not a plain vision transformer"),
        ('{"model_type": "dinov2", "hidden_size": "wide"}', "refuses the configuration"),
        ('{"architecture": "no_such_net"}', "no architecture"),
        ((tiny_vit("dinov2") / "config.json").read_text(), "weights do not load"),
    ):
        config.write_text(text)
        with pytest.raises(InputError, match=match):
            build_backbone(str(tmp_path), pretrained=True)
    (tmp_path / "model.safetensors").write_bytes(b"not a tensor in sight")
    with pytest.raises(InputError, match="weights do not load"):
        build_backbone(str(tmp_path), pretrained=True)


@pytest.mark.parametrize("word", ["vit", "timm"])
def test_a_folder_that_is_called_like_a_kind(
    word: str, tmp_path: Path, tiny_vit: TinyVit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=f"write {word}:NAME"):
        build_backbone(word)
    shutil.copytree(tiny_vit("dinov2"), tmp_path / word)
    assert build_backbone(word).description["kind"] == "vit"


def test_weights_that_lack_a_tensor(tmp_path: Path, tiny_vit: TinyVit) -> None:
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(tiny_vit("vit"), tmp_path / "vit")
    tensors = load_file(folder / "model.safetensors")
    save_file({key: value for key, value in tensors.items() if key != "layernorm.bias"}, folder / "model.safetensors")
    with pytest.raises(InputError, match=r"lack 1 of the model's tensors, the first layernorm\.bias"):
        build_backbone(str(folder), pretrained=True)


@pytest.mark.parametrize("name", [HUB, "timm:convnext_atto", "someone/unheard-of"])
def test_an_unreachable_host_is_one_short_error(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    import huggingface_hub

    asked: list[object] = []

    def no_name(*question: object, **__: object) -> None:
        asked.append(question)
        raise socket.gaierror("Name or service not known")

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(socket, "getaddrinfo", no_name)
    lines: list[str] = []
    capfd.readouterr()
    with pytest.raises(InputError, match=r"(reach|HF_HUB_OFFLINE).*--config small.*--no-pretrained"):
        build_backbone(name, pretrained=True, notice=lines.append)
    assert len(asked) <= 2, "no retries: they took 23 s"
    captured = capfd.readouterr()
    assert captured.err == captured.out == "" and lines == []


def test_random_weights_of_an_unknown_name_need_its_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: (_ for _ in ()).throw(socket.gaierror("offline")))
    with pytest.raises(InputError, match=r"reach|HF_HUB_OFFLINE"):
        build_backbone("someone/unheard-of", pretrained=False)


def test_a_cached_model_needs_no_network(
    tmp_path: Path, tiny_vit: TinyVit, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    import huggingface_hub

    folder = tmp_path / "models--someone--tiny"
    snapshot = folder / "snapshots" / "0123456789012345678901234567890123456789"
    shutil.copytree(tiny_vit("dinov3_vit"), snapshot)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(snapshot.name)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(socket, "getaddrinfo", pytest.fail)
    capfd.readouterr()  # the fixture may just have written its folder
    backbone = build_backbone("someone/tiny", pretrained=True, notice=pytest.fail)
    assert backbone.description["name"] == "someone/tiny" and backbone.mean == (0.4, 0.41, 0.42)
    assert capfd.readouterr().err == ""


def test_a_cached_timm_model_needs_no_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    import huggingface_hub
    import timm
    from safetensors.torch import save_file

    name = "mobilenetv4_conv_small_050.e3000_r224_in1k"
    folder = tmp_path / f"models--timm--{name}"
    snapshot = folder / "snapshots" / "0123456789012345678901234567890123456789"
    snapshot.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(snapshot.name)
    net = timm.create_model(name)
    save_file(net.state_dict(), snapshot / "model.safetensors")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(socket, "getaddrinfo", pytest.fail)
    backbone = build_backbone(f"timm:{name}", pretrained=True, notice=pytest.fail)
    assert torch.equal(backbone.body.net.conv_stem.weight, net.conv_stem.weight)
    assert backbone.description["pretrained"] and str(tmp_path) not in json.dumps(backbone.description)
    assert capfd.readouterr().err == ""


def test_the_dictionary_and_bad_arguments() -> None:
    assert set(BACKBONES) == {"small", "timm", "vit"}
    with pytest.raises(InputError, match="a name or a description"):
        build_backbone()
    with pytest.raises(InputError, match="unknown kind"):
        build_backbone(description={"kind": "pickle"})
    with pytest.raises(InputError, match="in_channels"):
        build_backbone("small", in_channels=0)


def test_small_is_small_and_sees_the_whole_image() -> None:
    backbone = build_backbone("small", pretrained=False)
    assert sum(value.numel() for value in backbone.parameters()) < 1_000_000
    images = torch.randn(1, 3, 224, 224, requires_grad=True)
    backbone(images)[0][0, :, 3, 3].sum().backward()
    assert images.grad is not None and images.grad[0, :, 200:, 200:].abs().sum() > 0


def test_small_at_full_resolution() -> None:
    backbone = build_backbone("small:8", pretrained=False, options={"stride": 1})
    assert backbone(torch.randn(1, 3, 32, 64))[0].shape == (1, 8, 32, 64) and backbone.strides == (1,)
    again = build_backbone(description=backbone.description)
    again.load_state_dict(backbone.state_dict(), strict=True)


@pytest.mark.parametrize("options", [{"stride": 3}, {"width": 6}, {"depth": 3}])
def test_small_refuses_unknown_options(options: dict[str, int]) -> None:
    with pytest.raises(InputError, match="backbone small"):
        build_backbone("small", pretrained=False, options=options)


def test_small_gives_each_image_its_own_answer() -> None:
    backbone = build_backbone("small:8", pretrained=False).train()
    images = torch.randn(4, 3, 32, 32)
    torch.testing.assert_close(backbone(images)[0][:1], backbone(images[:1])[0], atol=1e-5, rtol=1e-5)
