"""Models that people train: whole programs over `fastgrad.nn` and tapes."""
