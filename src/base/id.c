#include "base/id.h"

#include <string.h>

void uuid7_make(uint64_t time_unix_ms, const uint8_t random[10], char text[UUID_TEXT_BYTES])
{
    uint8_t uuid[UUID_BYTES];
    for (size_t i = 0; i < 6; i++)
        uuid[i] = (uint8_t)(time_unix_ms >> (8 * (5 - i)));
    memcpy(uuid + 6, random, 10);
    uuid[6] = (uint8_t)(0x70 | (uuid[6] & 0x0F)); /* version 7 */
    uuid[8] = (uint8_t)(0x80 | (uuid[8] & 0x3F)); /* RFC variant */

    static const char digits[] = "0123456789abcdef";
    char *out = text;
    for (size_t i = 0; i < UUID_BYTES; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *out++ = '-';
        *out++ = digits[uuid[i] >> 4];
        *out++ = digits[uuid[i] & 15];
    }
    *out = '\0';
}
