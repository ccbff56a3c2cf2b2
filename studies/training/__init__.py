"""Adversarial training methods compared: robustness, cost, and what each part of the curriculum is worth."""
