/* The errors of a run by their id: how often, one example, and whether they may pass. Bounded: ids beyond the
 * table's size are counted together. */
#ifndef PIPELINE_ERROR_TALLY_H
#define PIPELINE_ERROR_TALLY_H

#include "base/error.h"

enum { ERROR_TALLY_ROWS = 16 };

struct error_tally_row {
    dobby_code code;
    uint64_t count;
    int64_t last_unix_us;
    char sample[DOBBY_ERROR_DETAIL_BYTES]; /* the last one's particulars */
    char record_id[80];                    /* the last one's record, cut; "" where it was none's */
};

struct error_tally { /* zeroed: empty */
    struct error_tally_row rows[ERROR_TALLY_ROWS];
    size_t count;
    uint64_t others;
};

void error_tally_add(struct error_tally *tally, dobby_code code, const char *detail, const char *record_id,
                     int64_t now_unix_us);

#endif
