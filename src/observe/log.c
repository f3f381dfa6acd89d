#include "observe/log.h"

#include "base/json_writer.h"
#include "base/utf8.h"
#include "os/clock.h"
#include "os/terminal.h"

#include <stdio.h>
#include <string.h>

/* Set once by log_init, before threads start; read-only after. */
static struct {
    enum log_level level;
    bool json;
} settings = {.level = LOG_INFO, .json = true};

static const char *const level_names[] = {
    [LOG_LEVEL_UNKNOWN] = "unknown", [LOG_DEBUG] = "debug", [LOG_INFO] = "info",
    [LOG_WARNING] = "warning",       [LOG_ERROR] = "error",
};

void log_init(enum log_level level, enum log_format format)
{
    settings.level = level == LOG_LEVEL_UNKNOWN ? LOG_INFO : level;
    settings.json =
        format == LOG_FORMAT_JSON || (format == LOG_FORMAT_AUTO && !terminal_is_terminal(STREAM_ERROR));
}

enum log_level log_level_parse(const char *name)
{
    for (size_t i = LOG_DEBUG; i <= LOG_ERROR; i++)
        if (strcmp(name, level_names[i]) == 0)
            return (enum log_level)i;
    return LOG_LEVEL_UNKNOWN;
}

static dobby_code format_json(struct buffer *out, enum log_level level, const char *event,
                              const char *message, const struct log_field *fields, size_t count)
{
    char time[CLOCK_TEXT_BYTES];
    clock_format(clock_unix_us(), time);
    struct json_writer writer;
    json_writer_init(&writer, out, false);
    json_begin_object(&writer);
    json_key(&writer, "time");
    json_put_text(&writer, time);
    json_key(&writer, "level");
    json_put_text(&writer, level_names[level]);
    json_key(&writer, "event");
    json_put_text(&writer, event);
    json_key(&writer, "message");
    json_put_text(&writer, message);
    for (size_t i = 0; i < count; i++) {
        json_key(&writer, fields[i].key);
        if (fields[i].text != NULL)
            json_put_text(&writer, fields[i].text);
        else
            json_put_integer(&writer, fields[i].integer);
    }
    json_end_object(&writer);
    return json_writer_end(&writer, NULL);
}

static dobby_code format_text(struct buffer *out, enum log_level level, const char *message,
                              const struct log_field *fields, size_t count)
{
    dobby_code code =
        buffer_append_format(out, NULL, "dobby: %s%s%s", level == LOG_INFO ? "" : level_names[level],
                             level == LOG_INFO ? "" : ": ", message);
    for (size_t i = 0; code == DOBBY_OK && i < count; i++) {
        code = buffer_append_format(out, NULL, "%s%s ", i == 0 ? " (" : ", ", fields[i].key);
        if (code == DOBBY_OK && fields[i].text != NULL)
            code = utf8_append_display(out, fields[i].text, strlen(fields[i].text), NULL);
        else if (code == DOBBY_OK)
            code = buffer_append_format(out, NULL, "%lld", (long long)fields[i].integer);
    }
    if (code == DOBBY_OK && count > 0)
        code = buffer_append_byte(out, ')', NULL);
    return code;
}

void log_write_fields(enum log_level level, const char *event, const char *message,
                      const struct log_field *fields, size_t count)
{
    if (level < settings.level)
        return;
    struct buffer line = {0};
    dobby_code code = settings.json ? format_json(&line, level, event, message, fields, count)
                                    : format_text(&line, level, message, fields, count);
    if (code == DOBBY_OK)
        code = buffer_append_byte(&line, '\n', NULL);
    /* A log that cannot be written has nowhere to say so. stderr is unbuffered, so that this is one write. */
    if (code == DOBBY_OK)
        (void)fwrite(line.bytes, 1, line.length, stderr);
    buffer_release(&line);
}

void log_error(const char *event, const struct dobby_error *err)
{
    struct log_field fields[2 + DOBBY_ERROR_ATTRIBUTES + DOBBY_ERROR_CAUSES];
    size_t count = 0;
    fields[count++] = LOG_TEXT("id", dobby_code_id(err->code));
    fields[count++] = LOG_TEXT("detail", err->detail);
    for (size_t i = 0; i < err->attribute_count; i++)
        fields[count++] = LOG_TEXT(err->attributes[i].key, err->attributes[i].value);
    for (size_t i = 0; i < err->cause_count; i++)
        fields[count++] = LOG_TEXT("cause", err->causes[i].detail);
    log_write_fields(dobby_code_severity(err->code) == DOBBY_SEVERITY_WARNING ? LOG_WARNING : LOG_ERROR,
                     event, dobby_code_message(err->code), fields, count);
}
