#include "pipeline/error_tally.h"

#include <stdio.h>

void error_tally_add(struct error_tally *tally, dobby_code code, const char *detail, const char *record_id,
                     int64_t now_unix_us)
{
    size_t i = 0;
    while (i < tally->count && tally->rows[i].code != code)
        i++;
    if (i == ERROR_TALLY_ROWS) {
        tally->others++;
        return;
    }
    struct error_tally_row *row = &tally->rows[i];
    if (i == tally->count)
        tally->count++;
    row->code = code;
    row->count++;
    row->last_unix_us = now_unix_us;
    snprintf(row->sample, sizeof(row->sample), "%s", detail);
    snprintf(row->record_id, sizeof(row->record_id), "%s", record_id);
}
