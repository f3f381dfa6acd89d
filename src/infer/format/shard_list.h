/* The weight files that a Hugging Face index names: a pure parser over bytes. */
#ifndef INFER_FORMAT_SHARD_LIST_H
#define INFER_FORMAT_SHARD_LIST_H

#include "base/arena.h"

struct shard_list {
    const char **names; /* sorted, distinct; plain file names within the directory */
    size_t count;
};

/* bytes: model.safetensors.index.json. The list lives in the arena. Fails: MODEL_CORRUPT (naming the
 * field), MODEL_UNSUPPORTED (too many shards), OUT_OF_MEMORY. */
DOBBY_NODISCARD dobby_code shard_list_parse(const char *bytes, size_t length, struct arena *arena,
                                            struct shard_list *out, struct dobby_error *err);

#endif
