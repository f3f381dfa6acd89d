#include "app/cuts.h"

#include "app/models.h"
#include "base/utf8.h"
#include "ingest/cut.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void cuts_release(struct cuts *cuts)
{
    for (size_t i = 0; i < cuts->count; i++) {
        free(cuts->rows[i].source);
        free(cuts->rows[i].difference);
    }
    free(cuts->rows);
    *cuts = (struct cuts){0};
}

struct reading {
    struct cuts *cuts;
    char now[INGEST_CUT_BYTES];
};

static dobby_code add(void *context, const struct cut_row *row, struct dobby_error *err)
{
    struct reading *reading = context;
    struct cuts *cuts = reading->cuts;
    struct buffer difference = {0};
    struct cuts_row *rows = realloc(cuts->rows, (cuts->count + 1) * sizeof *rows);
    if (rows == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "the cuts of %zu sources", cuts->count);
    cuts->rows = rows;
    dobby_code code = ingest_cut_difference(row->cut, reading->now, &difference, err);
    if (code != DOBBY_OK) {
        buffer_release(&difference);
        return code;
    }
    struct cuts_row *added = &rows[cuts->count++];
    *added = (struct cuts_row){.source = strdup(row->source),
                               .difference = buffer_take(&difference, NULL),
                               .records = row->records,
                               .results = row->results,
                               .known = row->cut[0] != '\0'};
    if (added->known)
        cuts->results += row->results;
    return added->source != NULL && added->difference != NULL
               ? DOBBY_OK
               : DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "the cut of %s", row->source);
}

dobby_code cuts_read(const struct config *config, struct store *store, struct cuts *out,
                     struct dobby_error *err)
{
    struct model_file *model = NULL;
    struct tokenizer *tokenizer = NULL;
    struct reading reading = {.cuts = out};
    *out = (struct cuts){0};
    dobby_code code = models_open_tokenizer(config, &model, &tokenizer, NULL);
    if (code != DOBBY_OK)
        return code == DOBBY_OUT_OF_MEMORY ? DOBBY_FAIL(err, code, "the model's tokenizer") : DOBBY_OK;
    const struct ingest_options options = {
        .chunk_tokens_max = (uint32_t)config_integer(config, CONFIG_INGEST_CHUNK_TOKENS),
        .tokenizer = tokenizer,
    };
    ingest_cut_text(&options, reading.now);
    code = store_cuts(store, reading.now, add, &reading, err);
    if (code != DOBBY_OK)
        cuts_release(out);
    tokenizer_free(tokenizer);
    model_file_close(model);
    return code;
}

static dobby_code append_source(const struct cuts_row *row, struct buffer *out, struct dobby_error *err)
{
    return utf8_append_display(out, row->source, strlen(row->source), err);
}

static dobby_code append_row(const struct cuts_row *row, struct buffer *out, struct dobby_error *err)
{
    const bool results = row->results > 0;
    const uint64_t count = results ? row->results : row->records;
    dobby_code code = buffer_append_format(out, err, "%" PRIu64 " %s%s of ", count,
                                           results ? "result" : "record", count == 1 ? "" : "s");
    if (code == DOBBY_OK)
        code = append_source(row, out, err);
    if (code == DOBBY_OK)
        code = buffer_append_format(out, err, " %s stale: cut %s%s; ingesting it again cuts anew\n",
                                    !row->known  ? "may be"
                                    : count == 1 ? "is"
                                                 : "are",
                                    row->known ? "with " : "", row->difference);
    return code;
}

dobby_code cuts_append_text(const struct cuts *cuts, struct buffer *out, struct dobby_error *err)
{
    dobby_code code = DOBBY_OK;
    for (size_t i = 0; i < cuts->count && code == DOBBY_OK; i++)
        code = append_row(&cuts->rows[i], out, err);
    return code;
}

dobby_code cuts_append_line(const struct cuts *cuts, struct buffer *out, struct dobby_error *err)
{
    if (cuts->count <= 1)
        return cuts_append_text(cuts, out, err);
    uint64_t sources = 1, results = 0, records = 0;
    bool known = true;
    for (size_t i = 0; i < cuts->count; i++) {
        sources += i > 0 && strcmp(cuts->rows[i].source, cuts->rows[i - 1].source) != 0;
        results += cuts->rows[i].results;
        records += cuts->rows[i].records;
        known = known && cuts->rows[i].known;
    }
    const uint64_t count = results > 0 ? results : records;
    return buffer_append_format(
        out, err, "%" PRIu64 " %s%s of %" PRIu64 " source%s %s stale: cut %s; dobby plan says which\n", count,
        results > 0 ? "result" : "record", count == 1 ? "" : "s", sources, sources == 1 ? "" : "s",
        !known       ? "may be"
        : count == 1 ? "is"
                     : "are",
        known ? "with other settings" : "with other settings, or with ones that are not known");
}

void cuts_put_json(const struct cuts *cuts, struct json_writer *json)
{
    json_key(json, "stale_cut");
    if (cuts == NULL) {
        json_put_null(json);
        json_key(json, "cut_otherwise");
        json_put_null(json);
        return;
    }
    json_put_integer(json, (int64_t)cuts->results);
    json_key(json, "cut_otherwise");
    json_begin_array(json);
    for (size_t i = 0; i < cuts->count; i++) {
        const struct cuts_row *row = &cuts->rows[i];
        json_begin_object(json);
        json_key(json, "source");
        json_put_text(json, row->source);
        json_key(json, "records");
        json_put_integer(json, (int64_t)row->records);
        json_key(json, "results");
        json_put_integer(json, (int64_t)row->results);
        json_key(json, "known");
        json_put_boolean(json, row->known);
        json_key(json, "difference");
        json_put_text(json, row->difference);
        json_end_object(json);
    }
    json_end_array(json);
}
