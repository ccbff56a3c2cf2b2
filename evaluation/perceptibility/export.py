"""The chosen adversarial clips and their originals as playable files, and as pictures for the page."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.perceptibility.config import PerceptibilityConfig
from evaluation.perceptibility.measurement import patches_of
from evaluation.perceptibility.movies import (
    LOSSLESS,
    Samples,
    encode_flac,
    encode_movie,
    enlarged,
    platform_coding,
)
from evaluation.perceptibility.report import ExportedClip
from evaluation.perceptibility.resynthesis import resynthesised
from evaluation.perceptibility.rows import Rows
from evaluation.perceptibility.storages import levels_of
from evaluation.perceptibility.subject import Subject
from evaluation.tasks.measurement import NOT_FINITE, Example
from preprocessing.schema import ClipFormat
from preprocessing.storage.atomic_file import write_bytes
from preprocessing.storage.atomic_folder import replacing_folder
from training.batch import Batch

CLIPS_FOLDER = "clips"
"""The folder of the exported files."""


@dataclass(frozen=True)
class Chosen:
    """An adversarial clip beside its original, each a batch of one."""

    clean: Batch
    perturbed: Batch
    example: Example
    clean_class: str
    stored_sound: Samples | None
    """The original's sound, where attacks changed its log-mel patches; None = the batch has it."""


def chosen_rows(rows: Rows, num_clips: int) -> list[tuple[str, str]]:
    """Attack and key of the clips to show, from the most to the least visible.

    They are of the attack that fools the most clips; evenly spread over those that fool it, ordered by the similarity
    of their frames, then by the distance of their sound. If there are fewer, those that it does not fool follow.
    """
    records = rows.records()
    fooled = [each for each in records if each["clean_prediction"] == each["label"] != each["perturbed_prediction"]]
    counts = {attack: sum(each["attack"] == attack for each in fooled) for attack in rows.attacks}
    attack = max(counts, key=counts.__getitem__)
    candidates = sorted((each for each in fooled if each["attack"] == attack), key=_visibility)
    places = np.unique(np.linspace(0, len(candidates) - 1, min(num_clips, len(candidates))).round().astype(int))
    keys = [candidates[place]["key"] for place in places]
    keys += [each["key"] for each in records if each["attack"] == attack and each not in candidates]
    return [(attack, key) for key in keys[:num_clips]]


def _visibility(row: Mapping[str, Any]) -> tuple[float, float]:
    """Rises as a change gets less visible, then less audible."""
    similarity, distance = row["ssim_video"], row["lsd_audio_db"]
    return 1.0 if similarity is None else similarity, 0.0 if distance is None else -distance


def chosen_clips(subject: Subject, rows: Rows, num_clips: int) -> Iterator[Chosen]:
    """The clips to show, one after the other."""
    predictions = {(each["attack"], each["key"]): each for each in rows.records()}
    perturbations = {(attack, row["key"]): row for attack, group in subject.perturbations.items() for row in group}
    clip_format, names = subject.stored.index.format, subject.report.class_names

    def named(prediction: int) -> str:
        return names[prediction] if prediction >= 0 else NOT_FINITE

    for attack, key in chosen_rows(rows, num_clips):
        clean = subject.clean([key])
        perturbed = subject.perturbed([perturbations[attack, key]], clean)
        row = predictions[attack, key]
        sound = None
        if not clean.has_waveform:
            waveforms = replace(subject.stored, audio_domain="waveform")
            sound = waveforms.read([subject.positions[key]]).to("cpu").audio.reshape(-1).numpy()
        example = Example(
            key=key,
            attack=attack,
            threat=str(subject.threat),
            class_name=names[row["label"]],
            mistaken_for=named(row["perturbed_prediction"]),
            clean_video=clean.video[0].numpy(),
            perturbed_video=perturbed.video[0].numpy(),
            clean_audio=patches_of(clean, clip_format)[0].numpy(),
            perturbed_audio=patches_of(perturbed, clip_format)[0].numpy(),
        )
        yield Chosen(clean, perturbed, example, named(row["clean_prediction"]), sound)


def export(
    chosen: list[Chosen], folder: Path, config: PerceptibilityConfig, clip_format: ClipFormat
) -> tuple[ExportedClip, ...]:
    """Write every file of the chosen clips, in place of those that an earlier export left.

    Args:
        chosen: the clips.
        folder: receives the folder `clips`, which appears whole or not at all.
        config: the settings.
        clip_format: the clips'.
    """
    exported = []
    with replacing_folder(folder / CLIPS_FOLDER) as temporary:
        for number, clip in enumerate(chosen, start=1):
            hashes = {}
            for name, data in files_of(clip, config, clip_format):
                place = f"{number}/{name}"
                write_bytes(temporary / place, data)
                hashes[f"{CLIPS_FOLDER}/{place}"] = hashlib.sha256(data).hexdigest()
            exported.append(
                ExportedClip(
                    key=clip.example.key,
                    attack=clip.example.attack,
                    class_name=clip.example.class_name,
                    clean_class=clip.clean_class,
                    mistaken_for=clip.example.mistaken_for,
                    files=hashes,
                )
            )
    return tuple(exported)


def files_of(chosen: Chosen, config: PerceptibilityConfig, clip_format: ClipFormat) -> Iterator[tuple[str, bytes]]:
    """Name and content of every file of a chosen clip.

    Where attacks changed log-mel patches, both sounds are resynthesised in the same way, so that what is heard between
    them is the attack's; the original's own sound is a file of its own.
    """
    factor = config.enlargement(clip_format.frame_size)
    codings = {"lossless": LOSSLESS, "platform": platform_coding(crf=config.crf, aac_kbps=config.aac_kbps[0])}
    suffix = "" if chosen.clean.has_waveform else "_resynthesised"
    for which, batch in (("original", chosen.clean), ("adversarial", chosen.perturbed)):
        frames = enlarged(levels_of(batch.video[0].numpy()), factor)
        samples = sound_of(batch, clip_format)
        for name, coding in codings.items():
            yield f"{which}_{name}.mp4", encode_movie(frames, samples, coding, clip_format)
        yield f"{which}{suffix}.flac", encode_flac(samples, clip_format.sample_rate_hz)
    if chosen.stored_sound is not None:
        yield "original.flac", encode_flac(chosen.stored_sound, clip_format.sample_rate_hz)


def sound_of(batch: Batch, clip_format: ClipFormat) -> Samples:
    """The waveform of a batch of one clip, resynthesised if it has none."""
    if batch.has_waveform:
        return batch.audio.reshape(-1).numpy()
    return resynthesised(batch.audio[0], clip_format).numpy()
