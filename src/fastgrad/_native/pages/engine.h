/* The engine in a page: the tape core and the optimizers as WebAssembly, through plain functions.
 *
 * `make wasm` compiles engine.c with the tape's and the optimizers' sources, unchanged, to
 * fastgrad/pages/engine.wasm; fastgrad/pages/engine.js is what calls it. The module's one import is
 * what ends a program that cannot go on. Numbers go through its memory: page_allocate() makes room,
 * an address is a number, and whoever calls copies in and out. Nothing here checks addresses; what
 * is checked is a program, since it may come from a stranger's file. */
#ifndef FASTGRAD_PAGES_ENGINE_H
#define FASTGRAD_PAGES_ENGINE_H

#include <stddef.h>
#include <stdint.h>

void *page_allocate(size_t bytes); /* NULL: no memory */
void page_release(void *memory);

/* ---- the tables ---- */

/* Operations have opcodes below this. */
uint32_t page_operations(void);
/* Name in the table; NULL for what no program can hold. */
const char *page_operation(uint32_t op);
/* Operands of a row of the table; -1 for an operation that lists its operands. */
int page_operands(uint32_t op);
/* A row's value, without a reason where it has none, and its partials, into two numbers. b is the
 * second operand or the parameter. */
double page_value(uint32_t op, double a, double b);
void page_slopes(uint32_t op, double a, double b, double y, double *partials);

/* Optimizers have numbers below this. */
uint32_t page_rules(void);
const char *page_rule(uint32_t rule);
/* Hyper-parameter k of a rule, NULL behind the last; `kind`: 0 a number, 1 a flag, 2 a pair, which
 * is two numbers in a step's list. */
const char *page_hyper(uint32_t rule, uint32_t k, uint32_t *kind);

/* ---- a program, its numbers, its plan ---- */

typedef struct Page Page;

/* Copies a program: `ops` is a, b, opcode of each operation, as in tape.h. NULL: it is no program,
 * or there is no memory. */
Page *page_new(uint32_t n_inputs, uint32_t n_parameters, uint32_t n_constants, uint32_t n_ops,
    uint32_t n_terms, uint32_t n_outputs, const uint32_t *ops, const double *constants,
    const uint32_t *terms, const uint32_t *outputs);
void page_free(Page *page);

/* Values and adjoints of all slots: inputs, parameters, constants, results of operations. Inputs
 * and parameters are the caller's to set. */
double *page_values(Page *page);
double *page_adjoints(Page *page);

/* One sample, operation by operation; with `reverse` also back from the first output. 0, or a
 * tape_result. */
int page_sweep(Page *page, int reverse);

/* Plans batches in which the inputs that have a 1 in `lanes` differ from sample to sample. Adjoints
 * go to parameters, and to inputs if asked. */
int page_plan(Page *page, const uint8_t *lanes, int inputs);

/* Runs n samples. `columns`: n numbers for each input that has lanes, in their order; the others
 * and the parameters are as in the values. Each sample's first output has the adjoint `seed`.
 * `outputs`: n numbers for each output, or NULL; `gradients`: as columns, or NULL. With `reverse`
 * the adjoints of parameters are sums over the samples. The result as of page_sweep(). */
int page_batch(Page *page, const double *columns, uint32_t n, double seed, int reverse,
    double *outputs, double *gradients);
double page_total(const Page *page); /* sum of the first output over the samples of a batch */

/* ---- training ---- */

typedef struct Trainer Trainer;

/* An optimizer over a page's parameters, and, with n samples in columns as above, the loop of
 * fastgrad.fit: mini-batches in the order that `seed` gives. The columns are the caller's, and have
 * to stay. n = 0: one sample, the values' own. Hyper-parameters are read from `hyper`, the rule's
 * list, which stays the caller's too, at each step. NULL: no memory. */
Trainer *page_trainer(Page *page, uint32_t rule, const double *hyper, const double *columns,
    uint32_t n, uint32_t batch, uint32_t seed, int mean);
void page_trainer_free(Trainer *trainer);
/* One step: 1 if it was made, 0 if the loss or its gradient is not finite, which changes nothing;
 * below 0 a tape_result. */
int page_train(Trainer *trainer, double *loss);

#endif
