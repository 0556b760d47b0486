"""Module: what has parameters, and a state by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Self

from fastgrad._native.graph.engine import numbers_of
from fastgrad._native.graph.neurons import zero_grads
from fastgrad.engine import Value, svg_in_notebook
from fastgrad.errors import FastgradTypeError, FastgradValueError, ShapeError, describe, explain

__all__ = ["IncompatibleKeys", "Module", "flat_of", "nested"]

_LISTED = 4  # names that an error lists


class IncompatibleKeys(NamedTuple):
    """What `Module.load_state_dict` has not loaded."""

    missing_keys: list[str]
    unexpected_keys: list[str]


class Module:
    """Base of everything that has parameters.

    A subclass writes ``forward`` or, as with micrograd, ``__call__``; either way an instance is
    called, and ``forward`` does the same. It need not override `parameters`: that finds what the
    attributes hold.

    Attributes
    ----------
    training : bool
        What `train` and `eval` set; dropout and BatchNorm1d heed it.
    buffers : tuple of str
        Of a class: attributes that are no parameters and yet belong to its state: a number, or a
        list of them.

    Examples
    --------
    >>> from fastgrad import nn
    >>> class Line(nn.Module):
    ...     def __init__(self):
    ...         self.fit = nn.Linear(1, 1)
    ...     def forward(self, x):
    ...         return self.fit([x])[0]
    >>> [name for name, _ in Line().named_parameters()]
    ['fit.weight', 'fit.bias']
    """

    training = True
    buffers: tuple[str, ...] = ()
    _repr_svg_ = svg_in_notebook

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__call__" in vars(cls) and "forward" not in vars(cls):
            cls.forward = cls.__call__  # type: ignore[method-assign]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return what ``forward`` does."""
        return self.forward(*args, **kwargs)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute; what a subclass writes.

        Raises
        ------
        FastgradTypeError
            If it has written neither this nor ``__call__``.
        """
        if type(self).__call__ is not Module.__call__:  # NeuronCore's
            return self(*args, **kwargs)
        name = type(self).__name__
        expected = "a method forward or __call__"
        remedy = "write `def forward(self, x):` in the class"
        raise FastgradTypeError(explain(expected, "neither", f"call of {name}", remedy))

    def zero_grad(self) -> None:
        """Set the grad of every parameter to 0. Cost: a few ns for each."""
        zero_grads(self.parameters())

    def parameters(self) -> list[Value]:
        """Return the Values to train, each once.

        Returns
        -------
        list of Value
            Leaves and the parameters of Modules, in the order of the attributes that hold them, and
            within lists, tuples, values of dicts and arrays of objects in theirs. A Value that was
            computed is none.

        Notes
        -----
        Cost: a visit of each object found; keep the list where a loop needs it again and again.
        """
        found: dict[int, Value] = {}
        seen: dict[int, object] = {}
        work: list[object] = [self]
        while work:
            item = work.pop()
            if id(item) in seen:
                continue
            seen[id(item)] = item  # kept, so that no other object gets its id
            if isinstance(item, Value):
                if not item.operands:
                    found[id(item)] = item
            else:
                work += reversed(_held_by(item))
        return [*found.values()]

    def num_parameters(self) -> int:
        """Count the Values of `parameters`."""
        return len(self.parameters())

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """Yield each module inside, and this one first, with its name.

        Parameters
        ----------
        prefix : str
            The name of this one.

        Yields
        ------
        (str, Module)
            Each module once, by the first of its names: ``"layers.0"``.
        """
        seen: set[int] = set()
        for name, item in _walk(self, prefix, ()):
            if isinstance(item, Module) and id(item) not in seen:
                seen.add(id(item))
                yield name, item

    def modules(self) -> Iterator[Module]:
        """Yield this module and each one inside, once."""
        return (module for _, module in self.named_modules())

    def named_parameters(self, prefix: str = "") -> Iterator[tuple[str, Any]]:
        """Yield what `state_dict` holds of Values, each once, with its name.

        Parameters
        ----------
        prefix : str
            The name of this module.

        Yields
        ------
        (str, Value or list or rows of Values)
            A matrix of weights is one entry, ``"layers.0.weight"``, as with PyTorch.
        """
        seen: set[tuple[int, ...]] = set()
        for name, entry in _entries(self, prefix).items():
            key = tuple(map(id, entry.values))
            if key and key not in seen:
                seen.add(key)
                yield name, nested(entry.values, entry.shape)

    def train(self, mode: bool = True) -> Self:
        """Set ``training`` here and in all modules inside.

        Parameters
        ----------
        mode : bool
            False is what `eval` sets.

        Returns
        -------
        Module
            This one.
        """
        for module in self.modules():
            module.training = bool(mode)
        return self

    def eval(self) -> Self:
        """Set ``training`` to False here and in all modules inside, and return this one."""
        return self.train(False)

    def state_dict(self) -> dict[str, Any]:
        """Return all numbers of the parameters and buffers, by name.

        Returns
        -------
        dict
            A float for a Value, lists of floats for lists of Values, lists of these for rows. Names
            and shapes are PyTorch's: ``"layers.0.weight"`` of an MLP has a row for each neuron.

        See Also
        --------
        load_state_dict : The way back. `fastgrad.nn.save` and `fastgrad.nn.load` use a file.
        """
        return {name: nested(entry.read(), entry.shape) for name, entry in _entries(self).items()}

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True
    ) -> IncompatibleKeys:
        """Set parameters and buffers to the numbers of a state.

        Parameters
        ----------
        state_dict : mapping
            As `state_dict` returns it; values may be arrays and PyTorch's tensors.
        strict : bool
            Refuse a state of which names are missing, or not known here; else these are left alone.

        Returns
        -------
        (missing_keys, unexpected_keys)

        Raises
        ------
        FastgradTypeError
            If it is no mapping, or has something else than numbers.
        FastgradValueError
            If names do not fit, and `strict` asks for it; ShapeError if shapes do not. Nothing has
            been set then.
        """
        where = f"state_dict of {type(self).__name__}"
        if not isinstance(state_dict, Mapping):
            got = describe(state_dict)
            raise FastgradTypeError(explain("a mapping of names to numbers", got, where))
        entries = _entries(self)
        missing = [name for name in entries if name not in state_dict]
        unexpected = [name for name in state_dict if name not in entries]
        if strict and (missing or unexpected):
            faults = [("none for", missing), ("unknown", unexpected)]
            got = "; ".join(f"{what} {_some(names)}" for what, names in faults if names)
            remedy = "load the state of such a model, or pass strict=False"
            raise FastgradValueError(explain("numbers for each name", got, where, remedy))
        found = []
        for name, entry in entries.items():
            if name in state_dict:
                place = f"{name} in {where}"
                numbers, shape = flat_of(state_dict[name], place)
                if shape != entry.shape:
                    raise ShapeError(explain(f"shape {entry.shape}", f"{shape}", place))
                found.append((entry, numbers))
        for entry, numbers in found:
            entry.write(numbers)
        return IncompatibleKeys(missing, unexpected)

    def _named_parts(self) -> list[tuple[str, Any]]:
        """Return what the state is made of: attributes, unless a subclass has other names."""
        return list(vars(self).items())


def _held_by(item: object) -> list[object]:
    """Return what Module.parameters looks through in an object."""
    if isinstance(item, Module):
        overridden = type(item).parameters is not Module.parameters
        return list(item.parameters() if overridden else vars(item).values())
    if isinstance(item, list | tuple):
        return list(item)
    if getattr(getattr(item, "dtype", None), "hasobject", False):
        return list(item.flat)  # type: ignore[attr-defined]
    return list(item.values()) if isinstance(item, dict) else []


# State by name ------------------------------------------------------------------------------------


class _Entry(NamedTuple):
    """What has a name in a state: Values, or a buffer of a module."""

    shape: tuple[int, ...]
    values: list[Value]
    module: Module | None = None
    attribute: str = ""

    def read(self) -> list[float]:
        if self.module is None:
            return numbers_of(tuple(self.values))
        return flat_of(getattr(self.module, self.attribute), self.attribute)[0]

    def write(self, numbers: list[float]) -> None:
        if self.module is not None:
            setattr(self.module, self.attribute, nested(numbers, self.shape))
        for value, number in zip(self.values, numbers, strict=False):
            value.data = number


def _walk(item: Any, name: str, path: tuple[int, ...]) -> Iterator[tuple[str, Any]]:
    """Yield modules, Values and rectangles of Values by their names; a cycle ends at its start."""
    if id(item) in path:
        return
    inner = (*path, id(item))
    dot = f"{name}." if name else ""
    if isinstance(item, Module):
        yield name, item
        for key, part in item._named_parts():
            yield from _walk(part, f"{dot}{key}", inner)
    elif isinstance(item, dict):
        for key, part in item.items():
            yield from _walk(part, f"{dot}{key}", inner)
    elif _shape_of(item) is not None:
        yield name, item
    elif isinstance(item, list | tuple) or _is_object_array(item):
        for i, part in enumerate(item):
            yield from _walk(part, f"{dot}{i}", inner)


def _is_object_array(item: Any) -> bool:
    return bool(getattr(getattr(item, "dtype", None), "hasobject", False) and item.ndim)


def _shape_of(item: Any) -> tuple[int, ...] | None:
    """Return the shape of a leaf, or of a rectangle of leaves; None of anything else."""
    if isinstance(item, Value):
        return None if item.operands else ()
    if not (isinstance(item, list | tuple) or _is_object_array(item)) or not len(item):
        return None
    inner = _shape_of(item[0])
    if inner is None or any(_shape_of(part) != inner for part in item):
        return None
    return (len(item), *inner)


def _leaves(item: Any) -> list[Value]:
    if isinstance(item, Value):
        return [item]
    return [leaf for part in item for leaf in _leaves(part)]


def _entries(module: Module, prefix: str = "") -> dict[str, _Entry]:
    """Return all that has a name in a module's state."""
    found: dict[str, _Entry] = {}
    for name, item in _walk(module, prefix, ()):
        if not isinstance(item, Module):
            found[name] = _Entry(_shape_of(item) or (), _leaves(item))
            continue
        for attribute in item.buffers:
            if getattr(item, attribute) is not None:
                _, shape = flat_of(getattr(item, attribute), attribute)
                key = f"{name}.{attribute}" if name else attribute
                found[key] = _Entry(shape, [], item, attribute)
    named = {id(value) for entry in found.values() for value in entry.values}
    dot = f"{prefix}." if prefix else ""
    for i, value in enumerate(module.parameters()):  # which may know more than the attributes
        if id(value) not in named:
            found[f"{dot}parameters.{i}"] = _Entry((), [value])
    return found


def nested(numbers: list[Any], shape: tuple[int, ...]) -> Any:
    """Return a flat list as lists of lists."""
    if not shape:
        return numbers[0]
    if len(shape) == 1:
        return list(numbers)
    size = len(numbers) // shape[0]
    return [nested(numbers[i * size : (i + 1) * size], shape[1:]) for i in range(shape[0])]


def flat_of(item: Any, where: str) -> tuple[list[float], tuple[int, ...]]:
    """Return the numbers in nested lists, arrays or tensors, and their shape."""
    if hasattr(item, "tolist"):
        item = item.tolist()
    if not isinstance(item, list | tuple):
        if isinstance(item, str | bytes) or not hasattr(item, "__float__"):
            got = describe(item)
            raise FastgradTypeError(explain("numbers", got, where))
        return numbers_of((item,)), ()
    parts = [flat_of(part, where) for part in item]
    shapes = {shape for _, shape in parts}
    if len(shapes) > 1:
        raise ShapeError(explain("rows of one length", f"shapes {sorted(shapes)}", where))
    inner = shapes.pop() if shapes else ()
    return [number for numbers, _ in parts for number in numbers], (len(parts), *inner)


def _some(names: list[str]) -> str:
    """Word a list of names: the first ones, and how many more."""
    shown = ", ".join(map(str, names[:_LISTED]))
    return shown if len(names) <= _LISTED else f"{shown} and {len(names) - _LISTED} more"
