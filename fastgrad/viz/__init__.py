"""Viz: pictures of graphs. Needs the extra: ``pip install 'fastgrad[viz]'``."""

from fastgrad.viz.layout import Layout, place, place_dot

__all__ = ["Layout", "place", "place_dot"]
