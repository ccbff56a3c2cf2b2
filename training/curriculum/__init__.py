"""Curricula: schedules of what training meets, and decisions that follow from validation."""
