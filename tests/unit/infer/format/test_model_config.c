#include "base/arena.h"
#include "gguf_helper.h"
#include "infer/format/model_config.h"
#include "unit/test.h"

#include <math.h>
#include <string.h>

/* ---- GGUF -------------------------------------------------------------------------------------------- */

static dobby_code read_gguf(const struct gguf_edit *edits, struct model_config *out, struct dobby_error *err)
{
    struct buffer file = {0};
    struct arena arena;
    struct gguf gguf;
    small_gguf_build(&file, edits);
    arena_init(&arena, 0);
    dobby_code code = gguf_parse((const uint8_t *)file.bytes, file.length, &arena, &gguf, err);
    assert_int_equal(code, DOBBY_OK);
    code = model_config_from_gguf(&gguf, out, err);
    arena_release(&arena);
    buffer_release(&file);
    return code;
}

static void gguf_defaults(void **state)
{
    (void)state;
    struct model_config config;
    struct dobby_error err = {0};
    assert_ok(read_gguf(NULL, &config, &err), &err);
    assert_int_equal(config.architecture, MODEL_QWEN2);
    assert_string_equal(config.name, "small");
    assert_int_equal(config.layers, SMALL_LAYERS);
    assert_int_equal(config.head_dim, SMALL_HIDDEN / SMALL_HEADS);
    assert_int_equal(config.kv_heads, SMALL_KV_HEADS);
    assert_int_equal(config.vocabulary, SMALL_VOCABULARY);
    assert_true(config.rope_base == 10000.0F);
    assert_true(config.tied_head);
    assert_false(config.rope_interleaved);
    assert_int_equal(config.begin_token, -1);
    assert_int_equal(config.chat, CHAT_NONE);
    assert_int_equal(config.end_token_count, 2);
    assert_int_equal(config.end_tokens[0], 259);
    assert_int_equal(config.end_tokens[1], 258);
}

static void gguf_keys_are_checked(void **state)
{
    static const struct {
        const char *name;
        struct gguf_edit edit;
        dobby_code want;
        const char *detail;
    } cases[] = {
        {"no architecture",
         {EDIT_DROP, "general.architecture", 0, 0, NULL},
         DOBBY_MODEL_CORRUPT,
         "general.architecture is missing"},
        {"unknown architecture",
         {EDIT_TEXT, "general.architecture", 0, 0, "bert"},
         DOBBY_MODEL_UNSUPPORTED,
         "architecture bert"},
        {"no layers", {EDIT_DROP, "qwen2.block_count", 0, 0, NULL}, DOBBY_MODEL_CORRUPT, "number of layers"},
        {"too many layers",
         {EDIT_U32, "qwen2.block_count", 513, 0, NULL},
         DOBBY_MODEL_UNSUPPORTED,
         "number of layers 513 exceeds the limit of 512"},
        {"no hidden size", {EDIT_U32, "qwen2.embedding_length", 0, 0, NULL}, DOBBY_MODEL_CORRUPT, "hidden"},
        {"hidden size as text",
         {EDIT_TEXT, "qwen2.embedding_length", 0, 0, "32"},
         DOBBY_MODEL_CORRUPT,
         "qwen2.embedding_length is not"},
        {"too many heads",
         {EDIT_U32, "qwen2.attention.head_count", 1000, 0, NULL},
         DOBBY_MODEL_UNSUPPORTED,
         "number of heads"},
        {"KV heads do not divide",
         {EDIT_U32, "qwen2.attention.head_count_kv", 3, 0, NULL},
         DOBBY_MODEL_CORRUPT,
         "4 heads are no multiple of 3"},
        {"KV heads by layer",
         {EDIT_U32_ARRAY, "qwen2.attention.head_count_kv", 2, 0, NULL},
         DOBBY_MODEL_UNSUPPORTED,
         "differs between layers"},
        {"odd head size",
         {EDIT_U32, "qwen2.attention.key_length", 7, 0, NULL},
         DOBBY_MODEL_UNSUPPORTED,
         "head size 7 is odd"},
        {"epsilon 0",
         {EDIT_F32, "qwen2.attention.layer_norm_rms_epsilon", 0, 0, NULL},
         DOBBY_MODEL_CORRUPT,
         "epsilon"},
        {"no epsilon",
         {EDIT_DROP, "qwen2.attention.layer_norm_rms_epsilon", 0, 0, NULL},
         DOBBY_MODEL_CORRUPT,
         "epsilon"},
        {"RoPE base 0", {EDIT_F32, "qwen2.rope.freq_base", 0, 0, NULL}, DOBBY_MODEL_CORRUPT, "RoPE base"},
        {"RoPE base infinite",
         {EDIT_F32, "qwen2.rope.freq_base", 0, INFINITY, NULL},
         DOBBY_MODEL_CORRUPT,
         "RoPE base"},
        {"RoPE base as text",
         {EDIT_TEXT, "qwen2.rope.freq_base", 0, 0, "1"},
         DOBBY_MODEL_CORRUPT,
         "not a number"},
        {"RoPE scaling none", {EDIT_TEXT, "qwen2.rope.scaling.type", 0, 0, "none"}, DOBBY_OK, ""},
        {"RoPE scaling yarn",
         {EDIT_TEXT, "qwen2.rope.scaling.type", 0, 0, "yarn"},
         DOBBY_MODEL_UNSUPPORTED,
         "RoPE scaling"},
        {"RoPE scaling factor",
         {EDIT_F32, "qwen2.rope.scaling.factor", 0, 4, NULL},
         DOBBY_MODEL_UNSUPPORTED,
         "RoPE scaling"},
        {"RoPE factors tensor",
         {EDIT_TENSOR_NAME, "blk.1.attn_q.bias", 0, 0, "rope_freqs.weight"},
         DOBBY_MODEL_UNSUPPORTED,
         "RoPE scaling"},
        {"sliding window",
         {EDIT_U32, "qwen2.attention.sliding_window", 64, 0, NULL},
         DOBBY_MODEL_UNSUPPORTED,
         "window of 64"},
        {"window wider than the context",
         {EDIT_U32, "qwen2.attention.sliding_window", 128, 0, NULL},
         DOBBY_OK,
         ""},
        {"experts", {EDIT_U32, "qwen2.expert_count", 8, 0, NULL}, DOBBY_MODEL_UNSUPPORTED, "8 experts"},
        {"partly rotated",
         {EDIT_U32, "qwen2.rope.dimension_count", 4, 0, NULL},
         DOBBY_MODEL_UNSUPPORTED,
         "4 rotated"},
        {"end outside",
         {EDIT_U32, "tokenizer.ggml.eos_token_id", 260, 0, NULL},
         DOBBY_MODEL_CORRUPT,
         "end token 260"},
        {"begin without id",
         {EDIT_BOOL, "tokenizer.ggml.add_bos_token", 1, 0, NULL},
         DOBBY_MODEL_CORRUPT,
         "bos_token_id"},
        {"no embedding",
         {EDIT_DROP, "token_embd.weight", 0, 0, NULL},
         DOBBY_MODEL_CORRUPT,
         "token_embd.weight"},
        {"context over the limit",
         {EDIT_U32, "qwen2.context_length", 1u << 21, 0, NULL},
         DOBBY_MODEL_UNSUPPORTED,
         "context 2097152 exceeds"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct model_config config;
        struct dobby_error err = {0};
        const struct gguf_edit edits[] = {cases[i].edit, {.kind = EDIT_NONE}};
        dobby_code code = read_gguf(edits, &config, &err);
        if (code != cases[i].want || strstr(err.detail, cases[i].detail) == NULL)
            fail_msg("%s: got %s: %s", cases[i].name, dobby_code_name(code), err.detail);
        if (code != DOBBY_OK)
            assert_int_equal(config.layers, 0);
    }
}

static void gguf_of_a_chat_model(void **state)
{
    (void)state;
    struct model_config config;
    struct dobby_error err = {0};
    const struct gguf_edit edits[] = {
        {.kind = EDIT_TEXT, .key = "tokenizer.chat_template", .text = "{{'<|im_start|>' + role}}"},
        {.kind = EDIT_BOOL, .key = "tokenizer.ggml.add_bos_token", .number = 1},
        {.kind = EDIT_U32, .key = "tokenizer.ggml.bos_token_id", .number = 258},
        {.kind = EDIT_DROP, .key = "general.name"},
        {.kind = EDIT_NONE}};
    assert_ok(read_gguf(edits, &config, &err), &err);
    assert_int_equal(config.chat, CHAT_CHATML);
    assert_int_equal(config.begin_token, 258);
    assert_string_equal(config.name, "");
}

/* ---- Hugging Face ----------------------------------------------------------------------------------- */

#define SIZES                                                                                                \
    "\"vocab_size\":256,\"hidden_size\":64,\"intermediate_size\":176,\"num_hidden_layers\":3,"               \
    "\"num_attention_heads\":4,\"max_position_embeddings\":512"

static void huggingface_configs(void **state)
{
    static const struct {
        const char *name, *config;
        dobby_code want;
        const char *detail;
    } cases[] = {
        {"the least", "{\"model_type\":\"llama\"," SIZES "}", DOBBY_OK, ""},
        {"no JSON", "{", DOBBY_MODEL_CORRUPT, "config.json"},
        {"no object", "[]", DOBBY_MODEL_CORRUPT, "config.json: is not"},
        {"no type", "{" SIZES "}", DOBBY_MODEL_CORRUPT, "model_type is missing"},
        {"unknown type", "{\"model_type\":\"gemma\"," SIZES "}", DOBBY_MODEL_UNSUPPORTED, "gemma"},
        {"no sizes", "{\"model_type\":\"qwen2\"}", DOBBY_MODEL_CORRUPT, "missing"},
        {"size as text", "{\"model_type\":\"llama\",\"vocab_size\":\"8\"}", DOBBY_MODEL_CORRUPT,
         "vocab_size is not"},
        {"negative size", "{\"model_type\":\"llama\",\"vocab_size\":-8}", DOBBY_MODEL_CORRUPT,
         "vocab_size is not"},
        {"activation", "{\"model_type\":\"llama\",\"hidden_act\":\"gelu\"," SIZES "}",
         DOBBY_MODEL_UNSUPPORTED, "hidden_act"},
        {"null scaling", "{\"model_type\":\"llama\",\"rope_scaling\":null," SIZES "}", DOBBY_OK, ""},
        {"default scaling",
         "{\"model_type\":\"llama\",\"rope_scaling\":{\"rope_type\":\"default\"}," SIZES "}", DOBBY_OK, ""},
        {"llama3 scaling", "{\"model_type\":\"llama\",\"rope_scaling\":{\"rope_type\":\"llama3\"}," SIZES "}",
         DOBBY_MODEL_UNSUPPORTED, "RoPE scaling"},
        {"linear scaling",
         "{\"model_type\":\"llama\",\"rope_scaling\":{\"type\":\"linear\",\"factor\":2}," SIZES "}",
         DOBBY_MODEL_UNSUPPORTED, "RoPE scaling"},
        {"parameters scaled",
         "{\"model_type\":\"llama\",\"rope_parameters\":{\"rope_theta\":1e6,\"rope_type\":\"yarn\"}," SIZES
         "}",
         DOBBY_MODEL_UNSUPPORTED, "RoPE scaling"},
        {"sliding window", "{\"model_type\":\"qwen2\",\"use_sliding_window\":true," SIZES "}",
         DOBBY_MODEL_UNSUPPORTED, "use_sliding_window"},
        {"sliding layers", "{\"model_type\":\"qwen2\",\"layer_types\":[\"sliding_attention\"]," SIZES "}",
         DOBBY_MODEL_UNSUPPORTED, "layer_types[0]"},
        {"quantised", "{\"model_type\":\"qwen2\",\"quantization_config\":{\"bits\":4}," SIZES "}",
         DOBBY_MODEL_UNSUPPORTED, "quantization_config"},
        {"partly rotated", "{\"model_type\":\"qwen2\",\"partial_rotary_factor\":0.5," SIZES "}",
         DOBBY_MODEL_UNSUPPORTED, "partial_rotary_factor"},
        {"end outside", "{\"model_type\":\"qwen2\",\"eos_token_id\":256," SIZES "}", DOBBY_MODEL_CORRUPT,
         "end token 256"},
        {"end as text", "{\"model_type\":\"qwen2\",\"eos_token_id\":\"x\"," SIZES "}", DOBBY_MODEL_CORRUPT,
         "eos_token_id"},
        {"nine ends", "{\"model_type\":\"qwen2\",\"eos_token_id\":[1,2,3,4,5,6,7,8,9]," SIZES "}",
         DOBBY_MODEL_UNSUPPORTED, "more than 8 end tokens"},
        {"infinite base", "{\"model_type\":\"qwen2\",\"rope_theta\":1e300," SIZES "}", DOBBY_MODEL_CORRUPT,
         "RoPE base"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct model_config config;
        struct dobby_error err = {0};
        const struct huggingface_texts texts = {.config = cases[i].config,
                                                .config_length = strlen(cases[i].config)};
        dobby_code code = model_config_from_json(&texts, &config, &err);
        if (code != cases[i].want || strstr(err.detail, cases[i].detail) == NULL)
            fail_msg("%s: got %s: %s", cases[i].name, dobby_code_name(code), err.detail);
        if (code != DOBBY_OK)
            assert_int_equal(config.layers, 0);
    }
}

static void huggingface_companions(void **state)
{
    static const char config_text[] =
        "{\"model_type\":\"qwen2\",\"tie_word_embeddings\":true,\"num_key_value_heads\":2,\"head_dim\":32,"
        "\"rope_parameters\":{\"rope_theta\":1000000,\"rope_type\":\"default\"},"
        "\"eos_token_id\":2,\"bos_token_id\":5," SIZES "}";
    static const char generation[] = "{\"eos_token_id\":[2,0]}";
    static const char tokenizer[] =
        "{\"add_bos_token\":true,\"chat_template\":[{\"name\":\"tools\",\"template\":\"x\"},"
        "{\"name\":\"default\",\"template\":\"<|im_start|>\"}]}";
    static const char jinja[] = "[INST]";
    (void)state;
    struct model_config config;
    struct dobby_error err = {0};
    struct huggingface_texts texts = {
        .config = config_text,
        .config_length = strlen(config_text),
        .generation_config = generation,
        .generation_config_length = strlen(generation),
        .tokenizer_config = tokenizer,
        .tokenizer_config_length = strlen(tokenizer),
    };
    assert_ok(model_config_from_json(&texts, &config, &err), &err);
    assert_true(config.tied_head);
    assert_int_equal(config.kv_heads, 2);
    assert_int_equal(config.head_dim, 32);
    assert_true(config.rope_base == 1e6F);
    assert_int_equal(config.begin_token, 5);
    assert_int_equal(config.end_token_count, 2);
    assert_int_equal(config.end_tokens[0], 2);
    assert_int_equal(config.end_tokens[1], 0);
    assert_int_equal(config.chat, CHAT_CHATML);
    texts.chat_template = jinja;
    texts.chat_template_length = strlen(jinja);
    assert_ok(model_config_from_json(&texts, &config, &err), &err);
    assert_int_equal(config.chat, CHAT_UNKNOWN);
    texts.generation_config_length = 3;
    assert_code(model_config_from_json(&texts, &config, &err), DOBBY_MODEL_CORRUPT);
    assert_non_null(strstr(err.detail, "generation_config.json"));
}

static void begin_tokens(void **state)
{
    static const char llama[] = "{\"model_type\":\"llama\",\"bos_token_id\":3," SIZES "}";
    static const char qwen[] = "{\"model_type\":\"qwen2\",\"bos_token_id\":3," SIZES "}";
#define TEMPLATE(id)                                                                                         \
    "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"<b>\"}},{\"Sequence\":{}}],"   \
    "\"special_tokens\":{\"<b>\":{\"ids\":[" id "]}}}"
#define SEQUENCE(step)                                                                                       \
    "{\"post_processor\":{\"type\":\"Sequence\",\"processors\":[{\"type\":\"ByteLevel\"}," step "]}}"
    static const struct {
        const char *name, *config, *tokenizer_config, *tokenizer;
        dobby_code want;
        int32_t token;
    } cases[] = {
        {"nothing said", llama, "{}", "{}", DOBBY_OK, -1},
        {"the flag", llama, "{\"add_bos_token\":true}", "{}", DOBBY_OK, 3},
        {"the flag says no", llama, "{\"add_bos_token\":false}", "{\"post_processor\":" TEMPLATE("7") "}",
         DOBBY_OK, -1},
        {"a template", llama, "{}", "{\"post_processor\":" TEMPLATE("7") "}", DOBBY_OK, 7},
        {"a template in a sequence", llama, "{}", SEQUENCE(TEMPLATE("7")), DOBBY_OK, 7},
        {"only for Llama", qwen, "{}", SEQUENCE(TEMPLATE("7")), DOBBY_OK, -1},
        {"outside the vocabulary", llama, "{}", SEQUENCE(TEMPLATE("256")), DOBBY_MODEL_CORRUPT, 0},
        {"no JSON", llama, "{}", "{", DOBBY_MODEL_CORRUPT, 0},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct model_config config;
        struct dobby_error err = {0};
        const struct huggingface_texts texts = {.config = cases[i].config,
                                                .config_length = strlen(cases[i].config),
                                                .tokenizer_config = cases[i].tokenizer_config,
                                                .tokenizer_config_length = strlen(cases[i].tokenizer_config),
                                                .tokenizer = cases[i].tokenizer,
                                                .tokenizer_length = strlen(cases[i].tokenizer)};
        dobby_code code = model_config_from_json(&texts, &config, &err);
        if (code != cases[i].want || config.begin_token != cases[i].token)
            fail_msg("%s: got %s, %d: %s", cases[i].name, dobby_code_name(code), config.begin_token,
                     err.detail);
    }
}

static void names_stay_displayable(void **state)
{
    (void)state;
    struct model_config config = {0};
    struct dobby_error err = {0};
    assert_ok(model_config_set_name(&config, "a\x1B[31m\xFFz", 8, &err), &err);
    assert_null(strchr(config.name, '\x1B'));
    char name[200];
    memset(name, 'x', 92);
    memcpy(name + 92, "\xE6\x97\xA5\xE6\x97\xA5", 6); /* the second character does not fit whole */
    assert_ok(model_config_set_name(&config, name, 98, &err), &err);
    assert_int_equal(strlen(config.name), 95);
    memset(name, 'x', 94);
    memcpy(name + 94, "\xE6\x97\xA5", 3);
    assert_ok(model_config_set_name(&config, name, 97, &err), &err);
    assert_true(strlen(config.name) < sizeof(config.name));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gguf_defaults),          cmocka_unit_test(gguf_keys_are_checked),
        cmocka_unit_test(gguf_of_a_chat_model),   cmocka_unit_test(huggingface_configs),
        cmocka_unit_test(huggingface_companions), cmocka_unit_test(names_stay_displayable),
        cmocka_unit_test(begin_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
