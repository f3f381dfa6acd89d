/* Saved reports of dobby bench: any bytes give a report or an error, and a report is written again as it was
 * read.
 */
#include "app/bench_report.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct bench_report report, again;
    struct buffer first = {0}, second = {0};
    struct dobby_error err;
    const dobby_code code = bench_report_parse((const char *)bytes, length, &report, &err);
    if (code == DOBBY_OK && bench_report_append_json(&report, &report, &first, &err) == DOBBY_OK) {
        if (bench_report_parse(first.bytes, first.length, &again, &err) != DOBBY_OK)
            abort();
        if (again.kernel_count != report.kernel_count || again.engine_count != report.engine_count)
            abort();
        if (bench_report_append_json(&again, &again, &second, &err) != DOBBY_OK)
            abort();
        bench_report_release(&again);
    }
    buffer_release(&first);
    buffer_release(&second);
    bench_report_release(&report);
    return 0;
}
