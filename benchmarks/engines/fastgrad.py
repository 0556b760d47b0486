"""fastgrad, run eagerly: micrograd's programs with another import."""

from benchmarks.workloads import Library, eager_case

label = "fastgrad"


def version():
    import fastgrad

    return fastgrad.__version__


def flags():
    """How it was built."""
    from fastgrad.engine import build_info

    return build_info()


def build(workload):
    from fastgrad.engine import Value
    from fastgrad.nn import MLP

    return eager_case(Library(label, Value, MLP), workload)
