"""A checkpoint and a list of attacks -> an honest robustness report."""
