#include "app/doctor.h"
#include "app/output.h"
#include "app/stores.h"
#include "os/clock.h"
#include "os/disk.h"
#include "os/file.h"
#include "os/process.h"
#include "store/store_runs.h"

#include <inttypes.h>
#include <string.h>

static const char group[] = "store";

enum {
    RECORD_GROWTH_BYTES = 700, /* of the database for each record that gets a summary */
    LOG_BYTES_MANY = 256 << 20 /* SQLite folds its log back at 4 MB when nobody reads for long */
};

/* ---- the disk ------------------------------------------------------------------------------------ */

static void check_disk(const char *directory, uint64_t pending, struct findings *findings)
{
    struct disk_space space;
    struct dobby_error err = {0};
    if (disk_space_of(directory, &space, &err) != DOBBY_OK) {
        (void)finding_add_error(findings, group, "disk", FINDING_BROKEN, &err);
        return;
    }
    const double available_mb = (double)space.available_bytes / 1e6;
    const double least_mb = 64, need_mb = least_mb + (double)pending * RECORD_GROWTH_BYTES / 1e6;
    struct finding *finding;
    if (space.read_only) {
        finding = finding_add(findings, group, "disk", FINDING_BROKEN, "%.300s is on a read-only file system",
                              directory);
        finding_remedy(finding, "mount it for writing, or name a database elsewhere with --db");
    } else if (available_mb < least_mb) {
        finding = finding_add(findings, group, "disk", FINDING_BROKEN, "%.0f MB are free in %.300s",
                              available_mb, directory);
        finding_remedy(finding, "free some space: at least %.0f MB", need_mb);
    } else if (available_mb < need_mb) {
        finding = finding_add(findings, group, "disk", FINDING_WARNING,
                              "%.0f MB are free in %.300s: too few for %" PRIu64 " more summaries",
                              available_mb, directory, pending);
        finding_remedy(finding, "free some space: at least %.0f MB", need_mb);
    } else {
        (void)finding_add(findings, group, "disk", FINDING_OK, "%.0f MB of %.0f MB are free", available_mb,
                          (double)space.total_bytes / 1e6);
    }
}

/* ---- what is in it ------------------------------------------------------------------------------- */

static void check_integrity(const struct doctor_options *options, struct store *store,
                            struct findings *findings)
{
    struct store_health health;
    struct dobby_error err = {0};
    if (store_examine(store, !options->quick, &health, &err) != DOBBY_OK) {
        (void)finding_add_error(findings, group, "integrity", FINDING_BROKEN, &err);
        return;
    }
    (void)finding_add(findings, group, "schema", FINDING_OK, "version %u", (unsigned)health.schema_version);
    if (health.problem[0] != '\0') {
        struct finding *finding =
            finding_add(findings, group, "integrity", FINDING_BROKEN, "%s", health.problem);
        finding_remedy(finding, "restore the database from a backup, or ingest into a new one");
    } else {
        (void)finding_add(findings, group, "integrity", FINDING_OK,
                          options->quick ? "not read whole: --quick" : "sound");
    }
    if (health.log_bytes > LOG_BYTES_MANY) {
        struct finding *finding = finding_add(findings, group, "log", FINDING_WARNING,
                                              "%.0f MB are not folded back", (double)health.log_bytes / 1e6);
        finding_remedy(finding, "end programs that read the database for long, then run dobby status");
    } else {
        (void)finding_add(findings, group, "log", FINDING_OK,
                          "%.1f MB, the database %.1f MB, %.1f MB of it free", (double)health.log_bytes / 1e6,
                          (double)health.database_bytes / 1e6, (double)health.free_bytes / 1e6);
    }
}

static void check_records(struct store *store, uint64_t *pending, struct findings *findings)
{
    struct store_counts counts;
    struct dobby_error err = {0};
    if (store_count(store, &counts, &err) != DOBBY_OK) {
        (void)finding_add_error(findings, group, "records", FINDING_BROKEN, &err);
        return;
    }
    *pending = counts.by_state[RECORD_PENDING] + counts.by_state[RECORD_LEASED];
    const uint64_t failed = counts.by_state[RECORD_FAILED];
    (void)finding_add(findings, group, "records", FINDING_OK, "%" PRIu64 ", of which %" PRIu64 " are to do",
                      counts.total, *pending);
    if (failed == 0)
        return;
    struct finding *finding = finding_add(findings, group, "failed", FINDING_WARNING,
                                          "%" PRIu64 " record%s failed", failed, plural_s(failed));
    finding_remedy(finding, "dobby status says why; dobby retry takes them up again");
}

struct active {
    uint64_t alive, dead;
};

static dobby_code visit_run(void *context, const struct run_row *row, struct dobby_error *err)
{
    struct active *active = context;
    struct process_identity owner;
    (void)err;
    const bool dead = process_identity_parse(row->owner, &owner, NULL) == DOBBY_OK && process_is_dead(&owner);
    active->alive += !dead;
    active->dead += dead;
    return DOBBY_OK;
}

static void check_runs(struct store *store, struct findings *findings)
{
    struct active active = {0};
    struct owner_list owners;
    struct dobby_error err = {0};
    uint64_t dead = 0;
    const struct run_filter filter = {.active_only = true};
    dobby_code code = store_run_list(store, &filter, visit_run, &active, &err);
    if (code == DOBBY_OK)
        code = store_owners(store, &owners, &err);
    if (code != DOBBY_OK) {
        (void)finding_add_error(findings, group, "runs", FINDING_BROKEN, &err);
        return;
    }
    for (size_t i = 0; i < owners.count; i++) {
        struct process_identity owner;
        dead += process_identity_parse(owners.owners[i], &owner, NULL) == DOBBY_OK && process_is_dead(&owner);
    }
    owner_list_release(&owners);
    if (active.dead + dead == 0) {
        (void)finding_add(findings, group, "runs", FINDING_OK, "%" PRIu64 " active", active.alive);
        return;
    }
    struct finding *finding = finding_add(
        findings, group, "runs", FINDING_NOTE,
        "%" PRIu64 " runs died without a word, %" PRIu64 " dead owners hold records", active.dead, dead);
    finding_remedy(finding, "nothing to do: the next dobby run takes their records");
}

/* ---- the file ------------------------------------------------------------------------------------ */

/* Opening for writing also migrates, so whether it may be written is asked of the files alone. */
static void check_writable(const char *path, const char *directory, struct findings *findings)
{
    const bool file = file_is_writable(path), place = file_is_writable(directory);
    if (file && place) {
        (void)finding_add(findings, group, "writable", FINDING_OK, "yes");
        return;
    }
    struct finding *finding = finding_add(findings, group, "writable", FINDING_BROKEN,
                                          "this user may not write %.300s", file ? directory : path);
    finding_remedy(finding, "%s", dobby_code_remedy(DOBBY_STORE_READ_ONLY));
}

static void check_missing(const char *path, const char *directory, struct findings *findings)
{
    struct finding *finding =
        finding_add(findings, group, "file", FINDING_WARNING, "there is no %.300s yet", path);
    finding_remedy(finding, "run dobby ingest PATH, or name another database with --db");
    if (file_is_writable(directory)) {
        check_disk(directory, 0, findings);
        return;
    }
    finding =
        finding_add(findings, group, "writable", FINDING_BROKEN, "it cannot be made in %.300s", directory);
    finding_remedy(finding, "make that directory, or make it writable for this user");
}

static void check_file(const struct doctor_options *options, const char *path, const char *directory,
                       struct findings *findings)
{
    struct store *store = NULL;
    struct dobby_error err = {0};
    uint64_t pending = 0;
    if (!file_exists(path)) {
        check_missing(path, directory, findings);
        return;
    }
    check_writable(path, directory, findings);
    const int64_t since_ns = clock_monotonic_ns();
    const dobby_code code = stores_open(options->config, SQLITE_ACCESS_READ, &store, &err);
    if (code == DOBBY_STORE_SCHEMA_OLDER || code == DOBBY_STORE_MISSING) {
        /* A run goes well with it. */
        (void)finding_add_error(findings, group, "file", FINDING_WARNING, &err);
    } else if (code != DOBBY_OK) {
        (void)finding_add_error(findings, group, "file", FINDING_BROKEN, &err);
    } else {
        (void)finding_add(findings, group, "file", FINDING_OK, "%.300s, opened in %.0f ms", path,
                          (double)(clock_monotonic_ns() - since_ns) / 1e6);
        check_integrity(options, store, findings);
        check_records(store, &pending, findings);
        check_runs(store, findings);
    }
    store_close(store);
    check_disk(directory, pending, findings);
}

void doctor_store(const struct doctor_options *options, struct findings *findings)
{
    const char *path;
    struct buffer directory = {0};
    struct dobby_error err = {0};
    dobby_code code = stores_sqlite_path(config_text(options->config, CONFIG_DB_URL), &path, &err);
    if (code == DOBBY_OK)
        code = stores_directory(options->config, NULL, &directory, &err);
    if (code != DOBBY_OK)
        (void)finding_add_error(findings, group, "url", FINDING_BROKEN, &err);
    else
        check_file(options, path, directory.bytes, findings);
    buffer_release(&directory);
}
