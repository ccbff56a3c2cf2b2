"""Shards -> a robust audio-visual classifier: batches, models, attacks, curricula, objectives and their loop."""
