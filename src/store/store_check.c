#include "store/store_check.h"

#include "base/limits.h"
#include "base/utf8.h"
#include "store/store_ops.h"

#include <math.h>
#include <string.h>

dobby_code store_check_free(const struct store *store, const char *call, struct dobby_error *err)
{
    if (store->visiting)
        return DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT, "%s was called from a visitor of the same handle",
                          call);
    return DOBBY_OK;
}

dobby_code store_check_text(const char *text, const char *what, size_t bytes_min, size_t bytes_max,
                            struct dobby_error *err)
{
    if (text == NULL)
        return DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT, "no %s", what);
    size_t length = strlen(text);
    if (length < bytes_min)
        return DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT, "an empty %s", what);
    if (length > bytes_max)
        return DOBBY_FAIL(err, DOBBY_LIMIT_EXCEEDED, "a %s of %zu bytes; the limit is %zu", what, length,
                          bytes_max);
    if (!utf8_is_valid(text, length))
        return DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT, "a %s that is not UTF-8", what);
    return DOBBY_OK;
}

dobby_code store_check_count(size_t count, const char *what, struct dobby_error *err)
{
    if (count > LIMIT_BATCH_RECORDS)
        return DOBBY_FAIL(err, DOBBY_LIMIT_EXCEEDED, "%zu %s; LIMIT_BATCH_RECORDS is %d", count, what,
                          LIMIT_BATCH_RECORDS);
    return DOBBY_OK;
}

dobby_code store_check_input(const struct record_input *input, struct dobby_error *err)
{
    dobby_code code = store_check_text(input->id, "record id", 1, LIMIT_RECORD_ID_BYTES, err);
    if (code == DOBBY_OK)
        code = store_check_text(input->path, "path", 0, LIMIT_RECORD_PATH_BYTES, err);
    if (code == DOBBY_OK)
        code = store_check_text(input->language, "language", 0, LIMIT_LABEL_BYTES, err);
    if (code == DOBBY_OK && input->skip_reason != NULL)
        code = store_check_text(input->skip_reason, "skip reason", 1, LIMIT_REASON_BYTES, err);
    if (code == DOBBY_OK && input->cut != NULL)
        code = store_check_text(input->cut, "cut", 1, LIMIT_LABEL_BYTES, err);
    if (code == DOBBY_OK && input->content == NULL && input->content_length != 0)
        code =
            DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT, "no content at a length of %zu", input->content_length);
    if (code == DOBBY_OK && input->content_length > LIMIT_CONTENT_BYTES)
        code = DOBBY_FAIL(err, DOBBY_LIMIT_EXCEEDED, "content of %zu bytes; LIMIT_CONTENT_BYTES is %zu",
                          input->content_length, LIMIT_CONTENT_BYTES);
    return code;
}

static dobby_code check_summary(const struct summary *summary, struct dobby_error *err)
{
    const struct {
        const char *what, *text;
        size_t bytes_min, bytes_max;
    } texts[] = {
        {"summary id", summary->id, 1, UUID_TEXT_BYTES - 1},
        {"summary", summary->text, 0, LIMIT_SUMMARY_BYTES},
        {"model", summary->model, 0, LIMIT_LABEL_BYTES},
        {"model fingerprint", summary->model_fingerprint, 0, LIMIT_LABEL_BYTES},
        {"precision", summary->precision, 0, LIMIT_LABEL_BYTES},
        {"sampling", summary->sampling, 0, LIMIT_LABEL_BYTES},
        {"template id", summary->template_id, 0, LIMIT_LABEL_BYTES},
        {"engine", summary->engine, 0, LIMIT_LABEL_BYTES},
    };
    if (memchr(summary->id, '\0', sizeof summary->id) == NULL)
        return DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT, "a summary id that does not end");
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        dobby_code code =
            store_check_text(texts[i].text, texts[i].what, texts[i].bytes_min, texts[i].bytes_max, err);
        if (code != DOBBY_OK)
            return code;
    }
    if (!isfinite(summary->confidence) || summary->confidence < 0 || summary->confidence > 1)
        return DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT, "a confidence of %g is not within 0..1",
                          summary->confidence);
    return DOBBY_OK;
}

dobby_code store_check_outcome(const struct outcome *outcome, struct dobby_error *err)
{
    static const struct {
        const char *name;
        bool summary, error_id, reason, retry;
    } kinds[] = {
        [OUTCOME_COMPLETED] = {"COMPLETED", .summary = true},
        [OUTCOME_DEGRADED] = {"DEGRADED", .summary = true, .reason = true},
        [OUTCOME_FAILED] = {"FAILED", .error_id = true, .reason = true},
        [OUTCOME_SKIPPED] = {"SKIPPED", .reason = true},
        [OUTCOME_RELEASED] = {"RELEASED", .summary = false},
        [OUTCOME_RETRY] = {"RETRY", .error_id = true, .reason = true, .retry = true},
    };
    dobby_code code = store_check_text(outcome->record_id, "record id", 1, LIMIT_RECORD_ID_BYTES, err);
    if (code != DOBBY_OK)
        return code;
    if (outcome->kind == OUTCOME_UNKNOWN || (unsigned)outcome->kind >= sizeof kinds / sizeof kinds[0])
        return DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT, "no outcome of kind %d", (int)outcome->kind);
    if ((outcome->summary != NULL) != kinds[outcome->kind].summary ||
        (outcome->error_id != NULL) != kinds[outcome->kind].error_id ||
        (outcome->reason != NULL) != kinds[outcome->kind].reason ||
        (outcome->retry_unix_us != 0) != kinds[outcome->kind].retry)
        return DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT,
                          "an outcome %s lacks a summary, error id, reason or time, or has one too many",
                          kinds[outcome->kind].name);
    if (outcome->summary != NULL)
        code = check_summary(outcome->summary, err);
    if (code == DOBBY_OK && outcome->error_id != NULL)
        code = store_check_text(outcome->error_id, "error id", 1, LIMIT_LABEL_BYTES, err);
    if (code == DOBBY_OK && outcome->reason != NULL)
        code = store_check_text(outcome->reason, "reason", 1, LIMIT_REASON_BYTES, err);
    return code;
}

dobby_code store_check_filter(const struct record_filter *filter, struct dobby_error *err)
{
    if ((unsigned)filter->state >= RECORD_STATE_COUNT)
        return DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT, "no record state %d", (int)filter->state);
    dobby_code code = DOBBY_OK;
    if (filter->path_glob != NULL)
        code = store_check_text(filter->path_glob, "path pattern", 0, LIMIT_RECORD_PATH_BYTES, err);
    if (code == DOBBY_OK && filter->id_prefix != NULL)
        code = store_check_text(filter->id_prefix, "id prefix", 0, LIMIT_RECORD_ID_BYTES, err);
    return code;
}

dobby_code store_check_provenance(const struct provenance_key *key, struct dobby_error *err)
{
    dobby_code code =
        store_check_text(key->model_fingerprint, "model fingerprint", 0, LIMIT_LABEL_BYTES, err);
    if (code == DOBBY_OK)
        code = store_check_text(key->precision, "precision", 0, LIMIT_LABEL_BYTES, err);
    if (code == DOBBY_OK)
        code = store_check_text(key->sampling, "sampling", 0, LIMIT_LABEL_BYTES, err);
    if (code == DOBBY_OK)
        code = store_check_text(key->template_id, "template id", 0, LIMIT_LABEL_BYTES, err);
    return code;
}

dobby_code store_check_run(const struct run_row *row, bool update, struct dobby_error *err)
{
    dobby_code code = store_check_text(row->id, "run id", 1, UUID_TEXT_BYTES - 1, err);
    if (code == DOBBY_OK && !update)
        code = store_check_text(row->owner, "owner", 1, LIMIT_OWNER_BYTES, err);
    if (code == DOBBY_OK && !update)
        code = store_check_text(row->settings, "run's settings", 1, LIMIT_RUN_JSON_BYTES, err);
    if (code == DOBBY_OK)
        code = store_check_text(row->metrics, "run's metrics", 1, LIMIT_RUN_JSON_BYTES, err);
    if (code == DOBBY_OK && row->end_reason != NULL)
        code = store_check_text(row->end_reason, "end reason", 1, LIMIT_REASON_BYTES, err);
    if (code != DOBBY_OK)
        return code;
    if (row->state == RUN_UNKNOWN || (unsigned)row->state >= RUN_STATE_COUNT || row->state == RUN_LOST)
        return DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT, "a run cannot say of itself that it is in state %d",
                          (int)row->state);
    if (!update && !run_state_is_active(row->state))
        return DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT, "a run cannot begin as %s",
                          run_state_name(row->state));
    if (run_state_is_active(row->state) != (row->ended_unix_us == 0))
        return DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT, "a run that is %s %s an end",
                          run_state_name(row->state), row->ended_unix_us == 0 ? "needs" : "cannot have");
    return DOBBY_OK;
}

dobby_code store_check_command(const char *id_prefix, const struct run_row *active,
                               const struct run_row *ended, enum run_command command, struct dobby_error *err)
{
    if (active == NULL && ended != NULL && id_prefix[0] != '\0')
        return DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT, "the run %s is %s; it takes no more commands",
                          ended->id, run_state_name(ended->state));
    if (active == NULL && id_prefix[0] == '\0')
        return DOBBY_FAIL(err, DOBBY_STORE_NOT_FOUND, "no run is active");
    if (active == NULL)
        return DOBBY_FAIL(err, DOBBY_STORE_NOT_FOUND, "no run's id is or begins with %s", id_prefix);
    if (active->command == RUN_COMMAND_CANCEL && command != RUN_COMMAND_CANCEL)
        return DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT, "the run %s is being canceled; it cannot %s",
                          active->id, run_command_name(command));
    return DOBBY_OK;
}

dobby_code store_fail_ambiguous_run(const char *id_prefix, struct dobby_error *err)
{
    if (id_prefix[0] == '\0')
        return DOBBY_FAIL(err, DOBBY_STORE_AMBIGUOUS_ID, "more than one run is active");
    return DOBBY_FAIL(err, DOBBY_STORE_AMBIGUOUS_ID, "more than one active run's id begins with %s",
                      id_prefix);
}
