#include "contract/backend_helper.h"

#include "contract/store_testing.h"
#include "drivers/sqlite/store_sqlite.h"
#include "store/store_memory.h"

#include <unistd.h>

static char directory[] = "/tmp/dobby-contract-XXXXXX";
static unsigned files;

const char *backends_directory(void)
{
    if (files == 0)
        assert_non_null(mkdtemp(directory));
    return directory;
}

static void file_name(unsigned number, const char *suffix, char name[128])
{
    (void)snprintf(name, 128, "%s/%u.db%s", directory, number, suffix);
}

void backends_release(void)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    for (unsigned i = 1; i <= files; i++) {
        for (size_t j = 0; j < sizeof suffixes / sizeof suffixes[0]; j++) {
            char name[128];
            file_name(i, suffixes[j], name);
            (void)unlink(name);
        }
    }
    if (files > 0)
        (void)rmdir(directory);
}

static dobby_code try_open_sqlite(struct store **store, struct dobby_error *err)
{
    char name[128];
    (void)backends_directory();
    file_name(++files, "", name);
    struct store_sqlite_options options = {
        .path = name, .access = SQLITE_ACCESS_CREATE, .busy_timeout_ms = 1000};
    return store_sqlite_open(&options, store, err);
}

static struct store *open_memory(void)
{
    struct store *store = NULL;
    ASSERT_OK(store_memory_open(&store, err));
    return store;
}

static struct store *open_sqlite(void)
{
    struct store *store = NULL;
    ASSERT_OK(try_open_sqlite(&store, err));
    return store;
}

const struct backend backends[BACKEND_COUNT] = {
    {"memory", store_memory_open, open_memory},
    {"sqlite", try_open_sqlite, open_sqlite},
};
