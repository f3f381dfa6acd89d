#include "infer/model/sessions.h"

enum { REST_WINDOWS = 30, DIRECTIONS = 2, STEP_LEAST = 4 };
static const int64_t settle_ns = 1000 * 1000000;
static const int64_t window_ns = 2000 * 1000000ll; /* sequences that began together make waves of seconds */
/* A larger number need only cost nothing. A smaller one must yield more than windows differ by chance. */
static const double more_wanted = 1.0, fewer_wanted = 1.05;

void session_tuner_init(struct session_tuner *tuner, uint32_t most, bool adaptive)
{
    *tuner = (struct session_tuner){.now = most, .most = most, .phase = SESSION_FIXED};
    if (!adaptive || most <= SESSIONS_LEAST)
        return;
    tuner->now = tuner->base = most < SESSIONS_FIRST ? most : SESSIONS_FIRST;
    tuner->phase = SESSION_MEASURING;
    tuner->up = true;
}

/* Half as many again or a third less, so that the way from 8 to 128 takes seven steps. */
static uint32_t neighbour(const struct session_tuner *tuner)
{
    if (tuner->up) {
        const uint32_t more = tuner->base / 2 < STEP_LEAST ? STEP_LEAST : tuner->base / 2;
        return tuner->base + more < tuner->most ? tuner->base + more : tuner->most;
    }
    const uint32_t less = tuner->base - tuner->base / 3;
    return less > SESSIONS_LEAST ? less : SESSIONS_LEAST;
}

static void set(struct session_tuner *tuner, uint32_t sessions, int64_t now_ns)
{
    if (sessions != tuner->now)
        tuner->settled_ns = now_ns + settle_ns;
    tuner->now = sessions;
}

/* Tries the present direction, else the other, else rests. */
static void probe(struct session_tuner *tuner, int64_t now_ns)
{
    for (; tuner->failed < DIRECTIONS; tuner->failed++, tuner->up = !tuner->up) {
        if (neighbour(tuner) == tuner->base)
            continue;
        tuner->phase = SESSION_PROBING;
        set(tuner, neighbour(tuner), now_ns);
        return;
    }
    tuner->phase = SESSION_RESTING;
    tuner->failed = tuner->rested = 0;
}

static void decide(struct session_tuner *tuner, double rate, int64_t now_ns)
{
    if (tuner->phase == SESSION_RESTING) {
        if (++tuner->rested == REST_WINDOWS)
            tuner->phase = SESSION_MEASURING;
        return;
    }
    if (tuner->phase == SESSION_MEASURING) {
        tuner->base_rate = rate;
        probe(tuner, now_ns);
        return;
    }
    if (rate >= tuner->base_rate * (tuner->up ? more_wanted : fewer_wanted)) {
        tuner->base = tuner->now;
        tuner->base_rate = rate;
        tuner->failed = 0;
        probe(tuner, now_ns);
        return;
    }
    tuner->failed++;
    tuner->up = !tuner->up;
    set(tuner, tuner->base, now_ns);
    tuner->phase = SESSION_MEASURING;
}

bool session_tuner_step(struct session_tuner *tuner, int64_t now_ns, uint32_t tokens, uint32_t running,
                        bool waiting)
{
    if (tuner->phase == SESSION_FIXED)
        return false;
    if (!waiting || running != tuner->now || now_ns < tuner->settled_ns) {
        tuner->window_ns = 0;
        return false;
    }
    if (tuner->window_ns == 0) {
        tuner->window_ns = now_ns;
        tuner->tokens = 0;
        return false;
    }
    tuner->tokens += tokens;
    const int64_t elapsed_ns = now_ns - tuner->window_ns;
    if (elapsed_ns < window_ns)
        return false;
    const double rate = (double)tuner->tokens * 1e9 / (double)elapsed_ns;
    const uint32_t before = tuner->now;
    tuner->window_ns = 0;
    decide(tuner, rate, now_ns);
    return tuner->now != before;
}
