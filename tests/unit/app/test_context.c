#include "app/context.h"
#include "app/models.h"
#include "os/temporary.h"
#include "unit/test.h"

#include <string.h>

/* The longest chunk is told to the token: an engine takes it, and refuses one more. */
static void the_longest_chunk_that_fits_is_told(void **state)
{
    static const struct {
        const char *name;
        struct context_fit fit;
        uint32_t most;
        bool fits;
    } rows[] = {
        {"room to spare", {.context = 1024, .chunk = 600, .prompt = 30, .answer = 48}, 946, true},
        {"just so", {.context = 678, .chunk = 600, .prompt = 30, .answer = 48}, 600, true},
        {"one too many", {.context = 677, .chunk = 600, .prompt = 30, .answer = 48}, 599, false},
        {"no room for any", {.context = 70, .chunk = 16, .prompt = 30, .answer = 48}, 0, false},
        {"the largest numbers",
         {.context = UINT32_MAX, .chunk = 1, .prompt = UINT32_MAX, .answer = UINT32_MAX},
         0,
         false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct dobby_error err = {0};
        if (context_chunk_max(&rows[i].fit) != rows[i].most)
            fail_msg("%s: %u", rows[i].name, (unsigned)context_chunk_max(&rows[i].fit));
        assert_code(context_check(&rows[i].fit, &err),
                    rows[i].fits ? DOBBY_OK : DOBBY_INGEST_CHUNKS_TOO_LONG);
        if (!rows[i].fits)
            assert_non_null(strstr(err.detail, "longer records would be skipped"));
    }
}

static void measure(struct config *config, struct context_fit *fit)
{
    struct model_file *model = NULL;
    struct tokenizer *tokenizer = NULL;
    struct dobby_error err;
    assert_ok(models_open_tokenizer(config, &model, &tokenizer, &err), &err);
    assert_ok(context_measure(config, model, tokenizer, fit, &err), &err);
    tokenizer_free(tokenizer);
    model_file_close(model);
}

static void set(struct config *config, enum config_key key, const char *text)
{
    const struct config_source source = {.origin = CONFIG_FROM_FLAG, .name = "test"};
    struct dobby_error err;
    assert_ok(config_set(config, key, text, &source, &err), &err);
}

static void the_configuration_is_measured(void **state)
{
    struct config config;
    struct context_fit fit, other;
    struct dobby_error err;
    struct buffer directory = {0}, path = {0};
    (void)state;
    assert_ok(config_init(&config, &err), &err);
    set(&config, CONFIG_MODEL_PATH, DOBBY_SOURCE_DIR "/models/dobby-nano/dobby-nano-q8_0.gguf");
    measure(&config, &fit);
    assert_int_equal(fit.context, 2048); /* the embedded model's */
    assert_int_equal(fit.chunk, config_integer(&config, CONFIG_INGEST_CHUNK_TOKENS));
    assert_int_equal(fit.answer, config_integer(&config, CONFIG_RUN_MAX_TOKENS));
    assert_in_range(fit.prompt, 12, 40);
    set(&config, CONFIG_ENGINE_KIND, "null");
    measure(&config, &other);
    assert_int_equal(other.context, 8192); /* that engine's */
    set(&config, CONFIG_ENGINE_CONTEXT_TOKENS, "512");
    assert_ok(temporary_directory_make("/tmp", &directory, &err), &err);
    assert_ok(buffer_append_format(&path, &err, "%s/prompt", directory.bytes), &err);
    FILE *file = fopen(path.bytes, "w");
    assert_non_null(file);
    for (int i = 0; i < 100; i++)
        (void)fputs("a word and ", file);
    (void)fputs("{content}\n", file);
    assert_int_equal(fclose(file), 0);
    set(&config, CONFIG_RUN_PROMPT_FILE, path.bytes);
    measure(&config, &other);
    assert_int_equal(other.context, 512);
    assert_in_range(other.prompt, 300, 400);
    temporary_directory_remove(directory.bytes);
    buffer_release(&directory);
    buffer_release(&path);
    config_release(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_longest_chunk_that_fits_is_told),
        cmocka_unit_test(the_configuration_is_measured),
    };
    return cmocka_run_group_tests_name("context", tests, NULL, NULL);
}
