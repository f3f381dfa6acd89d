/* Records as lines for people: id, state, place and summary, cut to the terminal's width. */
#ifndef APP_TABLE_H
#define APP_TABLE_H

#include "base/buffer.h"
#include "store/store.h"

enum { TABLE_ID_COLUMNS = 12, TABLE_STATE_COLUMNS = 9 };

struct table_style {
    uint32_t columns; /* of the terminal; 0: nothing is cut */
    bool colour;
    bool versions; /* a row is one version of a record's summary: with its time, its model, and * when current
                    */
};

/* Appends text as it may be shown (controls escaped), in at most columns columns (0: no limit); what is cut
 * ends in an ellipsis, or begins with one when from_end keeps the end. *used says the columns taken. */
DOBBY_NODISCARD dobby_code table_append_cell(struct buffer *out, const char *text, uint32_t columns,
                                             bool from_end, uint32_t *used, struct dobby_error *err);
DOBBY_NODISCARD dobby_code table_append_header(struct buffer *out, const struct table_style *style,
                                               struct dobby_error *err);
DOBBY_NODISCARD dobby_code table_append_row(struct buffer *out, const struct record_row *row,
                                            const struct table_style *style, struct dobby_error *err);

#endif
