from __future__ import annotations

import logging
from pathlib import Path

import pytest
import safetensors.torch
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from pipeline.ports import free_port
from preprocessing.schema import ClipFormat
from training.batch import MODALITIES, Modality
from training.models import ModelConfig
from training.models.encoders import ENCODERS, EncoderName, build_encoder
from training.models.weights import WeightsError, imagenet_weights, load_pretrained, read_state_dict


def store(weights: dict[str, Tensor], path: Path) -> str:
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(weights, path)
    else:
        torch.save(weights, path)
    return str(path)


def tiny(modality: Modality = "audio", feature_size: int = 6) -> nn.Module:
    return build_encoder("tiny", modality, feature_size)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".safetensors"])
def test_stored_weights_come_back(suffix: str, tmp_path: Path) -> None:
    stored, fresh = tiny(), tiny()
    load_pretrained(fresh, "tiny", store(stored.state_dict(), tmp_path / f"weights{suffix}"))
    assert all(torch.equal(value, fresh.state_dict()[name]) for name, value in stored.state_dict().items())


def test_none_leaves_the_encoder_as_it_is() -> None:
    encoder = tiny()
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    load_pretrained(encoder, "tiny", "none")
    assert all(torch.equal(value, encoder.state_dict()[name]) for name, value in before.items())


@pytest.mark.parametrize("name", ["resnet18", "tiny", pytest.param("alexnet", marks=pytest.mark.slow)])
def test_a_stem_for_sound_answers_a_patch_as_the_pictures_stem_answers_its_grey_picture(
    name: EncoderName, tmp_path: Path
) -> None:
    """Three equal channels through filters w_r, w_g, w_b are one channel through w_r + w_g + w_b."""
    picture, sound = build_encoder(name, "video", 8), build_encoder(name, "audio", 8)
    weights = {each: value for each, value in picture.state_dict().items() if not each.startswith(ENCODERS[name].head)}
    load_pretrained(sound, name, store(weights, tmp_path / "weights.pt"))
    patches = torch.rand(2, 1, 64, 64)
    stem = ENCODERS[name].stem
    expected = picture.get_submodule(stem)(patches.expand(2, 3, 64, 64))
    assert torch.allclose(sound.get_submodule(stem)(patches), expected, atol=1e-5)


def test_a_head_of_another_size_is_left_out_and_the_log_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stored, fresh = tiny(feature_size=9), tiny(feature_size=6)
    head = fresh.get_parameter("layers.8.weight").clone()
    with caplog.at_level(logging.INFO):
        load_pretrained(fresh, "tiny", store(stored.state_dict(), tmp_path / "weights.pt"))
    assert torch.equal(fresh.get_parameter("layers.8.weight"), head)
    assert torch.equal(fresh.get_parameter("layers.0.weight"), stored.get_parameter("layers.0.weight"))
    assert caplog.messages == [
        "the last layer of tiny, layers.8, is left at random: 9 outputs are stored, the encoder has 6"
    ]


def test_all_that_does_not_fit_is_named_at_once(tmp_path: Path) -> None:
    weights = dict(tiny().state_dict())
    del weights["layers.1.bias"]
    weights |= {"layers.3.weight": torch.zeros(64, 32, 5, 5), "module.layers.1.bias": torch.zeros(32)}
    encoder = tiny()
    before = encoder.get_parameter("layers.0.weight").clone()
    with pytest.raises(WeightsError) as caught:
        load_pretrained(encoder, "tiny", store(weights, tmp_path / "weights.pt"))
    assert str(caught.value) == (
        f"the weights '{tmp_path / 'weights.pt'}' do not fit tiny: missing: layers.1.bias; unexpected: "
        "module.layers.1.bias; of another shape: layers.3.weight [64, 32, 5, 5] instead of [64, 32, 3, 3]"
    )
    assert torch.equal(encoder.get_parameter("layers.0.weight"), before)


def test_a_stem_for_sound_does_not_fit_frames(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"layers\.0\.weight \[32, 1, 4, 4\] instead of \[32, 3, 4, 4\]"):
        load_pretrained(tiny("video"), "tiny", store(tiny("audio").state_dict(), tmp_path / "weights.pt"))


def test_a_head_without_its_bias_is_damaged(tmp_path: Path) -> None:
    weights = dict(tiny().state_dict())
    del weights["layers.8.bias"]
    with pytest.raises(WeightsError, match=r"missing: layers\.8\.bias$"):
        load_pretrained(tiny(), "tiny", store(weights, tmp_path / "weights.pt"))


def test_files_that_hold_something_else_are_refused_and_never_run(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"the weights 'nowhere\.pt' are no file \(the current folder is"):
        read_state_dict(Path("nowhere.pt"))
    (tmp_path / "damaged.safetensors").write_bytes(b"\x00" * 20)
    with pytest.raises(WeightsError, match=r"damaged\.safetensors' cannot be read"):
        read_state_dict(tmp_path / "damaged.safetensors")
    torch.save({"weights": Path("/")}, tmp_path / "code.pt")
    with pytest.raises(WeightsError, match=r"code\.pt' cannot be read: Weights only load failed"):
        read_state_dict(tmp_path / "code.pt")
    torch.save({"epoch": 3, "state_dict": {}}, tmp_path / "training.pt")
    with pytest.raises(
        WeightsError, match=r"training\.pt' holds a mapping of epoch, state_dict; allowed: a state dict"
    ):
        read_state_dict(tmp_path / "training.pt")


def test_imagenet_weights_come_from_torchvisions_cache_where_it_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file under torchvision's name for it, with its 1000 outputs; no network is asked."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    stored = build_encoder("resnet18", "video", feature_size=1000)
    store(stored.state_dict(), tmp_path / "hub" / "checkpoints" / "resnet18-f37072fd.pth")
    encoder = build_encoder("resnet18", "audio", feature_size=8)
    load_pretrained(encoder, "resnet18", "imagenet")
    assert torch.equal(encoder.get_parameter("layer4.1.conv2.weight"), stored.get_parameter("layer4.1.conv2.weight"))
    assert torch.equal(encoder.get_parameter("conv1.weight"), stored.get_parameter("conv1.weight").sum(1, keepdim=True))


def test_without_a_network_the_error_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy is a port of this machine on which nobody listens."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(WeightsError, match=r"ImageNet weights of alexnet cannot be had from https.*\.pth: .*refused"):
        imagenet_weights("alexnet")


def test_sources_that_cannot_be_are_refused_with_the_settings() -> None:
    with pytest.raises(ValidationError, match=r"got 'yes'; allowed: none, imagenet, or a file ending in \.safetensors"):
        ModelConfig(video_weights="yes")
    with pytest.raises(
        ValidationError, match="audio_weights=imagenet: tiny has no such weights; allowed: none, or a file"
    ):
        ModelConfig(audio_encoder="tiny", audio_weights="imagenet")


def test_a_path_is_made_absolute_when_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = ModelConfig(video_weights="sub/video.pt", audio_weights="imagenet")
    assert (config.video_weights, config.audio_weights) == (str(tmp_path / "sub" / "video.pt"), "imagenet")


def test_each_encoder_gets_its_own_weights_and_a_stored_model_needs_them_no_more(
    clip_format: ClipFormat, tmp_path: Path
) -> None:
    """`build` alone never reads them, so a checkpoint's model can be built when they are gone."""
    sources = {name: build_encoder("tiny", name, 6) for name in MODALITIES}
    config = ModelConfig(
        video_encoder="tiny",
        audio_encoder="tiny",
        feature_size=6,
        video_weights=store(sources["video"].state_dict(), tmp_path / "video.pt"),
        audio_weights=store(sources["audio"].state_dict(), tmp_path / "audio.safetensors"),
    )
    model = config.build(clip_format, num_classes=3)
    config.load_pretrained(model)
    for encoder, source in ((model.video_encoder, sources["video"]), (model.audio_encoder, sources["audio"])):
        assert all(torch.equal(value, encoder.state_dict()[name]) for name, value in source.state_dict().items())
    (tmp_path / "video.pt").unlink()
    again = config.build(clip_format, num_classes=3)
    again.load_state_dict(model.state_dict())
    with pytest.raises(WeightsError, match=r"video\.pt' are no file"):
        config.load_pretrained(again)
