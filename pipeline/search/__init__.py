"""The search for better training settings with Ray Tune."""
