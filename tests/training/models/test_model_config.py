from __future__ import annotations

from itertools import product

import pytest
from pydantic import ValidationError

from training.models import ModelConfig

PAPER_NAMES = ["".join(letters) for letters in product("AR", "cs", "AR")]


def test_the_papers_names_say_video_fusion_audio() -> None:
    config = ModelConfig.model_validate("AcR")
    assert (config.video_encoder, config.fusion, config.audio_encoder) == ("alexnet", "concat", "resnet18")


@pytest.mark.parametrize("name", PAPER_NAMES)
def test_each_of_the_papers_eight_models_is_called_what_it_was_asked_for_as(name: str) -> None:
    assert str(ModelConfig.model_validate(name)) == name


def test_the_eight_names_are_eight_models() -> None:
    assert len({ModelConfig.model_validate(name) for name in PAPER_NAMES}) == 8


def test_other_architectures_are_called_by_their_parts() -> None:
    assert str(ModelConfig(video_encoder="tiny", fusion="film", audio_encoder="vgg11")) == "tiny-film-vgg11"


@pytest.mark.parametrize("text", ["aca", "AcAA", "VcA", ""])
def test_other_text_is_refused_with_the_names_there_are(text: str) -> None:
    with pytest.raises(ValidationError, match=f"'{text}' is not one of the paper's models; allowed: AcA, AcR, .*RsR"):
        ModelConfig.model_validate(text)
