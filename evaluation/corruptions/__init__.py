"""Co-occurring corruptions of picture and sound: a checkpoint measured under each, at five severities."""
