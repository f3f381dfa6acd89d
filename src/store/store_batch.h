/* Building what the store hands out, for drivers: one owner of memory for each answer. */
#ifndef STORE_STORE_BATCH_H
#define STORE_STORE_BATCH_H

#include "store/store.h"

/* Room for limit records. On failure the batch is zeroed. Fails: OUT_OF_MEMORY. */
DOBBY_NODISCARD dobby_code record_batch_open(struct record_batch *batch, size_t limit,
                                             struct dobby_error *err);
/* Copies record and all that it points to behind the others; the batch must have room.
 * Fails: OUT_OF_MEMORY. */
DOBBY_NODISCARD dobby_code record_batch_add(struct record_batch *batch, const struct record *record,
                                            struct dobby_error *err);
/* Bytes of the reason's kind. */
size_t reason_kind_length(const char *reason);
/* Appends a row for a reason's kind, with it as the example; copied. Fails: OUT_OF_MEMORY. */
DOBBY_NODISCARD dobby_code reason_counts_add(struct reason_counts *counts, const char *reason,
                                             enum record_state state, uint64_t count,
                                             struct dobby_error *err);
/* Appends an owner, copied. Fails: OUT_OF_MEMORY. */
DOBBY_NODISCARD dobby_code owner_list_add(struct owner_list *list, const char *owner,
                                          struct dobby_error *err);

#endif
