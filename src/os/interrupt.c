#include "os/interrupt.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>

/* Lock-free, since a signal handler writes it. */
static atomic_uint interrupts;
_Static_assert(ATOMIC_INT_LOCK_FREE == 2, "a signal handler may only touch lock-free atomics");

static void count_interrupt(int signal_number)
{
    (void)signal_number;
    atomic_fetch_add_explicit(&interrupts, 1, memory_order_relaxed);
}

void interrupt_catch(void)
{
    struct sigaction action = {.sa_handler = count_interrupt, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    atomic_store_explicit(&interrupts, 0, memory_order_relaxed);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    /* A terminal that was closed; nohup has it ignored, and so it stays. */
    struct sigaction hangup;
    if (sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler != SIG_IGN)
        sigaction(SIGHUP, &action, NULL);
}

uint32_t interrupt_count(void)
{
    return atomic_load_explicit(&interrupts, memory_order_relaxed);
}

void interrupt_ignore_failed_writes(void)
{
    struct sigaction action = {.sa_handler = SIG_IGN};
    sigemptyset(&action.sa_mask);
    sigaction(SIGPIPE, &action, NULL);
    sigaction(SIGXFSZ, &action, NULL);
}
