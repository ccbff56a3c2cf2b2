"""The stored adversarial clips of an evaluation: how far they are seen and heard, as files, and what files leave."""
