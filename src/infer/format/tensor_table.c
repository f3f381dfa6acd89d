#include "infer/format/tensor_table.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK_COLUMNS = 32, Q8_0_BLOCK_BYTES = 34, Q4_0_BLOCK_BYTES = 18 };

const char *tensor_type_name(enum tensor_type type)
{
    switch (type) {
    case TENSOR_F32:
        return "F32";
    case TENSOR_F16:
        return "F16";
    case TENSOR_BF16:
        return "BF16";
    case TENSOR_Q8_0:
        return "Q8_0";
    case TENSOR_Q4_0:
        return "Q4_0";
    case TENSOR_UNKNOWN:
        break;
    }
    return "unknown";
}

static int compare_entries(const void *left, const void *right)
{
    const struct tensor_entry *a = left;
    const struct tensor_entry *b = right;
    return strcmp(a->name, b->name);
}

dobby_code tensor_table_sort(struct tensor_table *table, struct dobby_error *err)
{
    if (table->count > 1)
        qsort(table->entries, table->count, sizeof(table->entries[0]), compare_entries);
    for (size_t i = 1; i < table->count; i++) {
        if (strcmp(table->entries[i - 1].name, table->entries[i].name) == 0)
            return DOBBY_FAIL(err, DOBBY_MODEL_CORRUPT, "tensor %s is there twice", table->entries[i].name);
    }
    return DOBBY_OK;
}

static int compare_name(const void *name, const void *entry)
{
    return strcmp(name, ((const struct tensor_entry *)entry)->name);
}

struct tensor_entry *tensor_table_find(const struct tensor_table *table, const char *name)
{
    if (table->count == 0)
        return NULL;
    return bsearch(name, table->entries, table->count, sizeof(table->entries[0]), compare_name);
}

bool tensor_elements(const uint64_t *dimensions, uint32_t count, uint64_t *out)
{
    uint64_t product = 1;
    for (uint32_t i = 0; i < count; i++) {
        if (dimensions[i] != 0 && product > UINT64_MAX / dimensions[i])
            return false;
        product *= dimensions[i];
    }
    *out = product;
    return true;
}

bool tensor_bytes(enum tensor_type type, uint64_t elements, uint64_t columns, uint64_t *out)
{
    uint64_t units = elements;
    uint64_t unit_bytes = 0;
    switch (type) {
    case TENSOR_F32:
        unit_bytes = 4;
        break;
    case TENSOR_F16:
    case TENSOR_BF16:
        unit_bytes = 2;
        break;
    case TENSOR_Q8_0:
    case TENSOR_Q4_0:
        if (columns % BLOCK_COLUMNS != 0 || elements % BLOCK_COLUMNS != 0)
            return false;
        units = elements / BLOCK_COLUMNS;
        unit_bytes = type == TENSOR_Q8_0 ? Q8_0_BLOCK_BYTES : Q4_0_BLOCK_BYTES;
        break;
    case TENSOR_UNKNOWN:
        return false;
    }
    if (units > UINT64_MAX / unit_bytes)
        return false;
    *out = units * unit_bytes;
    return true;
}
