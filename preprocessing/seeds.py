"""Seeds and random orders that follow from names alone: the same on every machine and in every process."""

from __future__ import annotations

import hashlib


def seed_of(*path: object) -> int:
    """A seed of 63 bits for one purpose, such as `seed_of(config.seed, "attacks", epoch)`."""
    text = "/".join(map(str, path)).encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "little") >> 1


def shuffling_key(seed: int, name: str) -> bytes:
    """A key by which names are sorted into a random order: a name's place depends on no other name but by rank."""
    return hashlib.sha256(f"{seed}|{name}".encode()).digest()
