"""Viz: pictures of graphs, plots, animations. Needs the extra: ``pip install 'fastgrad[viz]'``."""

from fastgrad.viz.animations import (
    animate_backward,
    animate_boundary,
    animate_descent,
    animate_fit,
)
from fastgrad.viz.dot import Picture, draw_dot
from fastgrad.viz.layout import Layout, place, place_dot
from fastgrad.viz.plots import (
    plot_activations,
    plot_boundary,
    plot_fit,
    plot_function,
    plot_gradients,
    plot_landscape,
    plot_loss,
    plot_parameters,
)

__all__ = [
    "Layout",
    "Picture",
    "animate_backward",
    "animate_boundary",
    "animate_descent",
    "animate_fit",
    "draw_dot",
    "place",
    "place_dot",
    "plot_activations",
    "plot_boundary",
    "plot_fit",
    "plot_function",
    "plot_gradients",
    "plot_landscape",
    "plot_loss",
    "plot_parameters",
]
