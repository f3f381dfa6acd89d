#include "app/bench_report.h"

#include "base/error.h"
#include "base/json.h"
#include "base/json_writer.h"
#include "base/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum field_type { FIELD_UNKNOWN, FIELD_NAME, FIELD_LABEL, FIELD_U32, FIELD_U64, FIELD_NUMBER, FIELD_BOOLEAN };

struct field {
    const char *name;
    enum field_type type;
    size_t offset;
};
#define FIELD(kind, type, member)                                                                            \
    {                                                                                                        \
#member, type, offsetof(struct kind##_figures, member)                                               \
    }

static const struct field machine_fields[] = {
    FIELD(machine, FIELD_NAME, cpu),
    FIELD(machine, FIELD_U32, threads),
};
static const struct field kernel_fields[] = {
    FIELD(kernel, FIELD_NAME, name),      FIELD(kernel, FIELD_LABEL, isa),
    FIELD(kernel, FIELD_LABEL, product),  FIELD(kernel, FIELD_LABEL, weights),
    FIELD(kernel, FIELD_U32, m),          FIELD(kernel, FIELD_U32, n),
    FIELD(kernel, FIELD_U32, k),          FIELD(kernel, FIELD_NUMBER, achieved),
    FIELD(kernel, FIELD_NUMBER, ceiling), FIELD(kernel, FIELD_NUMBER, percent),
    FIELD(kernel, FIELD_LABEL, bound),    FIELD(kernel, FIELD_NUMBER, best_us),
};
static const struct field engine_fields[] = {
    FIELD(engine, FIELD_NAME, model),
    FIELD(engine, FIELD_LABEL, precision),
    FIELD(engine, FIELD_LABEL, kernels),
    FIELD(engine, FIELD_U32, sessions),
    FIELD(engine, FIELD_BOOLEAN, automatic),
    FIELD(engine, FIELD_U32, threads),
    FIELD(engine, FIELD_U64, records),
    FIELD(engine, FIELD_NUMBER, seconds),
    FIELD(engine, FIELD_NUMBER, records_per_min),
    FIELD(engine, FIELD_NUMBER, prefill_tokens_per_s),
    FIELD(engine, FIELD_NUMBER, decode_tokens_per_s),
    FIELD(engine, FIELD_NUMBER, first_token_ms),
    FIELD(engine, FIELD_NUMBER, p50_ms),
    FIELD(engine, FIELD_NUMBER, p95_ms),
    FIELD(engine, FIELD_NUMBER, p99_ms),
    FIELD(engine, FIELD_NUMBER, first_1000_rss_mb),
    FIELD(engine, FIELD_NUMBER, peak_rss_mb),
};
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* ---- rows ----------------------------------------------------------------------------------------- */

void bench_report_release(struct bench_report *report)
{
    free(report->kernels);
    free(report->engines);
    *report = (struct bench_report){0};
}

/* The array with room for one more; NULL: out of memory, and the old one stays. */
static void *grow(void *array, size_t count, size_t *capacity, size_t size, struct dobby_error *err)
{
    if (count < *capacity)
        return array;
    const size_t more = *capacity > 0 ? 2 * *capacity : 32;
    void *grown = realloc(array, more * size);
    if (grown == NULL)
        (void)DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "%zu rows", more);
    else
        *capacity = more;
    return grown;
}

dobby_code bench_report_add_kernel(struct bench_report *report, const struct kernel_figures *figures,
                                   struct dobby_error *err)
{
    struct kernel_figures *rows =
        grow(report->kernels, report->kernel_count, &report->kernel_capacity, sizeof *rows, err);
    if (rows == NULL)
        return DOBBY_OUT_OF_MEMORY;
    report->kernels = rows;
    rows[report->kernel_count++] = *figures;
    return DOBBY_OK;
}

dobby_code bench_report_add_engine(struct bench_report *report, const struct engine_figures *figures,
                                   struct dobby_error *err)
{
    struct engine_figures *rows =
        grow(report->engines, report->engine_count, &report->engine_capacity, sizeof *rows, err);
    if (rows == NULL)
        return DOBBY_OUT_OF_MEMORY;
    report->engines = rows;
    rows[report->engine_count++] = *figures;
    return DOBBY_OK;
}

const struct kernel_figures *bench_report_find_kernel(const struct bench_report *report,
                                                      const struct kernel_figures *figures)
{
    for (size_t i = 0; i < report->kernel_count; i++) {
        const struct kernel_figures *row = &report->kernels[i];
        if (row->m == figures->m && row->n == figures->n && row->k == figures->k &&
            strcmp(row->name, figures->name) == 0 && strcmp(row->isa, figures->isa) == 0 &&
            strcmp(row->product, figures->product) == 0 && strcmp(row->weights, figures->weights) == 0)
            return row;
    }
    return NULL;
}

/* What the engine chose itself is compared with what it chose then. */
const struct engine_figures *bench_report_find_engine(const struct bench_report *report,
                                                      const struct engine_figures *figures)
{
    for (size_t i = 0; i < report->engine_count; i++) {
        const struct engine_figures *row = &report->engines[i];
        if (row->automatic == figures->automatic && (row->automatic || row->sessions == figures->sessions) &&
            strcmp(row->model, figures->model) == 0)
            return row;
    }
    return NULL;
}

/* ---- writing -------------------------------------------------------------------------------------- */

/* Six digits say all that a measurement knows. */
static double rounded(double value)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%.6g", value);
    return strtod(text, NULL);
}

static void put_fields(struct json_writer *json, const struct field *fields, size_t count, const void *row)
{
    for (size_t i = 0; i < count; i++) {
        const void *at = (const char *)row + fields[i].offset;
        json_key(json, fields[i].name);
        switch (fields[i].type) {
        case FIELD_NAME:
        case FIELD_LABEL:
            json_put_text(json, at);
            break;
        case FIELD_U32:
            json_put_integer(json, *(const uint32_t *)at);
            break;
        case FIELD_U64:
            json_put_integer(json, (int64_t) * (const uint64_t *)at);
            break;
        case FIELD_NUMBER:
            json_put_number(json, rounded(*(const double *)at));
            break;
        case FIELD_BOOLEAN:
            json_put_boolean(json, *(const bool *)at);
            break;
        case FIELD_UNKNOWN:
            break;
        }
    }
}

static void put_machine(struct json_writer *json, const struct machine_figures *machine)
{
    json_key(json, "machine");
    json_begin_object(json);
    put_fields(json, machine_fields, COUNT(machine_fields), machine);
    json_key(json, "ceilings");
    json_begin_object(json);
    for (int i = 0; i < CEILING_COUNT; i++) {
        json_key(json, machine_ceiling_name((enum machine_ceiling)i));
        if (machine->ceilings[i] > 0)
            json_put_number(json, rounded(machine->ceilings[i]));
        else
            json_put_null(json);
    }
    json_end_object(json);
    json_end_object(json);
}

static void put_ratio(struct json_writer *json, const char *name, double now, double then)
{
    json_key(json, name);
    if (then > 0)
        json_put_number(json, rounded(now / then));
    else
        json_put_null(json);
}

static void put_kernel(struct json_writer *json, const struct kernel_figures *row,
                       const struct bench_report *against)
{
    const struct kernel_figures *then = against != NULL ? bench_report_find_kernel(against, row) : NULL;
    json_begin_object(json);
    put_fields(json, kernel_fields, COUNT(kernel_fields), row);
    if (then != NULL) {
        json_key(json, "against");
        json_begin_object(json);
        put_ratio(json, "achieved", row->achieved, then->achieved);
        put_ratio(json, "percent", row->percent, then->percent);
        json_end_object(json);
    }
    json_end_object(json);
}

static void put_engine(struct json_writer *json, const struct engine_figures *row,
                       const struct bench_report *against)
{
    const struct engine_figures *then = against != NULL ? bench_report_find_engine(against, row) : NULL;
    json_begin_object(json);
    put_fields(json, engine_fields, COUNT(engine_fields), row);
    json_key(json, "rows_per_pass");
    json_put_number(json, row->rows_per_pass);
    json_key(json, "phase_percent");
    json_begin_object(json);
    for (int i = 0; i < PHASE_COUNT; i++) {
        json_key(json, engine_phase_name((enum engine_phase)i));
        json_put_number(json, row->phase_percent[i]);
    }
    json_end_object(json);
    if (then != NULL) {
        json_key(json, "against");
        json_begin_object(json);
        put_ratio(json, "records_per_min", row->records_per_min, then->records_per_min);
        put_ratio(json, "p99_ms", row->p99_ms, then->p99_ms);
        put_ratio(json, "peak_rss_mb", row->peak_rss_mb, then->peak_rss_mb);
        json_end_object(json);
    }
    json_end_object(json);
}

dobby_code bench_report_append_json(const struct bench_report *report, const struct bench_report *against,
                                    struct buffer *out, struct dobby_error *err)
{
    struct json_writer json;
    json_writer_init(&json, out, true);
    json_begin_object(&json);
    put_machine(&json, &report->machine);
    json_key(&json, "kernels");
    json_begin_array(&json);
    for (size_t i = 0; i < report->kernel_count; i++)
        put_kernel(&json, &report->kernels[i], against);
    json_end_array(&json);
    json_key(&json, "engine");
    json_begin_array(&json);
    for (size_t i = 0; i < report->engine_count; i++)
        put_engine(&json, &report->engines[i], against);
    json_end_array(&json);
    json_end_object(&json);
    const dobby_code code = json_writer_end(&json, err);
    return code == DOBBY_OK ? buffer_append_byte(out, '\n', err) : code;
}

/* ---- reading -------------------------------------------------------------------------------------- */

static bool read_text(const struct json *value, char *out, size_t out_bytes)
{
    size_t length = 0;
    const char *text = json_to_text(value, &length);
    if (text == NULL || length >= out_bytes || memchr(text, '\0', length) != NULL)
        return false;
    memcpy(out, text, length + 1);
    return true;
}

static bool read_field(const struct json *value, enum field_type type, void *out)
{
    int64_t integer;
    switch (type) {
    case FIELD_NAME:
        return read_text(value, out, FIGURE_NAME_BYTES);
    case FIELD_LABEL:
        return read_text(value, out, FIGURE_LABEL_BYTES);
    case FIELD_U32:
        if (!json_to_integer(value, &integer) || integer < 0 || integer > UINT32_MAX)
            return false;
        *(uint32_t *)out = (uint32_t)integer;
        return true;
    case FIELD_U64:
        if (!json_to_integer(value, &integer) || integer < 0)
            return false;
        *(uint64_t *)out = (uint64_t)integer;
        return true;
    case FIELD_NUMBER:
        return json_to_number(value, out);
    case FIELD_BOOLEAN:
        return json_to_boolean(value, out);
    case FIELD_UNKNOWN:
        break;
    }
    return false;
}

static dobby_code read_fields(const struct json *object, const struct field *fields, size_t count, void *row,
                              struct dobby_error *err)
{
    if (json_kind_of(object) != JSON_KIND_OBJECT)
        return DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT, "a row is no object");
    for (size_t i = 0; i < count; i++) {
        const struct json *value = json_member(object, fields[i].name);
        const enum json_kind kind = json_kind_of(value);
        if (kind == JSON_KIND_NONE || kind == JSON_KIND_NULL)
            continue;
        if (!read_field(value, fields[i].type, (char *)row + fields[i].offset))
            return DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT, "\"%s\" is not what it should be", fields[i].name);
    }
    return DOBBY_OK;
}

static dobby_code read_machine(const struct json *value, struct machine_figures *out, struct dobby_error *err)
{
    if (value == NULL)
        return DOBBY_OK;
    const dobby_code code = read_fields(value, machine_fields, COUNT(machine_fields), out, err);
    const struct json *ceilings = json_member(value, "ceilings");
    for (int i = 0; i < CEILING_COUNT; i++)
        (void)json_to_number(json_member(ceilings, machine_ceiling_name((enum machine_ceiling)i)),
                             &out->ceilings[i]);
    return code;
}

/* A member that is missing, or an array of at most LIMIT_REPORT_ROWS. */
static dobby_code check_rows(const struct json *array, const char *name, struct dobby_error *err)
{
    if (array != NULL && json_kind_of(array) != JSON_KIND_ARRAY)
        return DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT, "\"%s\" is no array", name);
    if (json_count(array) > LIMIT_REPORT_ROWS)
        return DOBBY_FAIL(err, DOBBY_LIMIT_EXCEEDED, "\"%s\" has %zu rows, the limit is %d", name,
                          json_count(array), LIMIT_REPORT_ROWS);
    return DOBBY_OK;
}

static dobby_code read_report(const struct json *document, struct bench_report *out, struct dobby_error *err)
{
    if (json_kind_of(document) != JSON_KIND_OBJECT)
        return DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT, "a report is an object");
    const struct json *kernels = json_member(document, "kernels");
    const struct json *engines = json_member(document, "engine");
    dobby_code code = read_machine(json_member(document, "machine"), &out->machine, err);
    if (code == DOBBY_OK)
        code = check_rows(kernels, "kernels", err);
    if (code == DOBBY_OK)
        code = check_rows(engines, "engine", err);
    for (size_t i = 0; code == DOBBY_OK && i < json_count(kernels); i++) {
        struct kernel_figures row = {0};
        code = read_fields(json_element(kernels, i), kernel_fields, COUNT(kernel_fields), &row, err);
        if (code == DOBBY_OK)
            code = bench_report_add_kernel(out, &row, err);
    }
    for (size_t i = 0; code == DOBBY_OK && i < json_count(engines); i++) {
        struct engine_figures row = {0};
        code = read_fields(json_element(engines, i), engine_fields, COUNT(engine_fields), &row, err);
        if (code == DOBBY_OK)
            code = bench_report_add_engine(out, &row, err);
    }
    return code;
}

dobby_code bench_report_parse(const char *bytes, size_t length, struct bench_report *out,
                              struct dobby_error *err)
{
    struct json *document = NULL;
    *out = (struct bench_report){0};
    dobby_code code = json_parse(bytes, length, &document, err);
    if (code == DOBBY_OK)
        code = read_report(document, out, err);
    if (code != DOBBY_OK)
        bench_report_release(out);
    json_free(document);
    return code;
}
