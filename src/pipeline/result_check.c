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

dobby_code result_judge(struct engine_result *result, const struct job *job,
                        const struct prompt_template *prompt, enum quality_verdict *verdict,
                        char reason[QUALITY_REASON_BYTES], struct dobby_error *err)
{
    *verdict = QUALITY_UNKNOWN;
    reason[0] = '\0';
    if (result->text == NULL)
        return DOBBY_FAIL(err, DOBBY_INTERNAL, "the engine ended a request without a text");
    trim(result->text, result->text_length);
    result->text_length = strlen(result->text);
    struct quality_input input = {.summary = result->text,
                                  .summary_length = result->text_length,
                                  .finish = result->finish,
                                  .tokens_out = result->tokens_out,
                                  .content = job->content,
                                  .content_length = job->content_length,
                                  .path = job->path,
                                  .language = job->language};
    input.instructions = prompt_template_text(prompt, &input.instructions_length);
    *verdict = quality_check(&input, reason);
    return DOBBY_OK;
}

struct summary result_summary(const struct provenance *provenance, const char *engine,
                              const uint8_t key[SHA256_BYTES], const char id[UUID_TEXT_BYTES])
{
    struct summary summary = {.model = provenance->info->model,
                              .model_fingerprint = provenance->info->fingerprint,
                              .precision = provenance->info->precision,
                              .sampling = provenance->sampling,
                              .template_id = provenance->template_id,
                              .engine = engine};
    memcpy(summary.id, id, sizeof(summary.id));
    memcpy(summary.result_key, key, SHA256_BYTES);
    return summary;
}

dobby_code result_to_outbox(struct engine_result *result, const struct job *job,
                            const struct provenance *provenance, const char *engine, const char *reason,
                            struct outbox *outbox, struct dobby_error *err)
{
    char id[UUID_TEXT_BYTES];
    dobby_code code = uuid7_new(id, err);
    if (code != DOBBY_OK)
        return code;
    struct outbox_entry *entry = reason == NULL
                                     ? outbox_add(outbox, &job->lease, OUTCOME_COMPLETED)
                                     : outbox_add_reason(outbox, &job->lease, OUTCOME_DEGRADED, "%s", reason);
    entry->text = result->text;
    result->text = NULL;
    entry->summary = result_summary(provenance, engine, job->key, id);
    entry->summary.text = entry->text;
    entry->summary.confidence = within_0_and_1(result->confidence);
    entry->summary.tokens_in = result->tokens_in;
    entry->summary.tokens_out = result->tokens_out;
    entry->summary.inference_ms = (result->total_us + 500) / 1000;
    return DOBBY_OK;
}
