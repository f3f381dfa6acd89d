/* Opening a model: the files are mapped, parsed by the pure parsers of this folder, and bound to roles. */
#include "infer/format/model_file.h"

#include "base/arena.h"
#include "base/crypto.h"
#include "base/limits.h"
#include "infer/format/gguf.h"
#include "infer/format/model_config.h"
#include "infer/format/model_weights.h"
#include "infer/format/safetensors.h"
#include "infer/format/shard_list.h"
#include "infer/tokenizer/tokenizer_gguf.h"
#include "os/file.h"

#include <stdlib.h>
#include <string.h>

struct model_file {
    struct arena arena; /* all below that is not a mapping */
    const char *path;
    bool huggingface;
    struct file_map *maps; /* the GGUF file, or the shards in the order of their names */
    size_t map_count;
    struct gguf gguf; /* zeroed for a directory */
    struct tensor_table tensors;
    struct model_config config;
    struct model_weights weights;
};

/* ---- files of a directory --------------------------------------------------------------------------- */

static const char config_name[] = "config.json";
static const char generation_config_name[] = "generation_config.json";
static const char tokenizer_name[] = "tokenizer.json";
static const char tokenizer_config_name[] = "tokenizer_config.json";
static const char chat_template_name[] = "chat_template.jinja";
static const char weights_name[] = "model.safetensors";
static const char index_name[] = "model.safetensors.index.json";

/* Maps directory/name. A file that is not there gives FILE_NOT_FOUND, or an empty map when optional. */
static dobby_code map_member(const char *directory, const char *name, bool optional, struct file_map *out,
                             struct dobby_error *err)
{
    struct buffer path = {0};
    *out = (struct file_map){0};
    dobby_code code = buffer_append_format(&path, err, "%s/%s", directory, name);
    if (code == DOBBY_OK && !(optional && !file_exists(path.bytes)))
        code = file_map_open(path.bytes, out, err);
    buffer_release(&path);
    return code;
}

static dobby_code read_config(struct model_file *file, struct dobby_error *err)
{
    struct file_map config = {0};
    struct file_map generation = {0};
    struct file_map tokenizer_config = {0};
    struct file_map tokenizer = {0};
    struct file_map chat = {0};
    dobby_code code = map_member(file->path, config_name, false, &config, err);
    if (code == DOBBY_FILE_NOT_FOUND) {
        code = DOBBY_FAIL(err, DOBBY_MODEL_FORMAT_UNKNOWN, "the directory %s has no %s", file->path,
                          config_name);
        goto done;
    }
    if (code == DOBBY_OK)
        code = map_member(file->path, generation_config_name, true, &generation, err);
    if (code == DOBBY_OK)
        code = map_member(file->path, tokenizer_config_name, true, &tokenizer_config, err);
    if (code == DOBBY_OK)
        code = map_member(file->path, tokenizer_name, true, &tokenizer, err);
    if (code == DOBBY_OK)
        code = map_member(file->path, chat_template_name, true, &chat, err);
    if (code != DOBBY_OK)
        goto done;
    const struct huggingface_texts texts = {
        .config = config.bytes != NULL ? (const char *)config.bytes : "",
        .config_length = config.length,
        .generation_config = (const char *)generation.bytes,
        .generation_config_length = generation.length,
        .tokenizer_config = (const char *)tokenizer_config.bytes,
        .tokenizer_config_length = tokenizer_config.length,
        .tokenizer = (const char *)tokenizer.bytes,
        .tokenizer_length = tokenizer.length,
        .chat_template = (const char *)chat.bytes,
        .chat_template_length = chat.length,
    };
    code = model_config_from_json(&texts, &file->config, err);
done:
    file_map_close(&config);
    file_map_close(&generation);
    file_map_close(&tokenizer_config);
    file_map_close(&tokenizer);
    file_map_close(&chat);
    return code;
}

/* The names of the weight files: model.safetensors alone, or those of the index. */
static dobby_code list_shards(struct model_file *file, struct shard_list *out, struct dobby_error *err)
{
    static const char *single_name[] = {weights_name};
    struct file_map index = {0};
    struct file_map single = {0};
    dobby_code code = map_member(file->path, weights_name, true, &single, err);
    if (code == DOBBY_OK && single.bytes != NULL) {
        *out = (struct shard_list){.names = single_name, .count = 1};
        goto done;
    }
    if (code == DOBBY_OK)
        code = map_member(file->path, index_name, true, &index, err);
    if (code != DOBBY_OK)
        goto done;
    if (index.bytes == NULL) {
        code = DOBBY_FAIL(err, DOBBY_MODEL_CORRUPT, "the directory %s has no %s, or an empty one, and no %s",
                          file->path, weights_name, index_name);
        goto done;
    }
    code = shard_list_parse((const char *)index.bytes, index.length, &file->arena, out, err);
    if (code != DOBBY_OK && code != DOBBY_OUT_OF_MEMORY)
        code = DOBBY_WRAP(err, code, "%s/%s", file->path, index_name);
done:
    file_map_close(&index);
    file_map_close(&single);
    return code;
}

static dobby_code read_shards(struct model_file *file, const struct shard_list *shards,
                              struct tensor_table *tables, struct dobby_error *err)
{
    size_t total = 0;
    for (size_t i = 0; i < shards->count; i++) {
        dobby_code code = map_member(file->path, shards->names[i], false, &file->maps[i], err);
        if (code == DOBBY_FILE_NOT_FOUND)
            return DOBBY_FAIL(err, DOBBY_MODEL_CORRUPT, "%s/%s is missing", file->path, shards->names[i]);
        if (code != DOBBY_OK)
            return code;
        file->map_count = i + 1;
        code = safetensors_parse(file->maps[i].bytes, file->maps[i].length, &file->arena, &tables[i], err);
        if (code != DOBBY_OK)
            return code == DOBBY_OUT_OF_MEMORY ? code
                                               : DOBBY_WRAP(err, code, "%s/%s", file->path, shards->names[i]);
        total += tables[i].count;
    }
    if (total > LIMIT_MODEL_TENSORS)
        return DOBBY_FAIL(err, DOBBY_MODEL_UNSUPPORTED, "%zu tensors exceed the limit of %d", total,
                          LIMIT_MODEL_TENSORS);
    file->tensors.entries = arena_alloc_array(&file->arena, total, sizeof(file->tensors.entries[0]));
    if (file->tensors.entries == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "%zu tensors", total);
    for (size_t i = 0; i < shards->count; i++) {
        if (tables[i].count > 0)
            memcpy(file->tensors.entries + file->tensors.count, tables[i].entries,
                   tables[i].count * sizeof(tables[i].entries[0]));
        file->tensors.count += tables[i].count;
    }
    return tensor_table_sort(&file->tensors, err);
}

static dobby_code open_directory(struct model_file *file, struct dobby_error *err)
{
    struct shard_list shards = {0};
    file->huggingface = true;
    dobby_code code = read_config(file, err);
    if (code == DOBBY_OK)
        code = list_shards(file, &shards, err);
    if (code != DOBBY_OK)
        return code;
    file->maps = arena_alloc_array(&file->arena, shards.count, sizeof(file->maps[0]));
    struct tensor_table *tables = arena_alloc_array(&file->arena, shards.count, sizeof(*tables));
    if (file->maps == NULL || tables == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "%zu shards", shards.count);
    return read_shards(file, &shards, tables, err);
}

/* ---- opening ------------------------------------------------------------------------------------------ */

static dobby_code open_gguf(struct model_file *file, struct dobby_error *err)
{
    file->maps = arena_alloc_array(&file->arena, 1, sizeof(file->maps[0]));
    if (file->maps == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "%s", file->path);
    dobby_code code = file_map_open(file->path, &file->maps[0], err);
    if (code != DOBBY_OK)
        return code;
    file->map_count = 1;
    code = gguf_parse(file->maps[0].bytes, file->maps[0].length, &file->arena, &file->gguf, err);
    if (code == DOBBY_OK)
        code = model_config_from_gguf(&file->gguf, &file->config, err);
    file->tensors = file->gguf.tensors;
    return code;
}

/* A file without a name of its own goes by its path's last part. */
static dobby_code name_by_path(struct model_file *file, struct dobby_error *err)
{
    static const char suffix[] = ".gguf";
    struct buffer path = {0};
    dobby_code code = file_realpath(file->path, &path, err);
    if (code == DOBBY_OK) {
        const char *slash = strrchr(path.bytes, '/');
        const char *name = slash != NULL ? slash + 1 : path.bytes;
        size_t length = strlen(name);
        size_t suffix_length = sizeof(suffix) - 1;
        if (length > suffix_length && strcmp(name + length - suffix_length, suffix) == 0)
            length -= suffix_length;
        code = model_config_set_name(&file->config, name, length, err);
    }
    buffer_release(&path);
    return code;
}

static dobby_code open_path(struct model_file *file, struct dobby_error *err)
{
    struct file_info info = {0};
    dobby_code code = file_stat(file->path, true, &info, err);
    if (code == DOBBY_FILE_NOT_FOUND || code == DOBBY_WRONG_FILE_TYPE)
        return DOBBY_FAIL(err, DOBBY_MODEL_NOT_FOUND, "%s", file->path);
    if (code != DOBBY_OK)
        return code;
    if (info.kind == FILE_DIRECTORY)
        code = open_directory(file, err);
    else if (info.kind == FILE_REGULAR)
        code = open_gguf(file, err);
    else
        return DOBBY_FAIL(err, DOBBY_MODEL_FORMAT_UNKNOWN, "%s is neither a file nor a directory",
                          file->path);
    if (code == DOBBY_OK)
        code = model_weights_bind(&file->tensors, file->huggingface, &file->config, &file->arena,
                                  &file->weights, err);
    if (code == DOBBY_OK && file->config.name[0] == '\0')
        code = name_by_path(file, err);
    return code;
}

dobby_code model_file_open(const char *path, struct model_file **out, struct dobby_error *err)
{
    *out = NULL;
    struct model_file *file = calloc(1, sizeof(*file));
    if (file == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "%s", path);
    arena_init(&file->arena, 0);
    file->path = arena_copy(&file->arena, path, strlen(path));
    dobby_code code = DOBBY_OK;
    if (file->path == NULL)
        code = DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "%s", path);
    else
        code = open_path(file, err);
    if (code != DOBBY_OK) {
        model_file_close(file);
        return code;
    }
    *out = file;
    return DOBBY_OK;
}

void model_file_close(struct model_file *file)
{
    if (file == NULL)
        return;
    for (size_t i = 0; i < file->map_count; i++)
        file_map_close(&file->maps[i]);
    arena_release(&file->arena);
    free(file);
}

/* ---- the view ------------------------------------------------------------------------------------------ */

const struct model_config *model_file_config(const struct model_file *file)
{
    return &file->config;
}

dobby_code model_file_weight(const struct model_file *file, enum weight_role role, uint32_t layer,
                             struct tensor *out, struct dobby_error *err)
{
    *out = (struct tensor){0};
    if (role <= WEIGHT_UNKNOWN || role >= WEIGHT_ROLE_COUNT || layer >= file->weights.layers)
        return DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT, "weight role %d of layer %u", (int)role, layer);
    const struct tensor *tensor = &file->weights.tensors[(size_t)layer * WEIGHT_ROLE_COUNT + role];
    if (tensor->type == TENSOR_UNKNOWN)
        return DOBBY_FAIL(err, DOBBY_MODEL_CORRUPT, "the model has no weight of role %d in layer %u",
                          (int)role, layer);
    *out = *tensor;
    return DOBBY_OK;
}

static dobby_code tokenizer_from_directory(const struct model_file *file, struct tokenizer **out,
                                           struct dobby_error *err)
{
    struct file_map map = {0};
    dobby_code code = map_member(file->path, tokenizer_name, false, &map, err);
    if (code == DOBBY_FILE_NOT_FOUND)
        return DOBBY_FAIL(err, DOBBY_TOKENIZER_INVALID, "%s/%s is missing", file->path, tokenizer_name);
    if (code != DOBBY_OK)
        return code;
    code = tokenizer_from_json(map.bytes != NULL ? (const char *)map.bytes : "", map.length, out, err);
    file_map_close(&map);
    return code;
}

dobby_code model_file_tokenizer(const struct model_file *file, struct tokenizer **out,
                                struct dobby_error *err)
{
    *out = NULL;
    struct tokenizer *tokenizer = NULL;
    dobby_code code = file->huggingface ? tokenizer_from_directory(file, &tokenizer, err)
                                        : tokenizer_from_gguf(&file->gguf, &tokenizer, err);
    if (code != DOBBY_OK)
        return code;
    if (tokenizer_vocabulary(tokenizer) > file->config.vocabulary) {
        code = DOBBY_FAIL(err, DOBBY_TOKENIZER_INVALID, "token id %u is beyond the model's vocabulary of %u",
                          tokenizer_vocabulary(tokenizer) - 1, file->config.vocabulary);
        tokenizer_free(tokenizer);
        return code;
    }
    *out = tokenizer;
    return DOBBY_OK;
}

/* Adds one file of the directory; what is not there counts as empty. */
static dobby_code hash_member(const struct model_file *file, const char *name, struct sha256 *sha,
                              struct dobby_error *err)
{
    struct file_map map = {0};
    dobby_code code = map_member(file->path, name, true, &map, err);
    if (code == DOBBY_OK)
        code = sha256_field(sha, map.bytes, map.length, err);
    file_map_close(&map);
    return code;
}

dobby_code model_file_fingerprint(const struct model_file *file, uint8_t digest[32], struct dobby_error *err)
{
    static const char *const deciding[] = {config_name, generation_config_name, tokenizer_name};
    struct sha256 sha = {0};
    memset(digest, 0, SHA256_BYTES);
    dobby_code code = sha256_init(&sha, err);
    for (size_t i = 0; file->huggingface && i < sizeof(deciding) / sizeof(deciding[0]); i++) {
        if (code == DOBBY_OK)
            code = hash_member(file, deciding[i], &sha, err);
    }
    for (size_t i = 0; i < file->map_count && code == DOBBY_OK; i++)
        code = sha256_field(&sha, file->maps[i].bytes, file->maps[i].length, err);
    if (code == DOBBY_OK)
        code = sha256_final(&sha, digest, err);
    sha256_release(&sha);
    return code;
}

enum tensor_type model_file_weight_type(const struct model_file *file)
{
    return file->weights.matrix_type;
}

uint64_t model_file_bytes(const struct model_file *file)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < file->map_count; i++)
        bytes += file->maps[i].length;
    return bytes;
}

const char *model_file_format(const struct model_file *file)
{
    return file->huggingface ? "huggingface" : "gguf";
}

uint64_t model_file_parameters(const struct model_file *file)
{
    return file->weights.parameters;
}

void model_file_drop_pages(const struct model_file *file)
{
    for (size_t i = 0; i < file->map_count; i++)
        file_map_drop(&file->maps[i], 0, file->maps[i].length);
}
