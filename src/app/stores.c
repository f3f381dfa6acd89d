#include "app/stores.h"

#include "os/clock.h"
#include "os/file.h"

#include <string.h>

static const char sqlite_scheme[] = "sqlite:";

dobby_code stores_sqlite_path(const char *url, const char **path, struct dobby_error *err)
{
    *path = NULL;
    const size_t scheme_length = sizeof sqlite_scheme - 1;
    if (strncmp(url, sqlite_scheme, scheme_length) == 0) {
        const char *rest = url + scheme_length;
        if (rest[0] == '\0')
            return DOBBY_FAIL(err, DOBBY_STORE_URL_INVALID, "'%s' names no file", url);
        /* Elsewhere sqlite:///a may be relative or absolute; here nobody has to guess. */
        if (strncmp(rest, "//", 2) == 0)
            return DOBBY_FAIL(
                err, DOBBY_STORE_URL_INVALID,
                "'%s': after sqlite: comes a path, as in sqlite:dobby.db or sqlite:/data/dobby.db", url);
        *path = rest;
        return DOBBY_OK;
    }
    const char *colon = strchr(url, ':'), *slash = strchr(url, '/');
    if (colon != NULL && (slash == NULL || colon < slash))
        return DOBBY_FAIL(err, DOBBY_STORE_URL_INVALID, "there is no driver for '%s'", url);
    return DOBBY_FAIL(err, DOBBY_STORE_URL_INVALID, "'%s' has no scheme: write sqlite:%s", url,
                      url[0] != '\0' ? url : "PATH");
}

static dobby_code open_store(const struct config *config, enum sqlite_access access, int64_t busy_timeout_ms,
                             struct store **out, struct dobby_error *err)
{
    const char *url = config_text(config, CONFIG_DB_URL), *path;
    *out = NULL;
    const dobby_code code = stores_sqlite_path(url, &path, err);
    if (code != DOBBY_OK)
        return code;
    if (access != SQLITE_ACCESS_CREATE && !file_exists(path))
        return DOBBY_FAIL(err, DOBBY_STORE_MISSING, "%s", url);
    const struct store_sqlite_options options = {
        .path = path,
        .access = access,
        .busy_timeout_ms = (int)busy_timeout_ms,
    };
    return store_sqlite_open(&options, out, err);
}

dobby_code stores_open(const struct config *config, enum sqlite_access access, struct store **out,
                       struct dobby_error *err)
{
    return open_store(config, access, config_integer(config, CONFIG_STORE_BUSY_TIMEOUT_MS), out, err);
}

dobby_code stores_open_for_run(const struct config *config, struct store **out, struct dobby_error *err)
{
    enum { WAIT_MS_MAX = 200 };
    const int64_t wait_ms = config_integer(config, CONFIG_STORE_BUSY_TIMEOUT_MS);
    const int64_t end_ns = clock_monotonic_ns() + wait_ms * 1000000;
    dobby_code code;
    do /* opening may have to wait for the whole time, since nothing goes on meanwhile */
        code =
            open_store(config, SQLITE_ACCESS_WRITE, wait_ms < WAIT_MS_MAX ? wait_ms : WAIT_MS_MAX, out, err);
    while (code == DOBBY_STORE_BUSY && clock_monotonic_ns() < end_ns);
    return code;
}

dobby_code stores_directory(const struct config *config, const char *named, struct buffer *out,
                            struct dobby_error *err)
{
    const char *path;
    if (named != NULL)
        return buffer_append_string(out, named, err);
    const dobby_code code = stores_sqlite_path(config_text(config, CONFIG_DB_URL), &path, err);
    if (code != DOBBY_OK)
        return code;
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        return buffer_append_string(out, ".", err);
    return buffer_append(out, path, slash > path ? (size_t)(slash - path) : 1, err);
}
