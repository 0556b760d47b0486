#include <Python.h>

#include <string.h>

#include "pages/engine.h"
#include "tape/tape.h"
#include "train/rules.h"

#if defined(__wasi__)
#define EXPORT(name) __attribute__((export_name(#name)))
#else
#define EXPORT(name)
#endif

EXPORT(page_allocate) void *page_allocate(size_t bytes) { return PyMem_RawMalloc(bytes); }
EXPORT(page_release) void page_release(void *memory) { PyMem_RawFree(memory); }

/* ---- the tables ---- */

static int is_known(uint32_t op) {
    return op < OP_COUNT && op_on_tape((int)op) && !op_calls_python((int)op);
}

EXPORT(page_operations) uint32_t page_operations(void) { return OP_COUNT; }

EXPORT(page_operation) const char *page_operation(uint32_t op) {
    return is_known(op) ? op_name[op] : NULL;
}

EXPORT(page_operands) int page_operands(uint32_t op) {
    return op_is_row((int)op) ? 1 + op_is_binary((int)op) : -1;
}

EXPORT(page_value) double page_value(uint32_t op, double a, double b) {
#define VALUE(name, code, arity)                                                                   \
    if (op == code) return op_##name##_value(a, b);
    OP_EACH(VALUE)
    return NAN;
}

EXPORT(page_slopes) void page_slopes(uint32_t op, double a, double b, double y, double *partials) {
    partials[0] = partials[1] = 0.0;
    op_slopes((int)op, a, b, y, &partials[0], &partials[1]);
}

EXPORT(page_rules) uint32_t page_rules(void) { return (uint32_t)rules_count; }
EXPORT(page_rule) const char *page_rule(uint32_t rule) { return rules[rule].name; }

EXPORT(page_hyper) const char *page_hyper(uint32_t rule, uint32_t k, uint32_t *kind) {
    if (k >= (uint32_t)rules[rule].n_hyper) return NULL;
    *kind = (uint32_t)rules[rule].hyper[k].kind;
    return rules[rule].hyper[k].name;
}

/* ---- a program ---- */

struct Page {
    Program program;
    Plan plan;
    Workspace workspace;
    uint8_t *live; /* of slots, as in a PlanRequest */
    double *values, *adjoints;
    /* per input, but per output for the outputs */
    InputColumn *columns;
    double **outputs, **gradients;
    ptrdiff_t *output_strides, *gradient_strides;
    double total;
    int has_plan;
};

/* Rows read slots below their own, and a parameter is a constant. */
static int is_sound_row(const Program *p, const TapeOp *op, uint32_t slot) {
    const uint32_t leaves = program_leaves(p);
    if (op->a >= slot || op->b >= slot) return 0;
    if (op_has_parameter((int)op->op)) return op->b >= leaves - p->n_constants && op->b < leaves;
    return op_is_binary((int)op->op) || op->a == op->b;
}

/* Lists lie one behind the other. */
static int is_sound_list(const Program *p, const TapeOp *op, uint32_t slot, uint32_t at) {
    if (op->b < 1 || op->a != at || op_listed((int)op->op, op->b) > p->n_terms - at) return 0;
    for (uint32_t t = at; t < at + (uint32_t)op_listed((int)op->op, op->b); t++)
        if (p->terms[t] >= slot) return 0;
    return 1;
}

static int is_sound(const Program *p) {
    uint32_t terms = 0;
    for (uint32_t i = 0; i < p->n_ops; i++) {
        const TapeOp *op = &p->ops[i];
        const uint32_t slot = program_leaves(p) + i;
        if (!is_known(op->op)) return 0;
        if (op_is_row((int)op->op)) {
            if (!is_sound_row(p, op, slot)) return 0;
        } else {
            if (!is_sound_list(p, op, slot, terms)) return 0;
            terms += (uint32_t)op_listed((int)op->op, op->b);
        }
    }
    for (uint32_t i = 0; i < p->n_outputs; i++)
        if (p->outputs[i] >= program_slots(p)) return 0;
    return terms == p->n_terms && p->n_outputs > 0;
}

/* Room for n things at least, and what `from` has of them. */
static void *copied(const void *from, size_t n, size_t size) {
    void *made = PyMem_RawCalloc(n + 1, size);
    if (made && n) memcpy(made, from, n * size);
    return made;
}

static int page_fill(Page *page, const uint32_t *ops) {
    Program *p = &page->program;
    const size_t slots = program_slots(p);
    TRY_ROOM(p->ops, p->n_ops);
    for (uint32_t i = 0; i < p->n_ops; i++)
        p->ops[i] = (TapeOp){.a = ops[3 * i], .b = ops[3 * i + 1], .op = ops[3 * i + 2]};
    TRY_ROOM(p->sources, p->n_ops);
    TRY_ROOM(page->live, slots);
    TRY_ROOM(page->values, slots);
    TRY_ROOM(page->adjoints, slots);
    TRY_ROOM(page->columns, p->n_inputs);
    TRY_ROOM(page->gradients, p->n_inputs);
    TRY_ROOM(page->gradient_strides, p->n_inputs);
    TRY_ROOM(page->outputs, p->n_outputs);
    TRY_ROOM(page->output_strides, p->n_outputs);
    if (!p->constants || !p->terms || !p->outputs) return TAPE_NO_MEMORY;
    memcpy(page->values + p->n_inputs + p->n_parameters, p->constants, 8 * p->n_constants);
    for (uint32_t i = 0; i < p->n_inputs; i++) page->gradient_strides[i] = 1;
    for (uint32_t i = 0; i < p->n_outputs; i++) page->output_strides[i] = 1;
    return TAPE_OK;
}

EXPORT(page_new)
Page *page_new(uint32_t n_inputs, uint32_t n_parameters, uint32_t n_constants, uint32_t n_ops,
    uint32_t n_terms, uint32_t n_outputs, const uint32_t *ops, const double *constants,
    const uint32_t *terms, const uint32_t *outputs) {
    Page *page = PyMem_RawCalloc(1, sizeof *page);
    if (!page) return NULL;
    page->program = (Program){
        .n_inputs = n_inputs,
        .n_parameters = n_parameters,
        .n_constants = n_constants,
        .n_ops = n_ops,
        .n_outputs = n_outputs,
        .n_terms = n_terms,
        .constants = copied(constants, n_constants, sizeof *constants),
        .terms = copied(terms, n_terms, sizeof *terms),
        .outputs = copied(outputs, n_outputs, sizeof *outputs),
    };
    if (page_fill(page, ops) == TAPE_OK && is_sound(&page->program)) return page;
    page_free(page);
    return NULL;
}

static void page_forget_plan(Page *page) {
    if (page->has_plan) plan_free(&page->plan);
    page->has_plan = 0;
}

EXPORT(page_free) void page_free(Page *page) {
    void *const arrays[] = {page->live, page->values, page->adjoints, page->columns,
        page->gradients, page->gradient_strides, page->outputs, page->output_strides,
        page->workspace.memory};
    page_forget_plan(page);
    program_free(&page->program);
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) PyMem_RawFree(arrays[i]);
    PyMem_RawFree(page);
}

EXPORT(page_values) double *page_values(Page *page) { return page->values; }
EXPORT(page_adjoints) double *page_adjoints(Page *page) { return page->adjoints; }

EXPORT(page_sweep) int page_sweep(Page *page, int reverse) {
    const Program *p = &page->program;
    const Steps steps = {p, NULL, p->n_ops, -1};
    Poll poll = poll_begin(NULL);
    TRY(steps_forward(&steps, page->values, &poll));
    if (!reverse) return TAPE_OK;
    memset(page->adjoints, 0, program_slots(p) * sizeof *page->adjoints);
    page->adjoints[p->outputs[0]] = 1.0;
    return steps_reverse(&steps, page->values, page->adjoints, &poll);
}

/* ---- batches ---- */

/* Marks what a gradient is of, and what is computed from that. */
static void mark_live(Page *page, int inputs) {
    const Program *p = &page->program;
    uint8_t *live = page->live;
    for (uint32_t i = 0; i < program_leaves(p); i++)
        live[i] = i < p->n_inputs ? inputs != 0 : i < p->n_inputs + p->n_parameters;
    for (uint32_t i = 0; i < p->n_ops; i++) {
        const TapeOp *op = &p->ops[i];
        uint8_t any = 0;
        if (op_is_row((int)op->op)) any = live[op->a] | live[op->b];
        else
            for (uint32_t t = 0; t < (uint32_t)op_listed((int)op->op, op->b); t++)
                any |= live[p->terms[op->a + t]];
        live[program_leaves(p) + i] = any;
    }
}

EXPORT(page_plan) int page_plan(Page *page, const uint8_t *lanes, int inputs) {
    Poll poll = poll_begin(NULL);
    page_forget_plan(page);
    mark_live(page, inputs);
    const PlanRequest request = {
        .lanes = lanes, .n_lanes = page->program.n_inputs, .live = page->live};
    TRY(plan_build(&page->program, &request, &poll, &page->plan));
    page->has_plan = 1;
    return TAPE_OK;
}

/* Runs a batch whose columns are set: what all samples share, the samples, and back. */
static int batch_perform(Page *page, BatchRun *run) {
    const Plan *plan = &page->plan;
    Steps shared = {&page->program, plan->uniform, plan->n_uniform, -1};
    Poll poll = poll_begin(NULL);
    run->plan = plan;
    run->kernels = kernels_named(NULL);
    run->workspace = &page->workspace;
    run->inputs = page->columns;
    run->slots = page->values;
    run->threads = 1;
    run->poll = poll;
    TRY(steps_forward(&shared, page->values, &poll));
    if (run->slot_adjoints)
        memset(run->slot_adjoints, 0, program_slots(&page->program) * sizeof(double));
    TRY(batch_run(run));
    page->total = run->total;
    if (!run->slot_adjoints) return TAPE_OK;
    shared.which = plan->uniform_live;
    shared.n = plan->n_uniform_live;
    return steps_reverse(&shared, page->values, page->adjoints, &poll);
}

static void set_columns(Page *page, const double *columns, size_t n) {
    for (uint32_t i = 0; i < page->program.n_inputs; i++) {
        if (!page->plan.lanes[i]) continue;
        page->columns[i] = (InputColumn){columns, 1};
        columns += n;
    }
}

EXPORT(page_batch)
int page_batch(Page *page, const double *columns, uint32_t n, double seed, int reverse,
    double *outputs, double *gradients) {
    const Program *p = &page->program;
    BatchRun run = {.n = n, .seed = seed};
    set_columns(page, columns, n);
    for (uint32_t i = 0; i < p->n_outputs; i++)
        page->outputs[i] = outputs ? outputs + (size_t)i * n : NULL;
    for (uint32_t i = 0; i < p->n_inputs; i++) {
        page->gradients[i] = gradients && page->plan.lanes[i] ? gradients : NULL;
        if (page->gradients[i]) gradients += n;
    }
    run.outputs = page->outputs;
    run.output_strides = page->output_strides;
    run.slot_adjoints = reverse ? page->adjoints : NULL;
    run.input_grads = page->gradients;
    run.grad_strides = page->gradient_strides;
    return batch_perform(page, &run);
}

EXPORT(page_total) double page_total(const Page *page) { return page->total; }

/* ---- training ---- */

struct Trainer {
    Page *page;
    const Rule *rule;
    const double *hyper, *data; /* the caller's */
    double *state[RULE_STATES];
    unsigned live;
    double t;
    uint32_t n, batch, next; /* samples, those of a step, the next one's place in the order */
    uint32_t *order;
    double *gathered;
    uint64_t random;
    int mean;
};

/* As train/fit.pyx draws it: splitmix64 (Steele, Lea, Flood 2014). */
static uint64_t random_next(uint64_t *state) {
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

EXPORT(page_trainer)
Trainer *page_trainer(Page *page, uint32_t rule, const double *hyper, const double *columns,
    uint32_t n, uint32_t batch, uint32_t seed, int mean) {
    Trainer *t = PyMem_RawCalloc(1, sizeof *t);
    if (!t) return NULL;
    *t = (Trainer){.page = page, .rule = &rules[rule], .hyper = hyper, .data = columns, .n = n};
    t->batch = batch < n ? batch : n;
    t->random = seed;
    t->mean = mean;
    t->next = n;
    t->order = PyMem_RawCalloc(n + 1, sizeof *t->order);
    t->gathered = PyMem_RawCalloc((size_t)t->batch * page->program.n_inputs + 1, sizeof(double));
    int complete = t->order && t->gathered;
    for (int i = 0; i < RULE_STATES; i++) {
        t->state[i] = PyMem_RawCalloc(page->program.n_parameters + 1, sizeof(double));
        complete &= t->state[i] != NULL;
    }
    if (!complete) {
        page_trainer_free(t);
        return NULL;
    }
    for (uint32_t i = 0; i < n; i++) t->order[i] = i;
    return t;
}

EXPORT(page_trainer_free) void page_trainer_free(Trainer *t) {
    for (int i = 0; i < RULE_STATES; i++) PyMem_RawFree(t->state[i]);
    PyMem_RawFree(t->order);
    PyMem_RawFree(t->gathered);
    PyMem_RawFree(t);
}

/* Draws the order of an epoch (Fisher and Yates). */
static void shuffle(Trainer *t) {
    for (uint32_t i = t->n - 1; i > 0; i--) {
        const uint32_t j = (uint32_t)(random_next(&t->random) % (i + 1));
        const uint32_t kept = t->order[i];
        t->order[i] = t->order[j];
        t->order[j] = kept;
    }
    t->next = 0;
}

/* Gathers the next mini-batch; gives its size. */
static uint32_t draw(Trainer *t) {
    const double *column = t->data;
    double *to = t->gathered;
    if (t->next == t->n) shuffle(t);
    const uint32_t count = t->batch < t->n - t->next ? t->batch : t->n - t->next;
    for (uint32_t i = 0; i < t->page->program.n_inputs; i++) {
        if (!t->page->plan.lanes[i]) continue;
        for (uint32_t s = 0; s < count; s++) to[s] = column[t->order[t->next + s]];
        column += t->n;
        to += count;
    }
    t->next += count;
    return count;
}

static int loss_and_gradient(Trainer *t, double *loss) {
    Page *page = t->page;
    if (!t->n) {
        const int result = page_sweep(page, 1);
        *loss = page->values[page->program.outputs[0]];
        return result;
    }
    const double *columns = t->batch < t->n ? t->gathered : t->data;
    BatchRun run = {.n = t->batch < t->n ? draw(t) : t->n, .slot_adjoints = page->adjoints};
    set_columns(page, columns, run.n);
    run.seed = t->mean ? 1.0 / (double)run.n : 1.0;
    const int result = batch_perform(page, &run);
    *loss = page->total * run.seed;
    return result;
}

EXPORT(page_train) int page_train(Trainer *t, double *loss) {
    Page *page = t->page;
    const uint32_t n = page->program.n_parameters;
    double *data = page->values + page->program.n_inputs, initial[RULE_STATES];
    const double *grad = page->adjoints + page->program.n_inputs;
    TRY(loss_and_gradient(t, loss));
    if (!isfinite(*loss)) return 0;
    for (uint32_t i = 0; i < n; i++)
        if (!isfinite(grad[i])) return 0;
    const unsigned asked = t->rule->state(t->hyper, initial);
    for (int k = 0; k < RULE_STATES; k++)
        for (uint32_t i = 0; asked >> k & 1 && !(t->live >> k & 1) && i < n; i++)
            t->state[k][i] = initial[k];
    t->t += 1.0;
    t->rule->step((ptrdiff_t)n, data, grad, t->state, t->live, t->t, t->hyper);
    t->live |= asked;
    return 1;
}
