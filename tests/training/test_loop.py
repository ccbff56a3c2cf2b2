from __future__ import annotations

from training.loop import progress_line


def test_the_progress_line_says_all_that_matters() -> None:
    """Two of six epochs took 8 and 12 s, so four more take 40 s."""
    metrics = {
        "train/loss": 1.25,
        "validation/clean_accuracy": 0.915,
        "validation/robust_accuracy": 0.5,
        "time/clips_per_second": 123.45,
    }
    history = [metrics | {"time/epoch_seconds": seconds} for seconds in (8.0, 12.0)]
    line = "epoch 2/6: loss 1.250, validation clean 91.5%, robust 50.0%, 123.5 clips/s, 40 s left"
    assert progress_line(history, num_epochs=6) == line.replace("123.5", f"{123.45:.1f}")
