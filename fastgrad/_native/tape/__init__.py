"""Recorded programs and their replay."""
