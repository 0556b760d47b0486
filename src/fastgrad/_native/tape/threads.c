/* Threads: a pool of helper threads that stay from call to call and take shares of a caller's task.
 *
 * Starting a thread takes 25 microseconds and finds cold caches, so helpers stay. An idle one spins
 * for SPIN_MICROSECONDS, as a training loop brings the next task soon, and then sleeps. Before a
 * fork the idle ones end and are joined: a child inherits no threads. */
#if !defined(_WIN32) && !defined(__wasi__)
#include <fenv.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>
#endif

#include "tape/tape.h"

#if defined(_WIN32) || defined(__wasi__) /* no threads here */

int thread_pool_run(void (*work)(void *), void *shares, size_t size, int n, void (*poll)(void *)) {
    (void)size, (void)n, (void)poll;
    work(shares);
    return 1;
}

#else

enum {
    HELPERS_MAX = THREADS_MAX - 1,
    SPIN_MICROSECONDS = 100, /* sleeping and waking up takes 30 */
    SPINS = 64               /* reads of a number between those of the clock */
};

typedef struct Task { /* on its caller's stack; the caller waits for active == 0 */
    void (*work)(void *);
    char *shares;
    size_t size;
    int next, n;        /* shares handed out, and all */
    fenv_t arithmetic;  /* rounding and the like, as the caller has them */
    atomic_uint active; /* helpers that run a share; changed with the lock held */
    struct Task *next_task;
} Task;

enum state { ABSENT, IDLE, BUSY, ENDED }; /* ENDED: to be joined */

static struct {
    pthread_mutex_t lock; /* over all but `posted` */
    pthread_cond_t work, change;
    Task *tasks;
    pthread_t threads[HELPERS_MAX];
    enum state states[HELPERS_MAX];
    int forks_waiting;  /* forks that wait for idle helpers to end */
    unsigned forks;     /* generation: forks between the first process and this one */
    atomic_uint posted; /* counts tasks; idle helpers spin on it */
} pool = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
};

#if defined(__APPLE__) /* has no other for conditions */
enum { WAITS_CLOCK = CLOCK_REALTIME };
#else
enum { WAITS_CLOCK = CLOCK_MONOTONIC };
#endif

static void init_conditions(void) {
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
    for (int i = 0; i < HELPERS_MAX; i++) n += pool.states[i] == IDLE;
    return n;
}

static int64_t microseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void cpu_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

/* Spins for a moment until a number changes; false if it has not. */
static int spin_until_changed(const atomic_uint *number, unsigned seen) {
    const int64_t end = microseconds() + SPIN_MICROSECONDS;
    do {
        for (int i = 0; i < SPINS; i++, cpu_pause())
            if (atomic_load_explicit(number, memory_order_acquire) != seen) return 1;
        sched_yield(); /* to the thread that it waits for, where processors are few */
    } while (microseconds() < end);
    return 0;
}

/* ---- helper threads ---- */

static Task *open_task(void) {
    Task *task = pool.tasks;
    while (task && task->next == task->n) task = task->next_task;
    return task;
}

static void *helper_main(void *at) {
    enum state *state = at;
    int has_spun = 0;
    pthread_mutex_lock(&pool.lock);
    for (;;) {
        Task *task = open_task();
        if (task) {
            void *share = task->shares + task->size * (size_t)task->next++;
            *state = BUSY;
            if (pool.forks_waiting)
                pthread_cond_broadcast(&pool.change); /* a fork waits for no whole share */
            atomic_fetch_add(&task->active, 1);
            pthread_mutex_unlock(&pool.lock);
            fesetenv(&task->arithmetic);
            task->work(share);
            pthread_mutex_lock(&pool.lock);
            *state = IDLE;
            if (atomic_fetch_sub(&task->active, 1) == 1) pthread_cond_broadcast(&pool.change);
            has_spun = 0;
        } else if (pool.forks_waiting) {
            break;
        } else if (has_spun) {
            pthread_cond_wait(&pool.work, &pool.lock);
        } else {
            const unsigned seen = atomic_load(&pool.posted);
            pthread_mutex_unlock(&pool.lock);
            has_spun = !spin_until_changed(&pool.posted, seen);
            pthread_mutex_lock(&pool.lock);
        }
    }
    *state = ENDED;
    pthread_cond_broadcast(&pool.change);
    pthread_mutex_unlock(&pool.lock);
    return NULL;
}

/* ---- forks ---- */

static void before_fork(void) {
    pthread_mutex_lock(&pool.lock);
    pool.forks_waiting++;
    atomic_fetch_add(&pool.posted, 1);
    pthread_cond_broadcast(&pool.work);
    while (idle()) pthread_cond_wait(&pool.change, &pool.lock);
    for (int i = 0; i < HELPERS_MAX; i++)
        if (pool.states[i] == ENDED) {
            pthread_join(pool.threads[i], NULL);
            pool.states[i] = ABSENT;
        }
    pool.forks_waiting--;
}

static void after_fork_in_parent(void) { pthread_mutex_unlock(&pool.lock); }

static void after_fork_in_child(void) { /* busy helpers do not exist in the child */
    pool.lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    init_conditions();
    pool.tasks = NULL;
    pool.forks_waiting = 0;
    pool.forks++;
    for (int i = 0; i < HELPERS_MAX; i++) pool.states[i] = ABSENT;
}

static int pool_is_ready;

static void pool_init(void) {
    init_conditions();
    pool_is_ready = !pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

/* ---- callers ---- */

/* Starts threads until `wanted` helpers are idle, or the system starts no more. They block all
 * signals, which stay with Python's threads, except those that a fault of their own raises. */
static void start_helpers(int wanted) {
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
    sigset_t others, before;
    sigfillset(&others);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) sigdelset(&others, faults[i]);
    pthread_sigmask(SIG_SETMASK, &others, &before);
    wanted -= idle();
    for (int i = 0; i < HELPERS_MAX && wanted > 0; i++) {
        if (pool.states[i] != ABSENT) continue;
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

/* Waits for helpers with the lock held, which it releases to poll signals. */
static void wait_for(Task *task, unsigned forks, void (*poll)(void *)) {
    struct timespec until = next_poll();
    while (forks == pool.forks && atomic_load(&task->active)) {
        if (!pthread_cond_timedwait(&pool.change, &pool.lock, &until)) continue;
        pthread_mutex_unlock(&pool.lock);
        poll(task->shares);
        pthread_mutex_lock(&pool.lock);
        until = next_poll();
    }
}

int thread_pool_run(void (*work)(void *), void *shares, size_t size, int n, void (*poll)(void *)) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    Task task = {.work = work, .shares = shares, .size = size, .next = 1, .n = n};
    int wanted = n - 1;
    pthread_once(&once, pool_init);
    if (!pool_is_ready) {
        work(shares);
        return 1;
    }
    fegetenv(&task.arithmetic);
    pthread_mutex_lock(&pool.lock);
    const unsigned forks = pool.forks;
    for (const Task *other = pool.tasks; other; other = other->next_task)
        wanted += other->n - other->next;
    start_helpers(wanted);
    task.next_task = pool.tasks;
    pool.tasks = &task;
    pthread_cond_broadcast(&pool.work);
    pthread_mutex_unlock(&pool.lock);
    atomic_fetch_add(&pool.posted, 1);

    work(shares);
    poll(shares);

    pthread_mutex_lock(&pool.lock);
    if (forks == pool.forks) { /* no share begins from here on */
        Task **link = &pool.tasks;
        while (*link != &task) link = &(*link)->next_task;
        *link = task.next_task;
        pthread_mutex_unlock(&pool.lock);
        for (unsigned active; (active = atomic_load(&task.active)) != 0;)
            if (!spin_until_changed(&task.active, active)) break;
        if (!atomic_load(&task.active)) return 1;
        pthread_mutex_lock(&pool.lock);
        wait_for(&task, forks, poll);
    }
    const int whole = forks == pool.forks; /* else a signal handler forked: this is the child */
    pthread_mutex_unlock(&pool.lock);
    return whole;
}

#endif
