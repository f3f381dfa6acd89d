#include "app/context.h"
#include "app/doctor.h"
#include "app/models.h"
#include "app/suggest.h"
#include "base/limits.h"
#include "os/environment.h"

#include <stdio.h>
#include <string.h>

enum { VARIABLES_MAX = CONFIG_KEY_COUNT * CONFIG_ENVIRONMENT_MAX + 8, NAME_BYTES = 64 };

static const char group[] = "settings";

/* ---- the environment ----------------------------------------------------------------------------- */

static size_t known_variables(const char *names[VARIABLES_MAX])
{
    static const char *const others[] = {"DOBBY_CONFIG", "DOBBY_CPU"};
    size_t count = 0;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        names[count++] = others[i];
    for (int key = CONFIG_UNKNOWN + 1; key < CONFIG_KEY_COUNT; key++)
        for (size_t i = 0; i < CONFIG_ENVIRONMENT_MAX && config_keys[key].environment[i] != NULL; i++)
            names[count++] = config_keys[key].environment[i];
    return count;
}

static bool is_known(const char *name, const char *const names[], size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

/* A misspelt variable is silently without effect: somebody should say so. */
static void check_environment(struct findings *findings)
{
    enum { SHOWN_MAX = 5 };
    const char *names[VARIABLES_MAX];
    const size_t count = known_variables(names);
    size_t unknown = 0;
    const char *variable;
    for (size_t i = 0; (variable = environment_at(i)) != NULL; i++) {
        char name[NAME_BYTES];
        const size_t length = strcspn(variable, "=");
        if (strncmp(variable, "DOBBY_", 6) != 0 || length >= sizeof name)
            continue;
        memcpy(name, variable, length);
        name[length] = '\0';
        if (is_known(name, names, count) || unknown++ >= SHOWN_MAX)
            continue;
        const char *near = suggest_nearest(name, names, count);
        struct finding *finding = finding_add(findings, group, "environment", FINDING_WARNING,
                                              "%s is set, but Dobby does not read it", name);
        finding_remedy(finding, near != NULL ? "did you mean %s?" : "unset it; the variables are in %s",
                       near != NULL ? near : "docs/configuration.md");
    }
    if (unknown == 0)
        (void)finding_add(findings, group, "environment", FINDING_OK,
                          "every DOBBY_ variable is one that is read");
}

/* ---- values that do not go together -------------------------------------------------------------- */

static void check_chunks(const struct config *config, struct findings *findings)
{
    struct model_file *model = NULL;
    struct tokenizer *tokenizer = NULL;
    struct context_fit fit;
    struct dobby_error err = {0};
    dobby_code code = models_open_tokenizer(config, &model, &tokenizer, &err);
    if (code == DOBBY_OK)
        code = context_measure(config, model, tokenizer, &fit, &err);
    if (code != DOBBY_OK) {
        (void)finding_add(findings, group, "context", FINDING_NOTE, "not compared: %s", err.detail);
    } else if (context_check(&fit, &err) == DOBBY_OK) {
        (void)finding_add(findings, group, "context", FINDING_OK,
                          "chunks of %u tokens and summaries of %u at most", (unsigned)fit.chunk,
                          (unsigned)fit.answer);
    } else {
        struct finding *finding = finding_add_error(findings, group, "context", FINDING_WARNING, &err);
        finding_remedy(finding, "raise engine.context_tokens to %lld, or lower ingest.chunk_tokens to %u",
                       (long long)fit.chunk + fit.prompt + fit.answer, (unsigned)context_chunk_max(&fit));
    }
    tokenizer_free(tokenizer);
    model_file_close(model);
}

static void check_lease(const struct config *config, struct findings *findings)
{
    const int64_t lease_ms = config_integer(config, CONFIG_RUN_LEASE_MS);
    const int64_t busy_ms = config_integer(config, CONFIG_STORE_BUSY_TIMEOUT_MS);
    if (busy_ms * 2 <= lease_ms) {
        (void)finding_add(findings, group, "lease", FINDING_OK, "%lld ms", (long long)lease_ms);
        return;
    }
    struct finding *finding = finding_add(
        findings, group, "lease", FINDING_WARNING,
        "run.lease_ms = %lld may run out while the database is waited for (store.busy_timeout_ms = %lld)",
        (long long)lease_ms, (long long)busy_ms);
    finding_remedy(finding, "set run.lease_ms to %lld or more", (long long)busy_ms * 2);
}

static void check_test_aids(const struct config *config, struct findings *findings)
{
    if (strcmp(config_text(config, CONFIG_ENGINE_KIND), "null") != 0) {
        (void)finding_add(findings, group, "engine", FINDING_OK, "native");
        return;
    }
    struct finding *finding = finding_add(findings, group, "engine", FINDING_WARNING,
                                          "engine.kind = null: every summary is the same fixed text");
    finding_remedy(finding, "set engine.kind to native, unless this is a test");
}

void doctor_settings(const struct doctor_options *options, struct findings *findings)
{
    const char *file = options->config->file;
    (void)finding_add(findings, group, "file", FINDING_OK, "%.400s",
                      file != NULL ? file : "none: the environment and the defaults");
    check_environment(findings);
    check_test_aids(options->config, findings);
    check_chunks(options->config, findings);
    check_lease(options->config, findings);
}
