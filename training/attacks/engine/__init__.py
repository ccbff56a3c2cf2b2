"""The parts that attacks are made of: ascent loops, gradients, losses, random numbers, best attempts."""
