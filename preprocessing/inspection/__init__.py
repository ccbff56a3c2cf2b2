"""A data set to look at: one HTML page with clips, counts and distributions, trouble first."""
