from __future__ import annotations

import io
import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from webdataset.tariterators import group_by_keys, tar_file_expander

from preprocessing.logmel import LogMel
from preprocessing.schema import Split
from preprocessing.storage.records import load_index
from tests.training.reading import keys_of, read_epoch
from training.data import (
    ShardError,
    StoredBatch,
    evaluation_batches,
    open_split,
    portion,
    stored_batches,
    train_batches,
    training_plan,
)
from training.threat import AudioDomain


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_a_clip_is_what_plain_webdataset_reads(tiny_dataset: Path, split: Split) -> None:
    """Pillow and numpy decode the same members to the same numbers."""
    plain: dict[str, dict[str, bytes]] = {}
    for shard in load_index(str(tiny_dataset)).shards[split]:
        with (tiny_dataset / shard.name).open("rb") as file:
            samples = group_by_keys(tar_file_expander([{"url": shard.name, "stream": file}]))
            plain |= {sample["__key__"]: sample for sample in samples}
    batches = list(evaluation_batches(str(tiny_dataset), split, batch_size=3))
    assert sorted(key for batch in batches for key in batch.keys) == sorted(plain)
    for batch in batches:
        for key, video, audio, label in zip(batch.keys, batch.video, batch.audio, batch.labels, strict=True):
            members = plain[key]
            frames = [np.asarray(Image.open(io.BytesIO(members[f"frame_{t:02d}.jpg"]))) for t in range(4)]
            expected = torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2) / 255
            assert torch.equal(video, expected)
            logmel = np.load(io.BytesIO(members["logmel.npy"]), allow_pickle=False).astype(np.float32)
            assert torch.equal(audio, torch.from_numpy(logmel))
            assert json.loads(members["json"])["label"] == label


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_stored_patches_are_the_front_end_of_the_stored_waveform_bit_for_bit(tiny_dataset: Path, split: Split) -> None:
    """Both are read in batches of 3; preprocessing computed clip by clip and rounded to half precision."""
    stored, waveforms = (open_split(str(tiny_dataset), split, audio_domain=name) for name in ("logmel", "waveform"))
    front_end = LogMel(stored.index.format)
    plan = [[*range(start, min(start + 3, len(stored)))] for start in range(0, len(stored), 3)]
    for patches, sound in zip(stored_batches(stored, plan), stored_batches(waveforms, plan), strict=True):
        assert torch.equal(front_end(sound.to("cpu").audio).half(), patches.audio)
        assert torch.equal(sound.frames, patches.frames)
        assert sound.keys == patches.keys


def test_waveforms_are_exact_samples_of_full_scale(tiny_dataset: Path) -> None:
    """Segments of 0.5 s at 16 kHz; times 32,768 every value is a whole number, and the tones are heard."""
    batch = next(evaluation_batches(str(tiny_dataset), "train", batch_size=5, audio_domain="waveform"))
    assert batch.audio.shape == (5, 4, 8000)
    assert batch.audio.dtype == torch.float32
    assert torch.equal(batch.audio * 32768, (batch.audio * 32768).round())
    assert batch.audio.abs().flatten(1).amax(1).min() > 0.05
    assert batch.audio.abs().max() <= 1


def test_a_training_reads_its_split_in_its_domain(tiny_dataset: Path) -> None:
    stored = open_split(str(tiny_dataset), "train", audio_domain="waveform")
    assert next(train_batches(stored, epoch=0, seed=0, batch_size=8)).audio.shape == (8, 4, 8000)


def test_a_clip_says_when_it_begins(tiny_dataset: Path) -> None:
    """Clips of 2 s in videos of 2 s begin with them."""
    stored = open_split(str(tiny_dataset), "validation")
    assert [stored.start_seconds(position) for position in (3, 0)] == [0.0, 0.0]


def test_full_scale_of_16_bit_stays_within_the_box() -> None:
    samples = np.array([[-32768, 32767]], np.int16)
    frames = torch.zeros(1, 1, 1, 1, 3, dtype=torch.uint8)
    batch = StoredBatch(frames, torch.from_numpy(samples)[None], torch.tensor([0]), ("clip",)).to("cpu")
    assert batch.audio.flatten().tolist() == [-1.0, 32767 / 32768]


def test_damaged_sound_names_clip_shard_and_the_command_that_rebuilds_it(tiny_dataset: Path, tmp_path: Path) -> None:
    """The name of the FLAC format inside the first shard is overwritten."""
    copy = shutil.copytree(tiny_dataset, tmp_path / "copy")
    shard = copy / "train" / "000000.tar"
    shard.write_bytes(shard.read_bytes().replace(b"fLaC", b"????", 1))
    key = open_split(str(copy), "train").clips[0][1].key
    assert open_split(str(copy), "train").read([0]).keys == (key,)
    with pytest.raises(
        ShardError, match=rf"clip '{key}' in '.*000000.tar': the sound cannot be decoded: (.|\n)*pipeline verify {copy}"
    ):
        open_split(str(copy), "train", audio_domain="waveform").read([0])


def test_batches_are_contiguous_numbers_from_zero_to_one(tiny_dataset: Path) -> None:
    batch = read_epoch(tiny_dataset)[0][0]
    assert batch.video.shape == (8, 4, 3, 32, 32)
    assert batch.audio.shape == (8, 4, 32, 50)
    for stream in (batch.video, batch.audio):
        assert stream.is_contiguous()
        assert stream.dtype == torch.float32
        assert 0 <= stream.min() < stream.max() <= 1


@pytest.mark.parametrize("world_size", [1, 2, 3, 4, 8, 20])
def test_evaluation_reads_every_clip_once_in_the_same_batches_for_any_number_of_ranks(
    tiny_dataset: Path, world_size: int
) -> None:
    """24 clips in batches of 5 are 5 batches; with more ranks than batches, some ranks have none."""
    root = str(tiny_dataset)
    alone = keys_of(list(evaluation_batches(root, "train", batch_size=5)))
    shared = [
        list(evaluation_batches(root, "train", batch_size=5, rank=rank, world_size=world_size))
        for rank in range(world_size)
    ]
    assert [keys for batches in shared for keys in keys_of(batches)] == alone
    assert len({key for keys in alone for key in keys}) == 24
    assert max(map(len, shared)) - min(map(len, shared)) <= 1


def test_a_limit_keeps_the_first_clips(tiny_dataset: Path) -> None:
    root = str(tiny_dataset)
    everything = list(itertools.chain(*keys_of(list(evaluation_batches(root, "train", batch_size=24)))))
    limited = keys_of(list(evaluation_batches(root, "train", batch_size=4, limit=6)))
    assert [len(keys) for keys in limited] == [4, 2]
    assert list(itertools.chain(*limited)) == everything[:6]


def test_an_epoch_trains_on_every_clip_once(tiny_dataset: Path) -> None:
    (batches,) = read_epoch(tiny_dataset)
    assert len({key for batch in batches for key in batch.keys}) == 24


@pytest.mark.parametrize("world_size", [2, 3, 4, 5, 8])
def test_ranks_take_equal_steps_and_together_the_batches_of_one(tiny_dataset: Path, world_size: int) -> None:
    (alone,) = read_epoch(tiny_dataset, epoch=3)
    shares = read_epoch(tiny_dataset, epoch=3, world_size=world_size)
    assert {len(share) for share in shares} == {len(alone)}
    for step, batch in enumerate(alone):
        assert tuple(key for share in shares for key in share[step].keys) == batch.keys


def test_the_first_ranks_have_one_clip_more_where_they_do_not_divide() -> None:
    found = [portion(range(16), rank=rank, world_size=3) for rank in range(3)]
    assert found == [range(6), range(6, 11), range(11, 16)]


def test_order_depends_on_seed_and_epoch_alone(tiny_dataset: Path) -> None:
    first = keys_of(read_epoch(tiny_dataset)[0])
    assert keys_of(read_epoch(tiny_dataset)[0]) == first
    assert keys_of(read_epoch(tiny_dataset, epoch=1)[0]) != first
    assert keys_of(read_epoch(tiny_dataset, seed=1)[0]) != first


def test_an_epoch_is_begun_anywhere_without_reading_what_came_before(tiny_dataset: Path) -> None:
    stored = open_split(str(tiny_dataset), "train", cache_bytes=2**30)
    whole = keys_of(list(train_batches(stored, epoch=1, seed=0, batch_size=4)))
    fresh = open_split(str(tiny_dataset), "train", cache_bytes=2**30)
    assert keys_of(list(train_batches(fresh, epoch=1, seed=0, batch_size=4, first=4))) == whole[4:]
    assert len(fresh._cache) == 2 * 4


def test_the_incomplete_last_batch_is_left_out() -> None:
    plan = training_plan(29, batch_size=8, seed=0, epoch=0)
    assert [len(batch) for batch in plan] == [8, 8, 8]
    assert len({position for batch in plan for position in batch}) == 24


def test_fewer_clips_than_a_batch_are_refused() -> None:
    with pytest.raises(ValueError, match="batch_size=8, but there are only 7 training clips; lower it"):
        training_plan(7, batch_size=8, seed=0, epoch=0)


@pytest.mark.parametrize("threads", [1, 3])
def test_reading_ahead_changes_nothing(tiny_dataset: Path, threads: int) -> None:
    stored = open_split(str(tiny_dataset), "train")
    plan = [[position, 23 - position] for position in range(12)]
    plain = list(stored_batches(stored, plan))
    ahead = list(stored_batches(stored, plan, threads=threads))
    for one, other in zip(plain, ahead, strict=True):
        assert one.keys == other.keys
        assert torch.equal(one.frames, other.frames)
        assert torch.equal(one.audio, other.audio)


def test_reading_ahead_may_be_given_up_midway(tiny_dataset: Path) -> None:
    batches = stored_batches(open_split(str(tiny_dataset), "train"), [[0], [1], [2], [3]], threads=2)
    assert len(next(batches).keys) == 1
    del batches


@pytest.mark.parametrize(("audio_domain", "cache_bytes"), [("logmel", 80_000), ("waveform", 250_000)])
def test_cached_clips_are_the_stored_ones_and_stay_within_their_bytes(
    tiny_dataset: Path, tmp_path: Path, audio_domain: AudioDomain, cache_bytes: int
) -> None:
    """A clip is 4 x (32 x 32 x 3 + 32 x 50 x 2) = 25,088 bytes: three fit into 80,000.

    With 8000 samples of two bytes per segment it is 76,288 bytes: three fit into 250,000.
    """
    copy = shutil.copytree(tiny_dataset, tmp_path / "copy")
    stored = open_split(str(copy), "train", audio_domain=audio_domain, cache_bytes=cache_bytes)
    before = stored.read([0, 1, 2, 3])
    for tar in copy.glob("train/*.tar"):
        tar.unlink()
    again = stored.read([0, 1, 2])
    assert torch.equal(again.frames, before.frames[:3])
    assert torch.equal(again.audio, before.audio[:3])
    with pytest.raises(FileNotFoundError):
        stored.read([3])


def test_a_flipped_bit_names_the_shard_and_the_command_that_rebuilds_it(tiny_dataset: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(tiny_dataset, tmp_path / "copy")
    damaged = copy / "train" / "000001.tar"
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    stored = open_split(str(copy), "train")
    stored.verify(["train/000000.tar"])
    with pytest.raises(
        ShardError, match=rf"train/000001.tar' is damaged: its SHA-256 is (.|\n)*pipeline verify {copy}"
    ):
        stored.verify(stored.shards)
    with pytest.raises(ShardError, match=r"train/000001\.tar"):
        next(evaluation_batches(str(copy), "train", batch_size=24))


def test_evaluation_verifies_only_what_it_reads(tiny_dataset: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(tiny_dataset, tmp_path / "copy")
    (copy / "train" / "000002.tar").write_bytes(b"broken")
    assert len(next(evaluation_batches(str(copy), "train", batch_size=10, limit=10))) == 10


def test_a_clip_at_another_place_is_an_error(tiny_dataset: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(tiny_dataset, tmp_path / "copy")
    shutil.copy(copy / "train" / "000000.tar", copy / "train" / "000001.tar")
    stored = open_split(str(copy), "train")
    with pytest.raises(
        ShardError, match=r"clip '.*' in '.*000001.tar': (holds other files|is no readable tar)(.|\n)*pipeline verify"
    ):
        stored.read([10])


def test_an_unfinished_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"not a finished data set; run `python -m pipeline preprocess`"):
        open_split(str(tmp_path), "train")
