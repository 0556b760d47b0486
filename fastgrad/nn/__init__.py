"""Networks: micrograd's Module, Neuron, Layer and MLP, and modules with PyTorch's names."""

import random
from typing import TYPE_CHECKING, Any

from fastgrad.engine import Value
from fastgrad.nn.module import Module
from fastgrad.nn.neurons import MLP, Layer, Neuron

if TYPE_CHECKING:
    from fastgrad.nn import init
    from fastgrad.nn.attention import CausalSelfAttention, TransformerBlock
    from fastgrad.nn.layers import (
        GELU,
        BatchNorm1d,
        Dropout,
        Embedding,
        LayerNorm,
        Linear,
        ModuleList,
        ReLU,
        RMSNorm,
        Sequential,
        Sigmoid,
        Tanh,
    )
    from fastgrad.nn.recurrent import GRUCell, LSTMCell, RNNCell
    from fastgrad.nn.state import load, save, summary

# `from micrograd.nn import *` gives Value and random too, and programs rely on it.
__all__ = [
    "GELU",
    "MLP",
    "BatchNorm1d",
    "CausalSelfAttention",
    "Dropout",
    "Embedding",
    "GRUCell",
    "LSTMCell",
    "Layer",
    "LayerNorm",
    "Linear",
    "Module",
    "ModuleList",
    "Neuron",
    "RMSNorm",
    "RNNCell",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Tanh",
    "TransformerBlock",
    "Value",
    "init",
    "load",
    "random",
    "save",
    "summary",
]

_LAZY = {  # name: the room that has it; micrograd's own are there at once
    **dict.fromkeys(
        (
            *("BatchNorm1d", "Dropout", "Embedding", "GELU", "LayerNorm", "Linear", "ModuleList"),
            *("RMSNorm", "ReLU", "Sequential", "Sigmoid", "Tanh"),
        ),
        "layers",
    ),
    **dict.fromkeys(("GRUCell", "LSTMCell", "RNNCell"), "recurrent"),
    **dict.fromkeys(("CausalSelfAttention", "TransformerBlock"), "attention"),
    **dict.fromkeys(("load", "save", "summary"), "state"),
}
_ROOMS = ("attention", "init", "layers", "recurrent", "state")


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _LAZY:
        value = getattr(import_module(f"fastgrad.nn.{_LAZY[name]}"), name)
    elif name in _ROOMS:
        value = import_module(f"fastgrad.nn.{name}")
    else:
        raise AttributeError(f"module 'fastgrad.nn' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY, *_ROOMS})
