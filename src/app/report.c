#include "app/report.h"

#include "app/secret.h"
#include "base/utf8.h"

#include <stdio.h>
#include <string.h>

/* A detail may hold a path or a URL from outside. */
static dobby_code append_detail(struct buffer *out, const char *detail, struct dobby_error *err)
{
    struct buffer masked = {0};
    dobby_code code = secret_append_masked(&masked, detail, err);
    if (code == DOBBY_OK)
        code = utf8_append_display(out, masked.length > 0 ? masked.bytes : "", masked.length, err);
    buffer_release(&masked);
    return code;
}

static dobby_code append_line(struct buffer *out, const char *prefix, dobby_code what, const char *detail,
                              struct dobby_error *err)
{
    dobby_code code = buffer_append_format(out, err, "%s%s: %s%s", prefix, dobby_code_id(what),
                                           dobby_code_message(what), detail[0] != '\0' ? ": " : "");
    if (code == DOBBY_OK)
        code = append_detail(out, detail, err);
    return code == DOBBY_OK ? buffer_append_byte(out, '\n', err) : code;
}

dobby_code report_format(struct buffer *out, const struct dobby_error *error, struct dobby_error *err)
{
    const bool warning = dobby_code_severity(error->code) == DOBBY_SEVERITY_WARNING;
    dobby_code code =
        append_line(out, warning ? "dobby: warning " : "dobby: error ", error->code, error->detail, err);
    for (size_t i = 0; code == DOBBY_OK && i < error->attribute_count; i++) {
        code = buffer_append_format(out, err, "  %s: ", error->attributes[i].key);
        if (code == DOBBY_OK)
            code = append_detail(out, error->attributes[i].value, err);
        if (code == DOBBY_OK)
            code = buffer_append_byte(out, '\n', err);
    }
    for (size_t i = 0; code == DOBBY_OK && i < error->cause_count; i++)
        code = append_line(out, "  because ", error->causes[i].code, error->causes[i].detail, err);
    /* The nearest cause knows best what helps: a file that is missing beats "correct the key". */
    const dobby_code adviser = error->cause_count > 0 ? error->causes[0].code : error->code;
    if (code == DOBBY_OK)
        code = buffer_append_format(out, err, "  try: %s\n", dobby_code_remedy(adviser));
    return code;
}

void report_error(const struct dobby_error *error)
{
    struct buffer text = {0};
    if (report_format(&text, error, NULL) == DOBBY_OK)
        fwrite(text.bytes, 1, text.length, stderr);
    else
        fprintf(stderr, "dobby: error %s: %s\n", dobby_code_id(error->code), dobby_code_message(error->code));
    buffer_release(&text);
}
