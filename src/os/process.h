/* Who this process is, so that another can tell later whether it still lives. */
#ifndef OS_PROCESS_H
#define OS_PROCESS_H

#include "base/error.h"

enum { PROCESS_IDENTITY_TEXT_BYTES = 512 };

struct process_identity {
    char host[128];
    char boot_id[40];       /* of the running kernel */
    uint64_t pid_namespace; /* inode; 0 where unknown */
    int64_t pid;
    uint64_t start_ticks; /* the process' start, in clock ticks since boot */
};

DOBBY_NODISCARD dobby_code process_identity_self(struct process_identity *out, struct dobby_error *err);
/* "host=..;boot=..;ns=..;pid=..;start=..", and back. Parsing fails with INVALID_ARGUMENT. */
void process_identity_format(const struct process_identity *identity, char text[PROCESS_IDENTITY_TEXT_BYTES]);
DOBBY_NODISCARD dobby_code process_identity_parse(const char *text, struct process_identity *out,
                                                  struct dobby_error *err);
/* True only when it is certain: same host and pid namespace, and the boot is over, the pid is gone, or
 * the pid now belongs to a process with another start. */
bool process_is_dead(const struct process_identity *identity);

/* Peak resident memory of this process since it began or process_reset_peak_rss, bytes; 0 where unknown. */
uint64_t process_peak_rss_bytes(void);
/* Lets the peak begin anew at what is resident now. False where the kernel does not allow it. */
bool process_reset_peak_rss(void);
/* The directory of the running executable, without a trailing slash. Returns false when unknown. */
bool process_executable_directory(char *out, size_t out_bytes);

#endif
