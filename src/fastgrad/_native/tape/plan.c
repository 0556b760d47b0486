/* Plan: how a program runs when some of its leaves differ from sample to sample.
 * What is the same for all samples is computed by the scalar interpreter and enters as broadcast
 * inputs; dots of the same inputs become one layer, runs of the same operation one map. */
#include <Python.h>

#include <string.h>

#include "tape/adjoints.h"
#include "tape/schedule.h"
#include "tape/tape.h"

/* What a block of samples costs, in picoseconds: each step, each row that is worked on by
 * itself, each weight of a layer, and each row of a sample by what holds the block's rows. They are
 * figures of one machine: a plan, and with it the order of sums, has to be the same on all. */
enum { STEP_PS = 15000, CALL_PS = 8000, WEIGHT_PS = 2200, BLOCK_MAX = 256 };
static const struct {
    size_t bytes;
    uint64_t row_ps;
} caches[] = {{32 << 10, 0}, {1 << 20, 100}, {2 << 20, 300}, {4 << 20, 800}, {16 << 20, 1500},
    {SIZE_MAX, 3000}};

void plan_free(Plan *plan) {
    PyMem_RawFree(plan->lanes);
    PyMem_RawFree(plan->uniform);
    PyMem_RawFree(plan->uniform_live);
    PyMem_RawFree(plan->live_rows);
    PyMem_RawFree(plan->live_broadcasts);
    PyMem_RawFree(plan->steps);
    PyMem_RawFree(plan->lists);
    PyMem_RawFree(plan->adjoint_lists);
    PyMem_RawFree(plan->clears);
    PyMem_RawFree(plan->broadcasts);
    PyMem_RawFree(plan->filled);
    PyMem_RawFree(plan->tied);
    PyMem_RawFree(plan->row_of);
    memset(plan, 0, sizeof *plan);
}

size_t plan_bytes(const Plan *p) {
    return p->n_lanes + p->n_rows + p->n_broadcasts + p->steps_capacity * sizeof(BatchStep) +
           p->filled_capacity * sizeof(FilledRow) + p->n_layers * sizeof(LayerUse) +
           p->n_clears * sizeof(RowRange) +
           ((size_t)p->n_uniform + p->n_uniform_live + p->lists_capacity + p->n_lists +
               p->broadcasts_capacity + program_slots(p->program)) *
               sizeof(uint32_t);
}

typedef struct {
    uint32_t first, n, k; /* k: of them in a row */
} Block;

typedef struct {
    Plan *plan;
    const Program *program;
    Poll *poll;
    const PlanRequest *request;
    uint32_t *layer_of; /* per operation: 1 + first member of its layer, 0 none */
    uint32_t *next;     /* per member: its neighbour, the one before in scalar order, else behind */
    uint32_t *last;     /* of a first member: the last one so far */
    uint32_t *table;    /* hash of inputs: 1 + first member */
    uint32_t mask;
    uint32_t *seen;         /* per slot: the stamp of who has come by it */
    uint32_t *filled_of;    /* per slot: 1 + the row that is filled with it, 0 none */
    uint32_t *broadcast_of; /* per slot: 1 + the broadcast input that is this slot alone, 0 none */
    Block *blocks;          /* of broadcast inputs: the weights, the biases of a layer */
    uint32_t n_blocks, n_heads; /* n_heads: first members of layers */
    uint32_t *block_table;      /* hash of a block's slots: 1 + its number */
    uint32_t block_mask;
    /* In scalar order alone: operations so far that read a slot; of a first member, how often its
     * inputs are read if nobody but the layer reads them from there on. */
    uint32_t *uses;
    uint64_t *uses_expected;
    Schedule schedule;
    uint32_t *operands; /* of the results that may become a step: a, b, a, b, ... */
    uint8_t *begins;    /* per row: the first of some whose adjoints stay together */
} Planner;

enum {
    JOIN_MOST = 1 << 12, /* results, or operands, in a step: there are polls between steps */
    RUN_LEAST = 4        /* results of a map that is worth a step of its own */
};

static int grow(void **memory, uint32_t *capacity, uint32_t need, size_t size) {
    if (need <= *capacity) return TAPE_OK;
    uint32_t more = *capacity + *capacity / 2 + 16;
    if (more < need) more = need;
    if (more > BROADCAST) return TAPE_TOO_LARGE;
    void *moved = PyMem_RawRealloc(*memory, more * size);
    if (!moved) return TAPE_NO_MEMORY;
    *memory = moved;
    *capacity = more;
    return TAPE_OK;
}

static int broadcast_add(Plan *plan, uint32_t slot) {
    TRY(grow((void **)&plan->broadcasts, &plan->broadcasts_capacity, plan->n_broadcasts + 1,
        sizeof *plan->broadcasts));
    plan->broadcasts[plan->n_broadcasts++] = slot;
    return TAPE_OK;
}

/* A row if the slot varies from sample to sample, else its one broadcast input. */
static int operand(Planner *p, uint32_t slot, uint32_t *out) {
    Plan *plan = p->plan;
    *out = plan->row_of[slot];
    if (*out != NO_SLOT) return TAPE_OK;
    if (!p->broadcast_of[slot]) {
        TRY(broadcast_add(plan, slot));
        p->broadcast_of[slot] = plan->n_broadcasts;
    }
    *out = BROADCAST | (p->broadcast_of[slot] - 1);
    return TAPE_OK;
}

/* The last broadcast inputs, from `first` on, are a block: where equal ones stand, which stand
 * there alone from then on. So layers of the same weights have one copy of them, and one sum of
 * adjoints. */
static uint32_t block_shared(Planner *p, uint32_t first, uint32_t k) {
    Plan *plan = p->plan;
    const uint32_t n = plan->n_broadcasts - first, *slots = plan->broadcasts + first;
    uint64_t key = n;
    for (uint32_t i = 0; i < n; i++) key = (key ^ slots[i]) * 0x9e3779b97f4a7c15u;
    uint32_t at = (uint32_t)(key >> 32) & p->block_mask;
    for (; p->block_table[at]; at = (at + 1) & p->block_mask) {
        const Block *other = &p->blocks[p->block_table[at] - 1];
        if (other->n != n || other->k != k ||
            memcmp(plan->broadcasts + other->first, slots, n * sizeof *slots))
            continue;
        plan->n_broadcasts = first;
        return other->first;
    }
    p->blocks[p->n_blocks++] = (Block){first, n, k};
    p->block_table[at] = p->n_blocks;
    return first;
}

static int list_add(Plan *plan, uint32_t item) {
    TRY(grow((void **)&plan->lists, &plan->lists_capacity, plan->n_lists + 1, sizeof *plan->lists));
    plan->lists[plan->n_lists++] = item;
    return TAPE_OK;
}

static int step_add(Plan *plan, BatchStep step) {
    TRY(grow((void **)&plan->steps, &plan->steps_capacity, plan->n_steps + 1, sizeof *plan->steps));
    plan->steps[plan->n_steps++] = step;
    return TAPE_OK;
}

static int64_t steps_of(const TapeOp *op) { /* between polls */
    return 1 + (int64_t)op_listed(op->op, op->b);
}

/* ---- which neurons form a layer ---- */

#define NOT_PLACED (NO_SLOT - 1) /* provisional row of what varies */

static int is_uniform(const Plan *plan, uint32_t slot) { return plan->row_of[slot] == NO_SLOT; }

/* A dot of weights that all samples share and inputs that vary, but for some. */
typedef struct {
    const uint32_t *pairs; /* 2 * k slots */
    uint32_t k, initial;
    uint32_t side;     /* of a pair where the weight stands, if both are the same for all samples */
    uint32_t n_shared; /* inputs that are so */
} Neuron;

static uint32_t weight_side(const Plan *plan, const Neuron *neuron, uint32_t i) {
    const uint32_t *pair = neuron->pairs + 2 * i;
    if (is_uniform(plan, pair[0]) && is_uniform(plan, pair[1])) return neuron->side;
    return is_uniform(plan, pair[0]) ? 0 : 1;
}

static uint32_t weight_of(const Plan *plan, const Neuron *neuron, uint32_t i) {
    return neuron->pairs[2 * i + weight_side(plan, neuron, i)];
}

static uint32_t input_of(const Plan *plan, const Neuron *neuron, uint32_t i) {
    return neuron->pairs[2 * i + 1 - weight_side(plan, neuron, i)];
}

/* Whether a dot is a neuron. In scalar order none has an initial value that varies: its adjoint
 * would come after those of all neurons' inputs. */
static int is_neuron(const Planner *p, const TapeOp *op, Neuron *neuron) {
    const Plan *plan = p->plan;
    const uint32_t *terms = p->program->terms + op->a;
    *neuron = (Neuron){.pairs = terms + 1, .k = op->b, .initial = terms[0]};
    if (p->uses && !is_uniform(plan, terms[0])) return 0;
    for (uint32_t i = op->b; i-- > 0;) {
        const int a = is_uniform(plan, terms[1 + 2 * i]), b = is_uniform(plan, terms[2 + 2 * i]);
        if (!a && !b) return 0;
        if (a && b) neuron->n_shared++;
        else neuron->side = a ? 0 : 1;
    }
    return neuron->n_shared < op->b;
}

static int same_inputs(const Plan *plan, const Neuron *one, const Neuron *two) {
    if (one->k != two->k) return 0;
    if (is_uniform(plan, one->initial) != is_uniform(plan, two->initial)) return 0;
    for (uint32_t i = 0; i < one->k; i++)
        if (input_of(plan, one, i) != input_of(plan, two, i)) return 0;
    return 1;
}

/* A layer's kernel adds into its inputs' adjoints side by side: each must be there once. */
static int has_twice(Planner *p, const Neuron *neuron, uint32_t stamp) {
    for (uint32_t i = 0; i < neuron->k; i++) {
        const uint32_t x = input_of(p->plan, neuron, i);
        if (p->seen[x] == stamp) return 1;
        p->seen[x] = stamp;
    }
    return 0;
}

/* How many operations have read the inputs of a neuron so far: in scalar order its layer may take
 * it in only if no other has read them since, since all neurons of a layer add adjoints at once. */
static uint64_t uses_of_inputs(const Planner *p, const Neuron *neuron) {
    uint64_t uses = 0;
    for (uint32_t i = 0; i < neuron->k; i++) uses += p->uses[input_of(p->plan, neuron, i)];
    return uses;
}

/* Whether the neuron's initial value is there when the layer of an earlier one is computed. */
static int comes_later(const Planner *p, uint32_t first, const Neuron *neuron) {
    return !is_uniform(p->plan, neuron->initial) &&
           neuron->initial >= program_leaves(p->program) + first;
}

static void join_layer(Planner *p, uint32_t i) {
    Neuron neuron, head;
    if (!is_neuron(p, &p->program->ops[i], &neuron)) return;
    uint64_t key = neuron.k;
    for (uint32_t t = 0; t < neuron.k; t++)
        key = (key ^ input_of(p->plan, &neuron, t)) * 0x9e3779b97f4a7c15u;
    uint32_t at = (uint32_t)(key >> 32) & p->mask;
    for (; p->table[at]; at = (at + 1) & p->mask) {
        uint32_t first = p->table[at] - 1;
        is_neuron(p, &p->program->ops[first], &head);
        if (!same_inputs(p->plan, &head, &neuron) || comes_later(p, first, &neuron)) continue;
        if (p->uses) {
            if (uses_of_inputs(p, &neuron) != p->uses_expected[first]) break; /* its own layer */
            p->uses_expected[first] += neuron.k;
            p->next[i] = p->last[first];
        } else {
            p->next[p->last[first]] = i;
        }
        p->last[first] = i;
        p->layer_of[i] = 1 + first;
        return;
    }
    if (has_twice(p, &neuron, i + 1)) return;
    p->n_heads++;
    p->table[at] = 1 + i;
    p->layer_of[i] = 1 + i;
    p->last[i] = i;
    if (p->uses) p->uses_expected[i] = uses_of_inputs(p, &neuron) + neuron.k;
}

/* ---- steps ---- */

/* The row of an input of a layer; one that all samples share has a row of it, filled. */
static int input_row(Planner *p, uint32_t slot, uint32_t *row) {
    Plan *plan = p->plan;
    uint32_t broadcast;
    TRY(operand(p, slot, &broadcast));
    if (!(broadcast & BROADCAST)) {
        *row = broadcast;
        return TAPE_OK;
    }
    if (!p->filled_of[slot]) {
        TRY(grow((void **)&plan->filled, &plan->filled_capacity, plan->n_filled + 1,
            sizeof *plan->filled));
        p->begins[plan->n_rows] = 1;
        plan->filled[plan->n_filled++] = (FilledRow){plan->n_rows, 0, broadcast};
        p->filled_of[slot] = ++plan->n_rows;
    }
    *row = p->filled_of[slot] - 1;
    return TAPE_OK;
}

/* Lists the rows that the neurons of a layer begin with, or makes a block of broadcast inputs. */
static int emit_initial(Planner *p, BatchStep *step, uint32_t begin, uint32_t end) {
    Plan *plan = p->plan;
    const uint32_t *terms = p->program->terms, block = plan->n_broadcasts;
    step->biases = NO_SLOT;
    for (uint32_t i = begin;; i = p->next[i]) {
        const uint32_t slot = terms[p->program->ops[i].a];
        if (is_uniform(plan, slot)) TRY(broadcast_add(plan, slot));
        else TRY(list_add(plan, plan->row_of[slot]));
        if (i == end) break;
    }
    if (plan->n_broadcasts > block) step->biases = block_shared(p, block, 1);
    return TAPE_OK;
}

static int emit_layer(Planner *p, uint32_t first) {
    Plan *plan = p->plan;
    const uint32_t leaves = program_leaves(p->program);
    /* In scalar order the last neuron comes first, so that its adjoints are added first. */
    const uint32_t begin = p->uses ? p->last[first] : first, end = p->uses ? first : p->last[first];
    Neuron neuron;
    is_neuron(p, &p->program->ops[first], &neuron);
    BatchStep step = {
        .kind = BATCH_LAYER, .op = OP_DOT, .k = neuron.k, .list = plan->n_lists, .op_index = first};
    uint32_t row, i;
    for (uint32_t t = 0; t < neuron.k; t++) {
        TRY(input_row(p, input_of(plan, &neuron, t), &row));
        TRY(list_add(plan, row));
    }
    const uint32_t block = plan->n_broadcasts;
    for (i = begin;; i = p->next[i]) {
        is_neuron(p, &p->program->ops[i], &neuron);
        for (uint32_t j = 0; j < neuron.k; j++)
            TRY(broadcast_add(plan, weight_of(plan, &neuron, j)));
        if (i == end) break;
    }
    step.weights = block_shared(p, block, neuron.k);
    TRY(emit_initial(p, &step, begin, end));
    step.y = plan->n_rows;
    p->begins[step.y] = 1;
    for (i = begin;; i = p->next[i]) {
        plan->row_of[leaves + i] = plan->n_rows++;
        step.m++;
        if (i == end) break;
    }
    plan->n_layers++;
    return step_add(plan, step);
}

/* Gives a row to the result of each of n operations, one after another: the first of them. */
static uint32_t rows_place(Planner *p, const uint32_t *group, uint32_t n) {
    Plan *plan = p->plan;
    const uint32_t first = plan->n_rows;
    p->begins[first] = 1;
    for (uint32_t r = 0; r < n; r++)
        plan->row_of[program_leaves(p->program) + group[r]] = plan->n_rows++;
    return first;
}

/* Whether n * k entries of a list are broadcast inputs one after another. */
static int is_table(const uint32_t *list, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (list[i] != list[0] + i) return 0;
    return list[0] & BROADCAST;
}

/* Dots in no layer, of as many pairs each; or takes of the same index. Custom ones never run. */
static int emit_lists(Planner *p, const uint32_t *group, uint32_t n) {
    Plan *plan = p->plan;
    const TapeOp *head = &p->program->ops[group[0]];
    const uint32_t listed = (uint32_t)op_listed(head->op, head->b);
    BatchStep step = {.kind = head->op == OP_TAKE ? BATCH_TAKE : BATCH_DOT,
        .op = (uint16_t)head->op,
        .k = head->b,
        .m = n,
        .weights = NO_SLOT,
        .list = plan->n_lists,
        .op_index = group[0]};
    uint32_t item;
    if (step.kind == BATCH_TAKE) TRY(operand(p, p->program->terms[head->a], &step.a));
    for (uint32_t r = 0; r < n; r++) {
        const uint32_t *terms = p->program->terms + p->program->ops[group[r]].a;
        for (uint32_t t = step.kind == BATCH_TAKE; t < listed; t++) {
            TRY(operand(p, terms[t], &item));
            TRY(list_add(plan, item));
        }
    }
    const uint32_t *list = plan->lists + step.list;
    if (step.kind == BATCH_TAKE && is_table(list, (size_t)n * step.k))
        step.weights = list[0] & ~BROADCAST;
    step.y = rows_place(p, group, n);
    return step_add(plan, step);
}

/* How many results from x on have operands that go on as rows one after another, or as one
 * broadcast input for all. */
static uint32_t run_of(const Planner *p, const uint32_t *x, uint32_t n) {
    uint32_t m = 1;
    for (; m < n; m++)
        for (int side = 0; side < 2; side++) {
            const uint32_t first = x[side], next = x[2 * m + (uint32_t)side];
            if (next != (first & BROADCAST ? first : first + m)) return m;
            if (!(next & BROADCAST) && p->begins[next]) return m;
        }
    return m;
}

/* A map of n results, whose operands begin at x, and whose first row is y. */
static int map_add(Planner *p, const TapeOp *op, uint32_t op_index, const uint32_t *x, uint32_t n,
    uint32_t y, int is_run) {
    Plan *plan = p->plan;
    BatchStep step = {.kind = BATCH_MAP,
        .op = (uint16_t)op->op,
        .m = n,
        .y = y,
        .a = is_run ? x[0] : LISTED,
        .b = is_run ? x[1] : LISTED,
        .list = plan->n_lists,
        .op_index = op_index};
    for (uint32_t i = 0; !is_run && i < 2 * n; i++) TRY(list_add(plan, x[i]));
    return step_add(plan, step);
}

/* Operations of the table, of one kind: those whose operands run on are a map each, what lies
 * between them lists its operands. */
static int emit_maps(Planner *p, const uint32_t *group, uint32_t n) {
    const TapeOp *ops = p->program->ops, *head = &ops[group[0]];
    uint32_t *x = p->operands, listed = 0; /* the first one that is listed, and not yet a step */
    for (uint32_t r = 0; r < n; r++) {
        const TapeOp *op = &ops[group[r]];
        TRY(operand(p, op->a, &x[2 * r]));
        x[2 * r + 1] = x[2 * r];
        if (op_reads_b(op->op) && op->b != op->a) TRY(operand(p, op->b, &x[2 * r + 1]));
        if (op_is_add_or_mul(op->op) && x[2 * r] & BROADCAST) { /* either is as good */
            const uint32_t a = x[2 * r];
            x[2 * r] = x[2 * r + 1];
            x[2 * r + 1] = a;
        }
    }
    const uint32_t y = rows_place(p, group, n);
    for (uint32_t r = 0, m; r < n; r += m) {
        m = run_of(p, x + 2 * r, n - r);
        const int is_run = m == n || m >= RUN_LEAST, is_last = r + m == n;
        const uint32_t end = is_run ? r : r + m;
        if ((is_run || is_last) && listed < end)
            TRY(map_add(p, head, group[listed], x + 2 * listed, end - listed, y + listed, 0));
        if (!is_run) continue;
        TRY(map_add(p, head, group[r], x + 2 * r, m, y + r, 1));
        listed = r + m;
    }
    return TAPE_OK;
}

/* Whether a neuron has no other with it, and a dot of it needs no filled rows. */
static int is_alone(const Planner *p, uint32_t i) {
    Neuron neuron;
    if (p->layer_of[i] != 1 + i || p->last[i] != i) return 0;
    is_neuron(p, &p->program->ops[i], &neuron);
    return neuron.n_shared > 0;
}

static int is_placed(const Planner *p, uint32_t slot) {
    return p->plan->row_of[slot] != NOT_PLACED;
}

/* Whether an operation reads nothing that a step to come gives. */
static int is_ready(const Planner *p, uint32_t i) {
    const TapeOp *op = &p->program->ops[i];
    if (op_is_row(op->op))
        return is_placed(p, op->a) && (!op_reads_b(op->op) || is_placed(p, op->b));
    const uint32_t n = (uint32_t)op_listed(op->op, op->b);
    for (uint32_t t = 0; t < n; t++)
        if (!is_placed(p, p->program->terms[op->a + t])) return 0;
    return 1;
}

/* How many operations from a place on are of one kind, and may run side by side. */
static uint32_t group_of(const Planner *p, uint32_t at) {
    const Schedule *schedule = &p->schedule;
    const uint32_t *order = schedule->order;
    const TapeOp *head = &p->program->ops[order[at]];
    uint32_t most = JOIN_MOST, end = at + 1;
    if (!op_is_row(head->op)) most /= 1 + head->b;
    for (; end < schedule->n && end - at < most; end++)
        if (schedule->kind[order[end]] != schedule->kind[order[at]] || !is_ready(p, order[end]) ||
            p->program->ops[order[end]].op != head->op ||
            (!op_is_row(head->op) && p->program->ops[order[end]].b != head->b))
            break;
    return end - at;
}

static int emit_all(Planner *p) {
    const Program *program = p->program;
    const uint32_t *order = p->schedule.order;
    for (uint32_t at = 0, n; at < p->schedule.n; at += n) {
        const uint32_t i = order[at];
        const int is_row = op_is_row(program->ops[i].op);
        n = 1;
        if (p->layer_of[i] && !is_alone(p, i)) {
            TRY(emit_layer(p, i));
        } else {
            n = group_of(p, at);
            TRY(is_row ? emit_maps(p, order + at, n) : emit_lists(p, order + at, n));
        }
        if (poll_signals(p->poll, n * steps_of(&program->ops[i]))) return TAPE_STOPPED;
    }
    return TAPE_OK;
}

static int varies(const Plan *plan, const Program *program, const TapeOp *op) {
    if (op_is_row(op->op)) return plan->row_of[op->a] != NO_SLOT || plan->row_of[op->b] != NO_SLOT;
    const uint32_t n = (uint32_t)op_listed(op->op, op->b);
    for (uint32_t t = 0; t < n; t++)
        if (plan->row_of[program->terms[op->a + t]] != NO_SLOT) return 1;
    return 0;
}

static int planner_reserve(Planner *p) {
    Plan *plan = p->plan;
    const size_t n_ops = p->program->n_ops, slots = program_slots(p->program);
    size_t table = 16;
    while (table < 2 * n_ops) table *= 2;
    p->mask = (uint32_t)(table - 1);
    TRY_ROOM(plan->lanes, p->request->n_lanes);
    TRY_ROOM(plan->uniform, n_ops);
    TRY_ROOM(plan->uniform_live, n_ops);
    TRY_ROOM(plan->row_of, slots);
    TRY_ROOM(p->layer_of, n_ops);
    TRY_ROOM(p->next, n_ops);
    TRY_ROOM(p->last, n_ops);
    TRY_ROOM(p->table, table);
    TRY_ROOM(p->seen, slots);
    TRY_ROOM(p->filled_of, slots);
    TRY_ROOM(p->broadcast_of, slots);
    TRY_ROOM(p->schedule.order, n_ops);
    TRY_ROOM(p->schedule.kind, n_ops);
    TRY_ROOM(p->operands, 2 * JOIN_MOST);
    TRY_ROOM(p->begins, 2 * slots); /* a slot may have a row that is filled with it */
    if (!p->request->in_scalar_order) return TAPE_OK;
    TRY_ROOM(p->uses, slots);
    TRY_ROOM(p->uses_expected, n_ops);
    return TAPE_OK;
}

/* Gives rows to the leaves that differ from sample to sample, and tells what varies with them. */
static int split_program(Planner *p) {
    Plan *plan = p->plan;
    const Program *program = p->program;
    const uint32_t leaves = program_leaves(program);
    memset(plan->row_of, 0xff, program_slots(program) * sizeof *plan->row_of);
    plan->n_lanes = p->request->n_lanes;
    for (uint32_t i = 0; i < plan->n_lanes; i++)
        if ((plan->lanes[i] = p->request->lanes[i])) plan->row_of[i] = plan->n_rows++;
    for (uint32_t i = 0; i < program->n_ops; i++) {
        if (poll_signals(p->poll, steps_of(&program->ops[i]))) return TAPE_STOPPED;
        if (varies(plan, program, &program->ops[i])) {
            plan->row_of[leaves + i] = NOT_PLACED;
            continue;
        }
        plan->uniform[plan->n_uniform++] = i;
        if (p->request->live[leaves + i]) plan->uniform_live[plan->n_uniform_live++] = i;
    }
    return TAPE_OK;
}

static void count_uses(Planner *p, const TapeOp *op) {
    if (op_is_row(op->op)) {
        p->uses[op->a]++;
        if (op->b != op->a) p->uses[op->b]++;
        return;
    }
    const uint32_t n = (uint32_t)op_listed(op->op, op->b);
    for (uint32_t t = 0; t < n; t++) p->uses[p->program->terms[op->a + t]]++;
}

static int join_layers(Planner *p) {
    const Program *program = p->program;
    const uint32_t leaves = program_leaves(program);
    for (uint32_t i = 0; i < program->n_ops; i++) {
        if (poll_signals(p->poll, steps_of(&program->ops[i]))) return TAPE_STOPPED;
        if (program->ops[i].op == OP_DOT && p->plan->row_of[leaves + i] != NO_SLOT)
            join_layer(p, i);
        if (p->uses) count_uses(p, &program->ops[i]);
    }
    return TAPE_OK;
}

/* Samples that are worked on at a time: more share what a block costs, fewer fit a cache. Only
 * powers of two: rows a little closer than one, as of 248 samples, evict each other. */
static uint32_t block_of(const Plan *plan) {
    uint64_t of_block = (uint64_t)plan->n_steps * STEP_PS, best = UINT64_MAX;
    uint32_t block = LANES;
    for (uint32_t i = 0; i < plan->n_steps; i++) {
        const BatchStep *step = &plan->steps[i];
        if (step->n_tied) of_block += (uint64_t)step->m * step->k * WEIGHT_PS;
        if (step->kind == BATCH_MAP && step->a == LISTED) of_block += (uint64_t)step->m * CALL_PS;
        if (step->kind == BATCH_DOT) of_block += (uint64_t)step->m * step->k * CALL_PS;
    }
    for (uint32_t samples = LANES; samples <= BLOCK_MAX; samples *= 2) {
        const size_t bytes = sizeof(double) * (plan->n_rows + plan->n_adjoints) * samples;
        size_t level = 0;
        while (bytes > caches[level].bytes) level++;
        const uint64_t cost = of_block / samples + plan->n_rows * caches[level].row_ps;
        if (cost >= best) continue;
        best = cost;
        block = samples;
    }
    return block;
}

/* Whether the pairs of dots are rows, and all of them live. */
static unsigned live_pairs_of(const Plan *plan, const BatchStep *step) {
    unsigned live = PAIRS_OF_ROWS | LIVE_PAIRS;
    const uint32_t *item = plan->lists + step->list;
    for (uint32_t r = 0; r < step->m; r++, item += 1 + 2 * step->k)
        for (uint32_t t = 1; t <= 2 * step->k; t++) {
            if (item[t] & BROADCAST) return 0;
            if (!plan->live_rows[item[t]]) live &= ~(unsigned)LIVE_PAIRS;
        }
    return live;
}

static unsigned live_of(const Plan *plan, const BatchStep *step) {
    unsigned live = 0;
    for (uint32_t i = 0; i < step->m; i++) live |= LIVE_RESULT * plan->live_rows[step->y + i];
    if (step->op == OP_DOT && step->kind == BATCH_DOT) live |= live_pairs_of(plan, step);
    if (step->kind != BATCH_LAYER) return live;
    for (uint32_t i = 0; i < step->k; i++)
        live |= LIVE_INPUT * plan->live_rows[plan->lists[step->list + i]];
    for (uint32_t i = 0; i < step->m * step->k; i++)
        live |= LIVE_WEIGHT * plan->live_broadcasts[step->weights + i];
    for (uint32_t i = 0; i < step->m && step->biases != NO_SLOT; i++)
        live |= LIVE_BIAS * plan->live_broadcasts[step->biases + i];
    return live;
}

/* Tells what adjoints go through. */
static int mark_live(Planner *p) {
    Plan *plan = p->plan;
    const uint32_t slots = program_slots(p->program);
    TRY_ROOM(plan->live_rows, plan->n_rows);
    TRY_ROOM(plan->live_broadcasts, plan->n_broadcasts);
    for (uint32_t slot = 0; slot < slots; slot++)
        if (plan->row_of[slot] != NO_SLOT)
            plan->live_rows[plan->row_of[slot]] = p->request->live[slot];
    for (uint32_t i = 0; i < plan->n_filled; i++)
        plan->live_rows[plan->filled[i].row] =
            p->request->live[plan->broadcasts[plan->filled[i].broadcast & ~BROADCAST]];
    for (uint32_t i = 0; i < plan->n_broadcasts; i++)
        plan->live_broadcasts[i] = p->request->live[plan->broadcasts[i]];
    for (uint32_t i = 0; i < plan->n_steps; i++) {
        BatchStep *step = &plan->steps[i];
        if (poll_signals(p->poll, step->m * (1 + (int64_t)step->k))) return TAPE_STOPPED;
        step->live = (uint8_t)live_of(plan, step);
    }
    return TAPE_OK;
}

/* Lists the layers of the same weights one after another. Their weights' adjoints are computed with
 * the first of them, the last one in a reverse sweep. */
static int tie_layers(Planner *p) {
    Plan *plan = p->plan;
    uint32_t *end; /* per block of weights, by its first: behind its layers; 0 before it is known */
    uint32_t n = 0;
    TRY_ROOM(plan->tied, plan->n_layers);
    TRY_ROOM(end, plan->n_broadcasts);
    for (uint32_t i = 0; i < plan->n_steps; i++)
        if (plan->steps[i].kind == BATCH_LAYER) end[plan->steps[i].weights]++;
    for (uint32_t i = 0; i < plan->n_steps; i++) {
        BatchStep *step = &plan->steps[i];
        if (step->kind != BATCH_LAYER) continue;
        uint32_t *const at = &end[step->weights];
        if (!(*at & BROADCAST)) { /* the first of them */
            step->tied = n;
            step->n_tied = *at;
            n += *at;
            *at = BROADCAST | step->tied;
        }
        plan->tied[(*at)++ & ~BROADCAST] = (LayerUse){step->list, step->y, 0};
    }
    PyMem_RawFree(end);
    return TAPE_OK;
}

/* Room for the blocks of all layers: each has two. */
static int blocks_reserve(Planner *p) {
    size_t table = 16;
    while (table < 4 * (size_t)p->n_heads) table *= 2; /* never full */
    p->block_mask = (uint32_t)(table - 1);
    TRY_ROOM(p->blocks, 2 * (size_t)p->n_heads);
    TRY_ROOM(p->block_table, table);
    return TAPE_OK;
}

static int build(Planner *p) {
    TRY(planner_reserve(p));
    Schedule *schedule = &p->schedule;
    schedule->program = p->program;
    schedule->row_of = p->plan->row_of;
    schedule->layer_of = p->layer_of;
    schedule->next = p->next;
    schedule->last = p->last;
    schedule->by_level = !p->request->in_scalar_order;
    TRY(split_program(p));
    TRY(join_layers(p));
    TRY(blocks_reserve(p));
    TRY(schedule_build(&p->schedule, p->poll));
    TRY(emit_all(p));
    TRY(tie_layers(p));
    TRY(adjoints_place(p->plan, p->begins, p->poll));
    TRY(mark_live(p));
    p->plan->block = block_of(p->plan);
    return TAPE_OK;
}

int plan_build(const Program *program, const PlanRequest *request, Poll *poll, Plan *plan) {
    Planner p = {.plan = plan, .program = program, .request = request, .poll = poll};
    memset(plan, 0, sizeof *plan);
    plan->program = program;
    const int result = build(&p);
    if (result != TAPE_OK) plan_free(plan);
    PyMem_RawFree(p.layer_of);
    PyMem_RawFree(p.next);
    PyMem_RawFree(p.last);
    PyMem_RawFree(p.table);
    PyMem_RawFree(p.seen);
    PyMem_RawFree(p.filled_of);
    PyMem_RawFree(p.broadcast_of);
    PyMem_RawFree(p.blocks);
    PyMem_RawFree(p.block_table);
    PyMem_RawFree(p.uses);
    PyMem_RawFree(p.uses_expected);
    PyMem_RawFree(p.schedule.order);
    PyMem_RawFree(p.schedule.kind);
    PyMem_RawFree(p.operands);
    PyMem_RawFree(p.begins);
    return result;
}
