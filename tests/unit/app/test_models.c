#include "app/models.h"

#include "base/crypto.h"
#include "unit/test.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Makes every directory above path, and an empty file there. */
static void touch(const char *root, const char *path, char *out, size_t out_bytes)
{
    snprintf(out, out_bytes, "%s/%s", root, path);
    for (char *slash = out + strlen(root) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        (void)mkdir(out, 0777);
        *slash = '/';
    }
    FILE *file = fopen(out, "w");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
}

static void remove_below(const char *root, const char *path)
{
    char full[512];
    snprintf(full, sizeof full, "%s/%s", root, path);
    assert_int_equal(unlink(full), 0);
    for (char *slash; (slash = strrchr(full, '/')) != NULL && slash > full + strlen(root);) {
        *slash = '\0';
        (void)rmdir(full);
    }
}

static void the_embedded_model_is_found_beside_the_program(void **state)
{
    (void)state;
    static const struct {
        const char *program; /* its directory below the root */
        const char *model;
        bool found;
    } cases[] = {
        {"build", "models/dobby-nano/dobby-nano-q8_0.gguf", true},
        {"build/asan", "models/dobby-nano/dobby-nano-q8_0.gguf", true},
        {"usr/bin", "usr/share/dobby/models/dobby-nano/dobby-nano-q8_0.gguf", true},
        {"usr/bin", "usr/share/models/dobby-nano/dobby-nano-q8_0.gguf", false},
    };
    struct config config;
    struct dobby_error err;
    assert_ok(config_init(&config, &err), &err);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char root[] = "/tmp/dobby-test-models.XXXXXX", model[512], program[512], directory[512];
        char inside[128];
        struct buffer found = {0};
        assert_non_null(mkdtemp(root));
        touch(root, cases[i].model, model, sizeof model);
        snprintf(inside, sizeof inside, "%s/dobby", cases[i].program);
        touch(root, inside, program, sizeof program);
        snprintf(directory, sizeof directory, "%s/%s", root, cases[i].program);
        const dobby_code code = models_path_from(&config, directory, &found, &err);
        assert_int_equal(code, cases[i].found ? DOBBY_OK : DOBBY_MODEL_NOT_FOUND);
        if (cases[i].found)
            assert_string_equal(found.bytes, model);
        else
            assert_int_equal(found.length, 0);
        buffer_release(&found);
        remove_below(root, cases[i].model);
        remove_below(root, inside);
        assert_int_equal(rmdir(root), 0);
    }
    config_release(&config);
}

static void a_named_model_is_taken_as_it_is(void **state)
{
    (void)state;
    struct config config;
    struct dobby_error err;
    struct buffer found = {0};
    const struct config_source flag = {.origin = CONFIG_FROM_FLAG, .name = "--model"};
    assert_ok(config_init(&config, &err), &err);
    assert_ok(config_set(&config, CONFIG_MODEL_PATH, "some/where", &flag, &err), &err);
    assert_ok(models_path_from(&config, "/nowhere", &found, &err), &err);
    assert_string_equal(found.bytes, "some/where");
    buffer_release(&found);
    config_release(&config);
}

static void sampling_follows_the_configuration(void **state)
{
    (void)state;
    struct config config;
    struct dobby_error err;
    assert_ok(config_init(&config, &err), &err);
    const struct sampling got = models_sampling(&config), greedy = SAMPLING_GREEDY;
    assert_true(got.temperature == greedy.temperature && got.top_k == greedy.top_k &&
                got.top_p == greedy.top_p && got.repetition_penalty == greedy.repetition_penalty &&
                got.seed == 0);
    config_release(&config);
}

static void the_embedded_model_is_the_one_shipped(void **state)
{
    (void)state;
    struct dobby_error err;
    struct model_file *file;
    uint8_t digest[SHA256_BYTES];
    char hex[SHA256_HEX_BYTES];
    assert_ok(model_file_open(DOBBY_SOURCE_DIR "/models/dobby-nano/dobby-nano-q8_0.gguf", &file, &err), &err);
    assert_ok(model_file_fingerprint(file, digest, &err), &err);
    sha256_hex(digest, hex);
    assert_string_equal(models_embedded_fingerprint(), hex);
    model_file_close(file);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_embedded_model_is_found_beside_the_program),
        cmocka_unit_test(a_named_model_is_taken_as_it_is),
        cmocka_unit_test(sampling_follows_the_configuration),
        cmocka_unit_test(the_embedded_model_is_the_one_shipped),
    };
    return cmocka_run_group_tests_name("app/models", tests, NULL, NULL);
}
