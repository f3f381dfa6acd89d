#include "property/table_helper.h"

#include "drivers/sqlite/store_sqlite.h"
#include "unit/test.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char directory[] = "/tmp/dobby-property-XXXXXX";
static unsigned files;

uint64_t bits_of(uint64_t number)
{
    uint64_t z = number * UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

static void copy(char *out, size_t out_bytes, const char *text)
{
    snprintf(out, out_bytes, "%s", text != NULL ? text : "");
}

static dobby_code add_row(void *context, const struct record_row *row, struct dobby_error *err)
{
    struct table *table = context;
    (void)err;
    table->rows = realloc(table->rows, (table->count + 1) * sizeof(table->rows[0]));
    assert_non_null(table->rows);
    struct table_row *out = &table->rows[table->count++];
    *out = (struct table_row){.state = row->state, .tries = row->tries};
    copy(out->id, sizeof(out->id), row->id);
    copy(out->reason, sizeof(out->reason), row->reason);
    copy(out->error_id, sizeof(out->error_id), row->error_id);
    if (row->summary == NULL)
        return DOBBY_OK;
    copy(out->text, sizeof(out->text), row->summary->text);
    copy(out->sampling, sizeof(out->sampling), row->summary->sampling);
    memcpy(out->key, row->summary->result_key, SHA256_BYTES);
    out->tokens_in = row->summary->tokens_in;
    out->tokens_out = row->summary->tokens_out;
    out->confidence = row->summary->confidence;
    out->reused = row->summary->reused;
    return DOBBY_OK;
}

void table_read(struct store *store, struct table *out)
{
    struct dobby_error err = {0};
    const struct record_filter all = {.limit = 0};
    *out = (struct table){0};
    assert_ok(store_list(store, &all, add_row, out, &err), &err);
}

void table_release(struct table *table)
{
    free(table->rows);
    *table = (struct table){0};
}

void tables_assert_equal(const struct table *want, const struct table *have, const char *what)
{
    assert_int_equal(want->count, have->count);
    for (size_t i = 0; i < want->count; i++) {
        const struct table_row *a = &want->rows[i], *b = &have->rows[i];
        if (strcmp(a->id, b->id) != 0 || a->state != b->state || strcmp(a->text, b->text) != 0 ||
            strcmp(a->reason, b->reason) != 0 || strcmp(a->error_id, b->error_id) != 0 ||
            strcmp(a->sampling, b->sampling) != 0 || memcmp(a->key, b->key, SHA256_BYTES) != 0 ||
            a->tokens_in != b->tokens_in || a->tokens_out != b->tokens_out || a->tries != b->tries ||
            memcmp(&a->confidence, &b->confidence, sizeof(double)) != 0)
            fail_msg("%s: %s is %s '%s' '%s' after %u tries, want %s '%s' '%s' after %u", what, b->id,
                     record_state_name(b->state), b->text, b->reason, (unsigned)b->tries,
                     record_state_name(a->state), a->text, a->reason, (unsigned)a->tries);
    }
}

static dobby_code add_run(void *context, const struct run_row *row, struct dobby_error *err)
{
    struct run_counts *sum = context;
    (void)err;
    assert_false(run_state_is_active(row->state));
    sum->completed += row->counts.completed;
    sum->degraded += row->counts.degraded;
    sum->failed += row->counts.failed;
    sum->skipped += row->counts.skipped;
    sum->stale += row->counts.stale;
    sum->retried += row->counts.retried;
    sum->reused += row->counts.reused;
    sum->tokens_in += row->counts.tokens_in;
    sum->tokens_out += row->counts.tokens_out;
    return DOBBY_OK;
}

struct run_counts runs_sum(struct store *store)
{
    struct run_counts sum = {0};
    struct dobby_error err = {0};
    const struct run_filter all = {.limit = 0};
    assert_ok(store_run_list(store, &all, add_run, &sum, &err), &err);
    return sum;
}

void counts_assert_match(const struct run_counts *counts, const struct table *table, const char *what)
{
    struct run_counts want = {0};
    uint64_t tries = 0;
    for (size_t i = 0; i < table->count; i++) {
        const struct table_row *row = &table->rows[i];
        bool has_summary = row->state == RECORD_COMPLETED || row->state == RECORD_DEGRADED;
        want.completed += row->state == RECORD_COMPLETED;
        want.degraded += row->state == RECORD_DEGRADED;
        want.failed += row->state == RECORD_FAILED;
        want.skipped += row->state == RECORD_SKIPPED;
        want.reused += has_summary && row->reused;
        want.tokens_in += has_summary && !row->reused ? row->tokens_in : 0;
        want.tokens_out += has_summary && !row->reused ? row->tokens_out : 0;
        tries += row->tries;
    }
    want.retried = tries - table->count; /* each record's last try settled it */
    const struct {
        const char *name;
        uint64_t have, want;
    } rows[] = {
        {"completed", counts->completed, want.completed},
        {"degraded", counts->degraded, want.degraded},
        {"failed", counts->failed, want.failed},
        {"skipped", counts->skipped, want.skipped},
        {"stale", counts->stale, 0},
        {"retried", counts->retried, want.retried},
        {"reused", counts->reused, want.reused},
        {"tokens in", counts->tokens_in, want.tokens_in},
        {"tokens out", counts->tokens_out, want.tokens_out},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (rows[i].have != rows[i].want)
            fail_msg("%s: %s: the runs counted %llu, the table holds %llu", what, rows[i].name,
                     (unsigned long long)rows[i].have, (unsigned long long)rows[i].want);
}

static void file_name(unsigned number, const char *suffix, char name[128])
{
    (void)snprintf(name, 128, "%s/%u.db%s", directory, number, suffix);
}

struct store *files_open(void)
{
    struct store *store = NULL;
    struct dobby_error err = {0};
    char name[128];
    if (files == 0)
        assert_non_null(mkdtemp(directory));
    file_name(++files, "", name);
    const struct store_sqlite_options options = {
        .path = name, .access = SQLITE_ACCESS_CREATE, .busy_timeout_ms = 1000};
    assert_ok(store_sqlite_open(&options, &store, &err), &err);
    return store;
}

void files_release(void)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    for (unsigned i = 1; i <= files; i++) {
        for (size_t k = 0; k < COUNT_OF(suffixes); k++) {
            char name[128];
            file_name(i, suffixes[k], name);
            (void)unlink(name);
        }
    }
    if (files > 0)
        (void)rmdir(directory);
}
