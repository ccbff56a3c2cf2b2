"""Checks of a stored data set: its files, counts, hashes and samples, and its clips against another decoder."""
