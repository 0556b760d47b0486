"""fastgrad: micrograd's scalar autograd on a native engine."""

try:
    from fastgrad.engine import Value, arena_stats, debug, no_grad
except ModuleNotFoundError as error:
    if not (error.name or "").startswith("fastgrad._native."):
        raise
    import sys

    from fastgrad.errors import explain

    # No error of ours: nobody can name one while the package cannot be imported.
    raise ImportError(
        explain(
            "compiled modules",
            f"none for {sys.implementation.cache_tag}",
            "/".join(__path__),
            "in a checkout run `make build` and use .venv/bin/python, or `pip install .` and start "
            "Python in another folder",
        ),
        name=error.name,
    ) from None

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

_LAZY = {  # name: module that has it
    "MLP": "nn",
    "Tape": "tape",
    "compiled": "tape",
    "custom": "operations",
    "explore": "pages.explorer",
    "fit": "training",
    "record": "tape",
    "TapeFamily": "family",
    "record_each": "family",
    **dict.fromkeys(
        ("grad", "gradcheck", "hessian", "hvp", "jacfwd", "jacrev", "jvp", "value_and_grad", "vjp"),
        "transforms",
    ),
    "install_as_micrograd": "command.alias",
    "load_tape": "tape",
    "loads_tape": "tape",
    "manual_seed": "_random",
    "take": "operations",
    "trace": "graphs",
    "where": "functional",
    "__version__": "_native.graph.engine",
}
_SUBMODULES = (
    "engine", "errors", "family", "functional", "graphs", "nn", "operations", "ops", "optim",
    "parallel", "rules", "sklearn", "tape", "training", "transforms", "viz",
)  # fmt: skip


def __getattr__(name):
    from importlib import import_module

    if name in _LAZY:
        module = import_module(f"fastgrad.{_LAZY[name]}")
        value = module.VERSION if name == "__version__" else getattr(module, name)
    elif name in _SUBMODULES:
        value = import_module(f"fastgrad.{name}")
    else:
        raise AttributeError(f"module 'fastgrad' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__():
    from importlib.util import find_spec

    names = {*globals(), *_LAZY, *_SUBMODULES}
    try:
        found = find_spec("sklearn")
    except ValueError:  # a program's way to say that it is not there
        found = None
    return sorted(names if found else names - {"sklearn"})
