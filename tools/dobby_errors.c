/* Writes docs/errors.md, the reference of every error, from the table in dobby/error_table.h.
 *
 *   dobby_errors             the document on standard output
 *   dobby_errors --check F   exit 1 when file F differs from it, naming the first line that does
 */
#include "dobby/error_table.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct row {
    const char *name, *id, *severity, *retry, *message, *remedy;
};

static const struct row rows[] = {
#define ROW(name, id, severity, retry, message, remedy) {#name, id, #severity, #retry, message, remedy},
    DOBBY_ERRORS(ROW)
#undef ROW
};

static const struct {
    const char *prefix, *title;
} sections[] = {
    {"BASE-", "Base"},       {"OS-", "Operating system"},
    {"STORE-", "Store"},     {"MODEL-", "Models and tokenizers"},
    {"INFER-", "Inference"}, {"INGEST-", "Ingest"},
    {"PROMPT-", "Prompts"},  {"RUN-", "Runs"},
    {"APP-", "Application"},
};

static const char introduction[] =
    "# Errors\n\n"
    "Every error Dobby reports carries an id from this table, with the particulars behind it. `make docs`\n"
    "writes this file from `include/dobby/error_table.h`; `make check` fails when they differ.\n\n"
    "- **Severity**: `WARNING`, the run goes on; `ERROR`, this operation failed; `FATAL`, the process "
    "cannot\n"
    "  go on.\n"
    "- **Retry**: `RETRY`, the same call may succeed later; `FINAL`, it will not.\n"
    "- In C, `DOBBY_` and the name is the code that callers branch on (`DOBBY_STORE_BUSY`).\n";

static void write_document(FILE *out)
{
    fputs(introduction, out);
    for (size_t s = 0; s < sizeof sections / sizeof *sections; s++) {
        fprintf(out, "\n## %s\n\n| id | name | severity | retry | what happened | what to do |\n",
                sections[s].title);
        fputs("|---|---|---|---|---|---|\n", out);
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            const struct row *row = &rows[i];
            if (strncmp(row->id, sections[s].prefix, strlen(sections[s].prefix)) != 0)
                continue;
            fprintf(out, "| %s | %s | %s | %s | %s | %s |\n", row->id, row->name, row->severity, row->retry,
                    row->message, row->remedy);
        }
    }
}

static bool known_section(const char *id)
{
    for (size_t s = 0; s < sizeof sections / sizeof *sections; s++)
        if (strncmp(id, sections[s].prefix, strlen(sections[s].prefix)) == 0)
            return true;
    return false;
}

/* The table's own rules: every id has a section and is used once. */
static bool table_is_sound(void)
{
    bool sound = true;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!known_section(rows[i].id)) {
            fprintf(stderr, "error table: %s: id %s is of no known section\n", rows[i].name, rows[i].id);
            sound = false;
        }
        for (size_t j = 0; j < i; j++)
            if (strcmp(rows[i].id, rows[j].id) == 0) {
                fprintf(stderr, "error table: %s and %s share the id %s\n", rows[j].name, rows[i].name,
                        rows[i].id);
                sound = false;
            }
    }
    return sound;
}

static bool documents_equal(FILE *want, FILE *have, const char *path)
{
    char want_line[2048], have_line[2048];
    for (int line = 1;; line++) {
        const char *a = fgets(want_line, sizeof want_line, want);
        const char *b = fgets(have_line, sizeof have_line, have);
        if (a == NULL && b == NULL)
            return true;
        if (a == NULL || b == NULL || strcmp(a, b) != 0) {
            fprintf(stderr, "%s:%d: differs from the error table; write it with: make docs\n", path, line);
            return false;
        }
    }
}

int main(int argc, char **argv)
{
    int status = 1;
    FILE *want = NULL, *have = NULL;
    if (!table_is_sound())
        goto done;
    if (argc == 1) {
        write_document(stdout);
        status = fflush(stdout) == 0 && ferror(stdout) == 0 ? 0 : 1;
        goto done;
    }
    if (argc != 3 || strcmp(argv[1], "--check") != 0) {
        fputs("usage: dobby_errors [--check FILE]\n", stderr);
        status = 2;
        goto done;
    }
    want = tmpfile();
    have = fopen(argv[2], "r");
    if (want == NULL || have == NULL) {
        perror(want == NULL ? "temporary file" : argv[2]);
        goto done;
    }
    write_document(want);
    rewind(want);
    status = documents_equal(want, have, argv[2]) ? 0 : 1;
done:
    if (want != NULL)
        fclose(want);
    if (have != NULL)
        fclose(have);
    return status;
}
