/* Custom: operations that are Python functions, and batches of programs that have some.
 * Such a batch runs sample by sample, on one thread: the functions take longer than all the rest.
 */
#include <Python.h>

#include <string.h>

#include "tape/tape.h"

enum { FEW = 8 }; /* operands that need no memory of their own */

/* Gives the operands, with room for as many partials behind them: `few` if that is enough. */
static double *operands_read(const Steps *s, const TapeOp *op, const double *v, double *few) {
    const uint32_t *t = s->program->terms + op->a + 1;
    double *x = op->b <= FEW ? few : PyMem_RawMalloc(2 * sizeof *x * op->b);
    for (uint32_t i = 0; x && i < op->b; i++) x[i] = v[t[i]];
    return x;
}

static uint32_t operation_number(const Steps *s, const TapeOp *op, const double *v) {
    return (uint32_t)v[s->program->terms[op->a]];
}

int custom_forward(const Steps *s, const TapeOp *op, const double *v, double *y) {
    const PythonCalls *python = &s->program->python;
    double few[2 * FEW], *x = operands_read(s, op, v, few);
    if (!x) return TAPE_NO_MEMORY;
    const int result = python->forward(
        python->tape, operation_number(s, op, v), op->b, x, s->sample, y);
    if (x != few) PyMem_RawFree(x);
    return result;
}

int custom_reverse(
    const Steps *s, const TapeOp *op, const double *v, double y, double *adj, double g) {
    const PythonCalls *python = &s->program->python;
    const uint32_t *t = s->program->terms + op->a + 1;
    if (g == 0.0) return TAPE_OK; /* it contributes nothing, whatever the partials */
    double few[2 * FEW], *x = operands_read(s, op, v, few);
    if (!x) return TAPE_NO_MEMORY;
    const int result = python->partials(
        python->tape, operation_number(s, op, v), op->b, x, y, s->sample, x + op->b);
    for (uint32_t i = 0; result == TAPE_OK && i < op->b; i++)
        adj[t[i]] += op_product(x[op->b + i], g);
    if (x != few) PyMem_RawFree(x);
    return result;
}

int custom_tangent(
    const Steps *s, const TapeOp *op, const double *v, double y, const double *tan, double *out) {
    const PythonCalls *python = &s->program->python;
    const uint32_t *t = s->program->terms + op->a + 1;
    int changes = 0;
    *out = 0.0;
    for (uint32_t i = 0; i < op->b; i++) changes |= tan[t[i]] != 0.0;
    if (!changes) return TAPE_OK;
    double few[2 * FEW], *x = operands_read(s, op, v, few);
    if (!x) return TAPE_NO_MEMORY;
    const int result = python->partials(
        python->tape, operation_number(s, op, v), op->b, x, y, s->sample, x + op->b);
    for (uint32_t i = 0; result == TAPE_OK && i < op->b; i++)
        *out += tangent_term(x[op->b + i], tan[t[i]]);
    if (x != few) PyMem_RawFree(x);
    return result;
}

/* ---- a batch ---- */

typedef struct {
    BatchRun *run;
    Steps forth,
        back; /* what differs from sample to sample, and what of that adjoints go through */
    double *values, *adjoints; /* of all slots; in forward mode adjoints are tangents */
    uint32_t *lists;
} Sequence;

static int is_shared(const Sequence *q, uint32_t slot) {
    return q->run->plan->row_of[slot] == NO_SLOT;
}

static int sequence_prepare(Sequence *q) {
    const BatchRun *run = q->run;
    const Plan *plan = run->plan;
    const Program *p = plan->program;
    const size_t slots = program_slots(p);
    TRY_ROOM(q->values, 2 * slots);
    TRY_ROOM(q->lists, 2 * (size_t)p->n_ops);
    q->adjoints = q->values + slots;
    memcpy(q->values, run->slots, slots * sizeof *q->values);
    if (run->tangents) memcpy(q->adjoints, run->slot_tangents, slots * sizeof *q->adjoints);
    q->forth = (Steps){p, q->lists, 0, 0};
    q->back = (Steps){p, q->lists + p->n_ops, 0, 0};
    for (uint32_t i = 0; i < p->n_ops; i++) {
        const uint32_t slot = program_leaves(p) + i;
        if (is_shared(q, slot)) continue;
        q->lists[q->forth.n++] = i;
        if (plan->live_rows[plan->row_of[slot]]) q->lists[p->n_ops + q->back.n++] = i;
    }
    return TAPE_OK;
}

static void load_lanes(const Sequence *q, const InputColumn *columns, double *slots, size_t s) {
    const Plan *plan = q->run->plan;
    for (uint32_t i = 0; i < plan->n_lanes; i++)
        if (plan->lanes[i] && columns[i].data)
            slots[i] = columns[i].data[(ptrdiff_t)s * columns[i].stride];
}

/* Values or tangents of the outputs. */
static void give_outputs(const Sequence *q, double *const *outputs, const ptrdiff_t *strides,
    const double *slots, size_t s) {
    const Program *p = q->run->plan->program;
    for (uint32_t o = 0; outputs && o < p->n_outputs; o++)
        if (outputs[o]) outputs[o][(ptrdiff_t)s * strides[o]] = slots[p->outputs[o]];
}

/* Gives the adjoints of a sample's own leaves, and adds those of what all samples share. */
static void give_adjoints(const Sequence *q, size_t s) {
    const BatchRun *run = q->run;
    const Plan *plan = run->plan;
    const uint32_t slots = program_slots(plan->program);
    for (uint32_t i = 0; run->input_grads && i < plan->n_lanes; i++)
        if (plan->lanes[i] && run->input_grads[i])
            run->input_grads[i][(ptrdiff_t)s * run->grad_strides[i]] = q->adjoints[i];
    for (uint32_t slot = 0; slot < slots; slot++)
        if (is_shared(q, slot)) run->slot_adjoints[slot] += q->adjoints[slot];
}

static int sample_run(Sequence *q, size_t s) {
    BatchRun *run = q->run;
    const Plan *plan = run->plan;
    const uint32_t out = plan->program->outputs[0];
    load_lanes(q, run->inputs, q->values, s);
    if (plan->program->n_drawn && !is_shared(q, program_arguments(plan->program)))
        TRY(program_draw(plan->program, &run->draws, s, q->values, &run->poll));
    q->forth.sample = q->back.sample = run->numbers ? (int64_t)run->numbers[s] : (int64_t)s;
    TRY(steps_forward(&q->forth, q->values, &run->poll));
    give_outputs(q, run->outputs, run->output_strides, q->values, s);
    run->total += q->values[out];
    if (run->tangents) {
        load_lanes(q, run->tangents, q->adjoints, s);
        TRY(steps_tangent(&q->forth, q->values, q->adjoints, &run->poll));
        give_outputs(q, run->output_tangents, run->output_tangent_strides, q->adjoints, s);
        return TAPE_OK;
    }
    if (!run->slot_adjoints) return TAPE_OK;
    memset(q->adjoints, 0, program_slots(plan->program) * sizeof *q->adjoints);
    q->adjoints[out] = run->seed;
    TRY(steps_reverse(&q->back, q->values, q->adjoints, &run->poll));
    give_adjoints(q, s);
    return TAPE_OK;
}

int sequence_run(BatchRun *run) {
    Sequence q = {.run = run};
    const int64_t work = 2 * (int64_t)program_slots(run->plan->program);
    int result = sequence_prepare(&q);
    run->total = 0.0;
    for (size_t s = 0; result == TAPE_OK && s < run->n; s++) {
        result = sample_run(&q, s);
        if (result == TAPE_OK && poll_signals(&run->poll, work)) result = TAPE_STOPPED;
    }
    PyMem_RawFree(q.values);
    PyMem_RawFree(q.lists);
    return result;
}
