"""The estimate that `plan=true` prints: clips, shards, bytes and time of a preprocessing run."""
