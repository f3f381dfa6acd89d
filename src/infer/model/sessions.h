/* How many sequences to run at once: hill climbing on the tokens a second that were measured.
 *
 *   MEASURING -> PROBING     [a window of the present number is measured: try a neighbouring one]
 *   PROBING   -> PROBING     [it is better, or larger and as good: it is the present one; try on that way]
 *   PROBING   -> MEASURING   [it is not: back; then try the other direction]
 *   MEASURING -> RESTING     [no neighbour is better: leave it for a while]
 *   RESTING   -> MEASURING   [the while is over]
 *
 * Where the difference is small it is for more: they fill a pass with rows, and what they cost is memory that
 * a limit bounds. Were it for fewer, the chance in each window's rate would lead there, step by step. After a
 * change nothing is measured for a while: newly admitted prompts run at another speed than decoding. Only
 * windows count in which requests waited all the time. It changes no output, so it may depend on time.
 */
#ifndef INFER_MODEL_SESSIONS_H
#define INFER_MODEL_SESSIONS_H

#include <stdbool.h>
#include <stdint.h>

enum {
    SESSIONS_FIRST = 128, /* the best number nearly everywhere: passes are full of rows by then */
    SESSIONS_LEAST = 8    /* fewer never pay */
};

enum session_phase { SESSION_FIXED, SESSION_MEASURING, SESSION_PROBING, SESSION_RESTING };

struct session_tuner {
    uint32_t now; /* how many may run */
    uint32_t most;
    enum session_phase phase;
    uint32_t base;                 /* MEASURING, PROBING: the best so far, and its tokens a second */
    double base_rate;              /* 0: not measured yet */
    bool up;                       /* the direction tried */
    uint32_t failed;               /* directions that did not pay, one after the other */
    uint32_t rested;               /* windows */
    int64_t window_ns, settled_ns; /* the window's start, 0: none; not before settled_ns */
    uint64_t tokens;               /* in the window */
};

/* Not adaptive: always `most`. */
void session_tuner_init(struct session_tuner *tuner, uint32_t most, bool adaptive);
/* After each step: its tokens, how many ran, and whether others waited for nothing but a session. True when
 * tuner->now has changed. */
bool session_tuner_step(struct session_tuner *tuner, int64_t now_ns, uint32_t tokens, uint32_t running,
                        bool waiting);

#endif
