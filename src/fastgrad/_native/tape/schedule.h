/* Schedule: in which order the operations of a batch run. */
#ifndef FASTGRAD_SCHEDULE_H
#define FASTGRAD_SCHEDULE_H

#include "tape/tape.h"

/* Layers run with their first members; whoever else is a member of one has no place of its own. */
typedef struct {
    const Program *program;
    const uint32_t *row_of;      /* per slot; NO_SLOT: the same for all samples */
    const uint32_t *layer_of;    /* per operation: 1 + first member of its layer, 0 none */
    const uint32_t *next, *last; /* per member, the next one; of a first member, the last one */
    int by_level;                /* if that brings more of a kind together, else as recorded */
    uint32_t *order, n;          /* operations that vary, first members of layers */
    uint32_t *kind;              /* per operation: those of one kind may be one step */
} Schedule;

/* Fills order, n and kind; these have room for all operations. */
int schedule_build(Schedule *schedule, Poll *poll);

#endif
