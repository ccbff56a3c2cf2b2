"""`make soak`: 2,000 videos, one in twenty hostile, preprocessed while processes are killed at random moments.

Ends with status 0 if the data set is then whole, its counts are right to the clip, and its bytes are those of a run
that nobody disturbed. `python -m tests.preprocessing.soak SEED NUM_VIDEOS` chooses other moments and another number.
"""

from __future__ import annotations

import random
import shutil
import struct
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.table import Table

from preprocessing.plan import Plan
from preprocessing.storage.records import load_index
from tests.preprocessing.small_run import contents, kill_one, writers_below
from tests.tiny_video import TINY_CLASSES, write_tiny_video

FOLDER = Path("runs/soak")
NUM_DISTINCT_VIDEOS = 40
HOSTILE_EVERY = 20
VICTIMS = ("driver", "worker", "decoder")
COMMAND = (sys.executable, "-m", "pipeline")
SETTINGS = (
    *("dataset.name=folder", f"dataset.root={FOLDER / 'videos'}", "shard_size=20", "format.num_segments=4"),
    *("format.segment_seconds=0.5", "format.frame_size=32", "format.num_mels=32"),
)


def main(seed: str = "0", num_videos: str = "2000") -> int:
    """Run it; 0 if nothing was lost."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    table = Table("what", "found", "wanted", title=f"Soak, seed {seed}", title_justify="left")
    started = time.monotonic()
    wanted = make_videos(FOLDER / "videos", int(num_videos))
    print(f"{num_videos} videos made in {time.monotonic() - started:.0f} s", flush=True)
    seconds = {"undisturbed": undisturbed_run(FOLDER / "undisturbed")}
    killed, seconds["disturbed"] = disturbed_run(FOLDER / "disturbed", random.Random(seed))
    verified = subprocess.run([*COMMAND, "verify", str(FOLDER / "disturbed")], check=False).returncode
    checks = [
        *((f"killed: {victim}", killed[victim], 1) for victim in VICTIMS),
        ("status of verify", verified, 0),
        *((f"clips: {name}", found_in(FOLDER / "disturbed")[name], count) for name, count in sorted(wanted.items())),
        ("clips in all", found_in(FOLDER / "disturbed").total(), int(num_videos)),
        ("files that differ", len(differing(FOLDER / "undisturbed", FOLDER / "disturbed")), 0),
    ]
    for what, found, right in checks:
        table.add_row(what, f"{found:,}" if found == right else f"[red]{found:,}", f"{right:,}")
    for name, taken in seconds.items():
        table.add_row(f"seconds: {name} run", f"{taken:,.0f}", "")
    Console().print(table)
    return int(any(found != right for _, found, right in checks))


def make_videos(root: Path, num_videos: int) -> Counter[str]:
    """Distinct files in class folders; how many are to be kept, and how many rejected for which reason."""
    templates = root.parent / "templates"
    templates.mkdir(parents=True)
    for index in range(NUM_DISTINCT_VIDEOS):
        write_tiny_video(templates / f"{index}.mp4", label=index % len(TINY_CLASSES), seed=index)
    write_tiny_video(templates / "silent.mp4", label=0, seed=0, has_sound=False)
    write_tiny_video(templates / "short.mp4", label=0, seed=0, seconds=0.8)
    hostile = {
        "no_audio": (templates / "silent.mp4").read_bytes(),
        "too_short": (templates / "short.mp4").read_bytes(),
        "open_failed": (templates / "0.mp4").read_bytes()[:2000],
        "not_media": b"<html>Video unavailable</html>",
    }
    wanted: Counter[str] = Counter()
    for index in range(num_videos):
        folder = root / TINY_CLASSES[index % len(TINY_CLASSES)]
        folder.mkdir(parents=True, exist_ok=True)
        if index % HOSTILE_EVERY:
            reason, data = "kept", (templates / f"{index % NUM_DISTINCT_VIDEOS}.mp4").read_bytes()
        else:
            reason = list(hostile)[index // HOSTILE_EVERY % len(hostile)]
            data = hostile[reason]
        own = index.to_bytes(8, "big")  # a free MP4 box of its own makes a file unlike all others
        (folder / f"clip{index:06d}.mp4").write_bytes(data + struct.pack(">I4s", 8 + len(own), b"free") + own)
        wanted[reason] += 1
    return wanted


def undisturbed_run(output: Path) -> float:
    """Preprocess; the seconds it took."""
    started = time.monotonic()
    subprocess.run([*COMMAND, "preprocess", *SETTINGS, f"output={output}"], check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - started


def disturbed_run(output: Path, chance: random.Random) -> tuple[Counter[str], float]:
    """Preprocess, with one process of each kind killed at random moments, again until it ends by itself."""
    started = time.monotonic()
    killed: Counter[str] = Counter()
    moments = sorted(chance.uniform(0.0, 0.9) for _ in VICTIMS)
    waiting = list(zip(moments, chance.sample(VICTIMS, k=len(VICTIMS)), strict=True))
    while True:
        driver = subprocess.Popen([*COMMAND, "preprocess", *SETTINGS, f"output={output}"], stdout=subprocess.DEVNULL)
        while driver.poll() is None and waiting:
            time.sleep(0.02)
            moment, victim = waiting[0]
            if share_done(output) < moment or not any(writers_below(output.absolute())):
                continue
            time.sleep(chance.uniform(0.0, 0.5))
            if victim == "driver":
                driver.kill()
            elif not kill_one(output.absolute(), victim, chance):
                continue
            print(f"killed a {victim} after {share_done(output):.0%} of the shards", flush=True)
            killed[victim] += 1
            waiting.pop(0)
            if victim == "driver":
                break
        if driver.wait() == 0:
            return killed, time.monotonic() - started
        assert driver.returncode == -9, "a driver that nobody killed has failed"


def share_done(output: Path) -> float:
    """Share of the planned shards that have a record."""
    plan = output / "plan.json"
    if not plan.exists():
        return 0.0
    return len(list(output.glob("*/*.json"))) / len(Plan.model_validate_json(plan.read_text()).shards)


def found_in(output: Path) -> Counter[str]:
    """Clips kept, and videos rejected by reason."""
    rows = (output / "rejected.csv").read_text().splitlines()[1:]
    return Counter({"kept": sum(load_index(str(output)).num_clips.values())}) + Counter(
        row.split(",")[2] for row in rows
    )


def differing(one: Path, other: Path) -> list[str]:
    """Names of the files that are not the same in both data sets."""
    first, second = contents(one), contents(other)
    return sorted(name for name in first.keys() | second.keys() if first.get(name) != second.get(name))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
