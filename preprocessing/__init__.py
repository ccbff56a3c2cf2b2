"""Videos -> WebDataset shards of aligned frames and log-mel patches. Later stages know only `schema` and `logmel`."""
