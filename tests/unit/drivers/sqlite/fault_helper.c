#include "fault_helper.h"

#include "contract/store_testing.h"

#include <sqlite3.h>

static struct {
    enum fault_kind kind;
    unsigned calls; /* left until the fault */
    bool happened;
} armed;

/* Counts one call of this kind; true when it is the one to fail. */
static bool fails(enum fault_kind kind)
{
    if (armed.kind != kind || armed.happened || --armed.calls > 0)
        return false;
    armed.happened = true;
    return true;
}

void fault_arm(enum fault_kind kind, unsigned calls)
{
    armed.kind = kind;
    armed.calls = calls;
    armed.happened = false;
}

bool fault_disarm(void)
{
    armed.kind = FAULT_NONE;
    return armed.happened;
}

/* ---- memory ---- */

static sqlite3_mem_methods real_memory;

static void *faulty_malloc(int bytes)
{
    return fails(FAULT_MEMORY) ? NULL : real_memory.xMalloc(bytes);
}

static void *faulty_realloc(void *old, int bytes)
{
    return fails(FAULT_MEMORY) ? NULL : real_memory.xRealloc(old, bytes);
}

/* ---- files ---- */

struct faulty_file {
    sqlite3_file base;
    sqlite3_file *real; /* stands behind this struct */
};

static sqlite3_vfs faulty_vfs;
static sqlite3_vfs *real_vfs;
static sqlite3_io_methods faulty_methods;

static sqlite3_file *real_of(sqlite3_file *file)
{
    return ((struct faulty_file *)file)->real;
}

static int faulty_close(sqlite3_file *file)
{
    return real_of(file)->pMethods->xClose(real_of(file));
}

static int faulty_read(sqlite3_file *file, void *out, int length, sqlite3_int64 offset)
{
    if (fails(FAULT_READ))
        return SQLITE_IOERR_READ;
    return real_of(file)->pMethods->xRead(real_of(file), out, length, offset);
}

static int faulty_write(sqlite3_file *file, const void *bytes, int length, sqlite3_int64 offset)
{
    if (fails(FAULT_WRITE))
        return SQLITE_IOERR_WRITE;
    if (fails(FAULT_DISK_FULL)) {
        (void)real_of(file)->pMethods->xWrite(real_of(file), bytes, length / 2, offset);
        return SQLITE_FULL;
    }
    return real_of(file)->pMethods->xWrite(real_of(file), bytes, length, offset);
}

static int faulty_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    return real_of(file)->pMethods->xTruncate(real_of(file), size);
}

static int faulty_sync(sqlite3_file *file, int flags)
{
    if (fails(FAULT_SYNC))
        return SQLITE_IOERR_FSYNC;
    return real_of(file)->pMethods->xSync(real_of(file), flags);
}

static int faulty_size(sqlite3_file *file, sqlite3_int64 *size)
{
    return real_of(file)->pMethods->xFileSize(real_of(file), size);
}

static int faulty_lock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int faulty_unlock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int faulty_check_lock(sqlite3_file *file, int *reserved)
{
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), reserved);
}

static int faulty_control(sqlite3_file *file, int operation, void *argument)
{
    return real_of(file)->pMethods->xFileControl(real_of(file), operation, argument);
}

static int faulty_sector_size(sqlite3_file *file)
{
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int faulty_characteristics(sqlite3_file *file)
{
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static int faulty_shm_map(sqlite3_file *file, int page, int bytes, int extend, void volatile **out)
{
    if (fails(FAULT_SHARED_MAP)) {
        *out = NULL;
        return SQLITE_IOERR_SHMMAP;
    }
    return real_of(file)->pMethods->xShmMap(real_of(file), page, bytes, extend, out);
}

static int faulty_shm_lock(sqlite3_file *file, int offset, int count, int flags)
{
    return real_of(file)->pMethods->xShmLock(real_of(file), offset, count, flags);
}

static void faulty_shm_barrier(sqlite3_file *file)
{
    real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int faulty_shm_unmap(sqlite3_file *file, int remove)
{
    return real_of(file)->pMethods->xShmUnmap(real_of(file), remove);
}

static int faulty_open(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags, int *out_flags)
{
    struct faulty_file *faulty = (struct faulty_file *)file;
    (void)vfs;
    faulty->real = (sqlite3_file *)(void *)(faulty + 1);
    int result = real_vfs->xOpen(real_vfs, name, faulty->real, flags, out_flags);
    faulty->base.pMethods = faulty->real->pMethods == NULL ? NULL : &faulty_methods;
    return result;
}

void fault_install(void)
{
    sqlite3_mem_methods memory;
    assert_int_equal(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_memory), SQLITE_OK);
    memory = real_memory;
    memory.xMalloc = faulty_malloc;
    memory.xRealloc = faulty_realloc;
    assert_int_equal(sqlite3_config(SQLITE_CONFIG_MALLOC, &memory), SQLITE_OK);

    real_vfs = sqlite3_vfs_find(NULL);
    assert_non_null(real_vfs);
    faulty_methods = (sqlite3_io_methods){
        .iVersion = 2, /* without memory-mapped files */
        .xClose = faulty_close,
        .xRead = faulty_read,
        .xWrite = faulty_write,
        .xTruncate = faulty_truncate,
        .xSync = faulty_sync,
        .xFileSize = faulty_size,
        .xLock = faulty_lock,
        .xUnlock = faulty_unlock,
        .xCheckReservedLock = faulty_check_lock,
        .xFileControl = faulty_control,
        .xSectorSize = faulty_sector_size,
        .xDeviceCharacteristics = faulty_characteristics,
        .xShmMap = faulty_shm_map,
        .xShmLock = faulty_shm_lock,
        .xShmBarrier = faulty_shm_barrier,
        .xShmUnmap = faulty_shm_unmap,
    };
    faulty_vfs = *real_vfs;
    faulty_vfs.zName = "faulty";
    faulty_vfs.szOsFile = real_vfs->szOsFile + (int)sizeof(struct faulty_file);
    faulty_vfs.xOpen = faulty_open;
    assert_int_equal(sqlite3_vfs_register(&faulty_vfs, 1), SQLITE_OK);
}
