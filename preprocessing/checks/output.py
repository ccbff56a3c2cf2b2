"""The output of a run: free, begun by the same plan, or another data set's."""

from __future__ import annotations

from contextlib import suppress

from preprocessing.errors import DataError, SettingsError
from preprocessing.plan import Plan, differences, load_plan
from preprocessing.schema import INDEX_NAME, PLAN_NAME, REJECTED_NAME
from preprocessing.storage.atomic_file import remove_abandoned, write_file, write_file_if_absent
from preprocessing.storage.records import load_index, load_shard_record, record_name
from preprocessing.storage.store import Store


def begin(store: Store, plan: Plan) -> None:
    """Write the plan, or make sure that what lies there belongs to the same one; nothing abandoned takes up space.

    What an earlier run left that ended without a single clip makes way.

    Raises:
        SettingsError: if the output holds clips of another plan; the message says what differs.
        DataError: if it holds a plan that cannot be read.
    """
    remove_abandoned(store)
    if not write_file_if_absent(store, PLAN_NAME, plan.to_json()) and (before := refuse_another(store, plan)):
        make_way(store, before, plan)


def refuse_another(store: Store, plan: Plan) -> Plan | None:
    """The other plan that lies in the output and makes way, as its run ended without a clip; None if it is the same.

    Raises:
        SettingsError: if its finished shards would not fit `plan`.
        DataError: if it cannot be read.
    """
    try:
        before = load_plan(store)
    except DataError as error:
        raise DataError(f"{error}; choose another output") from error
    found = differences(before, plan)
    if found and not has_ended_without_a_clip(store, before):
        raise SettingsError(
            f"output='{store.root}' holds a data set made with other settings or videos; choose another output or "
            "remove it. What differs:\n" + "\n".join(f"  {line}" for line in found)
        )
    return before if found else None


def has_ended_without_a_clip(store: Store, plan: Plan) -> bool:
    """True if a run of this plan has ended, and none of its shards holds a clip."""
    if store.size(INDEX_NAME) is not None:
        return not any(load_index(store.root).num_clips.values())
    return store.size(REJECTED_NAME) is not None and not any(
        _num_clips(store, shard.name) for shard in plan.shards if store.size(record_name(shard.name)) is not None
    )


def make_way(store: Store, before: Plan, plan: Plan) -> None:
    """Put `plan` in the place of a plan whose run has ended without a clip.

    Killed at any moment, what is left is an output of the one or the other: `rejected.csv`, which tells that the run
    has ended, goes last.
    """
    names = [name for shard in before.shards for name in (record_name(shard.name), shard.name)]
    for name in (INDEX_NAME, *names):
        _remove(store, name)
    write_file(store, PLAN_NAME, plan.to_json())
    _remove(store, REJECTED_NAME)


def _num_clips(store: Store, shard: str) -> int:
    return len(load_shard_record(store.root, shard).samples)


def _remove(store: Store, name: str) -> None:
    with suppress(FileNotFoundError):
        store.remove(name)
