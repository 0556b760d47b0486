"""Viz: pictures of graphs. Needs the extra: ``pip install 'fastgrad[viz]'``."""

from fastgrad.viz.dot import Picture, draw_dot
from fastgrad.viz.layout import Layout, place, place_dot

__all__ = ["Layout", "Picture", "draw_dot", "place", "place_dot"]
