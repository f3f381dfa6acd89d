#include "app/output.h"

#include "os/terminal.h"

#include <string.h>

static dobby_code failed(const struct output *output, struct dobby_error *err)
{
    if (output->writer.reader_gone)
        return DOBBY_WRAP(err, DOBBY_OUTPUT_CLOSED, "standard output");
    return DOBBY_WRAP(err, DOBBY_OUTPUT_FAILED, "%s", output->writer.owned ? "--output" : "standard output");
}

dobby_code output_open(struct output *output, const char *path, struct dobby_error *err)
{
    *output = (struct output){0};
    if (path == NULL || strcmp(path, "-") == 0) {
        file_writer_open_descriptor(STREAM_OUTPUT, &output->writer);
        return DOBBY_OK;
    }
    if (file_writer_open(path, &output->writer, err) != DOBBY_OK)
        return DOBBY_WRAP(err, DOBBY_OUTPUT_FAILED, "--output %s", path);
    return DOBBY_OK;
}

dobby_code output_put(struct output *output, struct dobby_error *err)
{
    const dobby_code code = file_writer_write(&output->writer, output->text.bytes, output->text.length, err);
    buffer_clear(&output->text);
    return code == DOBBY_OK ? DOBBY_OK : failed(output, err);
}

dobby_code output_flush(struct output *output, struct dobby_error *err)
{
    dobby_code code = output_put(output, err);
    if (code == DOBBY_OK && file_writer_flush(&output->writer, err) != DOBBY_OK)
        code = failed(output, err);
    return code;
}

dobby_code output_finish(struct output *output, struct dobby_error *err)
{
    dobby_code code = output_put(output, err);
    if (code == DOBBY_OK && file_writer_finish(&output->writer, err) != DOBBY_OK)
        code = failed(output, err);
    return code;
}

void output_release(struct output *output)
{
    file_writer_release(&output->writer);
    buffer_release(&output->text);
    *output = (struct output){0};
}

dobby_code output_print(const struct buffer *text, struct dobby_error *err)
{
    struct output output;
    dobby_code code = output_open(&output, NULL, err);
    if (code == DOBBY_OK && file_writer_write(&output.writer, text->bytes, text->length, err) != DOBBY_OK)
        code = failed(&output, err);
    if (code == DOBBY_OK)
        code = output_finish(&output, err);
    output_release(&output);
    return code;
}
