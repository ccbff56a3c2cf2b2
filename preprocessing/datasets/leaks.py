"""One YouTube video in two splits: a model would be tested on what it was trained on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from preprocessing.errors import DataError
from preprocessing.schema import Split

MAX_EXAMPLES = 3


@dataclass(frozen=True)
class Claim:
    """A place that puts a video into a split."""

    youtube_id: str
    split: Split
    where: str
    """The folder, or the file and line."""


def refuse_leaks(claims: Iterable[Claim]) -> dict[str, Split]:
    """The split of each claimed video, by its id.

    Raises:
        ValueError: if places put a video into different splits; the message counts them, names some with the places,
            and says what to do.
    """
    places: dict[str, dict[Split, str]] = {}
    for claim in claims:
        places.setdefault(claim.youtube_id, {}).setdefault(claim.split, claim.where)
    leaks = {youtube_id: found for youtube_id, found in sorted(places.items()) if len(found) > 1}
    if leaks:
        examples = [
            f"'{youtube_id}': {', '.join(f'{split} ({where})' for split, where in found.items())}"
            for youtube_id, found in list(leaks.items())[:MAX_EXAMPLES]
        ]
        count = "1 YouTube video lies" if len(leaks) == 1 else f"{len(leaks):,} YouTube videos lie"
        rest = "" if len(leaks) <= MAX_EXAMPLES else f"\n  ... and {len(leaks) - MAX_EXAMPLES:,} more"
        raise DataError(
            f"{count} in several splits: a model would be tested on what it was trained on. Take each out of all but "
            "one (its files or its lines); of split files give those of one protocol only:\n  "
            + "\n  ".join(examples)
            + rest
        )
    return {youtube_id: split for youtube_id, found in places.items() for split in found}
