"""A hundred odd and hostile files, decoded or refused for their reason: nothing else is read, and the job goes on."""

from __future__ import annotations

import csv
import os
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import pytest

from preprocessing.config import PreprocessConfig
from preprocessing.datasets import KineticsSounds
from preprocessing.datasets.base import printable
from preprocessing.decoding.acceptance import DecodeError, DecodeOptions
from preprocessing.decoding.clip import refuse_to_open
from preprocessing.decoding.opening import open_video, open_without_links
from preprocessing.decoding.parent import DecoderProcess, ProcessLimits
from preprocessing.run import preprocess, verify
from preprocessing.schema import ClipFormat
from preprocessing.storage.records import load_index, load_shard_record
from tests.preprocessing.hostile_files import HOSTILE_FILES
from tests.preprocessing.hostile_media import HostileFile, Maker
from tests.preprocessing.watching import Listener, Watch

Ffmpeg = Callable[..., bytes]

FORMAT = ClipFormat(num_segments=2, segment_seconds=0.25, frame_size=32, num_mels=32, n_fft=512)
LIMITS = ProcessLimits(clip_seconds=60.0, memory_mib=2048)
CLASS = "playing piano"
EXAMINED = [file for file in HOSTILE_FILES if file.reason != "unlisted"]


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    with Listener() as listener:
        yield listener


@pytest.fixture(scope="module")
def maker(tmp_path_factory: pytest.TempPathFactory, ffmpeg: Ffmpeg, listener: Listener) -> Maker:
    maker = Maker(ffmpeg, tmp_path_factory.mktemp("hostile"), listener.port)
    maker.canary.write_text("a secret")
    return maker


@pytest.fixture(scope="module")
def root(maker: Maker) -> Path:
    """The folder with all files of the table, in the folder of their class."""
    root = maker.folder / "videos"
    (root / CLASS).mkdir(parents=True)
    for file in HOSTILE_FILES:
        file.make(maker, root / CLASS / file.name)
    return root


@pytest.fixture(scope="module")
def bad_names(root: Path) -> dict[str, str]:
    """The reason of every file that is refused by its name."""
    return {Path(rejection.file).name: rejection.reason for rejection in KineticsSounds(root=root).listing().rejected}


@pytest.fixture(scope="module")
def decoder(options_of_format: DecodeOptions) -> Iterator[DecoderProcess]:
    with DecoderProcess(options_of_format, LIMITS) as decoder:
        yield decoder


@pytest.fixture(scope="module")
def options_of_format() -> DecodeOptions:
    return PreprocessConfig(dataset=KineticsSounds(root=Path()), output="unused", format=FORMAT).decode_options


@pytest.mark.parametrize("file", EXAMINED, ids=lambda file: ascii(file.what))
def test_every_file_is_decoded_or_refused_for_its_reason_and_nothing_else_is_read(
    file: HostileFile,
    root: Path,
    maker: Maker,
    listener: Listener,
    bad_names: dict[str, str],
    decoder: DecoderProcess,
) -> None:
    path = root / CLASS / file.name
    with Watch([maker.folder, root / CLASS]) as watch:
        reason = bad_names.get(printable(Path(file.name))) or refusal(decoder, path, root)
        read = watch.names()
    assert reason == file.reason
    assert read <= {file.name, *([] if reason else [Path(os.path.realpath(path)).name])}
    assert listener.num_connections() == 0


def refusal(decoder: DecoderProcess, path: Path, root: Path) -> str:
    """The reason for which a file is refused; empty if it is not."""
    try:
        decoder.decode(path, root=root, start_seconds=None)
    except DecodeError as error:
        return error.reason
    return ""


@pytest.mark.slow
def test_the_whole_folder_is_one_job_that_does_not_stop(
    root: Path, maker: Maker, listener: Listener, tmp_path: Path, ray_session: None
) -> None:
    output = tmp_path / "shards"
    config = PreprocessConfig(
        dataset=KineticsSounds(root=root, validation_share=0),
        output=str(output),
        format=FORMAT,
        shard_size=50,
        max_rejected_share=0.9,
    )
    with Watch([maker.folder]) as watch:
        summary = preprocess(config)
        assert watch.names() == set()
    listed = [file for file in HOSTILE_FILES if file.listed]
    expected = {f"{CLASS}/{printable(Path(file.name))}": file.reason for file in listed if file.reason}
    with (output / "rejected.csv").open(newline="", encoding="utf-8") as stream:
        rows = {row["file"]: row["reason"] for row in csv.DictReader(stream)}
    # The good clips among the files are copies of few: of those that are drawn for several splits one split keeps them.
    copies = {file for file, reason in rows.items() if reason == "same_bytes"}
    assert not copies & expected.keys()
    assert rows == expected | dict.fromkeys(copies, "same_bytes")
    assert summary.num_rejected == Counter(rows.values())
    shards = load_index(str(output)).shards
    names = [shard.name for split in shards.values() for shard in split]
    keys = [sample.key for name in names for sample in load_shard_record(str(output), name).samples]
    good = {f"{CLASS}/{file.name}" for file in listed if not file.reason}
    assert sorted(keys) == sorted(Path(name).stem for name in good - copies)
    assert verify(str(output)) == []
    assert listener.num_connections() == 0


def test_the_watch_sees_what_an_unguarded_decoder_reads(root: Path, maker: Maker) -> None:
    """Without a forced demuxer a script plays the clip that it names: what the watch would have to tell."""
    with Watch([root / CLASS]) as watch, av.open(str(root / CLASS / "concatClip0_000000_000010.mp4")) as container:
        next(container.decode(video=0))
        assert watch.names() == {"concatClip0_000000_000010.mp4", "moovFirst00_000000_000010.mp4"}


def test_the_listener_counts_a_connection(listener: Listener) -> None:
    socket.create_connection(("127.0.0.1", listener.port)).close()
    assert listener.num_connections() == 1


def test_even_a_demuxer_that_follows_references_cannot_open_them(root: Path, maker: Maker) -> None:
    """`enable_drefs` makes libav open what a QuickTime alias names; it asks, and is refused."""
    alias = root / CLASS / "alias000000_000000_000010.mp4"
    follow = {"enable_drefs": "1", "use_absolute_path": "1"}
    with Watch([maker.folder]) as watch:
        with av.open(str(alias), format="mov", options=follow) as container:
            assert len(container.streams) == 2
        assert watch.names() == {"canary"}
        with (
            alias.open("rb") as file,
            pytest.raises(PermissionError, match="may not refer to another file"),
            av.open(file, format="mov", options=follow, io_open=refuse_to_open),
        ):
            pass
        assert watch.names() == set()


def test_no_part_of_a_checked_path_may_turn_into_a_link(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/clip.mp4").write_text("a secret")
    (tmp_path / "root/folder").mkdir(parents=True)
    (tmp_path / "root/folder/clip.mp4").symlink_to(tmp_path / "outside/clip.mp4")
    (tmp_path / "root/link").symlink_to(tmp_path / "outside")
    for relative in ("folder/clip.mp4", "link/clip.mp4"):
        with pytest.raises(OSError, match=r"Too many levels of symbolic links|Not a directory"):
            open_without_links(tmp_path / "root", Path(relative))


def test_a_link_swapped_in_after_the_check_is_never_followed(tmp_path: Path) -> None:
    """A file turns into a link out of the root and back, all the time; what is opened is always the file."""
    root, secret, path = tmp_path / "root", tmp_path / "secret", tmp_path / "root/clip.mp4"
    root.mkdir()
    path.write_text("a clip")
    secret.write_text("a secret")
    is_over = threading.Event()

    def swap() -> None:
        while not is_over.is_set():
            (root / "link").symlink_to(secret)
            (root / "link").replace(path)
            (root / "file").write_text("a clip")
            (root / "file").replace(path)

    swapper = threading.Thread(target=swap)
    swapper.start()
    seen: Counter[str] = Counter()
    try:
        while min(seen["a clip"], seen["outside_root"]) < 100:
            try:
                with open_video(path, root=root) as file:
                    seen[file.read().decode()] += 1
            except DecodeError as error:
                seen[error.reason] += 1
    finally:
        is_over.set()
        swapper.join()
    assert "a secret" not in seen


def test_a_disk_that_does_not_read_is_no_crash(decoder: DecoderProcess) -> None:
    """The memory of a process is a regular file that fails to read at its start, as a broken disk does."""
    memory = Path(f"/proc/{os.getpid()}/mem")
    with pytest.raises(DecodeError, match="unreadable: Input/output error"):
        decoder.decode(memory, root=memory.parent, start_seconds=None)
    assert decoder.pid is not None
