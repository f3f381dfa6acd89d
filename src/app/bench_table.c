#include "app/bench_table.h"

#include "base/utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { RATIO_BYTES = 16 };

/* "1.07x", or "-" where there is nothing to compare with. */
static const char *ratio_text(double now, double then, char out[RATIO_BYTES])
{
    if (then > 0)
        (void)snprintf(out, RATIO_BYTES, "%.2fx", now / then);
    else
        (void)snprintf(out, RATIO_BYTES, "-");
    return out;
}

dobby_code bench_table_kernel_header(bool compares, struct buffer *out, struct dobby_error *err)
{
    return buffer_append_format(out, err, "%-16s %-6s %-5s %-7s %5s %6s %5s %10s %9s %9s %-7s %7s%s\n",
                                "KERNEL", "SET", "AS", "WEIGHTS", "M", "N", "K", "BEST US", "T/S", "CEILING",
                                "BOUND", "PERCENT", compares ? "  T/S/THEN  %/THEN" : "");
}

dobby_code bench_table_kernel(const struct kernel_figures *row, const struct kernel_figures *then,
                              struct buffer *out, struct dobby_error *err)
{
    char first[RATIO_BYTES], second[RATIO_BYTES];
    dobby_code code =
        buffer_append_format(out, err, "%-16s %-6s %-5s %-7s %5u %6u %5u %10.1f %9.4f %9.4f %-7s %6.1f%%",
                             row->name, row->isa, row->product, row->weights, row->m, row->n, row->k,
                             row->best_us, row->achieved, row->ceiling, row->bound, row->percent);
    if (code == DOBBY_OK && then != NULL)
        code = buffer_append_format(out, err, "  %8s  %6s", ratio_text(row->achieved, then->achieved, first),
                                    ratio_text(row->percent, then->percent, second));
    return code == DOBBY_OK ? buffer_append_byte(out, '\n', err) : code;
}

dobby_code bench_table_engine_header(bool compares, struct buffer *out, struct dobby_error *err)
{
    return buffer_append_format(out, err, "%-14s %-10s %-7s %8s %7s %8s %9s %9s %8s %8s %8s %8s %8s %8s%s\n",
                                "MODEL", "PRECISION", "SET", "SESSIONS", "RECORDS", "REC/MIN", "PREFILL/S",
                                "DECODE/S", "FIRST MS", "P50 MS", "P95 MS", "P99 MS", "1000 MB", "PEAK MB",
                                compares ? "  REC/THEN  P99/THEN  MB/THEN" : "");
}

dobby_code bench_table_engine(const struct engine_figures *row, const struct engine_figures *then,
                              struct buffer *out, struct dobby_error *err)
{
    char sessions[24], first[RATIO_BYTES], second[RATIO_BYTES], third[RATIO_BYTES];
    (void)snprintf(sessions, sizeof sessions, "%s%u", row->automatic ? "auto " : "", row->sessions);
    const size_t begin = out->length;
    /* The name comes from a model file. */
    dobby_code code = utf8_append_display(out, row->model, strlen(row->model), err);
    while (code == DOBBY_OK && out->length - begin < 14)
        code = buffer_append_byte(out, ' ', err);
    if (code == DOBBY_OK)
        code = buffer_append_format(
            out, err, " %-10s %-7s %8s %7" PRIu64 " %8.1f %9.0f %9.0f %8.1f %8.1f %8.1f %8.1f %8.1f %8.1f",
            row->precision, row->kernels, sessions, row->records, row->records_per_min,
            row->prefill_tokens_per_s, row->decode_tokens_per_s, row->first_token_ms, row->p50_ms,
            row->p95_ms, row->p99_ms, row->first_1000_rss_mb, row->peak_rss_mb);
    if (code == DOBBY_OK && then != NULL)
        code = buffer_append_format(out, err, "  %8s  %8s  %7s",
                                    ratio_text(row->records_per_min, then->records_per_min, first),
                                    ratio_text(row->p99_ms, then->p99_ms, second),
                                    ratio_text(row->peak_rss_mb, then->peak_rss_mb, third));
    return code == DOBBY_OK ? buffer_append_byte(out, '\n', err) : code;
}

dobby_code bench_table_phases(const struct engine_figures *row, struct buffer *out, struct dobby_error *err)
{
    dobby_code code = buffer_append_format(out, err, "  %.0f rows a pass; of the time:", row->rows_per_pass);
    for (int i = 0; code == DOBBY_OK && i < PHASE_COUNT; i++)
        code = buffer_append_format(out, err, " %s %.1f%%", engine_phase_name((enum engine_phase)i),
                                    row->phase_percent[i]);
    return code == DOBBY_OK ? buffer_append_byte(out, '\n', err) : code;
}

static dobby_code append_cpu(const struct machine_figures *machine, struct buffer *out,
                             struct dobby_error *err)
{
    const dobby_code code = utf8_append_display(out, machine->cpu, strlen(machine->cpu), err);
    return code == DOBBY_OK ? buffer_append_format(out, err, ", threads: %u\n", machine->threads) : code;
}

dobby_code bench_table_machine(const struct machine_figures *machine, const struct machine_figures *against,
                               struct buffer *out, struct dobby_error *err)
{
    dobby_code code = buffer_append_string(out, "\nceilings on ", err);
    if (code == DOBBY_OK)
        code = append_cpu(machine, out, err);
    if (code == DOBBY_OK && against != NULL) {
        code = buffer_append_string(out, "compared with ", err);
        if (code == DOBBY_OK)
            code = append_cpu(against, out, err);
    }
    for (int i = 0; code == DOBBY_OK && i < CEILING_COUNT; i++) {
        char ratio[RATIO_BYTES];
        if (machine->ceilings[i] <= 0)
            continue;
        code = buffer_append_format(out, err, "  %-20s %9.3f", machine_ceiling_name((enum machine_ceiling)i),
                                    machine->ceilings[i]);
        if (code == DOBBY_OK && against != NULL)
            code = buffer_append_format(out, err, "  %s",
                                        ratio_text(machine->ceilings[i], against->ceilings[i], ratio));
        if (code == DOBBY_OK)
            code = buffer_append_byte(out, '\n', err);
    }
    return code;
}
