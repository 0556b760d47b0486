/* Program: from what was recorded to what is worth running.
 * Constants are folded, duplicates and dead work dropped, dots joined; every value keeps the bits
 * that the eager engine gives it, since no rounding is moved. */
#include <Python.h>

#include <string.h>

#include "tape/tape.h"

void program_free(Program *program) {
    PyMem_RawFree(program->ops);
    PyMem_RawFree(program->sources);
    PyMem_RawFree(program->constants);
    PyMem_RawFree(program->terms);
    PyMem_RawFree(program->outputs);
    PyMem_RawFree(program->dropouts);
    memset(program, 0, sizeof *program);
}

size_t program_bytes(const Program *p) {
    return p->n_ops * (sizeof(TapeOp) + sizeof(uint32_t)) + p->n_constants * sizeof(double) +
           ((size_t)p->n_terms + p->n_outputs) * sizeof(uint32_t) + p->n_dropouts * sizeof(Dropout);
}

/* ---- folding: references are RECORD_LEAF | leaf or the number of an operation ---- */

typedef struct {
    Recording *in;
    uint32_t *stands_for; /* recorded operation: the reference that replaced it */
    TapeOp *ops;          /* kept */
    uint32_t *sources;
    uint32_t n_ops;
    uint32_t *uses;    /* of kept operations */
    uint8_t *absorbed; /* by a dot */
    uint32_t *chain;   /* products in the dot that ends here */
    uint8_t *leaf_kind;
    double *leaf_value;
    uint32_t *leaf_slot;
    uint32_t n_leaves;
    uint32_t *table; /* hash of operations and of constants: 1 + reference, 0 empty */
    uint32_t mask;
    Poll *poll;
} Build;

static uint32_t mix(uint64_t key) {
    key *= 0x9e3779b97f4a7c15u;
    return (uint32_t)(key >> 32);
}

static uint64_t bits_of(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* A block at a time, so that signals are polled while the table's pages come in. */
static int clear_table(Build *b) {
    const uint32_t block = 1 << 12;
    for (size_t i = 0; i <= b->mask; i += block) {
        if (poll_signals(b->poll, block)) return TAPE_STOPPED;
        memset(
            b->table + i, 0, (i + block <= b->mask ? block : b->mask + 1 - i) * sizeof *b->table);
    }
    return TAPE_OK;
}

static uint32_t constant(Build *b, double value) {
    uint32_t at = mix(bits_of(value)) & b->mask;
    while (b->table[at]) {
        uint32_t ref = b->table[at] - 1;
        if (ref & RECORD_LEAF && bits_of(b->leaf_value[ref & ~RECORD_LEAF]) == bits_of(value))
            return ref;
        at = (at + 1) & b->mask;
    }
    b->leaf_kind[b->n_leaves] = LEAF_CONSTANT;
    b->leaf_value[b->n_leaves] = value;
    b->leaf_slot[b->n_leaves] = NO_SLOT;
    b->table[at] = 1 + (b->n_leaves | RECORD_LEAF);
    return b->n_leaves++ | RECORD_LEAF;
}

static uint32_t renamed(Build *b, uint32_t ref) {
    if (!(ref & RECORD_LEAF)) return b->stands_for[ref];
    if (b->leaf_kind[ref & ~RECORD_LEAF] == LEAF_CONSTANT)
        return constant(b, b->leaf_value[ref & ~RECORD_LEAF]);
    return ref;
}

static int is_constant(const Build *b, uint32_t ref) {
    return ref & RECORD_LEAF && b->leaf_kind[ref & ~RECORD_LEAF] == LEAF_CONSTANT;
}

static double constant_value(const Build *b, uint32_t ref) {
    return b->leaf_value[ref & ~RECORD_LEAF];
}

static uint32_t push(Build *b, TapeOp op, uint32_t source) {
    b->ops[b->n_ops] = op;
    b->sources[b->n_ops] = source;
    return b->n_ops++;
}

/* One table operation: what stands for it. */
static uint32_t fold(Build *b, TapeOp op, uint32_t source) {
    int binary = op_reads_b(op.op);
    op.a = renamed(b, op.a);
    op.b = binary ? renamed(b, op.b) : op.a;
    if (is_constant(b, op.a) && is_constant(b, op.b)) {
        double y = 0.0;
        op_forward(op.op, constant_value(b, op.a), constant_value(b, op.b), &y);
        return constant(b, y);
    }
    if (op.op == OP_MUL && is_constant(b, op.b) && constant_value(b, op.b) == 1.0) return op.a;
    if (op.op == OP_MUL && is_constant(b, op.a) && constant_value(b, op.a) == 1.0) return op.b;
    uint32_t at = mix(((uint64_t)op.a << 32 | op.b) + 0x9e37u * (uint64_t)op.op) & b->mask;
    for (; b->table[at]; at = (at + 1) & b->mask) {
        uint32_t ref = b->table[at] - 1;
        if (ref & RECORD_LEAF) continue;
        const TapeOp *other = &b->ops[ref];
        if (other->op == op.op && other->a == op.a && other->b == op.b) return ref;
    }
    b->table[at] = 1 + b->n_ops;
    return push(b, op, source);
}

static uint32_t n_listed(const TapeOp *op) { /* terms of a structural operation */
    return (uint32_t)op_listed(op->op, op->b);
}

static int copy_leaves(Build *b) {
    const Recording *in = b->in;
    for (uint32_t i = 0; i < in->n_leaves; i++) {
        if (poll_signals(b->poll, 1)) return TAPE_STOPPED;
        b->leaf_kind[i] = in->leaf_kind[i];
        b->leaf_value[i] = in->leaf_value[i];
        b->leaf_slot[i] = in->leaf_kind[i] == LEAF_CONSTANT ? NO_SLOT : in->leaf_slot[i];
    }
    b->n_leaves = in->n_leaves;
    return TAPE_OK;
}

static int fold_all(Build *b) {
    for (uint32_t i = 0; i < b->in->n_ops; i++) {
        TapeOp op = b->in->ops[i];
        uint32_t n = n_listed(&op);
        if (poll_signals(b->poll, 1 + n)) return TAPE_STOPPED;
        for (uint32_t t = 0; t < n; t++)
            b->in->terms[op.a + t] = renamed(b, b->in->terms[op.a + t]);
        const uint32_t source = b->in->sources[i];
        b->stands_for[i] = n ? push(b, op, source) : fold(b, op, source);
    }
    return TAPE_OK;
}

/* ---- which operations the outputs need ---- */

static void use(Build *b, uint32_t ref) {
    if (!(ref & RECORD_LEAF)) b->uses[ref]++;
}

static int count_uses(Build *b, const uint32_t *outputs, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) use(b, outputs[i]);
    for (uint32_t i = b->n_ops; i-- > 0;) {
        const TapeOp *op = &b->ops[i];
        uint32_t listed = n_listed(op);
        if (poll_signals(b->poll, 1 + listed)) return TAPE_STOPPED;
        if (!b->uses[i]) continue;
        for (uint32_t t = 0; t < listed; t++) use(b, b->in->terms[op->a + t]);
        if (listed) continue;
        use(b, op->a);
        if (op->b != op->a || op_is_binary(op->op)) use(b, op->b);
    }
    for (uint32_t i = 0; i < n; i++) /* an output is seen from outside: it is no part of a dot */
        if (!(outputs[i] & RECORD_LEAF)) b->uses[outputs[i]] += 2;
    return TAPE_OK;
}

/* ---- dots: s + w*x + ... whose parts have no other use ---- */

static int is_private(const Build *b, uint32_t ref, uint32_t op) {
    return !(ref & RECORD_LEAF) && b->ops[ref].op == op && b->uses[ref] == 1;
}

/* For sums and products, which commute, to the bit. */
static void swap(TapeOp *op) {
    const uint32_t a = op->a;
    op->a = op->b;
    op->b = a;
}

static int find_chains(Build *b) {
    for (uint32_t i = 0; i < b->n_ops; i++) {
        if (poll_signals(b->poll, 1)) return TAPE_STOPPED;
        TapeOp *op = &b->ops[i];
        if (!b->uses[i] || op->op != OP_ADD || op->a == op->b) continue;
        if (is_private(b, op->a, OP_MUL) && !is_private(b, op->b, OP_MUL)) swap(op);
        if (!is_private(b, op->b, OP_MUL)) continue;
        int longer = is_private(b, op->a, OP_ADD) && b->chain[op->a];
        b->chain[i] = 1 + (longer ? b->chain[op->a] : 0);
    }
    for (uint32_t i = b->n_ops; i-- > 0;) {
        if (poll_signals(b->poll, 1)) return TAPE_STOPPED;
        if (b->chain[i] < 2) {
            b->chain[i] = 0;
            continue;
        }
        uint32_t at = i;
        for (uint32_t left = b->chain[i]; left; left--) {
            b->absorbed[b->ops[at].b] = 1;
            if (left == 1) break;
            at = b->ops[at].a;
            b->absorbed[at] = 1;
            b->chain[at] = 0;
        }
    }
    return TAPE_OK;
}

/* ---- the program itself: first with references, then with slots ---- */

static int measure(Build *b, Program *out, size_t *terms) {
    for (uint32_t i = 0; i < b->n_ops; i++) {
        if (poll_signals(b->poll, 1)) return TAPE_STOPPED;
        if (!b->uses[i] || b->absorbed[i]) continue;
        *terms += b->chain[i] ? 1 + 2 * (size_t)b->chain[i] : n_listed(&b->ops[i]);
        out->n_ops++;
    }
    return TAPE_OK;
}

static uint32_t moved(const uint32_t *place, uint32_t ref) {
    return ref & RECORD_LEAF ? ref : place[ref];
}

/* The dot that ends at i, from its first term to its last. */
static TapeOp joined(const Build *b, Program *out, const uint32_t *place, uint32_t i) {
    uint32_t n = b->chain[i], at = i;
    TapeOp op = {out->n_terms, n, OP_DOT};
    uint32_t *terms = out->terms + out->n_terms;
    for (uint32_t t = n; t-- > 0; at = b->ops[at].a) {
        const TapeOp *product = &b->ops[b->ops[at].b];
        terms[1 + 2 * t] = moved(place, product->a);
        terms[2 + 2 * t] = moved(place, product->b);
        if (!t) terms[0] = moved(place, b->ops[at].a);
    }
    return op;
}

static int emit(Build *b, Program *out, uint32_t *place) {
    uint32_t k = 0;
    for (uint32_t i = 0; i < b->n_ops; i++) {
        if (poll_signals(b->poll, 1)) return TAPE_STOPPED;
        if (!b->uses[i] || b->absorbed[i]) continue;
        TapeOp op = b->ops[i];
        uint32_t listed = n_listed(&op);
        if (b->chain[i]) {
            op = joined(b, out, place, i);
            listed = n_listed(&op);
        } else if (listed) {
            for (uint32_t t = 0; t < listed; t++)
                out->terms[out->n_terms + t] = moved(place, b->in->terms[op.a + t]);
            op.a = out->n_terms;
        } else {
            op.a = moved(place, op.a);
            op.b = moved(place, op.b);
            if (op_is_add_or_mul(op.op) && k && op.b == k - 1) swap(&op); /* replays carry a */
        }
        if (poll_signals(b->poll, listed)) return TAPE_STOPPED;
        out->n_terms += listed;
        out->ops[k] = op;
        out->sources[k] = b->sources[i];
        place[i] = k++;
    }
    return TAPE_OK;
}

static void number_leaf(Build *b, Program *out, uint32_t ref) {
    uint32_t leaf = ref & ~RECORD_LEAF;
    if (!(ref & RECORD_LEAF) || b->leaf_slot[leaf] != NO_SLOT) return;
    b->leaf_slot[leaf] = b->leaf_kind[leaf] == LEAF_PARAMETER ? out->n_parameters++
                                                              : out->n_constants++;
}

/* Those that are not fixed, in the order of their first use; in a dot the initial value comes last,
 * as in a neuron's parameters. */
static int number_leaves(Build *b, Program *out) {
    out->n_parameters = b->in->n_fixed;
    for (uint32_t i = 0; i < out->n_ops; i++) {
        const TapeOp *op = &out->ops[i];
        uint32_t listed = n_listed(op);
        if (poll_signals(b->poll, 1 + listed)) return TAPE_STOPPED;
        for (uint32_t t = 1; t < listed; t++) number_leaf(b, out, out->terms[op->a + t]);
        number_leaf(b, out, listed ? out->terms[op->a] : op->a);
        if (!listed) number_leaf(b, out, op->b);
    }
    for (uint32_t i = 0; i < out->n_outputs; i++) number_leaf(b, out, out->outputs[i]);
    return TAPE_OK;
}

static uint32_t slot_of(const Build *b, const Program *out, uint32_t ref) {
    uint32_t leaf = ref & ~RECORD_LEAF;
    if (!(ref & RECORD_LEAF)) return program_leaves(out) + ref;
    if (b->leaf_kind[leaf] == LEAF_INPUT) return b->leaf_slot[leaf];
    return b->leaf_slot[leaf] + out->n_inputs +
           (b->leaf_kind[leaf] == LEAF_CONSTANT ? out->n_parameters : 0);
}

static int place_all(Build *b, Program *out) {
    for (uint32_t i = 0; i < out->n_ops; i++) {
        TapeOp *op = &out->ops[i];
        if (poll_signals(b->poll, 1)) return TAPE_STOPPED;
        if (n_listed(op)) continue;
        op->a = slot_of(b, out, op->a);
        op->b = slot_of(b, out, op->b);
    }
    for (uint32_t t = 0; t < out->n_terms; t++) {
        if (poll_signals(b->poll, 1)) return TAPE_STOPPED;
        out->terms[t] = slot_of(b, out, out->terms[t]);
    }
    for (uint32_t i = 0; i < out->n_outputs; i++)
        out->outputs[i] = slot_of(b, out, out->outputs[i]);
    for (uint32_t i = 0; i < b->n_leaves; i++) {
        if (poll_signals(b->poll, 1)) return TAPE_STOPPED;
        if (b->leaf_kind[i] == LEAF_CONSTANT && b->leaf_slot[i] != NO_SLOT)
            out->constants[b->leaf_slot[i]] = b->leaf_value[i];
    }
    return TAPE_OK;
}

/* Room for all that the recording may become. */
static int build_reserve(Build *b) {
    const size_t n_ops = b->in->n_ops;
    /* Each constant gets a second leaf, its only one from then on; an operation folded, one. */
    const size_t leaves = 2 * (size_t)b->in->n_leaves + n_ops;
    size_t table = 16;
    while (table <= b->in->n_leaves + 2 * n_ops) table *= 2; /* never full */
    if (leaves >= RECORD_LEAF || table > RECORD_LEAF) return TAPE_TOO_LARGE;
    b->mask = (uint32_t)(table - 1);
    TRY_ROOM(b->stands_for, n_ops);
    TRY_ROOM(b->ops, n_ops);
    TRY_ROOM(b->sources, n_ops);
    TRY_ROOM(b->uses, n_ops);
    TRY_ROOM(b->absorbed, n_ops);
    TRY_ROOM(b->chain, n_ops);
    TRY_ROOM(b->leaf_kind, leaves);
    TRY_ROOM(b->leaf_value, leaves);
    TRY_ROOM(b->leaf_slot, leaves);
    b->table = PyMem_RawMalloc(table * sizeof *b->table);
    return b->table ? clear_table(b) : TAPE_NO_MEMORY;
}

static int simplify(Build *b) {
    Recording *in = b->in;
    TRY(copy_leaves(b));
    TRY(fold_all(b));
    for (uint32_t i = 0; i < in->n_outputs; i++) in->outputs[i] = renamed(b, in->outputs[i]);
    TRY(count_uses(b, in->outputs, in->n_outputs));
    return find_chains(b);
}

static int program_reserve(Build *b, Program *out) {
    size_t terms = 0;
    TRY(measure(b, out, &terms));
    if (terms >= RECORD_LEAF) return TAPE_TOO_LARGE;
    out->n_outputs = b->in->n_outputs;
    out->n_recorded = b->in->n_ops;
    TRY_ROOM(out->ops, out->n_ops);
    TRY_ROOM(out->sources, out->n_ops);
    TRY_ROOM(out->terms, terms);
    TRY_ROOM(out->outputs, out->n_outputs);
    return TAPE_OK;
}

static int write_program(Build *b, Program *out) {
    Recording *in = b->in;
    uint32_t *place = b->stands_for; /* no longer needed: where each kept operation went */
    TRY(program_reserve(b, out));
    TRY(emit(b, out, place));
    for (uint32_t i = 0; i < in->n_outputs; i++) out->outputs[i] = moved(place, in->outputs[i]);
    TRY(number_leaves(b, out));
    if (program_slots(out) < out->n_ops || program_slots(out) >= BROADCAST) return TAPE_TOO_LARGE;
    TRY_ROOM(out->constants, out->n_constants);
    TRY(place_all(b, out));
    memcpy(in->leaf_slot, b->leaf_slot, in->n_leaves * sizeof *in->leaf_slot);
    return TAPE_OK;
}

static int build_all(Build *b, Program *out) {
    TRY(build_reserve(b));
    TRY(simplify(b));
    return write_program(b, out);
}

int program_build(Recording *recording, uint32_t n_inputs, Poll *poll, Program *program) {
    Build b = {.in = recording, .poll = poll};
    memset(program, 0, sizeof *program);
    program->n_inputs = n_inputs;
    int result = build_all(&b, program);
    if (result != TAPE_OK) program_free(program);
    PyMem_RawFree(b.stands_for);
    PyMem_RawFree(b.ops);
    PyMem_RawFree(b.sources);
    PyMem_RawFree(b.uses);
    PyMem_RawFree(b.absorbed);
    PyMem_RawFree(b.chain);
    PyMem_RawFree(b.leaf_kind);
    PyMem_RawFree(b.leaf_value);
    PyMem_RawFree(b.leaf_slot);
    PyMem_RawFree(b.table);
    return result;
}
