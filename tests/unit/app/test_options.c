#include "app/options.h"
#include "app/suggest.h"
#include "unit/test.h"

#include <string.h>

static const struct option_spec specs[] = {
    {.name = "name", .type = OPTION_TEXT, .argument = "TEXT", .help = "a name"},
    {.name = "output", .letter = 'o', .type = OPTION_TEXT, .argument = "FILE", .help = "a file"},
    {.name = "count", .type = OPTION_INTEGER, .argument = "N", .help = "how many"},
    {.name = "all",
     .type = OPTION_SWITCH,
     .help = "all of them, which is a help text that is long enough to be "
             "wrapped onto a second line"},
    {.name = "form",
     .type = OPTION_CHOICE,
     .argument = "F",
     .help = "a form",
     .choices = {"round", "square"}},
    {.name = "threads", .type = OPTION_KEY, .argument = "N", .key = CONFIG_ENGINE_THREADS},
};
static const struct option_list list = {specs, COUNT_OF(specs)};

enum { WORDS_MAX = 8 };

static dobby_code parse(const char *const words[WORDS_MAX], struct options *out, char *argv[WORDS_MAX],
                        struct dobby_error *err)
{
    int argc = 0;
    while (argc < WORDS_MAX && words[argc] != NULL) {
        argv[argc] = (char *)words[argc];
        argc++;
    }
    return options_parse(list, argc, argv, out, err);
}

static void good_command_lines(void **state)
{
    (void)state;
    static const struct {
        const char *words[WORDS_MAX];
        const char *name, *output;
        uint64_t count;
        bool all, help;
        const char *arguments[3];
    } cases[] = {
        {.words = {NULL}},
        {.words = {"--name", "x", "a"}, .name = "x", .arguments = {"a"}},
        {.words = {"a", "--name=x=y", "b"}, .name = "x=y", .arguments = {"a", "b"}},
        {.words = {"--name="}, .name = ""},
        {.words = {"--name", "--all"}, .name = "--all"},
        {.words = {"--all", "--", "--name", "-"}, .all = true, .arguments = {"--name", "-"}},
        {.words = {"-", "-o", "f"}, .output = "f", .arguments = {"-"}},
        {.words = {"-o", "f", "--output", "g"}, .output = "g"},
        {.words = {"--count", "18"}, .count = 18},
        {.words = {"--count=9007199254740992"}, .count = 9007199254740992u},
        {.words = {"-h"}, .help = true},
        {.words = {"--help", "a"}, .help = true, .arguments = {"a"}},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct options options;
        struct dobby_error err;
        char *argv[WORDS_MAX];
        assert_ok(parse(cases[i].words, &options, argv, &err), &err);
        const char *name = options_text(&options, "name"), *output = options_text(&options, "output");
        assert_int_equal(name == NULL, cases[i].name == NULL);
        if (name != NULL)
            assert_string_equal(name, cases[i].name);
        assert_int_equal(output == NULL, cases[i].output == NULL);
        if (output != NULL)
            assert_string_equal(output, cases[i].output);
        assert_int_equal(options_integer(&options, "count", 0), cases[i].count);
        assert_int_equal(options_switch(&options, "all"), cases[i].all);
        assert_int_equal(options.help, cases[i].help);
        size_t count = 0;
        while (count < 3 && cases[i].arguments[count] != NULL)
            count++;
        assert_int_equal(options.argument_count, count);
        for (size_t j = 0; j < count; j++)
            assert_string_equal(options.arguments[j], cases[i].arguments[j]);
    }
}

static void bad_command_lines(void **state)
{
    (void)state;
    static const struct {
        const char *words[WORDS_MAX];
        const char *want; /* in the detail */
    } cases[] = {
        {{"--nam", "x"}, "there is no option --nam; did you mean --name?"},
        {{"--cuont=3"}, "did you mean --count?"},
        {{"--hlep"}, "did you mean --help?"},
        {{"--zzzzzz"}, "there is no option --zzzzzz"},
        {{"-x"}, "there is no option -x"},
        {{"-all"}, "there is no option -all"},
        {{"--name"}, "--name needs a value: TEXT"},
        {{"--all=yes"}, "--all takes no value"},
        {{"--count", "x"}, "--count must be an integer"},
        {{"--count", "-1"}, "--count must be an integer"},
        {{"--count", "+1"}, "--count must be an integer"},
        {{"--count", "1 "}, "--count must be an integer"},
        {{"--count", ""}, "--count must be an integer"},
        {{"--count", "9007199254740993"}, "--count must be an integer"},
        {{"--count", "99999999999999999999999"}, "--count must be an integer"},
        {{"--form", "squar"}, "--form must be one of round, square, not 'squar'; did you mean square?"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct options options;
        struct dobby_error err = {0};
        char *argv[WORDS_MAX];
        assert_code(parse(cases[i].words, &options, argv, &err), DOBBY_USAGE);
        if (strstr(err.detail, cases[i].want) == NULL)
            fail_msg("'%s' does not hold '%s'", err.detail, cases[i].want);
        assert_int_equal(options.argument_count, 0);
    }
}

static void keys_reach_the_configuration(void **state)
{
    (void)state;
    struct config config;
    struct options options;
    struct dobby_error err;
    char *argv[WORDS_MAX];
    static const char *const good[WORDS_MAX] = {"--threads", "3"}, *const bad[WORDS_MAX] = {"--threads=many"};
    assert_ok(config_init(&config, &err), &err);
    assert_ok(parse(good, &options, argv, &err), &err);
    assert_ok(options_apply(&options, &config, &err), &err);
    assert_int_equal(config_integer(&config, CONFIG_ENGINE_THREADS), 3);
    assert_int_equal(config.values[CONFIG_ENGINE_THREADS].source.origin, CONFIG_FROM_FLAG);
    assert_string_equal(config.values[CONFIG_ENGINE_THREADS].source.name, "--threads");
    assert_ok(parse(bad, &options, argv, &err), &err);
    assert_code(options_apply(&options, &config, &err), DOBBY_USAGE);
    assert_string_equal(err.detail, "--threads must be auto or an integer from 1 to 256, not 'many'");
    assert_int_equal(config_integer(&config, CONFIG_ENGINE_THREADS), 3);
    config_release(&config);
}

static void help_fits_its_columns(void **state)
{
    (void)state;
    struct buffer out = {0};
    struct dobby_error err;
    assert_ok(options_append_help(list, &out, &err), &err);
    size_t column = 0;
    for (size_t i = 0; i < out.length; i++) {
        column = out.bytes[i] == '\n' ? 0 : column + 1;
        assert_true(column <= OPTIONS_HELP_COLUMNS);
        if (out.bytes[i] == '\n' && i > 0)
            assert_true(out.bytes[i - 1] != ' ');
    }
    static const char *const wanted[] = {"  --name TEXT  ", "  -o, --output FILE",
                                         "(engine.threads, DOBBY_ENGINE_THREADS)", "  -h, --help",
                                         "default\n                        auto (engine"};
    for (size_t i = 0; i < COUNT_OF(wanted); i++) {
        if (strstr(out.bytes, wanted[i]) == NULL)
            fail_msg("the help lacks '%s':\n%s", wanted[i], out.bytes);
    }
    buffer_release(&out);
}

static void suggestions(void **state)
{
    (void)state;
    static const char *const words[] = {"ingest", "run", "status", "list", "config show", "model info"};
    static const struct {
        const char *word, *want;
    } cases[] = {
        {"lst", "list"},
        {"ls", NULL},
        {"rnu", "run"},
        {"statsu", "status"},
        {"config", "config show"},
        {"confgi shw", "config show"},
        {"x", NULL},
        {"", NULL},
        {"ingset", "ingest"},
        {"xyzzy", NULL},
        {"a-very-long-word-that-is-longer-than-any-command-has-a-right-to-be-in-this-world", NULL},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const char *got = suggest_nearest(cases[i].word, words, COUNT_OF(words));
        if (got == NULL || cases[i].want == NULL)
            assert_true(got == cases[i].want);
        else
            assert_string_equal(got, cases[i].want);
    }
    static const struct {
        const char *a, *b;
        size_t want;
    } distances[] = {
        {"", "", 0}, {"a", "", 1}, {"ab", "ba", 1}, {"kitten", "sitting", 3}, {"abcd", "acbd", 1}};
    for (size_t i = 0; i < COUNT_OF(distances); i++) {
        assert_int_equal(suggest_distance(distances[i].a, distances[i].b), distances[i].want);
        assert_int_equal(suggest_distance(distances[i].b, distances[i].a), distances[i].want);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_command_lines),
        cmocka_unit_test(bad_command_lines),
        cmocka_unit_test(keys_reach_the_configuration),
        cmocka_unit_test(help_fits_its_columns),
        cmocka_unit_test(suggestions),
    };
    return cmocka_run_group_tests_name("app/options", tests, NULL, NULL);
}
