/* What dobby doctor finds, one finding a check. A check never fails: what goes wrong in it is its finding. */
#ifndef APP_DOCTOR_H
#define APP_DOCTOR_H

#include "app/config.h"

enum finding_state {
    FINDING_UNKNOWN,
    FINDING_OK,
    FINDING_NOTE,    /* worth knowing, nothing to do */
    FINDING_WARNING, /* it works, but not well, or not for long */
    FINDING_BROKEN   /* a run would fail */
};
const char *finding_state_name(enum finding_state state); /* "ok", "note", "warning", "broken" */

enum { FINDINGS_MAX = 64, FINDING_TEXT_BYTES = 512, FINDING_REMEDY_BYTES = 256 };

struct finding {
    const char *group, *name; /* static: "store", "integrity" */
    enum finding_state state;
    const char *error_id; /* static; NULL: it is no error of the table */
    char text[FINDING_TEXT_BYTES];
    char remedy[FINDING_REMEDY_BYTES]; /* "" where there is nothing to do */
};
struct findings {
    struct finding rows[FINDINGS_MAX];
    size_t count;
};

/* Adds a finding; more than FINDINGS_MAX are a bug. The text may be followed by finding_remedy. */
struct finding *finding_add(struct findings *findings, const char *group, const char *name,
                            enum finding_state state, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
void finding_remedy(struct finding *finding, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Adds what an error says, with its id and remedy. */
struct finding *finding_add_error(struct findings *findings, const char *group, const char *name,
                                  enum finding_state state, const struct dobby_error *error);
size_t finding_count(const struct findings *findings, enum finding_state state);
/* The finding of that group and name; NULL: there is none. */
const struct finding *finding_find(const struct findings *findings, const char *group, const char *name);

struct doctor_options {
    const struct config *config;
    bool quick; /* leaves out what reads whole files and what infers */
};
/* Processor, memory, threads, load. */
void doctor_machine(const struct doctor_options *options, struct findings *findings);
/* Values that do not go together, and variables of the environment that nobody reads. */
void doctor_settings(const struct doctor_options *options, struct findings *findings);
/* Found, readable, known, fits the memory, and answers. */
void doctor_model(const struct doctor_options *options, struct findings *findings);
/* The database, what is in it, and the disk it is on. */
void doctor_store(const struct doctor_options *options, struct findings *findings);

#endif
