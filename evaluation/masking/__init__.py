"""Checks for gradient masking: facts about each clip and its loss, and what they and the attacks' results say."""
