#include "app/reasons.h"

#include "base/utf8.h"

#include <string.h>

dobby_code reason_append(struct buffer *out, const struct reason_count *row, struct dobby_error *err)
{
    const char *particulars = row->example + strlen(row->kind);
    if (row->count == 1 || particulars[0] == '\0')
        return utf8_append_display(out, row->example, strlen(row->example), err);
    dobby_code code = utf8_append_display(out, row->kind, strlen(row->kind), err);
    if (code == DOBBY_OK)
        code = buffer_append_string(out, ", such as", err);
    return code == DOBBY_OK ? utf8_append_display(out, particulars, strlen(particulars), err) : code;
}

void reason_write_json(const struct reason_count *row, struct json_writer *json)
{
    json_key(json, "reason");
    json_put_text(json, row->kind);
    json_key(json, "example");
    json_put_text(json, row->example);
    json_key(json, "count");
    json_put_integer(json, (int64_t)row->count);
}
