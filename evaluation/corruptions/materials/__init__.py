"""The stuff that corruptions are made of: random streams, textures, noises, recordings, and their mixing."""
