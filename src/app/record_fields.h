/* A record as a list of named values: the one order in which JSON, CSV and `dobby show` print it. */
#ifndef APP_RECORD_FIELDS_H
#define APP_RECORD_FIELDS_H

#include "base/json_writer.h"
#include "os/clock.h"
#include "store/store.h"

enum field_type { FIELD_UNKNOWN, FIELD_NULL, FIELD_TEXT, FIELD_INTEGER, FIELD_NUMBER, FIELD_BOOLEAN };

struct record_field {
    const char *name;
    enum field_type type;
    const char *text;
    int64_t integer; /* of FIELD_BOOLEAN 0 or 1 */
    double number;
};

enum { RECORD_FIELDS_MAX = 29, RECORD_FIELDS_EXPORTED = 18 };
struct record_fields {
    struct record_field fields[RECORD_FIELDS_MAX];
    size_t count;
    /* What the fields' texts point into, beside the row. */
    char content_sha256[SHA256_HEX_BYTES], result_key[SHA256_HEX_BYTES];
    char created_at[CLOCK_TEXT_BYTES], state_at[CLOCK_TEXT_BYTES];
};
/* The first RECORD_FIELDS_EXPORTED are always the same; with details the provenance follows. The texts
 * live as long as row and out; out must not be copied. */
void record_fields_of(const struct record_row *row, bool details, struct record_fields *out);

/* Writes the fields as the members of the object that is open. */
void record_fields_write_json(const struct record_fields *fields, struct json_writer *json);
/* Appends a field's value as plain text: nothing for NULL. Fails: OUT_OF_MEMORY, LIMIT_EXCEEDED. */
DOBBY_NODISCARD dobby_code record_field_append(const struct record_field *field, struct buffer *out,
                                               struct dobby_error *err);

#endif
