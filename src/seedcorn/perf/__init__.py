"""How long one step of one replica takes, and what fits its memory."""
