#include "app/doctor.h"
#include "infer/cpu/kernels.h"
#include "os/cpu.h"
#include "os/memory.h"
#include "os/thread.h"

#include <string.h>

static const char group[] = "machine";

static void check_processor(struct findings *findings)
{
    const struct cpu_features *cpu = cpu_features();
    const struct kernels *kernels;
    struct dobby_error err = {0};
    if (kernels_choose(NULL, &kernels, &err) != DOBBY_OK) {
        (void)finding_add_error(findings, group, "processor", FINDING_BROKEN, &err);
        return;
    }
    const char *model = cpu->model[0] != '\0' ? cpu->model : "unknown model";
    const bool slow = strcmp(kernels->name, "ref") == 0;
    struct finding *finding = finding_add(findings, group, "processor", slow ? FINDING_WARNING : FINDING_OK,
                                          "%s, %u processors to use, kernels %s", model,
                                          (unsigned)thread_cpu_count(), kernels->name);
    if (slow)
        finding_remedy(finding, "the scalar kernels are many times slower: %s",
                       cpu->avx2 ? "unset DOBBY_CPU" : "use a processor with AVX2 or AVX-512");
}

static void check_threads(const struct config *config, struct findings *findings)
{
    const uint32_t processors = thread_cpu_count();
    const int64_t threads = config_integer(config, CONFIG_ENGINE_THREADS);
    if (threads <= (int64_t)processors) {
        (void)finding_add(findings, group, "threads", FINDING_OK, "%u compute",
                          (unsigned)(threads > 0 ? (uint32_t)threads : processors));
        return;
    }
    struct finding *finding = finding_add(findings, group, "threads", FINDING_WARNING,
                                          "%lld threads compute on %u processors: they wait for each other",
                                          (long long)threads, (unsigned)processors);
    finding_remedy(finding, "set engine.threads (--threads) to 0 or to at most %u", (unsigned)processors);
}

static void check_load(struct findings *findings)
{
    const double load = cpu_load();
    const uint32_t processors = thread_cpu_count();
    if (load < 0)
        (void)finding_add(findings, group, "load", FINDING_NOTE, "this system does not tell its load");
    else
        (void)finding_add(findings, group, "load", load > 1.5 * processors ? FINDING_NOTE : FINDING_OK,
                          "%.1f in the last minute, on %u processors%s", load, (unsigned)processors,
                          load > 1.5 * processors ? ": runs are slower than they could be" : "");
}

static void check_memory(struct findings *findings)
{
    const uint64_t total = memory_total_bytes(), available = memory_available_bytes();
    const double total_mb = (double)total / 1e6, available_mb = (double)available / 1e6;
    if (total == 0 || available == 0)
        (void)finding_add(findings, group, "memory", FINDING_NOTE, "this system does not tell its memory");
    else
        (void)finding_add(findings, group, "memory", FINDING_OK, "%.0f MB, of which %.0f MB are available",
                          total_mb, available_mb);
}

void doctor_machine(const struct doctor_options *options, struct findings *findings)
{
    check_processor(findings);
    check_threads(options->config, findings);
    check_memory(findings);
    check_load(findings);
}
