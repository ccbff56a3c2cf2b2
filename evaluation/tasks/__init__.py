"""The Ray tasks among which the clips of an evaluation are divided."""
