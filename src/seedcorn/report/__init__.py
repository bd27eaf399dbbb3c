"""Domain values as tables and text. Formats, never computes."""
