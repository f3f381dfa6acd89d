/* Synthetic records: text that looks like source code, all different, the same for the same index and size.
 */
#ifndef APP_BENCH_RECORDS_H
#define APP_BENCH_RECORDS_H

#include "base/buffer.h"
#include "store/store.h"

/* Appends exactly so many bytes (1 or more). */
DOBBY_NODISCARD dobby_code bench_record_content(uint64_t index, size_t bytes, struct buffer *out,
                                                struct dobby_error *err);
/* Puts the records [0, count) as one source into a store that is empty. Fails: as store_put, and CANCELED
 * when the program was interrupted. */
DOBBY_NODISCARD dobby_code bench_records_put(struct store *store, uint64_t count, size_t bytes,
                                             struct dobby_error *err);

#endif
