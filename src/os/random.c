#include "os/random.h"

#include "os/clock.h"

#include <errno.h>
#include <sys/random.h>

dobby_code random_bytes(void *out, size_t length, struct dobby_error *err)
{
    unsigned char *at = out;
    while (length > 0) {
        ssize_t got = getrandom(at, length, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return DOBBY_FAIL_ERRNO(err, errno, "reading random bytes from the kernel");
        at += got;
        length -= (size_t)got;
    }
    return DOBBY_OK;
}

dobby_code uuid7_new(char text[UUID_TEXT_BYTES], struct dobby_error *err)
{
    uint8_t random[10];
    text[0] = '\0';
    dobby_code code = random_bytes(random, sizeof random, err);
    if (code == DOBBY_OK)
        uuid7_make((uint64_t)clock_unix_us() / 1000, random, text);
    return code;
}
