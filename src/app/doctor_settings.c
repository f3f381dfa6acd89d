#include "app/context.h"
#include "app/doctor.h"
#include "app/models.h"
#include "app/variables.h"

#include <string.h>

static const char group[] = "settings";

/* ---- the environment ----------------------------------------------------------------------------- */

static void name_variable(void *context, const char *name, const char *near)
{
    struct finding *finding = finding_add(context, group, "environment", FINDING_WARNING,
                                          "%s is set, but Dobby does not read it", name);
    finding_remedy(finding, near != NULL ? "did you mean %s?" : "unset it; the variables are in %s",
                   near != NULL ? near : "docs/configuration.md");
}

static void check_environment(struct findings *findings)
{
    if (variables_visit_unknown(name_variable, findings) == 0)
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
