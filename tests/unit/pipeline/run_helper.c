#include "unit/pipeline/run_helper.h"

#include "os/random.h"
#include "store/store_memory.h"
#include "unit/test.h"

#include <string.h>

static enum run_request request(void *context)
{
    struct fixture *fixture = context;
    fixture->asked++;
    if (fixture->stop_at > 0 && fixture->asked >= fixture->stop_at)
        return RUN_STOP;
    return fixture->drain_at > 0 && fixture->asked >= fixture->drain_at ? RUN_DRAIN : RUN_CONTINUE;
}

static void told(void *context, const struct run_progress *progress)
{
    struct fixture *fixture = context;
    assert_false(fixture->told.finished);
    fixture->told = *progress;
    fixture->told_count++;
    fixture->phases |= 1u << progress->phase;
    if (progress->outage != DOBBY_OK)
        fixture->outage = progress->outage;
    if (fixture->on_told != NULL)
        fixture->on_told(fixture);
}

void fixture_open(struct fixture *fixture, uint32_t sessions)
{
    static const char text[] = "{content}";
    *fixture = (struct fixture){.told_count = 0};
    assert_ok(store_memory_open(&fixture->memory, &fixture->err), &fixture->err);
    faulty_store_init(&fixture->store, fixture->memory);
    fake_engine_init(&fixture->engine, sessions);
    assert_ok(prompt_template_parse("test", text, sizeof(text) - 1, false, &fixture->prompt, &fixture->err),
              &fixture->err);
    fixture->options = (struct run_options){.owner = "test",
                                            .retry_first_ms = 1,
                                            .outage_ms_max = 20000,
                                            .tokens_max = FIXTURE_TOKENS_MAX,
                                            .sampling = SAMPLING_GREEDY,
                                            .run_seed = 1,
                                            .lease_ms = 60000,
                                            .request = request,
                                            .progress = told,
                                            .context = fixture};
}

void fixture_close(struct fixture *fixture)
{
    store_close(fixture->memory);
    fake_engine_release(&fixture->engine);
    prompt_template_free(fixture->prompt);
}

void fixture_put(struct fixture *fixture, size_t count, const char *const *contents)
{
    struct put_counts counts = {0};
    struct dobby_error *err = &fixture->err;
    assert_ok(store_sync_begin(fixture->memory, "src", 1, err), err);
    for (size_t i = 0; i < count; i++) {
        char id[24], content[48];
        snprintf(id, sizeof(id), "r%03zu", i);
        snprintf(content, sizeof(content), "content of %s", id);
        const char *chosen = contents != NULL ? contents[i] : content;
        struct record_input input = {.id = id,
                                     .path = "a.c",
                                     .language = "c",
                                     .position = (uint32_t)i,
                                     .content = chosen,
                                     .content_length = strlen(chosen)};
        assert_ok(store_put(fixture->memory, &input, 1, 1, &counts, err), err);
    }
    assert_ok(store_sync_end(fixture->memory, "", &counts, err), err);
}

dobby_code fixture_run(struct fixture *fixture)
{
    fixture->told = (struct run_progress){0};
    fixture->told_count = fixture->phases = 0;
    fixture->asked = 0;
    fixture->err = (struct dobby_error){0};
    assert_ok(uuid7_new(fixture->run_id, &fixture->err), &fixture->err);
    fixture->options.run_id = fixture->run_id;
    dobby_code code = pipeline_run(&fixture->store.base, &fixture->engine.base, fixture->prompt,
                                   &fixture->options, &fixture->progress, &fixture->err);
    assert_int_equal(code, fixture->err.code);
    assert_true(fixture->told_count > 0 && fixture->told.finished);
    assert_memory_equal(&fixture->told, &fixture->progress, sizeof(fixture->told));
    assert_int_equal(fixture->progress.end == RUN_FAILED, code != DOBBY_OK);
    assert_int_equal(fixture->progress.running, 0);
    return code;
}

static dobby_code copy_run(void *context, const struct run_row *row, struct dobby_error *err)
{
    (void)err;
    struct run_copy *out = context;
    out->state = row->state;
    out->counts = row->counts;
    out->ended = row->ended_unix_us > 0;
    snprintf(out->reason, sizeof(out->reason), "%s", row->end_reason != NULL ? row->end_reason : "");
    snprintf(out->metrics, sizeof(out->metrics), "%s", row->metrics);
    snprintf(out->settings, sizeof(out->settings), "%s", row->settings);
    return DOBBY_OK;
}

void fixture_run_row(struct fixture *fixture, struct run_copy *out)
{
    const struct run_filter filter = {.id_prefix = fixture->run_id, .limit = 1};
    *out = (struct run_copy){.ended = false};
    assert_ok(store_run_list(fixture->memory, &filter, copy_run, out, &fixture->err), &fixture->err);
}

uint64_t fixture_count(struct fixture *fixture, enum record_state state)
{
    struct store_counts counts;
    assert_ok(store_count(fixture->memory, &counts, &fixture->err), &fixture->err);
    return counts.by_state[state];
}

static dobby_code copy_row(void *context, const struct record_row *row, struct dobby_error *err)
{
    (void)err;
    struct row_copy *out = context;
    out->state = row->state;
    out->attempt = row->attempt;
    out->tries = row->tries;
    snprintf(out->reason, sizeof(out->reason), "%s", row->reason != NULL ? row->reason : "");
    snprintf(out->error_id, sizeof(out->error_id), "%s", row->error_id != NULL ? row->error_id : "");
    if (row->summary != NULL) {
        out->summary = *row->summary;
        memcpy(out->key, row->summary->result_key, sizeof(out->key));
        snprintf(out->text, sizeof(out->text), "%s", row->summary->text);
        snprintf(out->sampling, sizeof(out->sampling), "%s", row->summary->sampling);
        snprintf(out->template_id, sizeof(out->template_id), "%s", row->summary->template_id);
        snprintf(out->engine, sizeof(out->engine), "%s", row->summary->engine);
        snprintf(out->model, sizeof(out->model), "%s", row->summary->model);
    }
    return DOBBY_OK;
}

void fixture_row(struct fixture *fixture, size_t number, struct row_copy *out)
{
    char id[24];
    *out = (struct row_copy){.attempt = 0};
    snprintf(id, sizeof(id), "r%03zu", number);
    assert_ok(store_get(fixture->memory, id, copy_row, out, &fixture->err), &fixture->err);
}
