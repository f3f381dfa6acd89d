/* From what the engine answered to what the store is told. */
#ifndef PIPELINE_RESULT_CHECK_H
#define PIPELINE_RESULT_CHECK_H

#include "pipeline/jobs.h"
#include "pipeline/outbox.h"

/* What all summaries of a run share. Strings borrowed. */
struct provenance {
    const struct engine_info *info;
    const char *sampling, *template_id, *engine;
};

/* True when there is nothing to summarise in it. */
bool text_is_blank(const char *bytes, size_t length);

/* Adds the job's outcome: COMPLETED, DEGRADED (an empty or cut-off text), FAILED (with the error) or
 * RELEASED (canceled). Takes the result's text. Fails only where the summary cannot get an id; the outbox is
 * unchanged then. */
DOBBY_NODISCARD dobby_code result_to_outbox(struct engine_result *result, const struct job *job,
                                            const struct provenance *provenance, struct outbox *outbox,
                                            struct dobby_error *err);

#endif
