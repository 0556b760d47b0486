/* Thread pool: threads that stay from call to call and help whoever has work to share.
 *
 * Starting a thread takes 25 microseconds and finds cold caches, so helpers stay. One without work
 * watches for some for WATCH_MICROSECONDS, as a training loop brings it soon, and then sleeps. A
 * fork first sends the idle ones home: no process inherits threads that are not there. */
#if !defined(_WIN32)
#include <fenv.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>
#endif

#include "tape/tape.h"

#if defined(_WIN32)

int thread_pool_run(void (*work)(void *), void *shares, size_t size, int n, void (*poll)(void *)) {
    (void)size, (void)n, (void)poll;
    work(shares);
    return 1;
}

#else

enum {
    HELPERS_MOST = THREADS_MOST - 1,
    WATCH_MICROSECONDS = 100, /* sleeping and waking up takes 30 */
    READS = 64                /* of a number between those of the clock */
};

typedef struct Ticket { /* work on offer: lives with its caller, who waits for active == 0 */
    void (*work)(void *);
    char *shares;
    size_t size;
    int next, n;        /* shares handed out, and all */
    fenv_t arithmetic;  /* rounding and the like, as the caller has them */
    atomic_uint active; /* helpers that are at it; changed with the lock held */
    struct Ticket *after;
} Ticket;

enum state { AWAY, IDLE, BUSY, LEFT }; /* LEFT: ended, to be joined */

static struct {
    pthread_mutex_t lock; /* over all but `posted` */
    pthread_cond_t work, change;
    Ticket *tickets;
    pthread_t threads[HELPERS_MOST];
    enum state states[HELPERS_MOST];
    int leave;          /* forks that want idle helpers to end */
    unsigned forks;     /* between this process and the first */
    atomic_uint posted; /* what idle helpers watch */
} pool = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
};

#if defined(__APPLE__) /* has no other for conditions */
enum { WAITS_CLOCK = CLOCK_REALTIME };
#else
enum { WAITS_CLOCK = CLOCK_MONOTONIC };
#endif

static void make_conditions(void) {
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
#if !defined(__APPLE__)
    pthread_condattr_setclock(&attributes, WAITS_CLOCK);
#endif
    pthread_cond_init(&pool.work, &attributes);
    pthread_cond_init(&pool.change, &attributes);
    pthread_condattr_destroy(&attributes);
}

static int idle(void) {
    int n = 0;
    for (int i = 0; i < HELPERS_MOST; i++) n += pool.states[i] == IDLE;
    return n;
}

static int64_t microseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

/* Waits for a number to change, but not for long; false if it has not. */
static int watch(const atomic_uint *number, unsigned seen) {
    const int64_t end = microseconds() + WATCH_MICROSECONDS;
    do {
        for (int i = 0; i < READS; i++, relax())
            if (atomic_load_explicit(number, memory_order_acquire) != seen) return 1;
        sched_yield(); /* to whom it waits for, where processors are few */
    } while (microseconds() < end);
    return 0;
}

/* ---- a helper's life ---- */

static Ticket *ticket_open(void) {
    Ticket *ticket = pool.tickets;
    while (ticket && ticket->next == ticket->n) ticket = ticket->after;
    return ticket;
}

static void *helper_main(void *at) {
    enum state *state = at;
    int watched = 0;
    pthread_mutex_lock(&pool.lock);
    for (;;) {
        Ticket *ticket = ticket_open();
        if (ticket) {
            void *share = ticket->shares + ticket->size * (size_t)ticket->next++;
            *state = BUSY;
            if (pool.leave)
                pthread_cond_broadcast(&pool.change); /* a fork waits for no whole share */
            atomic_fetch_add(&ticket->active, 1);
            pthread_mutex_unlock(&pool.lock);
            fesetenv(&ticket->arithmetic);
            ticket->work(share);
            pthread_mutex_lock(&pool.lock);
            *state = IDLE;
            if (atomic_fetch_sub(&ticket->active, 1) == 1) pthread_cond_broadcast(&pool.change);
            watched = 0;
        } else if (pool.leave) {
            break;
        } else if (watched) {
            pthread_cond_wait(&pool.work, &pool.lock);
        } else {
            const unsigned seen = atomic_load(&pool.posted);
            pthread_mutex_unlock(&pool.lock);
            watched = !watch(&pool.posted, seen);
            pthread_mutex_lock(&pool.lock);
        }
    }
    *state = LEFT;
    pthread_cond_broadcast(&pool.change);
    pthread_mutex_unlock(&pool.lock);
    return NULL;
}

/* ---- forks ---- */

static void before_fork(void) {
    pthread_mutex_lock(&pool.lock);
    pool.leave++;
    atomic_fetch_add(&pool.posted, 1);
    pthread_cond_broadcast(&pool.work);
    while (idle()) pthread_cond_wait(&pool.change, &pool.lock);
    for (int i = 0; i < HELPERS_MOST; i++)
        if (pool.states[i] == LEFT) {
            pthread_join(pool.threads[i], NULL);
            pool.states[i] = AWAY;
        }
    pool.leave--;
}

static void after_fork_in_parent(void) { pthread_mutex_unlock(&pool.lock); }

static void after_fork_in_child(void) { /* what was busy is not here */
    pool.lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    make_conditions();
    pool.tickets = NULL;
    pool.leave = 0;
    pool.forks++;
    for (int i = 0; i < HELPERS_MOST; i++) pool.states[i] = AWAY;
}

static int is_ready;

static void get_ready(void) {
    make_conditions();
    is_ready = !pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

/* ---- callers ---- */

/* Have as many idle helpers as are wanted, if the system lets us. Signals stay with Python's
 * threads, but for those that a helper's own fault would raise. */
static void hire(int wanted) {
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
    sigset_t others, before;
    sigfillset(&others);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) sigdelset(&others, faults[i]);
    pthread_sigmask(SIG_SETMASK, &others, &before);
    wanted -= idle();
    for (int i = 0; i < HELPERS_MOST && wanted > 0; i++) {
        if (pool.states[i] != AWAY) continue;
        if (pthread_create(&pool.threads[i], NULL, helper_main, &pool.states[i])) break;
        pool.states[i] = IDLE;
        wanted--;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static struct timespec next_poll(void) {
    struct timespec at;
    clock_gettime(WAITS_CLOCK, &at);
    at.tv_nsec += POLL_MILLISECONDS * 1000000;
    at.tv_sec += at.tv_nsec / 1000000000;
    at.tv_nsec %= 1000000000;
    return at;
}

/* Waits for helpers with the lock held, which it gives up to poll. */
static void wait_for(Ticket *ticket, unsigned forks, void (*poll)(void *)) {
    struct timespec until = next_poll();
    while (forks == pool.forks && atomic_load(&ticket->active)) {
        if (!pthread_cond_timedwait(&pool.change, &pool.lock, &until)) continue;
        pthread_mutex_unlock(&pool.lock);
        poll(ticket->shares);
        pthread_mutex_lock(&pool.lock);
        until = next_poll();
    }
}

int thread_pool_run(void (*work)(void *), void *shares, size_t size, int n, void (*poll)(void *)) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    Ticket ticket = {.work = work, .shares = shares, .size = size, .next = 1, .n = n};
    int wanted = n - 1;
    pthread_once(&once, get_ready);
    if (!is_ready) {
        work(shares);
        return 1;
    }
    fegetenv(&ticket.arithmetic);
    pthread_mutex_lock(&pool.lock);
    const unsigned forks = pool.forks;
    for (const Ticket *other = pool.tickets; other; other = other->after)
        wanted += other->n - other->next;
    hire(wanted);
    ticket.after = pool.tickets;
    pool.tickets = &ticket;
    pthread_cond_broadcast(&pool.work);
    pthread_mutex_unlock(&pool.lock);
    atomic_fetch_add(&pool.posted, 1);

    work(shares);
    poll(shares);

    pthread_mutex_lock(&pool.lock);
    if (forks == pool.forks) { /* nobody begins from here on */
        Ticket **link = &pool.tickets;
        while (*link != &ticket) link = &(*link)->after;
        *link = ticket.after;
        pthread_mutex_unlock(&pool.lock);
        for (unsigned active; (active = atomic_load(&ticket.active)) != 0;)
            if (!watch(&ticket.active, active)) break;
        if (!atomic_load(&ticket.active)) return 1;
        pthread_mutex_lock(&pool.lock);
        wait_for(&ticket, forks, poll);
    }
    const int whole = forks == pool.forks; /* else a signal handler forked: this is the child */
    pthread_mutex_unlock(&pool.lock);
    return whole;
}

#endif
