/* The tensors of one model, by name, whatever the file format. */
#ifndef INFER_FORMAT_TENSOR_TABLE_H
#define INFER_FORMAT_TENSOR_TABLE_H

#include "base/arena.h"
#include "infer/format/model_file.h"

enum { TENSOR_DIMENSIONS_MAX = 4 };

struct tensor_entry {
    const char *name;                           /* in the arena */
    enum tensor_type type;                      /* UNKNOWN: fine until the tensor is asked for */
    const char *type_name;                      /* the format's own word for it; in the arena or static */
    uint32_t dimension_count;                   /* 0: a scalar */
    uint64_t dimensions[TENSOR_DIMENSIONS_MAX]; /* outermost first */
    const uint8_t *data;                        /* bytes of it lie within the file */
    size_t bytes;
    bool used; /* a role was bound to it */
};

struct tensor_table {
    struct tensor_entry *entries; /* sorted by name after tensor_table_sort */
    size_t count;
};

/* Sorts by name. Fails: MODEL_CORRUPT when two tensors have one name. */
DOBBY_NODISCARD dobby_code tensor_table_sort(struct tensor_table *table, struct dobby_error *err);
/* NULL when there is none. The table must be sorted. */
struct tensor_entry *tensor_table_find(const struct tensor_table *table, const char *name);

/* The product of the dimensions, or false on overflow. */
bool tensor_elements(const uint64_t *dimensions, uint32_t count, uint64_t *out);
/* Bytes of `elements` values in rows of `columns`; false when the type is unknown, the columns do not fill
 * whole blocks, or on overflow. */
bool tensor_bytes(enum tensor_type type, uint64_t elements, uint64_t columns, uint64_t *out);

#endif
