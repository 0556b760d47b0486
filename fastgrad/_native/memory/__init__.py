"""Regions, pools, the arena of nodes."""
