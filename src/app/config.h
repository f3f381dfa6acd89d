/* Configuration: typed keys with defaults and ranges, from (weakest first) the built-in defaults, a TOML
 * file, the environment and the command line.
 *
 * 1. The table in config_keys.c is the only place that knows a key: parsing, checking, `config show`, help
 *    and suggestions are made from it.
 * 2. Every value passes the same check, wherever it comes from; an error names that place. */
#ifndef APP_CONFIG_H
#define APP_CONFIG_H

#include "base/arena.h"

enum config_key {
    CONFIG_UNKNOWN,
    CONFIG_DB_URL,
    CONFIG_MODEL_PATH,
    CONFIG_ENGINE_KIND,
    CONFIG_ENGINE_THREADS,
    CONFIG_ENGINE_SESSIONS,
    CONFIG_ENGINE_CONTEXT_TOKENS,
    CONFIG_ENGINE_KV_CACHE_MB,
    CONFIG_ENGINE_PRECISION,
    CONFIG_ENGINE_NULL_DELAY_MS,
    CONFIG_ENGINE_NULL_FAIL_MARKER,
    CONFIG_ENGINE_NULL_FAIL_KIND,
    CONFIG_RUN_MAX_TOKENS,
    CONFIG_RUN_TEMPERATURE,
    CONFIG_RUN_TOP_K,
    CONFIG_RUN_TOP_P,
    CONFIG_RUN_REPETITION_PENALTY,
    CONFIG_RUN_SEED,
    CONFIG_RUN_LEASE_MS,
    CONFIG_RUN_MAX_ATTEMPTS,
    CONFIG_RUN_RETRY_MS,
    CONFIG_RUN_OUTAGE_MS,
    CONFIG_RUN_SESSIONS_MIN,
    CONFIG_RUN_SESSIONS_MAX,
    CONFIG_RUN_STALE,
    CONFIG_RUN_CACHE_MB,
    CONFIG_RUN_CACHE_TTL_S,
    CONFIG_RUN_PROMPT_FILE,
    CONFIG_INGEST_CHUNK_TOKENS,
    CONFIG_STORE_BUSY_TIMEOUT_MS,
    CONFIG_LOG_LEVEL,
    CONFIG_LOG_FORMAT,
    CONFIG_KEY_COUNT
};

enum config_type { CONFIG_TYPE_UNKNOWN, CONFIG_TEXT, CONFIG_INTEGER, CONFIG_NUMBER, CONFIG_CHOICE };
enum { CONFIG_CHOICES_MAX = 5, CONFIG_ENVIRONMENT_MAX = 2 };

struct config_key_spec {
    const char *name; /* "engine.threads" */
    enum config_type type;
    const char *default_text;
    double minimum, maximum; /* of INTEGER and NUMBER, inclusive; integers are exact up to 2^53 */
    bool zero_is_auto;       /* of INTEGER: 0 is written "auto", and read either way */
    const char *choices[CONFIG_CHOICES_MAX];
    const char *environment[CONFIG_ENVIRONMENT_MAX]; /* the first that is set and not empty counts */
    const char *help;
};
extern const struct config_key_spec config_keys[CONFIG_KEY_COUNT]; /* [CONFIG_UNKNOWN] is empty */
enum config_key config_key_find(const char *name);
/* "an integer from 0 to 256", "a number from 0 to 2", "one of: a, b", "text". */
void config_key_range(const struct config_key_spec *spec, char *out, size_t out_bytes);

enum config_origin {
    CONFIG_FROM_UNKNOWN,
    CONFIG_FROM_DEFAULT,
    CONFIG_FROM_FILE,
    CONFIG_FROM_ENVIRONMENT,
    CONFIG_FROM_FLAG
};
const char *config_origin_name(enum config_origin origin); /* "default", "file", ... */

struct config_source {
    enum config_origin origin;
    const char *name; /* the file, the variable, or the flag */
    uint32_t line, column;
};

struct config_value {
    const char *text; /* as written; for INTEGER and NUMBER too, but "auto" where that is what 0 means */
    int64_t integer;
    double number;
    struct config_source source;
};

struct config {
    struct config_value values[CONFIG_KEY_COUNT];
    const char *file; /* the file that was read; NULL: none */
    struct arena memory;
};

/* All defaults. A zeroed struct may be released. Fails: OUT_OF_MEMORY. */
DOBBY_NODISCARD dobby_code config_init(struct config *config, struct dobby_error *err);
void config_release(struct config *config);

/* Reads one value from text. A weaker source does not replace a stronger one. Fails: CONFIG_INVALID, USAGE
 * when the source is a flag, OUT_OF_MEMORY. */
DOBBY_NODISCARD dobby_code config_set(struct config *config, enum config_key key, const char *text,
                                      const struct config_source *source, struct dobby_error *err);
/* Parses a file's bytes; name is for errors. Fails: CONFIG_INVALID, OUT_OF_MEMORY. */
DOBBY_NODISCARD dobby_code config_parse(struct config *config, const char *name, const char *bytes,
                                        size_t length, struct dobby_error *err);
/* Reads the file and the environment. file: that of --config, or NULL: DOBBY_CONFIG, else ./dobby.toml, else
 * dobby/config.toml below XDG_CONFIG_HOME or ~/.config, where the last two need not exist. */
DOBBY_NODISCARD dobby_code config_load(struct config *config, const char *file, struct dobby_error *err);

const char *config_text(const struct config *config, enum config_key key);
int64_t config_integer(const struct config *config, enum config_key key);
double config_number(const struct config *config, enum config_key key);

#endif
