/* Whole runs with the embedded model on SQLite: 1 to 32 sessions, other numbers of threads, and runs cut
 * short and gone on with leave the same summaries, with the same confidence to the last bit. */
#include "infer/engine_native.h"
#include "os/random.h"
#include "pipeline/run.h"
#include "property/table_helper.h"
#include "unit/test.h"

#include <string.h>

#define NANO DOBBY_SOURCE_DIR "/models/dobby-nano/dobby-nano-q8_0.gguf"

enum { RECORDS = 15, TOKENS_MAX = 8, RUNS_MAX = 30 };

static void put_records(struct store *store)
{
    struct dobby_error err = {0};
    struct put_counts counts = {0};
    assert_ok(store_sync_begin(store, "src", 1, &err), &err);
    for (size_t i = 0; i < RECORDS; i++) {
        char id[16], path[32], content[160];
        size_t number = i % 5 == 4 ? 1 : i; /* some are equal */
        snprintf(id, sizeof(id), "r%02zu", i);
        snprintf(path, sizeof(path), "part%zu.c", number);
        snprintf(content, sizeof(content), "int %s_%zu(int a, int b)\n{\n    return a %c b;\n}\n",
                 number % 2 ? "first" : "second", number, "+-*/%&|^"[number % 8]);
        struct record_input input = {.id = id,
                                     .path = path,
                                     .language = "c",
                                     .position = (uint32_t)i,
                                     .content = content,
                                     .content_length = strlen(content)};
        assert_ok(store_put(store, &input, 1, 1, &counts, &err), &err);
    }
    assert_ok(store_sync_end(store, "", &counts, &err), &err);
}

struct stopper {
    uint32_t asked, at; /* drains at the at-th question; 0: never */
};

static enum run_request request(void *context)
{
    struct stopper *stopper = context;
    return stopper->at > 0 && ++stopper->asked >= stopper->at ? RUN_DRAIN : RUN_CONTINUE;
}

struct way {
    const char *name;
    uint32_t sessions, threads, sessions_min;
    uint32_t cut; /* each run but the last drains after about so many looks; 0: one run does all */
};

static void run_all(struct engine *engine, const struct prompt_template *prompt, const struct way *way,
                    float temperature, struct table *out)
{
    struct dobby_error err = {0};
    struct store *store = files_open();
    struct run_counts counts;
    uint64_t left = RECORDS;
    put_records(store);
    for (uint32_t run = 0; run < RUNS_MAX && left > 0; run++) {
        char id[UUID_TEXT_BYTES];
        struct run_progress progress;
        struct store_counts now;
        struct stopper stopper = {.at = run + 1 < RUNS_MAX ? way->cut : 0};
        assert_ok(uuid7_new(id, &err), &err);
        const struct run_options options = {
            .owner = "test",
            .run_id = id,
            .tokens_max = TOKENS_MAX,
            .sampling = {.temperature = temperature, .top_p = 1, .repetition_penalty = 1},
            .run_seed = 7,
            .sessions_min = way->sessions_min,
            .lease_ms = 60000,
            .request = request,
            .context = &stopper};
        assert_ok(pipeline_run(store, engine, prompt, &options, &progress, &err), &err);
        assert_ok(store_count(store, &now, &err), &err);
        left = now.by_state[RECORD_PENDING] + now.by_state[RECORD_LEASED];
    }
    assert_int_equal(left, 0);
    table_read(store, out);
    counts = runs_sum(store);
    counts_assert_match(&counts, out, way->name);
    store_close(store);
}

static void every_way_leads_to_the_same_table(void **state)
{
    (void)state;
    static const struct way ways[] = {
        {"one session", 1, 1, 0, 0},
        {"two sessions, cut short", 2, 2, 0, 20},
        {"eight sessions, moving", 8, 2, 1, 0},
        {"32 sessions, cut short", 32, 1, 0, 12},
    };
    static const float temperatures[] = {0, 0.7f};
    struct table want[COUNT_OF(temperatures)] = {{0}};
    for (size_t i = 0; i < COUNT_OF(ways); i++) {
        struct dobby_error err = {0};
        struct engine *engine;
        struct prompt_template *prompt;
        const struct engine_native_options native = {
            .model_path = NANO, .sessions = ways[i].sessions, .threads = ways[i].threads};
        assert_ok(engine_native_open(&native, &engine, &err), &err);
        assert_ok(prompt_template_builtin(engine_info(engine), &prompt, &err), &err);
        for (size_t t = 0; t < COUNT_OF(temperatures); t++) {
            struct table have;
            run_all(engine, prompt, &ways[i], temperatures[t], &have);
            if (i == 0) {
                want[t] = have;
                continue;
            }
            tables_assert_equal(&want[t], &have, ways[i].name);
            table_release(&have);
        }
        prompt_template_free(prompt);
        engine_close(engine);
    }
    for (size_t t = 0; t < COUNT_OF(temperatures); t++)
        table_release(&want[t]);
    files_release();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_way_leads_to_the_same_table)};
    return cmocka_run_group_tests_name("native runs lead to the same table", tests, NULL, NULL);
}
