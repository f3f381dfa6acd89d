#include "pipeline/result_check.h"

#include "os/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_space(char byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

bool text_is_blank(const char *bytes, size_t length)
{
    size_t i = 0;
    while (i < length && is_space(bytes[i]))
        i++;
    return i == length;
}

/* Trims white space in place. A generated NUL would end the text early: it becomes a space first. */
static void trim(char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (text[i] == '\0')
            text[i] = ' ';
    size_t start = 0;
    while (start < length && is_space(text[start]))
        start++;
    while (length > start && is_space(text[length - 1]))
        length--;
    memmove(text, text + start, length - start);
    text[length - start] = '\0';
}

/* A mean of probabilities may pass 1 by rounding. */
static double within_0_and_1(double value)
{
    return value > 1 ? 1 : value > 0 ? value : 0;
}

static dobby_code add_summary(struct engine_result *result, const struct job *job,
                              const struct provenance *provenance, struct outbox *outbox,
                              struct dobby_error *err)
{
    char id[UUID_TEXT_BYTES];
    if (result->text == NULL)
        return DOBBY_FAIL(err, DOBBY_INTERNAL, "the engine ended a request without a text");
    dobby_code code = uuid7_new(id, err);
    if (code != DOBBY_OK)
        return code;
    struct outbox_entry *entry = outbox_add(outbox, job->id, job->attempt, OUTCOME_COMPLETED);
    entry->text = result->text;
    result->text = NULL;
    trim(entry->text, result->text_length);
    entry->summary = (struct summary){
        .text = entry->text,
        .confidence = within_0_and_1(result->confidence),
        .model = provenance->info->model,
        .model_fingerprint = provenance->info->fingerprint,
        .precision = provenance->info->precision,
        .sampling = provenance->sampling,
        .template_id = provenance->template_id,
        .engine = provenance->engine,
        .tokens_in = result->tokens_in,
        .tokens_out = result->tokens_out,
        .inference_ms = (result->total_us + 500) / 1000,
    };
    memcpy(entry->summary.id, id, sizeof(id));
    memcpy(entry->summary.result_key, job->key, SHA256_BYTES);
    if (entry->text[0] == '\0') {
        entry->kind = OUTCOME_DEGRADED;
        snprintf(entry->reason, sizeof(entry->reason), "empty summary");
    } else if (result->finish == FINISH_LENGTH) {
        entry->kind = OUTCOME_DEGRADED;
        snprintf(entry->reason, sizeof(entry->reason), "cut off at %u tokens", (unsigned)result->tokens_out);
    }
    return DOBBY_OK;
}

dobby_code result_to_outbox(struct engine_result *result, const struct job *job,
                            const struct provenance *provenance, struct outbox *outbox,
                            struct dobby_error *err)
{
    switch (result->finish) {
    case FINISH_END_TOKEN:
    case FINISH_LENGTH:
        return add_summary(result, job, provenance, outbox, err);
    case FINISH_CANCELED:
        outbox_add(outbox, job->id, job->attempt, OUTCOME_RELEASED);
        return DOBBY_OK;
    case FINISH_ERROR: {
        outbox_add_reason(outbox, job->id, job->attempt, OUTCOME_FAILED, "%s: %s",
                          dobby_code_message(result->error.code), result->error.detail);
        outbox->entries[outbox->count - 1].error_id = dobby_code_id(result->error.code);
        return DOBBY_OK;
    }
    case FINISH_UNKNOWN:
        break;
    }
    return DOBBY_FAIL(err, DOBBY_INTERNAL, "the engine ended a request for no known reason");
}
