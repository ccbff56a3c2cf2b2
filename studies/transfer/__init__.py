"""Transfer of attacks compared: how often clips crafted on one model fool others, at the same moments and at others."""
