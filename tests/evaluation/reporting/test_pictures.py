"""Charts and clips as data URIs: whole, repeatable, and saying what they show."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from PIL import Image

from evaluation.reporting.pictures import (
    Bar,
    clip_pictures,
    compared_bars,
    compared_curves,
    compared_differences,
    epsilon_curve,
)
from evaluation.reporting.results import CurvePoint
from evaluation.tasks.measurement import Example

POINTS = [
    CurvePoint(
        name="pgd-5",
        threat="linf",
        num_left_out=0,
        forward_passes=5,
        backward_passes=5,
        unusable_gradients=0.0,
        factor=factor,
        robust_accuracy=share,
        robust_accuracy_interval=(share - 0.1, share),
        worst_case_robust_accuracy=share - 0.05,
        worst_case_robust_accuracy_interval=(share - 0.2, share),
        worst_case_of=("pgd-5", "square"),
        attack_success_rate=1.0 - share,
        attack_success_rate_interval=(0.0, 1.0),
        linf_video=0.1,
        linf_audio=0.1,
        l2_video=1.0,
        l2_audio=1.0,
        psnr_video_db=30.0,
        snr_audio_db=None,
    )
    for factor, share in ((0.0, 0.9), (1.0, 0.5), (2.0, 0.2))
]
BAR = Bar(0.5, (0.4, 0.6))

CHARTS: dict[str, Callable[[], str]] = {
    "epsilon_curve": lambda: epsilon_curve(POINTS, chance=0.25),
    "compared_curves": lambda: compared_curves({"one": POINTS, "two": POINTS}, chance=0.25),
    "compared_bars": lambda: compared_bars(["clean", "worst"], {"one": [BAR, None], "two": [BAR, BAR]}),
    "compared_differences": lambda: compared_differences(
        ["clean", "worst"], {"two - one": [Bar(-0.1, (-0.2, 0.1), True), None], "_x - $": [BAR, BAR]}
    ),
}


def example(change: float) -> Example:
    """Twelve segments, more than are shown, changed by the same amount everywhere."""
    video, audio = np.full((12, 3, 8, 8), 0.5, np.float32), np.full((12, 8, 8), 0.5, np.float32)
    return Example(
        key="clip",
        attack="pgd",
        threat="linf",
        class_name="bowling",
        mistaken_for="singing",
        clean_video=video,
        perturbed_video=video + np.float32(change),
        clean_audio=audio,
        perturbed_audio=audio - np.float32(change),
    )


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_is_a_well_formed_picture_and_the_same_each_time(name: str) -> None:
    settings = dict(matplotlib.rcParams)
    first, second = CHARTS[name](), CHARTS[name]()
    assert first == second
    kind, _, data = first.partition(",")
    assert kind == "data:image/svg+xml;base64"
    assert ElementTree.fromstring(base64.b64decode(data)).tag.endswith("svg")
    assert dict(matplotlib.rcParams) == settings


@pytest.mark.parametrize(("change", "gain"), [(1 / 255, 127), (8 / 255, 15), (0.5, 1), (0.0, 1)])
def test_a_difference_is_stretched_to_half_the_range(change: float, gain: int) -> None:
    """127 / 255 and 15 * 8 / 255 are the largest whole multiples below one half; no change is not stretched at all."""
    picture, video_gain, audio_gain = clip_pictures(example(change))
    assert (video_gain, audio_gain) == (gain, gain)
    image = Image.open(io.BytesIO(base64.b64decode(picture.partition(",")[2])))
    assert image.width > 600
