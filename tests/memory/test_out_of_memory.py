"""Each allocation may fail: MemoryError is raised and the arena stays sound and usable.

Oracles: `arena_check` and the number of live nodes after each failure; gradients known by hand.
Each scenario runs in a process of its own: fresh, so that every kind of memory has to be asked for.
"""

import pytest
from helpers.failing_allocations import FAILING, skip_what_crashes_python
from helpers.optimizers import RULES, switched_on
from helpers.processes import SANITIZED, needs_limits, python
from helpers.tally import tally

from fastgrad.engine import build_info

pytest.importorskip("_testcapi", reason="only CPython's own test module can make allocations fail")

MANY = 200 if SANITIZED else 40_000  # a handle is an allocation there, a few bytes of a slab here

OPTIMIZERS = {rule: {**switched_on(rule), "lr": 1.0, "weight_decay": 0} for rule in RULES}

# What is to fail makes no functions and no generators: CPython 3.12 and 3.13 themselves crash then.
SCENARIOS = {
    "leaves": """
each_failure(lambda: None, lambda s: [Value(1.0) for _ in repeat(None, MANY)])
""",
    "operations": """
def act(s):
    y = a
    for _ in repeat(None, MANY):
        y = y * b + a
    return y
each_failure(lambda: None, act)
""",
    "handles": """
each_failure(lambda: None, lambda s: [a * b for _ in repeat(None, MANY)])
""",
    "operands": """
pair = a, b
each_failure(lambda: None, lambda s: [Value(1.0, pair) for _ in repeat(None, 200)])
""",
    "partials": """
def act(s):
    y = Value(5.0, (a, b, a), (1.0, 2.0, 3.0))
    (y * 2).backward()
    return y, y.operands, y._local_grads, Value(1.0, children=[y], local_grads=[2.0])
each_failure(lambda: None, act)
""",
    "a table that grows": """
def chain(n):
    y = a
    for _ in repeat(None, n):
        y = y * b
    return y
chain(14 * 4096)  # warm chunks, so that room in the table is what is asked for first
each_failure(lambda: None, lambda s: chain(16 * 4096))
""",
    "composites": """
def act(s):
    return [(1 - a) / b, a / 3, 2 / (a - b), -a, a**2, 2**a, a**b, c * 2, c / a, c**2, -c,
            a.relu(), b.leaky_relu(), a.hypot(2), c.tanh(), a.detach()]
each_failure(lambda: None, act)
""",
    "operations that raise": """
from operator import add, truediv
def act(s):
    for wrong, *arguments in ((truediv, a, 0), (Value.log, a - 2), (add, a, "1"), (pow, c - 4, -1),
                              (add, c, None), (Value, 1, (c, 3)), (Value, "x")):
        try:
            wrong(*arguments)
        except (ArithmeticError, ValueError, TypeError):
            pass
        except SystemError as error:  # CPython's own, where it cannot make this frame's traceback;
            assert str(error) == "error return without exception set"  # ours would name `wrong`
            raise MemoryError from None
each_failure(lambda: None, act)
""",
    "custom": """
def step():
    a.grad += 1.0
def act(s):
    out = Value(5.0, (a, b, c), "mine", label="out")
    out._backward = step
    (out * 2).backward()
    return out, out._prev
each_failure(lambda: None, act)
""",
    "attributes": """
def act(s):
    y = a * b
    y.label = "y"
    y.other = [1]
    vars(y)["third"] = 3
    z = Forked(2.0) * y
    del y
    return [p for p in z._prev], z
each_failure(lambda: None, act)
""",
    "setting a backward function": """
def prepare():
    y = a * b
    return y, y + 1, [{0: 0} for _ in repeat(None, 200)]  # Python keeps freed dicts: use them up
def step():
    raise ZeroDivisionError
def act(s):
    s[0]._backward = step
def after_failure(s):
    s[1].backward()
    assert (a.grad, b.grad) == (3.0, 2.0), "the native step is lost"
    a.grad = b.grad = 0.0
each_failure(prepare, act)
""",
    "a leaf's backward function": """
def prepare():
    x = Value(3.0)
    return x, x * a, [{0: 0} for _ in repeat(None, 200)]
def step():
    pass
def act(s):
    s[0]._backward = step
    return Value(1.0, (s[0],))
def after_failure(s):
    s[1].backward()
    assert (s[0].grad, a.grad) == (2.0, 3.0)
    a.grad = 0.0
each_failure(prepare, act)
""",
    "backward": """
def prepare():
    y = a
    for i in range(300):
        y = (y * b).tanh() + a
    return y
each_failure(prepare, lambda y: y.backward())
""",
    "second backward of neurons": """
def prepare():
    h = [neuron([a, b, i]) for i in range(3)]
    y = sum(h)
    y.backward()
    return y
def after_failure(y):
    y.zero_grad(graph=True)
    for v in neuron.parameters():
        v.grad = 0.0
    a.grad = b.grad = 0.0
    y.backward()
    assert (a.grad, b.grad, neuron.b.grad) == (3.0, 6.0, 3.0), (a, b, neuron.b)
def act(y):
    y.backward()
    y.backward()
each_failure(prepare, act)
""",
    "nested sweeps": """
def prepare():
    inner = neuron([a, b, 1.0])
    y = Value(1.0, (inner,))
    y._backward = lambda: (inner * 2).backward()
    return y
each_failure(prepare, lambda y: (y.backward(), y.backward(), y.zero_grad(graph=True)))
""",
    "inspection": """
def prepare():
    return neuron([1.0, a, 2]) * 2
def act(y):
    seen = {y}
    stack = [y]
    while stack:
        v = stack.pop()
        repr(v), v._op
        for p in v._prev:
            if p not in seen:
                seen.add(p)
                stack.append(p)
    return seen
each_failure(prepare, act)
""",
    "hidden nodes": """
def prepare():
    y = neuron([a, b, 1.0])
    (act,) = y._prev
    return list(act._prev)[0] + list(act._prev)[1]
def act(y):
    z = y
    for _ in repeat(None, MANY):
        z = z * y
    z.backward()
    z.zero_grad(graph=True)
each_failure(prepare, act)
""",
    "neurons": """
def act(s):
    n = Neuron(2)
    l = Layer(2, 2)
    out = [n([a, b]), *l([1.0, a]), *l([a, 2])]
    sum(out).backward()
    return out
each_failure(lambda: None, act)
""",
    "edited neurons": """
n = Neuron(2)
first, second = list(n.w), [Value(5.0), Value(6.0)]
def prepare():
    n.w = list(first)
    n([a, 1.0])
    n.w = list(second)
    n([a, 1.0])
def act(s):
    n.w[1] = first[1]
    y = n([a, 1.0])
    n.w = list(first)
    return y, n([1.0, b])
def after_failure(s):
    prepare()  # as many blocks and references as at first
prepare()
each_failure(prepare, lambda s: (act(s), prepare()) and None)
""",
    "fallback of networks": """
n = Neuron(2)
n.w[0] = Special(1.0)
l = Layer(2, 2)
l.neurons[1].w[1] = Special(2.0)
each_failure(lambda: None, lambda s: (n([a, 1.0]), l([1.0, c]), l([a, b])))
""",
    "networks": """
m = MLP(2, [3, 2, 1])
def act(s):
    y = m([a, 1.0]) + m((0.5, b))
    m.zero_grad()
    y.backward()
    return y
each_failure(lambda: None, act)
""",
    "deepcopy": """
def prepare():
    out = Value(5.0, (a, b, c), "mine")
    out._backward = lambda: None
    out.note = ["note"]
    h = neuron([a, c, 1.0])
    h._prev
    return (out * h + neuron([1.0, b, out]))**2
def act(y):
    return copy.deepcopy(y), copy.copy(y)
each_failure(prepare, act)
""",
    "pickle": """
import pickle
disguises = MemoryError, pickle.PicklingError, AttributeError
s = Special(1.0)
s.label = "s"
__import__("__main__").Special = Special
each_failure(lambda: None, lambda _: pickle.loads(pickle.dumps([s, a, neuron])))
""",
    "steps of optimizers": """
from fastgrad import optim
from fastgrad._native.train.optim import Updater, step, zero_grad
def prepare():
    values, special = [Value(1.0), Value(2.0)], [Special(3.0)]
    for p in (*values, *special):
        p.grad = 1.0
    groups = []
    for rule, hyper in OPTIMIZERS.items():
        for params in (values, special):
            optimizer = getattr(optim, rule)(params, **hyper)
            groups.append((rule, optimizer.param_groups[0]))
    return values, special, groups, []
def act(s):
    for i in range(0, len(s[2]), 2):
        pair = [Updater(*s[2][i]), Updater(*s[2][i + 1])]
        groups = [s[2][i][1], s[2][i + 1][1]]
        s[3].append((pair, groups))
        step(pair, groups)
        for updater, other in zip(pair, groups):
            t, arrays = updater.read_state()
            Updater(s[2][i][0], other).write_state(t, arrays)
        step(pair, groups)
        zero_grad(pair)
        s[0][0].grad = s[0][1].grad = s[1][0].grad = 1.0
def after_failure(s):
    s[0][0].grad = s[0][1].grad = s[1][0].grad = 1.0
    for pair, groups in s[3]:
        assert pair[0].read_state()[0] == pair[1].read_state()[0], "a step was done by half"
        assert [abs(s[0][0].data - s[1][0].data + 2.0) < 1e-9] == [True], "or on half the Values"
        step(pair, groups)
each_failure(prepare, act)
""",
    "states of optimizers": """
from fastgrad import optim
live = int  # CPython 3.11 leaks a list where list() of it fails: nothing to count here
def prepare():
    optimizer = optim.Adam([{"params": [Value(1.0)]}, {"params": [Special(3.0)]}], lr=1.0)
    optimizer.step()
    saved = optimizer.state_dict()
    optimizer.step()
    return optimizer, saved, optimizer.state_dict()
def act(s):
    s[0].state_dict()
    repr(s[0])
    copy.deepcopy(s[0]).step()
    s[0].load_state_dict(s[1])
    s[0].add_param_group({"params": [Value(5.0)]})
def after_failure(s):
    found = s[0].state_dict()
    found["param_groups"] = found["param_groups"][:2]
    assert found in (s[1], s[2]), "loaded by half"
    s[0].step()
act(prepare())  # so that nothing is to be imported
each_failure(prepare, act)
""",
    "recording": """
from fastgrad._native.graph.recording import (
    leaf_mark_input, record_enter, record_exit, source_of_value)
x = Value(3.0)
leaf_mark_input(x)
def act(s):
    record_enter(None)
    try:
        y = x
        for _ in repeat(None, MANY // 2):
            y = y * b + a - 1
        return y, x < 2, neuron([x, a, y])
    finally:
        record_exit()
def after_failure(s):
    assert x.data == 3.0, "still recording"
    assert type(x < 2) is bool
each_failure(lambda: None, act)
""",
    "places in a recording": """
from fastgrad._native.graph.recording import record_enter, record_exit, source_of_value
code = [compile("\\n" * i + "a * b", "made", "eval") for i in range(200)]
space = {"a": a, "b": b}
def prepare():
    record_enter(None)
    record_exit()
    return [eval(code[0], space)]  # as warm as it gets
def act(s):
    record_enter(None)
    try:
        made = [eval(c, space) for c in code]
        for line in (1, 100, 200):  # or unknown, for want of memory
            assert source_of_value(made[line - 1]) in (("made", line, "<module>"), ("", 0, ""))
    finally:
        record_exit()
each_failure(prepare, act, quiet=60)
""",
    "no_grad": """
with no_grad():  # CPython crashes where a thread's first context gets no memory
    pass
def act(s):
    with no_grad():
        y = a * b + neuron([1, a, 2]) + Value(1.0, (a,))
        with no_grad():
            y = y / 2
    return y
def after_failure(s):
    assert len((a * b)._prev) == 2, "still quiet"
each_failure(lambda: None, act)
""",
    "weak references": """
import weakref
def gone(r):
    pass
def act(s):
    y = a * b
    r = weakref.ref(y, gone)
    z = y + 1
    del y
    return r().data, z
each_failure(lambda: None, act)
""",
    "functions": """
from fastgrad import functional as F
each_failure(lambda: None, lambda s: (F.exp(a), F.tanh(1.0), F.hypot(a, 1), F.leaky_relu(c)))
""",
    "dots of rows": """
from fastgrad._native.graph.neurons import call_linear
inputs, rows, starts = [a, 1.0, b], [[a, b, 2.0], [1.0, b, a], [b, b, b]], [0.0, a, 1.0]
def act(s):
    y = call_linear(inputs, rows, starts)
    (y[0] * y[1] * y[2]).backward()
    return y
each_failure(lambda: None, act)
""",
    "custom operations": """
from fastgrad import custom
@custom("times")
def times(x, y):
    return x * y
@times.partials
def times(x, y, out):
    return y, x
def act(s):
    y = times(a, times(b, 2.0)) + times(c, c)
    y.backward()
    return y, y._prev
each_failure(lambda: None, act)
""",
    "zero_grad": """
def prepare():
    y = neuron([a, b, 1.0]) * 2
    y.backward()
    return y
each_failure(prepare, lambda y: (y.zero_grad(graph=True), setattr(y, "grad", 2.0),
                                 [setattr(p, "grad", 1.0) for p in y._prev]))
""",
}


@pytest.mark.wide
@pytest.mark.parametrize("name", SCENARIOS)
def test_each_failing_allocation_raises_and_leaves_a_sound_arena(name, tmp_path):
    skip_what_crashes_python(name == "states of optimizers")  # copy.deepcopy
    script = FAILING + f"MANY = {MANY}\nOPTIMIZERS = {OPTIMIZERS}\n" + SCENARIOS[name]
    process = python("-c", script, cwd=tmp_path, flags=("-X", "faulthandler"))
    assert process.returncode == 0, process.stderr
    failures = int(process.stdout)
    tally("out of memory: allocations that failed, the arena checked after each", failures)
    assert failures == 0 if name == "backward" else failures > 0, "a sweep allocates nothing"


def survives(script, *words, cwd):
    process = python("-c", script, *words, cwd=cwd)
    assert (process.stdout, process.stderr) == ("survived\n", "")


LIMITED = """
import resource, sys
from fastgrad import Value, arena_stats
from fastgrad._native.graph.check import arena_check
x = Value(1.0)
y = x
with open("/proc/self/statm") as f:
    mapped = int(f.read().split()[0]) * resource.getpagesize()
def allow(bytes):
    resource.setrlimit(resource.RLIMIT_AS, (bytes, resource.RLIM_INFINITY))
for keep in {"drop": (0, 0, 0), "keep": (1, 1, 1), "both": (0, 1, 0, 1)}[sys.argv[1]]:
    allow(mapped + (64 << 20))
    kept = []
    n = 0
    try:
        while n < 10_000_000:
            y = y + x
            n += 1
            if keep:
                kept.append(y)
    except MemoryError:
        pass
    assert 100_000 < n < 10_000_000, n
    y.backward()
    allow(resource.RLIM_INFINITY)  # the checks need memory
    assert x.grad == y.data == n + 1.0, (x, y)
    y.zero_grad(graph=True)
    y = x
    kept = None
    assert arena_stats()["live_nodes"] == 1
    assert arena_check() == []
print("survived")
"""


@needs_limits
@pytest.mark.parametrize("results", ["drop", "keep", "both"])
def test_process_survives_its_memory_limit(tmp_path, results):
    survives(LIMITED, results, cwd=tmp_path)


WARM = """
import resource
from fastgrad import Value, arena_stats
from fastgrad._native.graph.check import arena_check
n = 300_000
x = Value(1.0)
kept = [None] * n
y = x
for _ in range(1_200_000):
    y = y + x
y = None
assert arena_stats()["free_chunks"] > 100
with open("/proc/self/statm") as f:
    mapped = int(f.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (mapped + (256 << 10), resource.RLIM_INFINITY))
for i in range(n):
    kept[i] = x + x
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
kept = None
assert arena_stats()["live_nodes"] == 1
assert arena_check() == []
print("survived")
"""


@needs_limits
@pytest.mark.skipif(build_info()["chunk_nodes"] < 64, reason="tiny chunks stay in the heap")
def test_cached_free_chunks_make_room_for_handles(tmp_path):
    survives(WARM, cwd=tmp_path)
