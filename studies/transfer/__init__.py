"""Transfer of attacks compared: how often clips crafted on one model fool others."""
