"""Attacks crafted on some models and tried on others: which of them transfer."""
