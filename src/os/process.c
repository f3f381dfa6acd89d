#include "os/process.h"

#include "os/file.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum process_state { PROCESS_UNSEEN, PROCESS_ALIVE, PROCESS_OVER };

/* Reads /proc/PID/stat (proc(5)): the state is field 3, the start field 22. The command in field 2 may hold
 * spaces and parentheses, so fields are counted from the last ')'. A zombie is over: its parent has not asked
 * for its exit status, but it will do nothing more. */
static enum process_state look_up(int64_t pid, uint64_t *start_ticks)
{
    *start_ticks = 0;
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%" PRId64 "/stat", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return PROCESS_UNSEEN;
    char line[1024];
    size_t length = fread(line, 1, sizeof line - 1, file);
    (void)fclose(file);
    line[length] = '\0';
    const char *at = strrchr(line, ')');
    if (at == NULL)
        return PROCESS_UNSEEN;
    const bool over = strncmp(at, ") Z", 3) == 0 || strncmp(at, ") X", 3) == 0;
    for (int field = 2; at != NULL && field < 22; field++) {
        at = strchr(at, ' ');
        at = at != NULL ? at + 1 : NULL;
    }
    if (at == NULL)
        return PROCESS_UNSEEN;
    *start_ticks = strtoull(at, NULL, 10);
    return over ? PROCESS_OVER : PROCESS_ALIVE;
}

static void read_boot_id(char *out, size_t out_bytes)
{
    out[0] = '\0';
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
    if (file == NULL)
        return;
    if (fgets(out, (int)out_bytes, file) == NULL)
        out[0] = '\0';
    out[strcspn(out, "\n;")] = '\0';
    (void)fclose(file);
}

dobby_code process_identity_self(struct process_identity *out, struct dobby_error *err)
{
    *out = (struct process_identity){.pid = getpid()};
    if (gethostname(out->host, sizeof out->host - 1) != 0)
        return DOBBY_FAIL_ERRNO(err, errno, "reading this host's name");
    for (char *at = out->host; *at != '\0'; at++)
        if (*at == ';' || *at == '=' || (unsigned char)*at < 0x21)
            *at = '_'; /* the text form's separators */
    read_boot_id(out->boot_id, sizeof out->boot_id);
    struct stat info;
    if (stat("/proc/self/ns/pid", &info) == 0)
        out->pid_namespace = info.st_ino;
    (void)look_up(out->pid, &out->start_ticks);
    return DOBBY_OK;
}

void process_identity_format(const struct process_identity *identity, char text[PROCESS_IDENTITY_TEXT_BYTES])
{
    (void)snprintf(text, PROCESS_IDENTITY_TEXT_BYTES,
                   "host=%s;boot=%s;ns=%" PRIu64 ";pid=%" PRId64 ";start=%" PRIu64, identity->host,
                   identity->boot_id, identity->pid_namespace, identity->pid, identity->start_ticks);
}

/* The value of key in "a=1;b=2", copied; false when it is missing or too long. */
static bool field_of(const char *text, const char *key, char *out, size_t out_bytes)
{
    size_t key_length = strlen(key);
    for (const char *at = text; at != NULL; at = strchr(at, ';')) {
        at += *at == ';';
        if (strncmp(at, key, key_length) != 0 || at[key_length] != '=')
            continue;
        const char *value = at + key_length + 1;
        size_t length = strcspn(value, ";");
        if (length >= out_bytes)
            return false;
        memcpy(out, value, length);
        out[length] = '\0';
        return true;
    }
    return false;
}

static bool number_of(const char *text, const char *key, uint64_t *out)
{
    char digits[24];
    if (!field_of(text, key, digits, sizeof digits) || digits[0] < '0' || digits[0] > '9')
        return false;
    char *end;
    errno = 0;
    *out = strtoull(digits, &end, 10);
    return errno == 0 && *end == '\0';
}

dobby_code process_identity_parse(const char *text, struct process_identity *out, struct dobby_error *err)
{
    *out = (struct process_identity){.pid = 0};
    uint64_t pid = 0;
    if (!field_of(text, "host", out->host, sizeof out->host) ||
        !field_of(text, "boot", out->boot_id, sizeof out->boot_id) ||
        !number_of(text, "ns", &out->pid_namespace) || !number_of(text, "pid", &pid) || pid == 0 ||
        pid > INT32_MAX || !number_of(text, "start", &out->start_ticks)) {
        *out = (struct process_identity){.pid = 0};
        return DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT, "\"%.200s\" does not name a process", text);
    }
    out->pid = (int64_t)pid;
    return DOBBY_OK;
}

bool process_is_dead(const struct process_identity *identity)
{
    struct process_identity self;
    if (process_identity_self(&self, NULL) != DOBBY_OK || strcmp(self.host, identity->host) != 0)
        return false;
    if (self.boot_id[0] == '\0' || identity->boot_id[0] == '\0')
        return false;
    if (strcmp(self.boot_id, identity->boot_id) != 0)
        return true; /* the kernel it ran under is gone */
    if (self.pid_namespace != identity->pid_namespace || identity->start_ticks == 0)
        return false; /* its pid means nothing here */
    uint64_t start_ticks;
    switch (look_up(identity->pid, &start_ticks)) {
    case PROCESS_OVER:
        return true;
    case PROCESS_ALIVE:
        return start_ticks != identity->start_ticks;
    case PROCESS_UNSEEN: /* gone, or /proc hides other users' processes: a signal still tells */
        break;
    }
    return kill((pid_t)identity->pid, 0) != 0 && errno == ESRCH;
}

uint64_t process_peak_rss_bytes(void)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0)
        return 0;
    return (uint64_t)usage.ru_maxrss * 1024; /* Linux counts kilobytes */
}

bool process_reset_peak_rss(void)
{
    FILE *file = fopen("/proc/self/clear_refs", "we");
    if (file == NULL)
        return false;
    bool done = fputs("5", file) >= 0;
    return fclose(file) == 0 && done;
}

bool process_executable_directory(char *out, size_t out_bytes)
{
    ssize_t length = readlink("/proc/self/exe", out, out_bytes - 1);
    if (length <= 0 || (size_t)length >= out_bytes - 1) {
        out[0] = '\0';
        return false;
    }
    out[length] = '\0';
    char *slash = strrchr(out, '/');
    if (slash == NULL) {
        out[0] = '\0';
        return false;
    }
    slash[slash == out ? 1 : 0] = '\0';
    return true;
}
