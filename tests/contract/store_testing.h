/* What the tests of stores share: short ways to put, claim and settle, and a store's whole state as text. */
#ifndef CONTRACT_STORE_TESTING_H
#define CONTRACT_STORE_TESTING_H

#include "base/limits.h"
#include "store/store_runs.h"
#include "store/store_versions.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The call succeeds, else the test fails with the error's text. */
#define ASSERT_OK(call)                                                                                      \
    do {                                                                                                     \
        struct dobby_error assert_error = {0};                                                               \
        struct dobby_error *err = &assert_error;                                                             \
        dobby_code assert_code = (call);                                                                     \
        if (assert_code != DOBBY_OK)                                                                         \
            fail_msg("%s: %s: %s", #call, dobby_code_name(assert_code), assert_error.detail);                \
    } while (0)
/* The call fails with this code, and says so in its error value too. */
#define ASSERT_FAILS(call, want)                                                                             \
    do {                                                                                                     \
        struct dobby_error assert_error = {0};                                                               \
        struct dobby_error *err = &assert_error;                                                             \
        dobby_code assert_code = (call);                                                                     \
        if (assert_code != (want))                                                                           \
            fail_msg("%s: %s, not %s: %s", #call, dobby_code_name(assert_code), dobby_code_name(want),       \
                     assert_error.detail);                                                                   \
        assert_int_equal(assert_error.code, (want));                                                         \
    } while (0)

static inline struct record_input make_input(const char *id, const char *path, const char *content)
{
    return (struct record_input){.id = id,
                                 .path = path,
                                 .language = "c",
                                 .first_line = 1,
                                 .last_line = 9,
                                 .content = content,
                                 .content_length = strlen(content)};
}

/* Puts the inputs as all that source holds below scope. */
static inline struct put_counts sync_source(struct store *store, const char *source,
                                            const struct record_input *inputs, size_t count,
                                            const char *scope, int64_t now_us)
{
    struct put_counts counts = {0};
    ASSERT_OK(store_sync_begin(store, source, now_us, err));
    ASSERT_OK(store_put(store, inputs, count, now_us, &counts, err));
    ASSERT_OK(store_sync_end(store, scope, &counts, err));
    return counts;
}

/* A summary whose every field follows from number. texts must outlive it. */
static inline struct summary make_summary(uint32_t number, const char *text)
{
    struct summary summary = {.text = text,
                              .confidence = 0.25 + number % 4 * 0.125,
                              .model = "nano",
                              .model_fingerprint = "f00d",
                              .precision = "q8_0",
                              .sampling = "greedy",
                              .template_id = number % 2 == 0 ? "nano@1" : "nano@2",
                              .engine = "0.1.0 avx2",
                              .tokens_in = 100 + number,
                              .tokens_out = 10 + number,
                              .inference_ms = 7};
    (void)snprintf(summary.id, sizeof summary.id, "%08" PRIx32 "-0000-7000-8000-000000000000", number);
    memset(summary.result_key, (int)(number % 251), sizeof summary.result_key);
    memcpy(summary.result_key, &number, sizeof number);
    return summary;
}

/* When a made OUTCOME_RETRY may be claimed again. */
enum { RETRY_US = 300 * 1000000 };

static inline struct outcome make_outcome(const char *id, uint32_t attempt, enum outcome_kind kind,
                                          const struct summary *summary)
{
    bool has_summary = kind == OUTCOME_COMPLETED || kind == OUTCOME_DEGRADED;
    bool has_error = kind == OUTCOME_FAILED || kind == OUTCOME_RETRY;
    return (struct outcome){
        .record_id = id,
        .attempt = attempt,
        .kind = kind,
        .summary = has_summary ? summary : NULL,
        .error_id = has_error ? "INFER-0005" : NULL,
        .reason = has_error || kind == OUTCOME_DEGRADED || kind == OUTCOME_SKIPPED ? "why" : NULL,
        .retry_unix_us = kind == OUTCOME_RETRY ? RETRY_US : 0,
    };
}

static inline dobby_code dump_row(void *context, const struct record_row *row, struct dobby_error *err)
{
    struct buffer *out = context;
    char hex[SHA256_HEX_BYTES];
    sha256_hex(row->content_sha256, hex);
    dobby_code code = buffer_append_format(
        out, err, "%s|%s|%s|%s|%u-%u@%u|%s|a%u t%u|%s|%s|%.16s %zu|%" PRId64 " %" PRId64, row->id,
        row->source, row->path, row->language, row->first_line, row->last_line, row->position,
        record_state_name(row->state), row->attempt, row->tries, row->error_id == NULL ? "-" : row->error_id,
        row->reason == NULL ? "-" : row->reason, hex, row->content_length, row->state_unix_us,
        row->retry_unix_us);
    if (code == DOBBY_OK && row->content != NULL) {
        code = buffer_append_string(out, "|", err);
        if (code == DOBBY_OK)
            code = buffer_append(out, row->content, row->content_length, err);
    }
    const struct summary *summary = row->summary;
    if (code == DOBBY_OK && summary != NULL) {
        sha256_hex(summary->result_key, hex);
        code = buffer_append_format(
            out, err, "|%s %s %s %.17g %s %s %s %s %s %s %u %u %" PRId64 " %" PRId64 " %s%s%s", summary->id,
            hex, summary->text, summary->confidence, summary->model, summary->model_fingerprint,
            summary->precision, summary->sampling, summary->template_id, summary->engine, summary->tokens_in,
            summary->tokens_out, summary->inference_ms, row->summary_unix_us,
            row->summary_current              ? "current"
            : row->summary_of_present_content ? "old"
                                              : "old, of old content",
            summary->reused ? " reused " : " ",
            summary->degraded_reason == NULL ? "-" : summary->degraded_reason);
    }
    return code == DOBBY_OK ? buffer_append_string(out, "\n", err) : code;
}

static inline dobby_code dump_run(void *context, const struct run_row *row, struct dobby_error *err)
{
    const struct run_counts *counts = &row->counts;
    return buffer_append_format(
        context, err,
        "run %s|%s|%s|%s %" PRId64 "|%" PRId64 " %" PRId64 " %" PRId64 "|%" PRIu64 " %" PRIu64 " %" PRIu64
        " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "|%s|%s|%s\n",
        row->id, row->owner, run_state_name(row->state), run_command_name(row->command), row->command_unix_us,
        row->started_unix_us, row->heartbeat_unix_us, row->ended_unix_us, counts->total, counts->completed,
        counts->degraded, counts->failed, counts->skipped, counts->stale, counts->retried, counts->reused,
        counts->tokens_in, counts->tokens_out, row->end_reason == NULL ? "-" : row->end_reason, row->settings,
        row->metrics);
}

static inline dobby_code dump_cut(void *context, const struct cut_row *row, struct dobby_error *err)
{
    return buffer_append_format(context, err, "cut %s|%s|%" PRIu64 " %" PRIu64 "\n", row->source, row->cut,
                                row->records, row->results);
}

static inline dobby_code dump_source(void *context, const struct source_row *row, struct dobby_error *err)
{
    return buffer_append_format(context, err, "source %s%s\n", row->name, row->empty ? " empty" : "");
}

/* What the filter lists, as text that the caller frees. */
static inline char *dump_filtered(struct store *store, const struct record_filter *filter)
{
    struct buffer out = {0};
    ASSERT_OK(store_list(store, filter, dump_row, &out, err));
    char *text = buffer_take(&out, NULL);
    assert_non_null(text);
    return text;
}

/* Everything that can be read of a store: rows, versions, sources, cuts, counts, reasons, owners, runs. The
 * caller frees it. */
static inline char *dump_store(struct store *store)
{
    struct buffer out = {0};
    struct store_counts counts;
    struct reason_counts reasons;
    struct owner_list owners;
    ASSERT_OK(store_list(store, &(struct record_filter){.with_content = true}, dump_row, &out, err));
    ASSERT_OK(store_list(store, &(struct record_filter){.with_versions = true}, dump_row, &out, err));
    ASSERT_OK(store_sources(store, dump_source, &out, err));
    ASSERT_OK(store_cuts(store, NULL, dump_cut, &out, err));
    ASSERT_OK(store_run_list(store, &(struct run_filter){0}, dump_run, &out, err));
    ASSERT_OK(store_count(store, &counts, err));
    for (enum record_state state = RECORD_PENDING; state < RECORD_STATE_COUNT; state++)
        ASSERT_OK(buffer_append_format(&out, err, "%s=%" PRIu64 " ", record_state_name(state),
                                       counts.by_state[state]));
    ASSERT_OK(buffer_append_format(&out, err,
                                   "total=%" PRIu64 " summaries=%" PRIu64 " tokens=%" PRIu64 "+%" PRIu64 "\n",
                                   counts.total, counts.summaries, counts.tokens_in, counts.tokens_out));
    ASSERT_OK(store_reasons(store, &reasons, err));
    for (size_t i = 0; i < reasons.count; i++)
        ASSERT_OK(buffer_append_format(&out, err, "%s %s %s %" PRIu64 "\n", reasons.rows[i].kind,
                                       reasons.rows[i].example, record_state_name(reasons.rows[i].state),
                                       reasons.rows[i].count));
    reason_counts_release(&reasons);
    ASSERT_OK(store_owners(store, &owners, err));
    for (size_t i = 0; i < owners.count; i++)
        ASSERT_OK(buffer_append_format(&out, err, "owner %s\n", owners.owners[i]));
    owner_list_release(&owners);
    char *text = buffer_take(&out, NULL);
    assert_non_null(text);
    return text;
}

#endif
