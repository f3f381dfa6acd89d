/* A safetensors file of any bytes, the same bytes as a shard index, and as a config.json. */
#include "base/arena.h"
#include "infer/format/model_config.h"
#include "infer/format/safetensors.h"
#include "infer/format/shard_list.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct tensor_table table;
    struct shard_list shards;
    struct model_config config;
    struct dobby_error err = {0};
    const struct huggingface_texts texts = {.config = (const char *)data, .config_length = size};
    arena_init(&arena, 0);
    if (safetensors_parse(data, size, &arena, &table, &err) == DOBBY_OK) {
        volatile uint8_t last = 0;
        for (size_t i = 0; i < table.count; i++) {
            if (table.entries[i].bytes > 0)
                last = table.entries[i].data[table.entries[i].bytes - 1];
        }
        (void)last;
        (void)!tensor_table_sort(&table, &err);
    }
    (void)!shard_list_parse((const char *)data, size, &arena, &shards, &err);
    (void)!model_config_from_json(&texts, &config, &err);
    arena_release(&arena);
    return 0;
}
