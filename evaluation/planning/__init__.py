"""The measurements of an evaluation, what they cost, and how far they are."""
