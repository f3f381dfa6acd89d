#include "infer/format/shard_list.h"

#include "base/json.h"
#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

enum { SHARD_NAME_BYTES_MAX = 255 }; /* of a file name on Linux */

struct list_reader {
    struct arena *arena;
    struct shard_list list;
    dobby_code code;
    struct dobby_error *err;
};

/* A name out of a downloaded file must not lead out of the directory. */
static bool is_plain_name(const char *name, size_t length)
{
    static const char suffix[] = ".safetensors";
    size_t suffix_length = sizeof(suffix) - 1;
    return length > suffix_length && length <= SHARD_NAME_BYTES_MAX && strlen(name) == length &&
           name[0] != '.' && strchr(name, '/') == NULL && strcmp(name + length - suffix_length, suffix) == 0;
}

static bool visit_tensor(void *context, const char *key, size_t key_length, struct json *value)
{
    struct list_reader *r = context;
    size_t length = 0;
    const char *name = json_to_text(value, &length);
    (void)key_length;
    if (name == NULL || !is_plain_name(name, length)) {
        r->code = DOBBY_FAIL(r->err, DOBBY_MODEL_CORRUPT,
                             "weight_map: tensor %.128s: %.64s is no plain name of a .safetensors file", key,
                             name != NULL ? name : "(no text)");
        return false;
    }
    for (size_t i = 0; i < r->list.count; i++) {
        if (strcmp(r->list.names[i], name) == 0)
            return true;
    }
    if (r->list.count == LIMIT_MODEL_SHARDS) {
        r->code = DOBBY_FAIL(r->err, DOBBY_MODEL_UNSUPPORTED, "weight_map: more than %d shards",
                             LIMIT_MODEL_SHARDS);
        return false;
    }
    const char *copy = arena_copy(r->arena, name, length);
    if (copy == NULL)
        r->code = DOBBY_FAIL(r->err, DOBBY_OUT_OF_MEMORY, "weight_map");
    else
        r->list.names[r->list.count++] = copy;
    return r->code == DOBBY_OK;
}

static int compare_names(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

dobby_code shard_list_parse(const char *bytes, size_t length, struct arena *arena, struct shard_list *out,
                            struct dobby_error *err)
{
    *out = (struct shard_list){0};
    struct json *json = NULL;
    struct list_reader r = {.arena = arena, .err = err};
    dobby_code code = json_parse(bytes, length, &json, err);
    if (code != DOBBY_OK)
        return code == DOBBY_OUT_OF_MEMORY ? code : DOBBY_WRAP(err, DOBBY_MODEL_CORRUPT, "the index");
    const struct json *weight_map = json_member(json, "weight_map");
    if (json_kind_of(weight_map) != JSON_KIND_OBJECT || json_count(weight_map) == 0 ||
        json_count(weight_map) > LIMIT_MODEL_TENSORS) {
        code = DOBBY_FAIL(err, DOBBY_MODEL_CORRUPT, "weight_map: must be an object of 1 to %d tensors",
                          LIMIT_MODEL_TENSORS);
        goto done;
    }
    r.list.names = arena_alloc_array(arena, LIMIT_MODEL_SHARDS, sizeof(r.list.names[0]));
    if (r.list.names == NULL) {
        code = DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "weight_map");
        goto done;
    }
    json_each_member(weight_map, visit_tensor, &r);
    code = r.code;
    if (code == DOBBY_OK) {
        qsort(r.list.names, r.list.count, sizeof(r.list.names[0]), compare_names);
        *out = r.list;
    }
done:
    json_free(json);
    return code;
}
