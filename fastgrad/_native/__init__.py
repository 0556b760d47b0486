"""The compiled engine: not public."""
