from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from pipeline.served_model import _load_pyfunc
from preprocessing.schema import ClipFormat
from training.checkpoint import CheckpointInfo, save
from training.models import ModelConfig


def test_the_loader_module_gives_the_checkpoints_logits(tmp_path: Path) -> None:
    clip_format = ClipFormat(num_segments=4, segment_seconds=0.16, frame_size=16, num_mels=16)
    config = ModelConfig(video_encoder="tiny", audio_encoder="tiny", feature_size=8)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = config.build(clip_format, 3).eval()
    info = CheckpointInfo(
        model=config, clip_format=clip_format, classes=("a", "b", "c"), dataset_sha256="", epoch=1, metrics={}
    )
    save(tmp_path / "checkpoint", model=model, info=info, config={}, state={})
    clips = {name: np.full(shape, 0.5, np.float32) for name, shape in
             (("video", (2, 4, 3, 16, 16)), ("audio", (2, 4, 16, 16)))}  # fmt: skip
    logits = _load_pyfunc(str(tmp_path / "checkpoint")).predict(clips)
    with torch.inference_mode():
        expected = model(*(torch.from_numpy(clips[name]) for name in ("video", "audio"))).logits.numpy()
    assert logits.shape == (2, 3)
    np.testing.assert_allclose(logits, expected, rtol=1e-5)
