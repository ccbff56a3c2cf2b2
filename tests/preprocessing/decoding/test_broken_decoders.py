"""Decoder processes that answer wrongly, or not at all: each costs one clip, and the next one decodes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from preprocessing.decoding.acceptance import DecodeError, DecodeOptions
from preprocessing.decoding.parent import DecoderProcess, EncodedClip, ProcessLimits

LIMITS = ProcessLimits(clip_seconds=30.0, memory_mib=800)
CLIP = dict.fromkeys(EncodedClip.model_fields.keys() - {"jpegs", "flac", "samples"}, 1) | {
    "frame_seconds": [0, 1, 2, 3],
    "source_sha256": "0" * 64,
    "tracks": {"video": 0, "num_video": 2, "audio": 1, "num_audio": 2},
}
"""The header of a proper answer."""

STAND_IN = """#!{python}
import json, os, socket, struct, sys, time
channel = socket.socket(fileno=0)
def send(header, blobs=()):
    text = json.dumps(header | {{"blob_bytes": [len(blob) for blob in blobs]}}).encode()
    channel.sendall(struct.pack("<I", len(text)) + text + b"".join(blobs))
send({{"ready": True, "not_forbidden": {not_forbidden}}})
channel.recv(65536)
clip = {clip}
blobs = [b"jpeg"] * 4 + [b"flac", bytes(2 * 64_000)]
{does}
time.sleep(60)
"""

DOES = {
    "dies by a signal": ("os.abort()", "crash: the decoder process ended with status -6"),
    "gives up": ("sys.exit(3)", "crash: the decoder process ended with status 3"),
    "goes away in the middle of its answer": (
        "channel.sendall(struct.pack('<I', 1000)); sys.exit(0)",
        "crash: the decoder process ended with status 0",
    ),
    "sends noise": ("channel.sendall(os.urandom(1000) * 1000)", "crash: .* answered what is no clip"),
    "sends zeros for ever": ("while True: channel.sendall(bytes(65536))", "crash: .* answered what is no clip"),
    "announces gigabytes": ("channel.sendall(b'\\xff\\xff\\xff\\xff')", "crash: .* answered what is no clip"),
    "announces giant blobs": (
        "text = b'{\"blob_bytes\": [1000000000000]}'; channel.sendall(struct.pack('<I', len(text)) + text)",
        "crash: .* answered what is no clip",
    ),
    "sends too few pictures": ("send(clip, blobs[1:])", "crash: .* answered what is no clip"),
    "sends too few samples": ("send(clip, blobs[:-1] + [b'12'])", "crash: .* answered what is no clip"),
    "sends a time that is no number": (
        "send(clip | {'start_seconds': float('nan')}, blobs)",
        "crash: .* answered what is no clip",
    ),
    "covers more than everything": (
        "send(clip | {'audio_coverage': 2}, blobs)",
        "crash: .* answered what is no clip",
    ),
    "adds what nobody asked for": ("send(clip | {'label': 1}, blobs)", "crash: .* answered what is no clip"),
    "gives a reason of many words": (
        "send({'reason': 'no, I will not', 'detail': ''})",
        "crash: .* answered what is no clip",
    ),
    "dribbles": ("while True: channel.sendall(b'\\0'); time.sleep(0.3)", "(timeout|crash): "),
    "says nothing": ("pass", r"timeout: not decoded within 2 s"),
    "takes too much memory and says nothing": ("held = bytearray(1 << 30)", "memory: .* more than 800 MiB"),
    "takes too much memory and blames the file": (
        "held = bytearray(1 << 30); del held; send({'reason': 'decode_errors', 'detail': 'bad data'})",
        "memory: .* more than 800 MiB",
    ),
}  # fmt: skip


def stand_in(folder: Path, does: str, *, not_forbidden: Sequence[str] = ()) -> Path:
    """A program that says it is ready, and does something when it is sent a clip."""
    program = folder / "python"
    settings = {"python": sys.executable, "clip": CLIP, "not_forbidden": list(not_forbidden)}
    program.write_text(STAND_IN.format(does=does, **settings))
    program.chmod(0o755)
    return program


def test_a_proper_answer_is_a_clip(
    video: Path, options: DecodeOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the broken decoders below get wrong, one thing each."""
    monkeypatch.setattr(sys, "executable", str(stand_in(tmp_path, "send(clip, blobs)")))
    with DecoderProcess(options, LIMITS) as decoder:
        clip = decoder.decode(video, root=video.parent, start_seconds=None)
    assert (clip.jpegs, clip.flac, clip.samples.shape) == ((b"jpeg",) * 4, b"flac", (64_000,))


@pytest.mark.parametrize("name", DOES)
def test_a_broken_decoder_costs_one_clip_whatever_it_does(
    name: str, video: Path, options: DecodeOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program stands in for one that a file has taken over; the real one decodes the next clip."""
    does, said = DOES[name]
    before = children()
    program = stand_in(tmp_path, does)
    with DecoderProcess(options, ProcessLimits(clip_seconds=2.0, memory_mib=800)) as decoder:
        with monkeypatch.context() as patched:
            patched.setattr(sys, "executable", str(program))
            with pytest.raises(DecodeError, match=f"^{said}"):
                decoder.decode(video, root=video.parent, start_seconds=None)
        assert decoder.pid is None
        assert children() == before
        if name == next(iter(DOES)):
            assert len(decoder.decode(video, root=video.parent, start_seconds=None).jpegs) == 4


def test_what_a_system_cannot_forbid_is_said_once(
    video: Path,
    options: DecodeOptions,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    program = stand_in(tmp_path, "sys.exit()", not_forbidden=["opening files", "the network"])
    monkeypatch.setattr(sys, "executable", str(program))
    with DecoderProcess(options, LIMITS) as decoder, pytest.raises(DecodeError, match="crash"):
        decoder.decode(video, root=video.parent, start_seconds=None)  # two processes
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "this system cannot forbid the decoder process opening files and the network: "
        "preprocess videos of strangers elsewhere"
    ]


def children() -> set[str]:
    """The processes, ended or not, that this one has started and not waited for."""
    return {number for file in Path("/proc/self/task").glob("*/children") for number in file.read_text().split()}
