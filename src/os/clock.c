#include "os/clock.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

int64_t clock_unix_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t clock_monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void clock_sleep_ms(int64_t ms)
{
    if (ms <= 0)
        return;
    struct timespec duration = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)nanosleep(&duration, NULL);
}

void clock_format(int64_t unix_us, char text[CLOCK_TEXT_BYTES])
{
    time_t seconds = (time_t)(unix_us / 1000000);
    long ms = (long)(unix_us % 1000000) / 1000;
    if (ms < 0) {
        ms += 1000;
        seconds--;
    }
    struct tm utc;
    text[0] = '\0';
    if (gmtime_r(&seconds, &utc) == NULL || utc.tm_year > 9999 - 1900 || utc.tm_year < -1900)
        return;
    size_t length = strftime(text, CLOCK_TEXT_BYTES, "%Y-%m-%dT%H:%M:%S", &utc);
    (void)snprintf(text + length, CLOCK_TEXT_BYTES - length, ".%03ldZ", ms);
}
