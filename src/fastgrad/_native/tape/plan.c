/* Plan: how a program runs when some of its leaves differ from sample to sample.
 * What is the same for all samples is computed by the scalar interpreter and enters as broadcast
 * inputs; dots of the same inputs become one layer, runs of the same operation one map. */
#include <Python.h>

#include <string.h>

#include "tape/tape.h"

enum { BLOCK_BYTES = 384 << 10, BLOCK_MAX = 256 }; /* values and adjoints of a block stay in L2 */

void plan_free(Plan *plan) {
    PyMem_RawFree(plan->lanes);
    PyMem_RawFree(plan->uniform);
    PyMem_RawFree(plan->uniform_live);
    PyMem_RawFree(plan->live_rows);
    PyMem_RawFree(plan->live_broadcasts);
    PyMem_RawFree(plan->steps);
    PyMem_RawFree(plan->lists);
    PyMem_RawFree(plan->broadcasts);
    PyMem_RawFree(plan->row_of);
    memset(plan, 0, sizeof *plan);
}

size_t plan_bytes(const Plan *p) {
    return p->n_lanes + p->n_rows + p->n_broadcasts + p->steps_capacity * sizeof(BatchStep) +
           ((size_t)p->n_uniform + p->n_uniform_live + p->lists_capacity + p->broadcasts_capacity +
               program_slots(p->program)) *
               sizeof(uint32_t);
}

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
    uint32_t *seen; /* per slot: the stamp of who has come by it */
    /* In scalar order alone: operations so far that read a slot; of a first member, how often its
     * inputs are read if nobody but the layer reads them from there on. */
    uint32_t *uses;
    uint64_t *uses_expected;
} Planner;

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

static int broadcast_add(Plan *plan, uint32_t slot, uint32_t *broadcast) {
    TRY(grow((void **)&plan->broadcasts, &plan->broadcasts_capacity, plan->n_broadcasts + 1,
        sizeof *plan->broadcasts));
    *broadcast = BROADCAST | plan->n_broadcasts;
    plan->broadcasts[plan->n_broadcasts++] = slot;
    return TAPE_OK;
}

/* A row if the slot varies from sample to sample, else a new broadcast input. */
static int operand(Plan *plan, uint32_t slot, uint32_t *out) {
    if (plan->row_of[slot] == NO_SLOT) return broadcast_add(plan, slot, out);
    *out = plan->row_of[slot];
    return TAPE_OK;
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

enum { VARIES = 0 }; /* provisional row of what varies */

static uint32_t other_of(const Plan *plan, const uint32_t *pair) { /* the operand that varies */
    return plan->row_of[pair[0]] == NO_SLOT ? pair[1] : pair[0];
}

static int is_neuron(const Plan *plan, const uint32_t *terms, uint32_t n) {
    if (plan->row_of[terms[0]] != NO_SLOT) return 0;
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t *pair = terms + 1 + 2 * i;
        if ((plan->row_of[pair[0]] == NO_SLOT) == (plan->row_of[pair[1]] == NO_SLOT)) return 0;
    }
    return 1;
}

static int same_inputs(const Plan *plan, const TapeOp *one, const TapeOp *two) {
    const uint32_t *s = plan->program->terms + one->a + 1, *t = plan->program->terms + two->a + 1;
    if (one->b != two->b) return 0;
    for (uint32_t i = 0; i < one->b; i++)
        if (other_of(plan, s + 2 * i) != other_of(plan, t + 2 * i)) return 0;
    return 1;
}

/* A layer's kernel adds into its inputs' adjoints side by side: each must be there once. */
static int has_twice(Planner *p, const TapeOp *op, uint32_t stamp) {
    const uint32_t *t = p->program->terms + op->a + 1;
    for (uint32_t i = 0; i < op->b; i++) {
        uint32_t x = other_of(p->plan, t + 2 * i);
        if (p->seen[x] == stamp) return 1;
        p->seen[x] = stamp;
    }
    return 0;
}

/* How many operations have read the inputs of a neuron so far: in scalar order its layer may take
 * it in only if no other has read them since, since all neurons of a layer add adjoints at once. */
static uint64_t uses_of_inputs(const Planner *p, const TapeOp *op) {
    const uint32_t *t = p->program->terms + op->a + 1;
    uint64_t uses = 0;
    for (uint32_t i = 0; i < op->b; i++) uses += p->uses[other_of(p->plan, t + 2 * i)];
    return uses;
}

static void join_layer(Planner *p, uint32_t i) {
    const TapeOp *op = &p->program->ops[i];
    uint64_t key = op->b;
    if (!is_neuron(p->plan, p->program->terms + op->a, op->b)) return;
    for (uint32_t t = 0; t < op->b; t++)
        key = (key ^ other_of(p->plan, p->program->terms + op->a + 1 + 2 * t)) *
              0x9e3779b97f4a7c15u;
    uint32_t at = (uint32_t)(key >> 32) & p->mask;
    for (; p->table[at]; at = (at + 1) & p->mask) {
        uint32_t first = p->table[at] - 1;
        if (!same_inputs(p->plan, &p->program->ops[first], op)) continue;
        if (p->uses) {
            if (uses_of_inputs(p, op) != p->uses_expected[first]) break; /* a layer of its own */
            p->uses_expected[first] += op->b;
            p->next[i] = p->last[first];
        } else {
            p->next[p->last[first]] = i;
        }
        p->last[first] = i;
        p->layer_of[i] = 1 + first;
        return;
    }
    if (has_twice(p, op, i + 1)) return;
    p->table[at] = 1 + i;
    p->layer_of[i] = 1 + i;
    p->last[i] = i;
    if (p->uses) p->uses_expected[i] = uses_of_inputs(p, op) + op->b;
}

/* ---- steps ---- */

static int emit_layer(Planner *p, uint32_t first) {
    Plan *plan = p->plan;
    const uint32_t leaves = program_leaves(p->program), *terms = p->program->terms;
    const TapeOp *head = &p->program->ops[first];
    /* In scalar order the last neuron comes first, so that its adjoints are added first. */
    const uint32_t begin = p->uses ? p->last[first] : first, end = p->uses ? first : p->last[first];
    BatchStep step = {.kind = BATCH_LAYER,
        .op = OP_DOT,
        .y = plan->n_rows,
        .k = head->b,
        .list = plan->n_lists,
        .broadcast = plan->n_broadcasts,
        .op_index = first};
    uint32_t broadcast, i;
    for (uint32_t t = 0; t < head->b; t++) {
        const uint32_t x = other_of(plan, terms + head->a + 1 + 2 * t);
        TRY(list_add(plan, plan->row_of[x]));
    }
    for (i = begin;; i = p->next[i]) {
        const uint32_t *t = terms + p->program->ops[i].a + 1;
        for (uint32_t j = 0; j < head->b; j++, t += 2)
            TRY(broadcast_add(plan, plan->row_of[t[0]] == NO_SLOT ? t[0] : t[1], &broadcast));
        if (i == end) break;
    }
    for (i = begin;; i = p->next[i]) {
        TRY(broadcast_add(plan, terms[p->program->ops[i].a], &broadcast));
        plan->row_of[leaves + i] = plan->n_rows++;
        step.m++;
        if (i == end) break;
    }
    plan->n_layers++;
    return step_add(plan, step);
}

static int emit_list(Planner *p, uint32_t i) { /* no layer; a custom one never runs */
    Plan *plan = p->plan;
    const TapeOp *op = &p->program->ops[i];
    const uint32_t *terms = p->program->terms + op->a;
    const int is_take = op->op == OP_TAKE;
    BatchStep step = {.kind = is_take ? BATCH_TAKE : BATCH_DOT,
        .op = (uint8_t)op->op,
        .k = op->b,
        .m = 1,
        .list = plan->n_lists,
        .op_index = i};
    uint32_t item;
    TRY(operand(plan, terms[0], &step.a));
    for (uint32_t t = 1; t < op_listed(op->op, op->b); t++) {
        TRY(operand(plan, terms[t], &item));
        TRY(list_add(plan, item));
    }
    step.y = plan->row_of[program_leaves(p->program) + i] = plan->n_rows++;
    return step_add(plan, step);
}

static int follows(uint32_t operand, uint32_t first, uint32_t m) { return operand == first + m; }

static int overlap(uint32_t a, uint32_t b, uint32_t m) {
    return !(a & BROADCAST) && a != b && a < b + m && b < a + m;
}

static int emit_map(Planner *p, uint32_t i) {
    Plan *plan = p->plan;
    const TapeOp *op = &p->program->ops[i];
    BatchStep step = {.kind = BATCH_MAP, .op = (uint8_t)op->op, .m = 1, .op_index = i};
    TRY(operand(plan, op->a, &step.a));
    step.b = step.a;
    if (op_reads_b(op->op) && op->b != op->a) TRY(operand(plan, op->b, &step.b));
    step.y = plan->row_of[program_leaves(p->program) + i] = plan->n_rows++;

    BatchStep *back = plan->n_steps ? &plan->steps[plan->n_steps - 1] : NULL;
    if (back && back->kind == BATCH_MAP && back->op == step.op &&
        follows(step.y, back->y, back->m) && (back->a == back->b) == (step.a == step.b) &&
        (follows(step.a, back->a, back->m) && follows(step.b, back->b, back->m)) &&
        (step.a & BROADCAST || step.a < back->y) && (step.b & BROADCAST || step.b < back->y) &&
        !overlap(back->a, back->b, back->m + 1)) {
        back->m++;
        return TAPE_OK;
    }
    return step_add(plan, step);
}

static int emit_all(Planner *p) {
    const Program *program = p->program;
    const uint32_t leaves = program_leaves(program);
    for (uint32_t i = 0; i < program->n_ops; i++) {
        if (poll_signals(p->poll, steps_of(&program->ops[i]))) return TAPE_STOPPED;
        if (p->plan->row_of[leaves + i] == NO_SLOT) continue;
        if (p->layer_of[i]) {
            if (p->layer_of[i] == 1 + i) TRY(emit_layer(p, i));
        } else if (op_is_row(program->ops[i].op)) {
            TRY(emit_map(p, i));
        } else {
            TRY(emit_list(p, i));
        }
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
            plan->row_of[leaves + i] = VARIES;
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

/* Samples that are worked on at a time. */
static uint32_t block_of(const Plan *plan) {
    const size_t bytes = 2 * sizeof(double) * (plan->n_rows + 1);
    const size_t block = BLOCK_BYTES / bytes / LANES * LANES;
    return (uint32_t)(block < LANES ? LANES : block > BLOCK_MAX ? BLOCK_MAX : block);
}

static unsigned live_of(const Plan *plan, const BatchStep *step) {
    unsigned live = 0;
    for (uint32_t i = 0; i < step->m; i++) live |= LIVE_RESULT * plan->live_rows[step->y + i];
    if (step->kind != BATCH_LAYER) return live;
    for (uint32_t i = 0; i < step->k; i++)
        live |= LIVE_INPUT * plan->live_rows[plan->lists[step->list + i]];
    for (uint32_t i = 0; i < step->m * (step->k + 1); i++)
        live |= LIVE_WEIGHT * plan->live_broadcasts[step->broadcast + i];
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
    for (uint32_t i = 0; i < plan->n_broadcasts; i++)
        plan->live_broadcasts[i] = p->request->live[plan->broadcasts[i]];
    for (uint32_t i = 0; i < plan->n_steps; i++) {
        BatchStep *step = &plan->steps[i];
        if (poll_signals(p->poll, step->m * (1 + (int64_t)step->k))) return TAPE_STOPPED;
        step->live = (uint8_t)live_of(plan, step);
    }
    return TAPE_OK;
}

static int build(Planner *p) {
    TRY(planner_reserve(p));
    TRY(split_program(p));
    TRY(join_layers(p));
    TRY(emit_all(p));
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
    PyMem_RawFree(p.uses);
    PyMem_RawFree(p.uses_expected);
    return result;
}
