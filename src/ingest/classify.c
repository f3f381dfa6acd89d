#include "ingest/classify.h"

#include "base/limits.h"

#include <string.h>
#include <strings.h>

enum {
    SAMPLE_BYTES = 65536,  /* enough to tell binary from text */
    CONTROL_BYTES_IN = 32, /* more than one control byte in so many is no text */
    UTF16_SAMPLE_BYTES = 4096,
    MARKER_LINES = 10, /* a generator puts its marker at the top */
    MARKER_BYTES = 2048,
    MINIFIED_BYTES = 2048,     /* shorter scripts of one line are written by people */
    MINIFIED_LINE_BYTES = 400, /* mean length of lines that nobody wrote */
    DATA_BYTES = 65536,        /* larger tables are data; smaller ones are examples worth a summary */
};

static const char *extension_of(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot != NULL ? dot : "";
}

static bool ends_with(const char *name, size_t length, const char *suffix)
{
    size_t suffix_length = strlen(suffix);
    return length >= suffix_length && strncasecmp(name + length - suffix_length, suffix, suffix_length) == 0;
}

static bool is_one_of(const char *name, const char *const *names)
{
    for (; *names != NULL; names++)
        if (strcasecmp(name, *names) == 0)
            return true;
    return false;
}

static bool ends_with_one_of(const char *name, size_t length, const char *const *suffixes)
{
    for (; *suffixes != NULL; suffixes++)
        if (ends_with(name, length, *suffixes))
            return true;
    return false;
}

static const char *const databases[] = {".db", ".sqlite", ".sqlite3", ".db3", NULL};

const char *classify_name(const char *name, uint64_t bytes)
{
    static const char *const lock_files[] = {"package-lock.json",   "npm-shrinkwrap.json",
                                             "yarn.lock",           "pnpm-lock.yaml",
                                             "Cargo.lock",          "go.sum",
                                             "poetry.lock",         "uv.lock",
                                             "Pipfile.lock",        "composer.lock",
                                             "Gemfile.lock",        "mix.lock",
                                             "flake.lock",          "packages.lock.json",
                                             "Package.resolved",    "gradle.lockfile",
                                             ".terraform.lock.hcl", NULL};
    static const char *const generated[] = {".min.js", ".min.css",   ".js.map", ".css.map", ".pb.go",
                                            "_pb2.py", ".pb.h",      ".pb.cc",  ".g.dart",  ".designer.cs",
                                            ".snap",   ".bundle.js", "-min.js", NULL};
    static const char *const data[] = {".csv", ".tsv",   ".jsonl", ".ndjson", ".json", ".geojson", ".xml",
                                       ".svg", ".ipynb", ".log",   ".po",     ".srt",  ".obj",     NULL};
    size_t length = strlen(name);
    /* Databases first: their size must not change the reason from one run to the next. */
    if (ends_with_one_of(name, length, databases))
        return "database";
    if (is_one_of(name, lock_files) || ends_with_one_of(name, length, generated))
        return "generated";
    if (bytes > LIMIT_FILE_BYTES)
        return "oversized";
    return bytes > DATA_BYTES && ends_with_one_of(name, length, data) ? "data" : NULL;
}

bool classify_is_transient(const char *name)
{
    static const char *const suffixes[] = {"-wal", "-shm", "-journal", NULL};
    size_t length = strlen(name);
    for (const char *const *suffix = suffixes; *suffix != NULL; suffix++)
        if (ends_with(name, length, *suffix) && ends_with_one_of(name, length - strlen(*suffix), databases))
            return true;
    return false;
}

static bool is_white_space(const char *text, size_t length)
{
    size_t at = length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    for (; at < length; at++)
        if (text[at] != ' ' && (text[at] < '\t' || text[at] > '\r'))
            return false;
    return true;
}

/* Text in ASCII's range has a NUL in one byte of two, or in three of four. */
static const char *wide_encoding(const char *text, size_t length)
{
    if (length >= 4 && (memcmp(text, "\xff\xfe\0\0", 4) == 0 || memcmp(text, "\0\0\xfe\xff", 4) == 0))
        return "UTF-32";
    if (length >= 2 && (memcmp(text, "\xff\xfe", 2) == 0 || memcmp(text, "\xfe\xff", 2) == 0))
        return "UTF-16";
    size_t sample = (length < UTF16_SAMPLE_BYTES ? length : UTF16_SAMPLE_BYTES) & ~(size_t)3;
    if (sample < 16)
        return NULL;
    size_t quarter = sample / 4;
    size_t nuls[4] = {0};
    for (size_t i = 0; i < sample; i++)
        nuls[i & 3] += text[i] == '\0';
    if (nuls[1] + nuls[2] >= 2 * quarter - quarter / 4 &&
        ((nuls[0] == quarter && nuls[3] <= quarter / 8) || (nuls[3] == quarter && nuls[0] <= quarter / 8)))
        return "UTF-32";
    size_t even = nuls[0] + nuls[2];
    size_t odd = nuls[1] + nuls[3];
    if ((odd > quarter && even <= quarter / 8) || (even > quarter && odd <= quarter / 8))
        return "UTF-16";
    return NULL;
}

static bool is_binary(const char *text, size_t length)
{
    if (memchr(text, '\0', length) != NULL)
        return true;
    size_t sample = length < SAMPLE_BYTES ? length : SAMPLE_BYTES;
    size_t controls = 0;
    for (size_t i = 0; i < sample; i++) {
        unsigned char byte = (unsigned char)text[i];
        bool is_text = byte >= ' ' || (byte >= '\b' && byte <= '\r') || byte == 0x1b;
        controls += !is_text || byte == 0x7f;
    }
    return controls > sample / CONTROL_BYTES_IN;
}

static bool contains(const char *text, size_t length, const char *word)
{
    size_t word_length = strlen(word);
    for (size_t at = 0; at + word_length <= length; at++)
        if (strncasecmp(text + at, word, word_length) == 0)
            return true;
    return false;
}

/* A comment near the top says so. */
static bool is_marked_generated(const char *text, size_t length)
{
    if (length > MARKER_BYTES)
        length = MARKER_BYTES;
    size_t at = 0;
    for (unsigned line = 0; line < MARKER_LINES && at < length; line++) {
        const char *newline = memchr(text + at, '\n', length - at);
        size_t end = newline != NULL ? (size_t)(newline - text) : length;
        while (at < end && (text[at] == ' ' || text[at] == '\t'))
            at++;
        const char *words = text + at;
        size_t count = end - at;
        if (count > 0 && strchr("/*#-;<%!\"'(", words[0]) != NULL && words[0] != '\0') {
            bool hands_off = contains(words, count, "do not edit") || contains(words, count, "do not modify");
            if (contains(words, count, "@generated") || (hands_off && contains(words, count, "generated")) ||
                contains(words, count, "automatically generated by") ||
                contains(words, count, "autogenerated by") || contains(words, count, "auto-generated by"))
                return true;
        }
        at = end + 1;
    }
    return false;
}

static bool is_minified(const char *name, const char *text, size_t length)
{
    static const char *const extensions[] = {".js", ".mjs", ".cjs", ".css", NULL};
    if (length < MINIFIED_BYTES || !is_one_of(extension_of(name), extensions))
        return false;
    size_t lines = 1;
    for (const char *at = text; (at = memchr(at, '\n', length - (size_t)(at - text))) != NULL; at++)
        lines++;
    return length / lines > MINIFIED_LINE_BYTES;
}

const char *classify_content(const char *name, const char *text, size_t length)
{
    if (is_white_space(text, length))
        return "empty";
    const char *wide = wide_encoding(text, length);
    if (wide != NULL)
        return wide;
    if (is_binary(text, length))
        return "binary";
    if (is_marked_generated(text, length) || is_minified(name, text, length))
        return "generated";
    return NULL;
}
