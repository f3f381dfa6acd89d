/* What a command prints: standard output or --output FILE, every write checked. */
#ifndef APP_OUTPUT_H
#define APP_OUTPUT_H

#include "base/json_writer.h"
#include "os/file_writer.h"

struct output {
    struct file_writer writer;
    struct buffer text; /* being put together by the caller; output_put sends and clears it */
};

/* path NULL or "-": standard output. A zeroed struct may be released. Fails: OUTPUT_FAILED. */
DOBBY_NODISCARD dobby_code output_open(struct output *output, const char *path, struct dobby_error *err);
/* Sends output->text. Fails: OUTPUT_FAILED, OUTPUT_CLOSED when nobody reads the pipe any more. */
DOBBY_NODISCARD dobby_code output_put(struct output *output, struct dobby_error *err);
/* As output_put, and nothing is held back: for who reads along. */
DOBBY_NODISCARD dobby_code output_flush(struct output *output, struct dobby_error *err);
/* Sends what is left and puts a file in its place. Fails as output_put. */
DOBBY_NODISCARD dobby_code output_finish(struct output *output, struct dobby_error *err);
void output_release(struct output *output);

/* What makes a noun plural after a number: "1 record", "2 records". */
static inline const char *plural_s(uint64_t count)
{
    return count == 1 ? "" : "s";
}

/* Prints text, or one JSON document, on standard output: open, put, finish and release. */
DOBBY_NODISCARD dobby_code output_print(const struct buffer *text, struct dobby_error *err);

#endif
