/* The difference of two cuts: any stored text against any other, on a terminal and told once. The input's
 * lines are the one and the other. */
#include "ingest/cut.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer out = {0};
    char *was = malloc(size + 1);
    assert(was != NULL);
    if (size > 0)
        memcpy(was, data, size);
    was[size] = '\0';
    char *now = strchr(was, '\n');
    if (now != NULL)
        *now++ = '\0';
    assert(ingest_cut_difference(was, now != NULL ? now : "chunker=a@1 chunk_tokens=4", &out, NULL) ==
           DOBBY_OK);
    assert(out.length > 0);
    for (size_t i = 0; i < out.length; i++)
        assert((unsigned char)out.bytes[i] >= ' ' && out.bytes[i] != 0x7f);
    buffer_release(&out);
    free(was);
    return 0;
}
