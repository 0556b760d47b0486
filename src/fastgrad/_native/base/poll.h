/* Poll signals: how a native loop lets signal handlers run, so that Ctrl-C stops it.
 *
 * A loop counts its work in steps of some nanoseconds: nodes, operands, results of samples. Every
 * POLL_INTERVAL of them it polls, which takes the GIL where the loop has given it up; so that
 * others who compute in Python hinder it little, it then polls only when some time has passed as
 * well. */
#ifndef FASTGRAD_POLL_H
#define FASTGRAD_POLL_H

#include <stdint.h>

#include "config.h"

enum {
    POLL_INTERVAL = 1 << 16, /* steps between polls: 0.1 to 10 milliseconds */
    POLL_MILLISECONDS = 20   /* between polls that take the GIL, for which they may wait 5 */
};

typedef struct Poll Poll;
struct Poll {
    int (*check)(Poll *); /* runs handlers; nonzero: one has raised. NULL: leaves them alone */
    int64_t left;         /* steps until the next poll */
    int64_t checked;      /* when the GIL was taken last, in milliseconds; 0: not yet */
};

/* A loop that holds what signal handlers may read and set: told before they run, and afterwards.
 * Both functions are called with the GIL. Those of one thread, the main one, lie on each other. */
typedef struct PollHook PollHook;
struct PollHook {
    int (*before)(void *context); /* nonzero: it has failed, and a Python error is set */
    void (*after)(void *context);
    void *context;
    PollHook *outer;
};

static inline Poll poll_begin(int (*check)(Poll *)) {
    const Poll poll = {check, POLL_INTERVAL, 0};
    return poll;
}

/* Counts steps; true if it is time to poll. */
static inline int poll_is_due(Poll *poll, int64_t steps) {
    poll->left -= steps;
    if (FASTGRAD_LIKELY(poll->left > 0)) return 0;
    poll->left = POLL_INTERVAL;
    return 1;
}

static inline int poll_now(Poll *poll) { return poll->check ? poll->check(poll) : 0; }

/* Counts steps, and polls when it is time; nonzero: stop, for a Python error is set. */
static inline int poll_signals(Poll *poll, int64_t steps) {
    return poll_is_due(poll, steps) ? poll_now(poll) : 0;
}

#endif
