from __future__ import annotations

import pytest
import torch

from tests.training.attacks.targets import THREATS, Constant, Counted, classifier, random_clips
from tests.training.attacks.trained import trained_classifier
from training.attacks import Square
from training.attacks.engine.best_attempt import measured_margin
from training.batch import MODALITIES
from training.threat import ThreatModel

LARGE = ThreatModel(video=48 / 255, audio=48 / 255)
BY_NORM = {"linf": LARGE, "l2": ThreatModel(norm="l2", video=9.0, audio=4.5)}
FROM_START = ThreatModel(video=0.05, audio=0.05)


def test_the_windows_share_is_halved_on_the_papers_schedule() -> None:
    """Of 10,000 queries after 10, 50, 200, ...; of 5,000 after half as many."""
    attack = Square(queries=10_000)
    queries = (1, 10, 11, 50, 51, 201, 501, 1001, 2001, 4001, 6001, 8001, 9999)
    halvings = (0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9)
    assert [attack.share_at(query) for query in queries] == [0.8 / 2**number for number in halvings]
    assert [Square(queries=5000).share_at(query) for query in (5, 6, 100, 101)] == [0.8, 0.4, 0.2, 0.1]


def test_the_linf_start_is_stripes_in_the_picture_and_lines_in_the_sound() -> None:
    clips = random_clips(FROM_START, 3)
    clips = clips.with_streams(clips.video / 2 + 0.25, clips.audio / 2 + 0.25)
    start = Square(queries=1)(Constant(), clips, FROM_START, torch.Generator())
    stripes, lines = start.video - clips.video, start.audio - clips.audio
    for delta in (stripes, lines):
        assert torch.allclose(delta.abs(), torch.tensor(0.05, dtype=torch.float64))
    assert torch.allclose(stripes, stripes[:, :1, :, :1].expand_as(stripes)), "the same in every frame and row"
    assert stripes[0, 0, :, 0].sign().unique(dim=1).shape[1] > 1, "columns differ"  # type: ignore[no-untyped-call]
    assert torch.allclose(lines, lines[:, :1, :, :1].expand_as(lines)), "the same in every segment and step"


def test_the_linf_start_of_a_waveform_is_one_noise_for_all_segments() -> None:
    threat = THREATS["linf(video=4/255, waveform=0.01)"]
    clips = random_clips(threat, 2)
    clips = clips.with_streams(clips.video, clips.audio * 0.9)
    delta = Square(queries=1)(Constant(), clips, threat, torch.Generator()).audio - clips.audio
    assert torch.allclose(delta.abs(), torch.tensor(0.01, dtype=torch.float64))
    assert torch.allclose(delta, delta[:, :1].expand_as(delta))
    assert abs(float(delta.sign().mean())) < 0.1


@pytest.mark.parametrize("norm", BY_NORM)
def test_more_queries_never_lower_the_margin(norm: str) -> None:
    """All have the start in common, then the windows of a longer search shrink later."""
    network, clips = trained_classifier()
    clips = clips.select(torch.arange(16)).with_targets(None)
    threat = BY_NORM[norm]
    first, *later = (
        measured_margin(network, Square(queries=count)(network, clips, threat, torch.Generator()))
        for count in (1, 10, 40)
    )
    assert all((margins >= first - 1e-6).all() for margins in later)
    assert later[1].clamp_max(0.0).mean() > first.clamp_max(0.0).mean()


@pytest.mark.parametrize("norm", ["linf", pytest.param("l2", marks=pytest.mark.slow)])
def test_scores_alone_suffice_to_fool_a_classifier(norm: str) -> None:
    network, clips = trained_classifier()
    clips = clips.select(torch.arange(16)).with_targets(None)
    clean = int((measured_margin(network, clips) <= 0).sum())
    with torch.no_grad():
        perturbed = Square(queries=300)(network, clips, BY_NORM[norm], torch.Generator())
    assert int((measured_margin(network, perturbed) <= 0).sum()) < 0.5 * clean


@pytest.mark.parametrize("modality", MODALITIES)
def test_a_query_may_change_one_modality_alone(modality: str) -> None:
    """Under a budget for one only that one can change, and 20 queries find something better than the start."""
    network, clips = trained_classifier()
    clips = clips.select(torch.arange(16)).with_targets(None)
    threat = LARGE.only("video" if modality == "video" else "audio")
    start, end = (Square(queries=count)(network, clips, threat, torch.Generator()) for count in (1, 20))
    assert measured_margin(network, end).mean() > measured_margin(network, start).mean()


def test_l2_changes_use_the_whole_budget_inside_the_box() -> None:
    threat = ThreatModel(norm="l2", video=0.3, audio=0.2)
    clips = random_clips(threat, 3)
    clips = clips.with_streams(clips.video / 2 + 0.25, clips.audio / 2 + 0.25)
    perturbed = Square(queries=30)(classifier(), clips, threat, torch.Generator())
    distances = threat.distances(perturbed, clips)
    assert torch.allclose(distances["video"], torch.full((3,), 0.3, dtype=torch.float64))
    assert torch.allclose(distances["audio"], torch.full((3,), 0.2, dtype=torch.float64))


def test_clips_that_are_fooled_are_left_out_of_further_queries() -> None:
    """Both searches open with windows of 80 %; after one query the second sees those that the first has left."""
    network, clips = trained_classifier()
    clips = clips.with_targets(None)
    first = Square(queries=1)(network, clips, LARGE, torch.Generator())
    num_left = int((measured_margin(network, first) <= 0).sum())
    assert 0 < num_left < 64
    counted = Counted(network)
    Square(queries=2)(counted, clips, LARGE, torch.Generator())
    assert counted.forward_passes == 64 + num_left
    assert counted.backward_passes == 0
