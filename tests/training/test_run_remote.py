from __future__ import annotations

from pathlib import Path

import pytest
import s3fs

from preprocessing.storage.records import load_index
from tests.s3_credentials import SECRET
from tests.s3_server import S3Server
from tests.training.small_runs import settings
from training.checkpoint import load_info
from training.run import train


@pytest.mark.slow
def test_a_data_set_in_a_bucket_is_trained_on(tiny_dataset: Path, tmp_path: Path, s3: S3Server) -> None:
    """Its worker finds address and credentials in its environment, and leaves none of them in what it writes."""
    s3fs.S3FileSystem().put(f"{tiny_dataset}/", "bucket/tiny/", recursive=True)
    result = train(settings("s3://bucket/tiny", tmp_path, epochs=1, workers=1))
    assert result.history[0]["train/loss"] > 0
    assert load_info(result.checkpoint).epoch == 1
    shards = {path.partition("?")[0] for method, path in s3.requests if method == "GET" and ".tar" in path}
    splits = load_index("s3://bucket/tiny").shards
    assert shards == {f"/bucket/tiny/{shard.name}" for shard in (*splits["train"], *splits["validation"])}
    assert not [file for file in tmp_path.rglob("*") if file.is_file() and SECRET.encode() in file.read_bytes()]
