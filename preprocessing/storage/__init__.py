"""A stored data set: its files in a folder or a bucket, its shards, their records and their samples."""
