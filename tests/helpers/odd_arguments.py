"""Call everything that one native module shows, with arguments that nobody would give it.

    python odd_arguments.py MODULE SEED FILE MEMORY

Run as a program, in a process that may crash: the file then holds the call that did it. Each
function and each class has its own child, so that one changes nothing for the others.
"""

import gc
import importlib
import os
import random
import sys
import warnings

import fastgrad as fg
from fastgrad import nn, optim
from fastgrad._native.tape.bind import Shape
from fastgrad._native.tape.tape import TapeCore
from fastgrad._native.train.fit import Loop

SPOILT = 6  # objects of a class
ATTEMPTS = 4  # for each number of arguments


def odd_arguments():
    """Give a new list of them: what a call does to one is not seen by the next."""
    w = fg.Value(2.0)
    tape = fg.record(lambda x: w * x, 1.0)
    inside, keyed, deep = [], {}, []
    inside.append(inside)
    keyed["k"] = keyed
    for _ in range(5000):
        deep = [deep]
    updater = optim.SGD([fg.Value(1.0)]).updaters()[0]
    closed = Loop((tape,), (1.0,), optim.SGD([w]).updaters, 3, None, 0, True, 1)
    closed.close()
    return [
        *(None, 0, 1, -1, 2, 10**6, 2**31, 2**32, 2**63 - 1, 2**64, -(2**63), 10**30, True),
        *(0.5, -1.5, float("nan"), float("inf"), 1j, "", "data", "\0", b"", b"\1" * 40),
        *(b"\xff" * 4096, (), [], [1.0, [2.0]], [[]], (1.0,), (None,), [None], {}, {"params": []}),
        *(inside, (inside,), keyed, deep, object(), object, type, len, lambda *a: None),
        *(
            lambda *a: a,
            w,
            w * 2,
            fg.Value,
            fg.Value.__new__(fg.Value),
            [w],
            (w,),
            (w * w,),
            [w, w],
        ),
        *(tape, TapeCore.__new__(TapeCore), fg.Tape.__new__(fg.Tape), Loop.__new__(Loop), closed),
        *(updater, [updater], Shape((2,), 0, "x"), Shape((), 0, "y"), Shape((), 10**6, "y")),
        *([Shape((), 0, "y")], [Shape((), 99, "y")], (list, None, [Shape((), 5, "z")], "n")),
        *((dict, ["a"], [], "n"), nn.Neuron(2), nn.Layer(2, 2), [nn.Layer(2, 2)], nn.MLP(2, [1])),
        *(range(3), iter([1]), slice(None), set(), [1.0] * 3, memoryview(b"12345678")),
    ]


def instances():
    """Give objects in good order, to be spoilt."""
    w = fg.Value(2.0)
    tape = fg.record(lambda x: w * x, 1.0)
    source = optim.SGD([w]).updaters
    yield tape
    yield fg.record(lambda x, i: [fg.take([w, x[0]], i), x[1]], [1.0, 2.0], 0)
    yield Loop((tape,), (1.0,), source, 3, None, 0, True, 1)
    yield Loop((tape,), ([1.0] * 9,), source, 3, 2, 0, True, 1)
    yield optim.Adam([w, w * 2]).updaters()[0]
    yield w
    yield w * 2
    yield (w * 2)._backward
    yield nn.Neuron(2)
    yield nn.Neuron(2)([1.0, 2.0])
    yield nn.MLP(2, [2, 1])
    yield Shape((2,), 0, "x")


class Attempts:
    """Calls, each written down before it is made."""

    def __init__(self, seed, file):
        self.random, self.file, self.spoilt = random.Random(seed), file, 0

    def some(self, n):
        made = odd_arguments()
        return tuple(self.random.choice(made) for _ in range(n))

    def call(self, label, function, arguments):
        try:
            text = f"{label}{arguments!r:.300}"
        except BaseException:
            text = f"{label} of {[type(one).__name__ for one in arguments]}"
        os.pwrite(self.file, text.encode("utf-8", "replace")[:500].ljust(500), 0)
        try:
            return function(*arguments)
        except BaseException:
            return None

    def call_often(self, label, function):
        self.call(label, function, ())
        for one in odd_arguments():
            self.use(label, self.call(label, function, (one,)), function)
        for n in range(2, 9):
            for _ in range(ATTEMPTS):
                self.use(label, self.call(label, function, self.some(n)), function)

    def use(self, label, made, function):
        if isinstance(function, type) and made is not None and self.spoilt < SPOILT:
            self.spoilt += 1
            self.spoil(label, made)

    def spoil(self, label, thing):
        """Set all attributes of an object, call all its methods, in any order."""
        names = [name for name in dir(type(thing)) if name not in ("__class__", "__sizeof__")]
        self.random.shuffle(names)
        for name in names:
            for one in self.some(2):
                self.call(f"{label}.{name} = ", setattr, (thing, name, one))
            try:
                method = getattr(thing, name)
            except BaseException:
                continue
            if callable(method):
                for n in (0, 1, 1, 2, 3, 0):
                    self.call(f"{label}.{name}", method, self.some(n))


def attempt(module, name, seed, file):
    attempts = Attempts(seed, file)
    if name is None:
        for thing in instances():
            attempts.spoil(f"a {type(thing).__name__}", thing)
        return
    function = getattr(module, name)
    attempts.call_often(name, function)
    if isinstance(function, type):
        for _ in range(5):
            attempts.use(
                f"new {name}", attempts.call(name, function.__new__, (function,)), function
            )


def callables(module):
    """Give the names of what a module has of its own; for the one that runs tapes objects, too."""
    names = [
        name
        for name, thing in vars(module).items()
        if callable(thing)
        and getattr(thing, "__module__", None) == module.__name__
        and not name.startswith("__")
    ]
    return sorted(names) + [None] * (module.__name__.endswith(".tape"))


def main(name, seed, path, memory):
    import resource

    warnings.simplefilter("ignore")
    module = importlib.import_module(name)
    file = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_RDWR)
    for one in callables(module):
        child = os.fork()
        if not child:
            if memory:
                resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
            with open(os.devnull, "r+b") as nowhere:
                for stream in range(3):
                    os.dup2(nowhere.fileno(), stream)
            attempt(module, one, seed, file)
            gc.collect()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            print(f"signal {os.WTERMSIG(status)}:", os.pread(file, 500, 0).decode().strip())
            raise SystemExit(1)
    print(len(callables(module)))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
