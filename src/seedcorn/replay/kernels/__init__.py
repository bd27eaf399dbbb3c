"""The compiled inner loops: arrays in, caller-owned arrays out. No randomness, no strings, no domain values."""
