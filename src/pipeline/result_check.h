/* From what the engine answered to what the store is told. */
#ifndef PIPELINE_RESULT_CHECK_H
#define PIPELINE_RESULT_CHECK_H

#include "pipeline/jobs.h"
#include "pipeline/outbox.h"
#include "pipeline/quality.h"

/* What all summaries of a run share. Strings borrowed. */
struct provenance {
    const struct engine_info *info;
    const char *sampling, *template_id, *engine;
};

/* True when there is nothing to summarise in it. */
bool text_is_blank(const char *bytes, size_t length);

/* Trims the text, and takes NULs out of it, in place. Then asks the quality gates; reason is for people.
 * Fails: INTERNAL (the engine ended the request without a text). */
DOBBY_NODISCARD dobby_code result_judge(struct engine_result *result, const struct job *job,
                                        const struct prompt_template *prompt, enum quality_verdict *verdict,
                                        char reason[QUALITY_REASON_BYTES], struct dobby_error *err);

/* What is known of a summary before its text: who made it, its key and its id. engine is the provenance's, or
 * another's; strings borrowed. */
struct summary result_summary(const struct provenance *provenance, const char *engine,
                              const uint8_t key[SHA256_BYTES], const char id[UUID_TEXT_BYTES]);

/* Adds the job's outcome: COMPLETED, or with a reason DEGRADED. engine as above.
 * Takes the result's text. Fails only where the summary cannot get an id; the outbox is unchanged then. */
DOBBY_NODISCARD dobby_code result_to_outbox(struct engine_result *result, const struct job *job,
                                            const struct provenance *provenance, const char *engine,
                                            const char *reason, struct outbox *outbox,
                                            struct dobby_error *err);

#endif
