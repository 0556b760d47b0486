from fastgrad import engine as engine
from fastgrad import errors as errors
from fastgrad import family as family
from fastgrad import functional as functional
from fastgrad import graphs as graphs
from fastgrad import nn as nn
from fastgrad import operations as operations
from fastgrad import ops as ops
from fastgrad import optim as optim
from fastgrad import parallel as parallel
from fastgrad import rules as rules
from fastgrad import sklearn as sklearn
from fastgrad import tape as tape
from fastgrad import training as training
from fastgrad import transforms as transforms
from fastgrad import viz as viz
from fastgrad._random import manual_seed as manual_seed
from fastgrad.command.alias import install_as_micrograd as install_as_micrograd
from fastgrad.engine import Value as Value
from fastgrad.engine import arena_stats as arena_stats
from fastgrad.engine import debug as debug
from fastgrad.engine import no_grad as no_grad
from fastgrad.family import TapeFamily as TapeFamily
from fastgrad.family import record_each as record_each
from fastgrad.functional import where as where
from fastgrad.graphs import trace as trace
from fastgrad.nn import MLP as MLP
from fastgrad.operations import custom as custom
from fastgrad.operations import take as take
from fastgrad.pages.explorer import explore as explore
from fastgrad.tape import Tape as Tape
from fastgrad.tape import compiled as compiled
from fastgrad.tape import load_tape as load_tape
from fastgrad.tape import loads_tape as loads_tape
from fastgrad.tape import record as record
from fastgrad.training import fit as fit
from fastgrad.transforms import grad as grad
from fastgrad.transforms import gradcheck as gradcheck
from fastgrad.transforms import hessian as hessian
from fastgrad.transforms import hvp as hvp
from fastgrad.transforms import jacfwd as jacfwd
from fastgrad.transforms import jacrev as jacrev
from fastgrad.transforms import jvp as jvp
from fastgrad.transforms import value_and_grad as value_and_grad
from fastgrad.transforms import vjp as vjp

__all__ = [
    "MLP",
    "Tape",
    "TapeFamily",
    "Value",
    "arena_stats",
    "compiled",
    "custom",
    "debug",
    "explore",
    "fit",
    "grad",
    "gradcheck",
    "hessian",
    "hvp",
    "install_as_micrograd",
    "jacfwd",
    "jacrev",
    "jvp",
    "load_tape",
    "loads_tape",
    "manual_seed",
    "nn",
    "no_grad",
    "optim",
    "record",
    "record_each",
    "take",
    "trace",
    "value_and_grad",
    "vjp",
    "where",
]

__version__: str
