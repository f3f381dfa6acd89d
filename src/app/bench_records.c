#include "app/bench_records.h"

#include "base/limits.h"
#include "os/clock.h"
#include "os/interrupt.h"

#include <inttypes.h>
#include <stdio.h>

enum { PUT_RECORDS = 256, NAME_BYTES = 48 };

static const char *const nouns[] = {"queue",  "buffer", "index",   "record", "lease", "batch",
                                    "window", "token",  "column",  "header", "page",  "cursor",
                                    "chunk",  "route",  "account", "session"};
static const char *const verbs[] = {"merge",  "append",  "release", "measure",
                                    "encode", "compare", "rotate",  "refill"};
enum { NOUN_COUNT = sizeof nouns / sizeof nouns[0], VERB_COUNT = sizeof verbs / sizeof verbs[0] };

/* splitmix64: one step of a sequence that the state alone decides. */
static uint64_t next(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
    z = (z ^ z >> 27) * 0x94D049BB133111EB;
    return z ^ z >> 31;
}

static dobby_code append_function(uint64_t *state, struct buffer *out, struct dobby_error *err)
{
    const char *noun = nouns[next(state) % NOUN_COUNT], *other = nouns[next(state) % NOUN_COUNT];
    const char *verb = verbs[next(state) % VERB_COUNT];
    const unsigned number = (unsigned)(next(state) % 10000);
    return buffer_append_format(out, err,
                                "static int %s_%s_%u(struct %s *%s, int %s_count)\n"
                                "{\n"
                                "    if (%s->%s_count + %s_count > %u)\n"
                                "        return -1;\n"
                                "    %s->%s_count += %s_count;\n"
                                "    return %s_%s(%s, %u);\n"
                                "}\n\n",
                                noun, verb, number, noun, noun, other, noun, other, other, number, noun,
                                other, other, other, verb, noun, number % 64);
}

dobby_code bench_record_content(uint64_t index, size_t bytes, struct buffer *out, struct dobby_error *err)
{
    const size_t start = out->length;
    uint64_t state = index;
    dobby_code code = buffer_append_format(out, err, "/* Part %" PRIu64 ". */\n", index);
    while (code == DOBBY_OK && out->length - start < bytes)
        code = append_function(&state, out, err);
    if (code == DOBBY_OK)
        out->length = start + bytes;
    return code;
}

/* Puts the records from first on, at most PUT_RECORDS; *done says how many. */
static dobby_code put_some(struct store *store, uint64_t first, uint64_t count, size_t bytes,
                           struct buffer *text, size_t *done, struct dobby_error *err)
{
    struct record_input inputs[PUT_RECORDS];
    char names[PUT_RECORDS][NAME_BYTES];
    struct put_counts counts = {0};
    dobby_code code = DOBBY_OK;
    *done = count - first < PUT_RECORDS ? (size_t)(count - first) : PUT_RECORDS;
    buffer_clear(text);
    for (size_t i = 0; code == DOBBY_OK && i < *done; i++)
        code = bench_record_content(first + i, bytes, text, err);
    for (size_t i = 0; code == DOBBY_OK && i < *done; i++) {
        snprintf(names[i], NAME_BYTES, "part-%010" PRIu64 ".c", first + i);
        inputs[i] = (struct record_input){.id = names[i],
                                          .path = names[i],
                                          .language = "c",
                                          .first_line = 1,
                                          .last_line = 1,
                                          .content = text->bytes + i * bytes,
                                          .content_length = bytes};
    }
    if (code == DOBBY_OK)
        code = store_put(store, inputs, *done, clock_unix_us(), &counts, err);
    return code;
}

dobby_code bench_records_put(struct store *store, uint64_t count, size_t bytes, struct dobby_error *err)
{
    struct buffer text = {0};
    struct put_counts counts = {0};
    dobby_code code = store_sync_begin(store, "bench", clock_unix_us(), err);
    for (uint64_t at = 0; code == DOBBY_OK && at < count;) {
        size_t done = 0;
        code = interrupt_count() > 0 ? DOBBY_FAIL(err, DOBBY_CANCELED, "while writing the synthetic records")
                                     : put_some(store, at, count, bytes, &text, &done, err);
        at += done;
    }
    if (code == DOBBY_OK)
        code = store_sync_end(store, "", &counts, err);
    buffer_release(&text);
    return code;
}
