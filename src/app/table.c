#include "app/table.h"

#include "base/utf8.h"
#include "os/clock.h"

#include <stdio.h>
#include <string.h>

enum { GAP_COLUMNS = 2, PLACE_COLUMNS = 40, PLACE_COLUMNS_MIN = 16, PLACE_TEXT_BYTES = 64 };
/* Of a version: "* 2026-01-31 23:59" and what made it. */
enum { TIME_CHARACTERS = 16, MARK_COLUMNS = 2, MADE_BY_COLUMNS = 24 };
static const char ellipsis[] = "\xe2\x80\xa6"; /* one column */

/* Bytes of the longest prefix of text that takes at most columns; *used is what it takes. */
static size_t fit_prefix(const char *text, size_t length, size_t columns, size_t *used)
{
    size_t bytes = 0;
    *used = 0;
    while (bytes < length) {
        uint32_t code_point;
        const size_t step = utf8_decode(text + bytes, length - bytes, &code_point);
        const size_t width = utf8_display_width(text + bytes, step);
        if (*used + width > columns)
            break;
        *used += width;
        bytes += step;
    }
    return bytes;
}

/* Bytes to leave out at the beginning so that the rest takes at most columns. */
static size_t fit_suffix(const char *text, size_t length, size_t columns, size_t *used)
{
    size_t begin = 0;
    *used = utf8_display_width(text, length);
    while (begin<length && * used> columns) {
        uint32_t code_point;
        begin += utf8_decode(text + begin, length - begin, &code_point);
        *used = utf8_display_width(text + begin, length - begin);
    }
    return begin;
}

dobby_code table_append_cell(struct buffer *out, const char *text, uint32_t columns, bool from_end,
                             uint32_t *used, struct dobby_error *err)
{
    struct buffer shown = {0};
    size_t width = 0;
    *used = 0;
    dobby_code code = utf8_append_display(&shown, text, strlen(text), err);
    if (code != DOBBY_OK || shown.length == 0)
        goto done;
    width = utf8_display_width(shown.bytes, shown.length);
    if (columns == 0 || width <= columns) {
        code = buffer_append(out, shown.bytes, shown.length, err);
    } else if (from_end) {
        const size_t begin = fit_suffix(shown.bytes, shown.length, columns - 1, &width);
        width++;
        code = buffer_append_string(out, ellipsis, err);
        if (code == DOBBY_OK)
            code = buffer_append(out, shown.bytes + begin, shown.length - begin, err);
    } else {
        const size_t bytes = fit_prefix(shown.bytes, shown.length, columns - 1, &width);
        width++;
        code = buffer_append(out, shown.bytes, bytes, err);
        if (code == DOBBY_OK)
            code = buffer_append_string(out, ellipsis, err);
    }
    *used = (uint32_t)width;
done:
    buffer_release(&shown);
    return code;
}

static dobby_code append_padding(struct buffer *out, uint32_t used, uint32_t columns, struct dobby_error *err)
{
    const int spaces = (int)(used < columns ? columns - used : 0) + GAP_COLUMNS;
    return buffer_append_format(out, err, "%*s", spaces, "");
}

static uint32_t place_columns(const struct table_style *style)
{
    if (style->columns == 0)
        return PLACE_COLUMNS;
    const uint32_t share = style->columns / 3;
    return share > PLACE_COLUMNS ? PLACE_COLUMNS : share < PLACE_COLUMNS_MIN ? PLACE_COLUMNS_MIN : share;
}

/* What is left of the line for the summary; 0: no limit. */
static uint32_t summary_columns(const struct table_style *style)
{
    const uint32_t version = MARK_COLUMNS + TIME_CHARACTERS + MADE_BY_COLUMNS + 2 * GAP_COLUMNS;
    const uint32_t before = TABLE_ID_COLUMNS + TABLE_STATE_COLUMNS + place_columns(style) + 3 * GAP_COLUMNS +
                            (style->versions ? version : 0);
    if (style->columns == 0)
        return 0;
    return style->columns > before + 10 ? style->columns - before : 10;
}

dobby_code table_append_header(struct buffer *out, const struct table_style *style, struct dobby_error *err)
{
    dobby_code code = buffer_append_format(out, err, "%s%-*s  %-*s  %-*s  ", style->colour ? "\x1b[1m" : "",
                                           TABLE_ID_COLUMNS, "ID", TABLE_STATE_COLUMNS, "STATE",
                                           (int)place_columns(style), "PATH:LINES");
    if (code == DOBBY_OK && style->versions)
        code = buffer_append_format(out, err, "%-*s  %-*s  ", MARK_COLUMNS + TIME_CHARACTERS, "  MADE (UTC)",
                                    MADE_BY_COLUMNS, "BY");
    return code == DOBBY_OK ? buffer_append_format(out, err, "SUMMARY%s\n", style->colour ? "\x1b[0m" : "")
                            : code;
}

static const char *colour_of(enum record_state state)
{
    switch (state) {
    case RECORD_COMPLETED:
        return "\x1b[32m";
    case RECORD_FAILED:
        return "\x1b[31m";
    case RECORD_DEGRADED:
    case RECORD_SKIPPED:
        return "\x1b[33m";
    default:
        return "";
    }
}

/* "path:12-40"; the end is what tells chunks apart, so a long path loses its beginning. */
static dobby_code append_place(struct buffer *out, const struct record_row *row,
                               const struct table_style *style, struct dobby_error *err)
{
    struct buffer place = {0};
    uint32_t used = 0;
    dobby_code code = buffer_append_string(&place, row->path, err);
    if (code == DOBBY_OK && row->first_line > 0)
        code = buffer_append_format(&place, err, ":%u-%u", row->first_line, row->last_line);
    if (code == DOBBY_OK && place.length > 0)
        code = table_append_cell(out, place.bytes, style->columns == 0 ? 0 : place_columns(style), true,
                                 &used, err);
    buffer_release(&place);
    return code == DOBBY_OK ? append_padding(out, used, place_columns(style), err) : code;
}

/* "* 2026-01-31 23:59  dobby-nano int8"; blanks for a record without a summary. */
static dobby_code append_version(struct buffer *out, const struct record_row *row, struct dobby_error *err)
{
    struct buffer made_by = {0};
    char made[CLOCK_TEXT_BYTES] = "";
    uint32_t used = 0;
    dobby_code code = DOBBY_OK;
    if (row->summary != NULL) {
        clock_format(row->summary_unix_us, made);
        made[strcspn(made, "T")] = ' ';
        code = buffer_append_format(&made_by, err, "%s %s", row->summary->model, row->summary->precision);
    }
    const bool current = row->summary != NULL && row->summary_current;
    if (code == DOBBY_OK)
        code = buffer_append_format(out, err, "%-*s%-*.*s  ", MARK_COLUMNS, current ? "*" : "",
                                    TIME_CHARACTERS, TIME_CHARACTERS, made);
    if (code == DOBBY_OK && made_by.length > 0)
        code = table_append_cell(out, made_by.bytes, MADE_BY_COLUMNS, false, &used, err);
    buffer_release(&made_by);
    return code == DOBBY_OK ? append_padding(out, used, MADE_BY_COLUMNS, err) : code;
}

dobby_code table_append_row(struct buffer *out, const struct record_row *row, const struct table_style *style,
                            struct dobby_error *err)
{
    const char *state = record_state_name(row->state);
    const char *colour = style->colour ? colour_of(row->state) : "";
    const char *text = row->summary != NULL ? row->summary->text : row->reason != NULL ? row->reason : "";
    char id[TABLE_ID_COLUMNS + 1];
    uint32_t used = 0;
    snprintf(id, sizeof id, "%s", row->id);
    dobby_code code = table_append_cell(out, id, TABLE_ID_COLUMNS, false, &used, err);
    if (code == DOBBY_OK)
        code = append_padding(out, used, TABLE_ID_COLUMNS, err);
    if (code == DOBBY_OK)
        code = buffer_append_format(out, err, "%s%s%s", colour, state, colour[0] != '\0' ? "\x1b[0m" : "");
    if (code == DOBBY_OK)
        code = append_padding(out, (uint32_t)strlen(state), TABLE_STATE_COLUMNS, err);
    if (code == DOBBY_OK)
        code = append_place(out, row, style, err);
    if (code == DOBBY_OK && style->versions)
        code = append_version(out, row, err);
    if (code == DOBBY_OK)
        code = table_append_cell(out, text, summary_columns(style), false, &used, err);
    return code == DOBBY_OK ? buffer_append_byte(out, '\n', err) : code;
}
