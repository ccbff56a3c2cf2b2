"""The clips of a measurement under `moments=other`: those that are attacked, paired with what the model samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch

from preprocessing.errors import DataError
from preprocessing.schema import ClipFormat, Split, StoredKey
from training.attacks.engine.moments import OtherMoments
from training.data import StoredSplit, open_split
from training.threat import ThreatModel

NUM_LOOKED_AT = 16
"""Clips whose moments are looked at before any is attacked."""


def suits(wanted: ClipFormat, stored: ClipFormat, *, at_any_moments: bool) -> bool:
    """True if a model for clips of one format takes those of another: they are the same but for where segments begin,
    and with `at_any_moments` but for how many there are and how long."""
    ignored = {"offset", "num_segments", "segment_seconds"} if at_any_moments else {"offset"}
    return wanted.model_dump(exclude=ignored) == stored.model_dump(exclude=ignored)


def open_pairs(data: str, moments: str | None, split: Split, threat: ThreatModel) -> PairedClips | None:
    """The clips of `data` and the same in `moments`; None under a threat whose attacker knows the moments.

    Raises:
        UserError: if a data set is not finished, or the split is empty.
    """
    if moments is None:
        return None
    attacked, sampled = (open_split(place, split, audio_domain=threat.audio_domain) for place in (data, moments))
    return PairedClips(attacked, sampled)


@dataclass(frozen=True)
class PairedClips:
    """The clips of one split, stored at two sets of moments."""

    attacked: StoredSplit
    """As attacks see them."""
    sampled: StoredSplit
    """As the model samples them."""
    _verified: set[str] = field(default_factory=set, repr=False)

    @cached_property
    def _attacked_at(self) -> dict[str, int]:
        return {clip.key: position for position, (_, clip) in enumerate(self.attacked.clips)}

    @cached_property
    def _sampled_at(self) -> dict[str, int]:
        return {clip.key: position for position, (_, clip) in enumerate(self.sampled.clips)}

    def require_same_clips(self, limit: int | None) -> None:
        """Refuse two data sets that do not hold the same clips in the same form.

        Args:
            limit: the first so many clips are attacked; None = all.

        Raises:
            DataError: with what differs, and where.
        """
        data, moments = self.attacked, self.sampled
        if data.index.classes != moments.index.classes:
            raise DataError(
                f"moments='{moments.root}' has the classes {', '.join(moments.index.classes)}, data='{data.root}' has "
                f"{', '.join(data.index.classes)}: they must be the same, in the same order"
            )
        if not suits(data.index.format, moments.index.format, at_any_moments=True):
            raise DataError(
                f"moments='{moments.root}' stores clips as {moments.index.format}, data='{data.root}' as "
                f"{data.index.format}; allowed to differ: offset, num_segments, segment_seconds"
            )
        clips = [clip for _, clip in data.clips[:limit]]
        if missing := [clip.key for clip in clips if clip.key not in self._sampled_at]:
            raise DataError(
                f"moments='{moments.root}' lacks {len(missing)} of the {len(clips)} clips of split '{data.split}' of "
                f"data='{data.root}', such as '{missing[0]}': store them there too (rules.missing_tail=pad keeps those "
                "that end too early, and one segment less in data ends sooner)"
            )
        if other := [clip.key for clip in clips if not _is_same(clip, self._clip_sampled(clip.key))]:
            raise DataError(
                f"moments='{moments.root}' and data='{data.root}' give {len(other)} keys to other videos or classes, "
                f"such as '{other[0]}': both must be made of the same videos"
            )

    def are_at_the_same_moments(self, limit: int | None) -> bool:
        """True if the model looks at the very frames that are attacked, in every one of the first clips: whole segments
        later or earlier are no other moments."""
        formats = self.attacked.index.format, self.sampled.index.format
        keys = [clip.key for _, clip in self.attacked.clips[:limit]][:NUM_LOOKED_AT]
        is_as_long = formats[0].segment_samples == formats[1].segment_samples
        return is_as_long and all(self._delay(key).is_integer() for key in keys)

    def sampled_clips(self, keys: Sequence[str]) -> OtherMoments:
        """The clips with these keys as the model samples them, and when that is; their shards are verified once.

        Raises:
            ShardError: if a shard is damaged.
        """
        positions = [self._sampled_at[key] for key in keys]
        shards = {self.sampled.clips[position][0] for position in positions} - self._verified
        self.sampled.verify(sorted(shards))
        self._verified.update(shards)
        clips = self.sampled.read(positions).to("cpu")
        attacked, sampled = self.attacked.index.format, self.sampled.index.format
        return OtherMoments(
            video=clips.video,
            audio=clips.audio,
            delay=torch.tensor([self._delay(key) for key in keys], dtype=torch.float64),
            segment_length=sampled.segment_samples / attacked.segment_samples,
        )

    def _delay(self, key: str) -> float:
        """Time from the start of the attacked clip to that of the sampled one, in segments of the attacked one.

        A whole number of samples, as sound is laid down: times are stored in microseconds.
        """
        form = self.attacked.index.format
        here = self.attacked.start_seconds(self._attacked_at[key])
        there = self.sampled.start_seconds(self._sampled_at[key])
        return round((there - here) * form.sample_rate_hz) / form.segment_samples

    def _clip_sampled(self, key: str) -> StoredKey:
        return self.sampled.clips[self._sampled_at[key]][1]


def _is_same(clip: StoredKey, other: StoredKey) -> bool:
    return (clip.label, clip.source_sha256) == (other.label, other.source_sha256)
