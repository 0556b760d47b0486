"""`arena_check` reports each broken invariant of the arena; many tests rely on it.

The structs are read from the declarations in `arena.pxd`, so an installed package skips. Each
test changes one number in the arena's memory, looks, and puts it back.
"""

import contextlib
import ctypes
import re
from pathlib import Path

import pytest

from fastgrad import Value
from fastgrad._native.graph import check
from fastgrad._native.memory import arena
from fastgrad.engine import build_info
from fastgrad.nn import Neuron

SOURCE = Path(__file__).resolve().parents[2] / "src" / "fastgrad" / "_native" / "memory"
pytestmark = pytest.mark.skipif(not SOURCE.is_dir(), reason="no source tree")

INFO = build_info()
CHUNK = INFO["chunk_nodes"]
PINNED, CLOSURE, CHUNK_FREE = 1, 32, 1


def structs():
    """Make ctypes of the structs that Cython declares."""
    text = (SOURCE / "region.pxd").read_text("utf-8") + (SOURCE / "arena.pxd").read_text("utf-8")
    types = {
        "double": ctypes.c_double, "size_t": ctypes.c_size_t, "PyObject": ctypes.c_size_t * 2,
        "note_operation": ctypes.c_void_p,
        "node_id": getattr(ctypes, f"c_uint{INFO['id_bits']}"),
        **{f"uint{n}_t": getattr(ctypes, f"c_uint{n}") for n in (8, 16, 32, 64)},
    }  # fmt: skip
    for name, body in re.findall(r"^ctypedef struct (\w+):.*\n((?:    .+\n)+)", text, re.MULTILINE):
        fields = []
        for type_, stars, field in re.findall(r"^    (\w+) (\**)(\w+)", body, re.MULTILINE):
            fields.append((field, ctypes.c_void_p if stars else types[type_]))
        types[name] = type(name, (ctypes.Structure,), {"_fields_": fields})
    return types


class Memory:
    """The arena as it lies in memory."""

    def __init__(self):
        self.types = structs()
        capsule = arena.__pyx_capi__["arena"]
        name = ctypes.pythonapi.PyCapsule_GetName
        name.argtypes, name.restype = [ctypes.py_object], ctypes.c_char_p
        pointer = ctypes.pythonapi.PyCapsule_GetPointer
        pointer.argtypes, pointer.restype = [ctypes.py_object, ctypes.c_char_p], ctypes.c_void_p
        self.arena = self.at("Arena", pointer(capsule, name(capsule)))

    def at(self, type_, address, index=0):
        cls = self.types.get(type_, type_)
        return cls.from_address(address + index * ctypes.sizeof(cls))

    def id(self, v):
        return self.at("HandleHead", id(v)).id

    def node(self, id):
        nodes = self.at(ctypes.c_void_p, self.arena.base, id // CHUNK).value
        return self.at("Node", nodes, id % CHUNK)

    def chunk(self, index):
        return self.at("Chunk", self.arena.chunks, index)

    def block(self, index):
        return self.at("Block", self.at(ctypes.c_void_p, self.arena.blocks, index).value)

    def mark(self, chunk):
        """Give the first of a chunk's bytes, one for each sweep in flight."""
        return self.at("uint8_t", self.arena.marked + 4 * chunk)


@pytest.fixture(scope="module")
def memory():
    return Memory() if SOURCE.is_dir() else None


@pytest.fixture
def graph():
    """A graph with every structure that the check knows: a, chain, block, dot, given partials."""
    a = Value(2.0)
    chain = a
    for _ in range(CHUNK + 1):
        chain = chain + a  # no handle but the last one has
    chain = chain * 2.0
    neuron = Neuron(2, nonlin=False)
    dot = neuron([a, 1.0])
    dot._prev  # noqa: B018
    given = Value(1.0, (a,), (2.0,))
    custom = Value(1.0, (a, chain))
    return {"a": a, "chain": chain, "custom": custom, "dot": dot, "n": neuron, "given": given}


def hidden_block(memory, graph):
    return memory.block(memory.node(memory.id(graph["dot"])).b)


def partial_id(memory, v):
    """Give where the id of the partial of a node of one operand stands."""
    block = memory.block(memory.node(memory.id(v)).a)
    return memory.at("node_id", ctypes.addressof(block) + type(block).ids.offset, 1)


# What is wrong: the message; the struct and the field; what to put there.
BROKEN = {
    "the order of chunks is a cycle":
        lambda m, g: (m.chunk(m.arena.newest), "older", m.arena.newest),
    "its newer neighbour is":
        lambda m, g: (m.chunk(m.arena.newest), "newer", m.arena.newest),
    "is born after chunk":
        lambda m, g: (m.chunk(m.chunk(m.arena.newest).older), "born", 1 << 60),
    "is still marked":
        lambda m, g: (m.mark(m.arena.newest), "value", 1),
    "the list of leaf chunks is a cycle":
        lambda m, g: (m.chunk(m.arena.leaves), "older", m.arena.leaves),
    "its neighbour is":
        lambda m, g: (m.chunk(m.arena.leaves), "newer", m.arena.leaves),
    "is in list":
        lambda m, g: (m.chunk(m.arena.newest), "kind", CHUNK_FREE),
    "live is":
        lambda m, g: (m.chunk(m.arena.newest), "live", m.chunk(m.arena.newest).live + 1),
    "opcode 200 in a chunk of operations":
        lambda m, g: (m.node(m.id(g["chain"])), "op", 200),
    "mark 1 is left over":
        lambda m, g: (m.node(m.id(g["chain"])), "mark", 1),
    "its handle stands for":
        lambda m, g: (m.at("HandleHead", id(g["chain"])), "id", m.id(g["custom"])),
    "pinned without a handle":
        lambda m, g: (m.node(m.node(m.id(g["chain"])).a), "flags", PINNED),
    "pinned and unused, yet not deferred":
        lambda m, g: (m.node(m.id(g["dot"])), "flags", m.node(m.id(g["dot"])).flags | PINNED),
    "its backward function is not registered":
        lambda m, g: (m.node(m.id(g["a"])), "flags", CLOSURE),
    "refs 2 is not the number of its users":
        lambda m, g: (m.block(m.node(m.id(g["custom"])).a), "refs", 2),
    "has no owner":
        lambda m, g: (m.block(m.node(m.id(g["custom"])).a), "refs", 0),
    "does not say so":
        lambda m, g: (m.node(hidden_block(m, g).ids), "b", 7),
    "is used and not alive":
        lambda m, g: (m.node(m.id(g["custom"])), "a", m.arena.block_used),
    "its operand .* is younger":
        lambda m, g: (m.node(m.id(g["chain"])), "a", m.id(g["custom"])),
    "count 7 is not the number of its users":
        lambda m, g: (m.node(m.id(g["chain"])), "count", 7),
    "node .* is used and not alive":
        lambda m, g: (m.node(m.id(g["a"])), "count", 0),
    "operands and partials, an odd number":
        lambda m, g: (m.block(m.node(m.id(g["given"])).a), "size", 1),
    "its partial .* is no leaf":
        lambda m, g: (partial_id(m, g["given"]), "value", m.id(g["chain"])),
    "dot nodes are said to be swept":
        lambda m, g: (m.arena, "swept", m.arena.swept + 1),
    "waits to be unpinned":
        lambda m, g: (m.arena, "deferred", m.id(g["chain"])),
}  # fmt: skip


@contextlib.contextmanager
def changed(struct, field, value):
    before = getattr(struct, field)
    assert before != value
    setattr(struct, field, value)
    try:
        yield
    finally:
        setattr(struct, field, before)


@pytest.mark.parametrize(("message", "broken"), BROKEN.items(), ids=BROKEN.keys())
def test_arena_check_reports_each_broken_invariant(memory, graph, message, broken):
    assert check.arena_check() == []
    with changed(*broken(memory, graph)):
        wrong = check.arena_check()
    assert any(re.search(message, text) for text in wrong), wrong
    assert check.arena_check() == []
