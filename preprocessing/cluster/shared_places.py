"""Places that all nodes of a Ray must share: proven before work starts, and again in every process that works.

A place is known by a landmark, a file in it: where the driver writes, one that it has just written; where it reads, one
that is there. A process that does not find the same bytes there works in another place, whatever the path says.
"""

from __future__ import annotations

import hashlib
import os
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from preprocessing.cluster.nodes import alive_nodes, ask_every_node, this_node
from preprocessing.errors import FULL, PlaceError, UserError
from preprocessing.schema import INDEX_NAME
from preprocessing.storage.atomic_file import TEMPORARY_PREFIX, create_unfinished, remove_if_abandoned
from preprocessing.storage.store import Store

COMPARED_BYTES = 1 << 20
"""Of a landmark so many bytes are compared, and its size."""
SECONDS_TO_SETTLE = 3.0
"""A new file may take so long to be seen on every node: some file systems keep listings for a moment."""
TOKEN = "shared.token"
NODES_TOLD = 3
"""So many nodes are named one by one; of more, how many they are."""


class UnsharedPlaceError(PlaceError):
    """A node does not see a place that all nodes must share: trying again there would end the same."""


@dataclass(frozen=True)
class SharedPlace:
    """A folder or URL that must be the same one in every process."""

    setting: str
    """The setting that names it, for messages."""
    place: str
    """Absolute path, or URL."""
    file: str = ""
    """A file in it to know it by; empty: it need only be there."""
    is_written: bool = False
    """True: the driver writes a token into it, and every node must be able to write as well."""


@dataclass(frozen=True)
class Landmark:
    """A file by which every process recognises a place."""

    at: SharedPlace
    name: str
    fingerprint: str | None
    """Of its content; None: it need not be there, only the place itself."""


@dataclass(frozen=True)
class Trouble:
    """A reason why a process cannot use a place."""

    at: SharedPlace
    said: str
    """In words that go on after a node's name."""
    is_elsewhere: bool
    """True: it sees another place under this name. False: it may not use it, or cannot reach it."""


def require_shared(*places: SharedPlace) -> None:
    """Refuse places that some node of the connected Ray does not see, or cannot use, before any work is done.

    Nothing is left of trying. A Ray of one node is not asked.

    Raises:
        UnsharedPlaceError: naming the setting, its value, the nodes and the remedy.
    """
    if len(alive_nodes()) < 2:
        return
    with landmarks(*places) as known:
        answers = ask_every_node(troubles_with, known)
    troubles = [(str(node), trouble) for node, found in answers.given.items() for trouble in found]
    if troubles:
        raise UnsharedPlaceError(told(troubles))
    if answers.missing:
        nodes = "; ".join(f"{node} {said}" for node, said in answers.missing.items())
        settings = ", ".join(f"{place.setting}='{place.place}'" for place in places)
        raise UnsharedPlaceError(
            f"not all nodes say whether they see {settings}: {nodes}; see whether a mount hangs there, or take the "
            "node out of the cluster, then run the same command again"
        )


@cache
def recognise(known: tuple[Landmark, ...]) -> None:
    """Refuse to work in this process if it sees other places than the driver; looked at once per process.

    Raises:
        UnsharedPlaceError: naming this node.
    """
    if troubles := troubles_with(known):
        node = this_node()
        raise UnsharedPlaceError(told([(node, trouble) for trouble in troubles]))


@contextmanager
def landmarks(*places: SharedPlace) -> Iterator[tuple[Landmark, ...]]:
    """The landmarks of all places, the tokens among them there as long as the block lasts.

    A token is named and locked like every unfinished file: what a killed driver leaves is swept by the next one.

    Raises:
        StoreError: if a place cannot be read.
    """
    with ExitStack() as stack:
        yield tuple(stack.enter_context(_landmark(place)) for place in places)


@contextmanager
def _landmark(place: SharedPlace) -> Iterator[Landmark]:
    store = Store(place.place)
    if place.is_written and store.folder:
        with _token(store.folder) as name:
            yield Landmark(place, name, fingerprint(store, name))
    elif place.is_written:
        yield Landmark(place, INDEX_NAME, None)
    else:
        yield Landmark(place, place.file, fingerprint(store, place.file) if place.file else None)


@contextmanager
def _token(folder: Path) -> Iterator[str]:
    """The name of a new file in `folder` within the block; a folder that was made for it goes with it."""
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    for left in folder.glob(f"{TEMPORARY_PREFIX}*{Path(TOKEN).suffix}"):
        remove_if_abandoned(left)
    try:
        with create_unfinished(folder / TOKEN) as file:
            path = Path(file.name)
            try:
                file.write(uuid.uuid4().bytes)
                file.flush()
                os.fsync(file.fileno())  # it stays open, and a network file system may send it only when it is closed
                yield path.name
            finally:
                path.unlink(missing_ok=True)
    finally:
        for empty in made:
            with suppress(OSError):  # something lies in it by now
                empty.rmdir()


def troubles_with(known: tuple[Landmark, ...]) -> list[Trouble]:
    """All that this process finds wrong with the places of these landmarks."""
    return [trouble for landmark in known if (trouble := trouble_with(landmark))]


def trouble_with(landmark: Landmark) -> Trouble | None:
    """The reason why this process cannot use a landmark's place; None if it can."""
    at = landmark.at
    try:
        store = Store(at.place)
        found = fingerprint(store, landmark.name) if landmark.name else None
        deadline = time.monotonic() + SECONDS_TO_SETTLE
        while landmark.fingerprint and found is None and store.folder and time.monotonic() < deadline:
            time.sleep(0.1)
            found = fingerprint(store, landmark.name)
    except UserError as error:
        return Trouble(at, str(error).partition(";")[0], is_elsewhere=False)
    if landmark.fingerprint is not None and found != landmark.fingerprint:
        seen = "what the driver wrote" if at.is_written else f"its '{landmark.name}'"
        said = f"does not see {seen}" if found is None else f"has another '{landmark.name}' there"
        return Trouble(at, said, is_elsewhere=True)
    if store.folder and not store.folder.is_dir():
        return Trouble(at, "does not see it", is_elsewhere=True)
    if at.is_written and store.folder:
        try:
            with create_unfinished(store.folder / TOKEN) as file:
                Path(file.name).unlink()
        except OSError as error:
            if error.errno not in FULL:  # which the work itself tells better
                return Trouble(at, f"sees it but cannot write into it ({error.strerror})", is_elsewhere=False)
    return None


def fingerprint(store: Store, name: str) -> str | None:
    """A file's size and the SHA-256 of its first MiB; None if it is not there.

    Raises:
        StoreError: if the store does not say.
    """
    try:
        size = store.size(name)
        if size is None:
            return None
        return f"{size} {hashlib.sha256(store.read_range(name, 0, COMPARED_BYTES)).hexdigest()}"
    except FileNotFoundError:  # gone meanwhile
        return None


def told(troubles: Sequence[tuple[str, Trouble]]) -> str:
    """One message for all troubles of all nodes, a line for each place and kind of trouble."""
    groups: dict[tuple[SharedPlace, bool], list[str]] = {}
    for node, trouble in troubles:
        groups.setdefault((trouble.at, trouble.is_elsewhere), []).append(f"{node} {trouble.said}")
    return "\n".join(_line(at, is_elsewhere, nodes) for (at, is_elsewhere), nodes in groups.items())


def _line(at: SharedPlace, is_elsewhere: bool, nodes: list[str]) -> str:
    more = [f"and {len(nodes) - NODES_TOLD} more"] if len(nodes) > NODES_TOLD else []
    listed = ", ".join([*nodes[:NODES_TOLD], *more])
    if is_elsewhere:
        what, remedy = "is not one folder on all nodes", "name a folder on a shared file system or an fsspec URL"
    elif "://" in at.place:
        what, remedy = "cannot be used on all nodes", "give these nodes its credentials and a way to it"
    else:
        what, remedy = "cannot be used on all nodes", "give the user that Ray runs as the right to it there"
    return f"{at.setting}='{at.place}' {what}: {listed}; {remedy}"
