"""The re-check of a report: its files among themselves, and its model once more."""
