#include "ingest/cut.h"

#include "base/limits.h"
#include "base/utf8.h"
#include "ingest/chunker.h"
#include "ingest/classify.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void ingest_cut_text(const struct ingest_options *options, char out[INGEST_CUT_BYTES])
{
    (void)snprintf(out, INGEST_CUT_BYTES,
                   "chunker=%s rules=%d chunk_tokens=%" PRIu32 " file_bytes=%zu tokenizer=%016" PRIx64,
                   chunker_for("")->name, CLASSIFY_RULES_VERSION, options->chunk_tokens_max, LIMIT_FILE_BYTES,
                   tokenizer_fingerprint(options->tokenizer));
}

/* One "name=value" of a text; length 0 behind the last. */
struct setting {
    const char *name;
    size_t name_length, length; /* of the name, of all */
};

static struct setting next_setting(const char *text)
{
    text += strspn(text, " ");
    const size_t length = strcspn(text, " ");
    const char *equals = memchr(text, '=', length);
    return (struct setting){
        .name = text, .name_length = equals != NULL ? (size_t)(equals - text) : length, .length = length};
}

static struct setting find_setting(const char *text, const struct setting *like)
{
    struct setting found = next_setting(text);
    while (found.length > 0 &&
           (found.name_length != like->name_length || memcmp(found.name, like->name, like->name_length) != 0))
        found = next_setting(found.name + found.length);
    return found;
}

static dobby_code append_value(struct buffer *out, const struct setting *setting, struct dobby_error *err)
{
    const size_t begin = setting->name_length + (setting->length > setting->name_length);
    return setting->length == 0
               ? buffer_append_string(out, "none", err)
               : utf8_append_display(out, setting->name + begin, setting->length - begin, err);
}

static dobby_code append_change(struct buffer *out, const struct setting *was, const struct setting *now,
                                struct dobby_error *err)
{
    static const char tokenizer[] = "tokenizer";
    dobby_code code = DOBBY_OK;
    if (now->name_length == strlen(tokenizer) && memcmp(now->name, tokenizer, now->name_length) == 0)
        return buffer_append_string(out, "another model's tokenizer", err);
    code = utf8_append_display(out, now->name, now->name_length, err);
    if (code == DOBBY_OK)
        code = buffer_append_byte(out, ' ', err);
    if (code == DOBBY_OK)
        code = append_value(out, was, err);
    if (code == DOBBY_OK)
        code = buffer_append_string(out, ", now ", err);
    return code == DOBBY_OK ? append_value(out, now, err) : code;
}

dobby_code ingest_cut_difference(const char *was, const char *now, struct buffer *out,
                                 struct dobby_error *err)
{
    bool first = true;
    dobby_code code = DOBBY_OK;
    if (was[0] == '\0')
        return buffer_append_string(out, "by a version that did not keep how", err);
    for (struct setting present = next_setting(now); code == DOBBY_OK && present.length > 0;
         present = next_setting(present.name + present.length)) {
        const struct setting old = find_setting(was, &present);
        if (old.length == present.length && memcmp(old.name, present.name, present.length) == 0)
            continue;
        if (!first)
            code = buffer_append_string(out, "; ", err);
        first = false;
        if (code == DOBBY_OK)
            code = append_change(out, &old, &present, err);
    }
    return code == DOBBY_OK && first ? buffer_append_string(out, "other settings", err) : code;
}
