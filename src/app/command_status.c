#include "app/commands.h"
#include "app/output.h"
#include "app/secret.h"
#include "app/stores.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <string.h>

static dobby_code append_json(struct buffer *out, const char *url, const struct store_counts *counts,
                              const struct reason_counts *reasons, struct dobby_error *err)
{
    struct json_writer json;
    json_writer_init(&json, out, true);
    json_begin_object(&json);
    json_key(&json, "database");
    json_put_text(&json, url);
    json_key(&json, "total");
    json_put_integer(&json, (int64_t)counts->total);
    json_key(&json, "states");
    json_begin_object(&json);
    for (int state = RECORD_UNKNOWN + 1; state < RECORD_STATE_COUNT; state++) {
        json_key(&json, record_state_name((enum record_state)state));
        json_put_integer(&json, (int64_t)counts->by_state[state]);
    }
    json_end_object(&json);
    json_key(&json, "summaries");
    json_put_integer(&json, (int64_t)counts->summaries);
    json_key(&json, "tokens_in");
    json_put_integer(&json, (int64_t)counts->tokens_in);
    json_key(&json, "tokens_out");
    json_put_integer(&json, (int64_t)counts->tokens_out);
    json_key(&json, "reasons");
    json_begin_array(&json);
    for (size_t i = 0; i < reasons->count; i++) {
        json_begin_object(&json);
        json_key(&json, "state");
        json_put_text(&json, record_state_name(reasons->rows[i].state));
        json_key(&json, "reason");
        json_put_text(&json, reasons->rows[i].reason);
        json_key(&json, "count");
        json_put_integer(&json, (int64_t)reasons->rows[i].count);
        json_end_object(&json);
    }
    json_end_array(&json);
    json_end_object(&json);
    const dobby_code code = json_writer_end(&json, err);
    return code == DOBBY_OK ? buffer_append_byte(out, '\n', err) : code;
}

static dobby_code append_text(struct buffer *out, const char *url, const struct store_counts *counts,
                              const struct reason_counts *reasons, struct dobby_error *err)
{
    dobby_code code = buffer_append_string(out, "database     ", err);
    if (code == DOBBY_OK)
        code = utf8_append_display(out, url, strlen(url), err);
    if (code == DOBBY_OK)
        code = buffer_append_format(out, err, "\nrecords      %" PRIu64 "\n", counts->total);
    for (int state = RECORD_UNKNOWN + 1; code == DOBBY_OK && state < RECORD_STATE_COUNT; state++)
        code = buffer_append_format(out, err, "  %-9s  %" PRIu64 "\n",
                                    record_state_name((enum record_state)state), counts->by_state[state]);
    if (code == DOBBY_OK)
        code = buffer_append_format(
            out, err, "summaries    %" PRIu64 "\ntokens       %" PRIu64 " read, %" PRIu64 " written\n",
            counts->summaries, counts->tokens_in, counts->tokens_out);
    if (code == DOBBY_OK && reasons->count > 0)
        code = buffer_append_string(out, "reasons\n", err);
    for (size_t i = 0; code == DOBBY_OK && i < reasons->count; i++) {
        const struct reason_count *row = &reasons->rows[i];
        code = buffer_append_format(out, err, "  %8" PRIu64 "  %-9s  ", row->count,
                                    record_state_name(row->state));
        if (code == DOBBY_OK)
            code = utf8_append_display(out, row->reason, strlen(row->reason), err);
        if (code == DOBBY_OK)
            code = buffer_append_byte(out, '\n', err);
    }
    return code;
}

static dobby_code run(struct app *app, struct dobby_error *err)
{
    struct store *store = NULL;
    struct store_counts counts;
    struct reason_counts reasons = {0};
    struct buffer url = {0}, text = {0};
    dobby_code code = stores_open(&app->config, SQLITE_ACCESS_READ, &store, err);
    if (code == DOBBY_OK)
        code = store_count(store, &counts, err);
    if (code == DOBBY_OK)
        code = store_reasons(store, &reasons, err);
    if (code == DOBBY_OK)
        code = secret_append_masked(&url, config_text(&app->config, CONFIG_DB_URL), err);
    if (code == DOBBY_OK)
        code = options_switch(&app->options, "json") ? append_json(&text, url.bytes, &counts, &reasons, err)
                                                     : append_text(&text, url.bytes, &counts, &reasons, err);
    if (code == DOBBY_OK)
        code = output_print(&text, err);
    buffer_release(&text);
    buffer_release(&url);
    reason_counts_release(&reasons);
    store_close(store);
    return code;
}

static const struct option_spec option_specs[] = {OPTION_DB, OPTION_JSON};

const struct command command_status = {
    .name = "status",
    .arguments = "",
    .summary = "Count the records by state, and why some were not summarised",
    .options = OPTION_LIST(option_specs),
    .run = run,
};
