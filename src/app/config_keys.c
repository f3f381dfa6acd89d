#include "app/config.h"

#include "base/limits.h"

#include <stdio.h>
#include <string.h>

/* 2^53: the largest integer that TOML, JSON and a double all keep. */
#define INTEGER_MAX 9007199254740992.0

const struct config_key_spec config_keys[CONFIG_KEY_COUNT] = {
    [CONFIG_DB_URL] = {.name = "db.url",
                       .type = CONFIG_TEXT,
                       .default_text = "sqlite:dobby.db",
                       .environment = {"DOBBY_DB", "DATABASE_URL"},
                       .help = "the database: sqlite:PATH"},
    [CONFIG_MODEL_PATH] = {.name = "model.path",
                           .type = CONFIG_TEXT,
                           .default_text = "",
                           .environment = {"DOBBY_MODEL", "MODEL_PATH"},
                           .help = "a .gguf file or a Hugging Face directory; empty: the embedded model"},
    [CONFIG_ENGINE_KIND] = {.name = "engine.kind",
                            .type = CONFIG_CHOICE,
                            .default_text = "native",
                            .choices = {"native", "null"},
                            .environment = {"DOBBY_ENGINE_KIND"},
                            .help = "null: a fixed text for every record and no inference, to measure and "
                                    "test the rest"},
    [CONFIG_ENGINE_THREADS] = {.name = "engine.threads",
                               .type = CONFIG_INTEGER,
                               .default_text = "auto",
                               .maximum = LIMIT_THREADS,
                               .zero_is_auto = true,
                               .environment = {"DOBBY_ENGINE_THREADS"},
                               .help = "threads that compute; auto: one per processor"},
    [CONFIG_ENGINE_SESSIONS] = {.name = "engine.sessions",
                                .type = CONFIG_INTEGER,
                                .default_text = "auto",
                                .maximum = LIMIT_SESSIONS,
                                .zero_is_auto = true,
                                .environment = {"DOBBY_ENGINE_SESSIONS"},
                                .help = "records in the engine at once; auto: what measures best on this "
                                        "machine"},
    [CONFIG_ENGINE_CONTEXT_TOKENS] = {.name = "engine.context_tokens",
                                      .type = CONFIG_INTEGER,
                                      .default_text = "0",
                                      .maximum = LIMIT_CONTEXT_TOKENS,
                                      .environment = {"DOBBY_ENGINE_CONTEXT_TOKENS"},
                                      .help = "prompt and summary together; 0: the model's"},
    [CONFIG_ENGINE_KV_CACHE_MB] = {.name = "engine.kv_cache_mb",
                                   .type = CONFIG_INTEGER,
                                   .default_text = "0",
                                   .maximum = 1 << 20,
                                   .environment = {"DOBBY_ENGINE_KV_CACHE_MB"},
                                   .help = "limit of the KV cache in MiB; 0: chosen for the sessions"},
    [CONFIG_ENGINE_PRECISION] = {.name = "engine.precision",
                                 .type = CONFIG_CHOICE,
                                 .default_text = "auto",
                                 .choices = {"auto", "exact", "bf16", "int8", "int4"},
                                 .environment = {"DOBBY_ENGINE_PRECISION"},
                                 .help = "exact: weights as stored, all in F32; bf16 and int8: weights "
                                         "and arithmetic in these; int4: half of int8's memory, loses "
                                         "more; auto: the fastest here that is as good"},
    [CONFIG_ENGINE_NULL_DELAY_MS] = {.name = "engine.null_delay_ms",
                                     .type = CONFIG_INTEGER,
                                     .default_text = "0",
                                     .maximum = 3600000,
                                     .environment = {"DOBBY_ENGINE_NULL_DELAY_MS"},
                                     .help = "test aid: how long the null engine takes for each record"},
    [CONFIG_ENGINE_NULL_FAIL_MARKER] = {.name = "engine.null_fail_marker",
                                        .type = CONFIG_TEXT,
                                        .default_text = "",
                                        .environment = {"DOBBY_ENGINE_NULL_FAIL_MARKER"},
                                        .help = "test aid: the null engine fails on records that contain "
                                                "this; empty: on none"},
    [CONFIG_ENGINE_NULL_FAIL_KIND] = {.name = "engine.null_fail_kind",
                                      .type = CONFIG_CHOICE,
                                      .default_text = "final",
                                      .choices = {"final", "retryable", "refused"},
                                      .environment = {"DOBBY_ENGINE_NULL_FAIL_KIND"},
                                      .help = "test aid: whether that failure may be tried again; "
                                              "refused: final, and before inference"},
    /* The embedded model was trained on summaries of at most 48 tokens. */
    [CONFIG_RUN_MAX_TOKENS] = {.name = "run.max_tokens",
                               .type = CONFIG_INTEGER,
                               .default_text = "48",
                               .minimum = 1,
                               .maximum = LIMIT_GENERATED_TOKENS,
                               .environment = {"DOBBY_RUN_MAX_TOKENS"},
                               .help = "longest summary, in tokens"},
    [CONFIG_RUN_TEMPERATURE] = {.name = "run.temperature",
                                .type = CONFIG_NUMBER,
                                .default_text = "0",
                                .maximum = 5,
                                .environment = {"DOBBY_RUN_TEMPERATURE"},
                                .help = "0: always the most probable token"},
    [CONFIG_RUN_TOP_K] = {.name = "run.top_k",
                          .type = CONFIG_INTEGER,
                          .default_text = "0",
                          .maximum = LIMIT_VOCABULARY_TOKENS,
                          .environment = {"DOBBY_RUN_TOP_K"},
                          .help = "sample among this many tokens; 0: all"},
    [CONFIG_RUN_TOP_P] = {.name = "run.top_p",
                          .type = CONFIG_NUMBER,
                          .default_text = "1",
                          .minimum = 0.001,
                          .maximum = 1,
                          .environment = {"DOBBY_RUN_TOP_P"},
                          .help = "sample among the tokens that make up this probability"},
    [CONFIG_RUN_REPETITION_PENALTY] = {.name = "run.repetition_penalty",
                                       .type = CONFIG_NUMBER,
                                       .default_text = "1",
                                       .minimum = 0.5,
                                       .maximum = 5,
                                       .environment = {"DOBBY_RUN_REPETITION_PENALTY"},
                                       .help = "above 1: tokens already written become less likely"},
    [CONFIG_RUN_SEED] = {.name = "run.seed",
                         .type = CONFIG_INTEGER,
                         .default_text = "0",
                         .maximum = INTEGER_MAX,
                         .environment = {"DOBBY_RUN_SEED"},
                         .help = "of sampling; a record's own seed derives from it"},
    [CONFIG_RUN_LEASE_MS] = {.name = "run.lease_ms",
                             .type = CONFIG_INTEGER,
                             .default_text = "30000",
                             .minimum = 1000,
                             .maximum = 86400000,
                             .environment = {"DOBBY_RUN_LEASE_MS"},
                             .help = "how long a record stays with a run that gives no sign of life"},
    [CONFIG_RUN_MAX_ATTEMPTS] = {.name = "run.max_attempts",
                                 .type = CONFIG_INTEGER,
                                 .default_text = "3",
                                 .minimum = 1,
                                 .maximum = 1000,
                                 .environment = {"DOBBY_RUN_MAX_ATTEMPTS"},
                                 .help = "how often a record is tried whose failure may pass"},
    [CONFIG_RUN_RETRY_MS] = {.name = "run.retry_ms",
                             .type = CONFIG_INTEGER,
                             .default_text = "1000",
                             .minimum = 1,
                             .maximum = 3600000,
                             .environment = {"DOBBY_RUN_RETRY_MS"},
                             .help = "until the second try, at most; doubles with each further one"},
    [CONFIG_RUN_OUTAGE_MS] = {.name = "run.outage_ms",
                              .type = CONFIG_INTEGER,
                              .default_text = "300000",
                              .maximum = 86400000,
                              .environment = {"DOBBY_RUN_OUTAGE_MS"},
                              .help = "how long the database or the engine may fail before a run ends; 0: it "
                                      "ends at once"},
    [CONFIG_RUN_SESSIONS_MIN] = {.name = "run.sessions_min",
                                 .type = CONFIG_INTEGER,
                                 .default_text = "0",
                                 .maximum = LIMIT_SESSIONS,
                                 .environment = {"DOBBY_RUN_SESSIONS_MIN"},
                                 .help =
                                     "records in the engine at once, at least: their number is moved between "
                                     "this and sessions_max by what is measured; 0: 1 when sessions_max is "
                                     "given, else the engine's own choice"},
    [CONFIG_RUN_SESSIONS_MAX] = {.name = "run.sessions_max",
                                 .type = CONFIG_INTEGER,
                                 .default_text = "0",
                                 .maximum = LIMIT_SESSIONS,
                                 .environment = {"DOBBY_RUN_SESSIONS_MAX"},
                                 .help = "the same, at most; 0: as many as the engine has"},
    [CONFIG_RUN_STALE] = {.name = "run.stale",
                          .type = CONFIG_CHOICE,
                          .default_text = "keep",
                          .choices = {"keep", "redo"},
                          .environment = {"DOBBY_RUN_STALE"},
                          .help = "summaries made with another model, prompt or sampling: keep them, or redo "
                                  "them"},
    [CONFIG_RUN_CACHE_MB] = {.name = "run.cache_mb",
                             .type = CONFIG_INTEGER,
                             .default_text = "8",
                             .minimum = 1,
                             .maximum = 4096,
                             .environment = {"DOBBY_RUN_CACHE_MB"},
                             .help = "memory for results that equal prompts are answered with, in MiB"},
    [CONFIG_RUN_CACHE_TTL_S] = {.name = "run.cache_ttl_s",
                                .type = CONFIG_INTEGER,
                                .default_text = "3600",
                                .minimum = 1,
                                .maximum = 604800,
                                .environment = {"DOBBY_RUN_CACHE_TTL_S"},
                                .help = "how long a result stays there, in seconds"},
    [CONFIG_RUN_PROMPT_FILE] = {.name = "run.prompt_file",
                                .type = CONFIG_TEXT,
                                .default_text = "",
                                .environment = {"DOBBY_RUN_PROMPT_FILE"},
                                .help = "a prompt template; empty: the one that suits the model"},
    [CONFIG_INGEST_CHUNK_TOKENS] = {.name = "ingest.chunk_tokens",
                                    .type = CONFIG_INTEGER,
                                    .default_text = "600",
                                    .minimum = 16,
                                    .maximum = LIMIT_CONTEXT_TOKENS,
                                    .environment = {"DOBBY_INGEST_CHUNK_TOKENS"},
                                    .help = "longest chunk of a file, in tokens"},
    [CONFIG_STORE_BUSY_TIMEOUT_MS] = {.name = "store.busy_timeout_ms",
                                      .type = CONFIG_INTEGER,
                                      .default_text = "5000",
                                      .maximum = 3600000,
                                      .environment = {"DOBBY_STORE_BUSY_TIMEOUT_MS"},
                                      .help = "how long to wait for another process' lock"},
    [CONFIG_LOG_LEVEL] = {.name = "log.level",
                          .type = CONFIG_CHOICE,
                          .default_text = "warning",
                          .choices = {"debug", "info", "warning", "error"},
                          .environment = {"DOBBY_LOG_LEVEL"},
                          .help = "least severity that is logged"},
    [CONFIG_LOG_FORMAT] = {.name = "log.format",
                           .type = CONFIG_CHOICE,
                           .default_text = "auto",
                           .choices = {"auto", "text", "json"},
                           .environment = {"DOBBY_LOG_FORMAT"},
                           .help = "auto: text on a terminal, JSON lines elsewhere"},
};

enum config_key config_key_find(const char *name)
{
    for (int key = CONFIG_UNKNOWN + 1; key < CONFIG_KEY_COUNT; key++) {
        if (strcmp(config_keys[key].name, name) == 0)
            return (enum config_key)key;
    }
    return CONFIG_UNKNOWN;
}

void config_key_range(const struct config_key_spec *spec, char *out, size_t out_bytes)
{
    size_t used = 0;
    switch (spec->type) {
    case CONFIG_INTEGER:
        snprintf(out, out_bytes, "%san integer from %.0f to %.0f", spec->zero_is_auto ? "auto or " : "",
                 spec->zero_is_auto ? 1.0 : spec->minimum, spec->maximum);
        break;
    case CONFIG_NUMBER:
        snprintf(out, out_bytes, "a number from %g to %g", spec->minimum, spec->maximum);
        break;
    case CONFIG_CHOICE:
        for (size_t i = 0; i < CONFIG_CHOICES_MAX && spec->choices[i] != NULL && used < out_bytes; i++)
            used += (size_t)snprintf(out + used, out_bytes - used, "%s%s", i == 0 ? "one of: " : ", ",
                                     spec->choices[i]);
        break;
    case CONFIG_TEXT:
    case CONFIG_TYPE_UNKNOWN:
        snprintf(out, out_bytes, "text");
        break;
    }
}

const char *config_origin_name(enum config_origin origin)
{
    static const char *const names[] = {
        [CONFIG_FROM_UNKNOWN] = "unknown", [CONFIG_FROM_DEFAULT] = "default",
        [CONFIG_FROM_FILE] = "file",       [CONFIG_FROM_ENVIRONMENT] = "environment",
        [CONFIG_FROM_FLAG] = "flag",
    };
    return names[origin];
}
