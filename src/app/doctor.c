#include "app/doctor.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *finding_state_name(enum finding_state state)
{
    static const char *const names[] = {
        [FINDING_UNKNOWN] = "unknown", [FINDING_OK] = "ok",         [FINDING_NOTE] = "note",
        [FINDING_WARNING] = "warning", [FINDING_BROKEN] = "broken",
    };
    return names[state];
}

static struct finding *add(struct findings *findings, const char *group, const char *name,
                           enum finding_state state)
{
    assert(findings->count < FINDINGS_MAX);
    struct finding *finding = &findings->rows[findings->count++];
    *finding = (struct finding){.group = group, .name = name, .state = state};
    return finding;
}

struct finding *finding_add(struct findings *findings, const char *group, const char *name,
                            enum finding_state state, const char *format, ...)
{
    struct finding *finding = add(findings, group, name, state);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(finding->text, sizeof finding->text, format, arguments);
    va_end(arguments);
    return finding;
}

void finding_remedy(struct finding *finding, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(finding->remedy, sizeof finding->remedy, format, arguments);
    va_end(arguments);
}

struct finding *finding_add_error(struct findings *findings, const char *group, const char *name,
                                  enum finding_state state, const struct dobby_error *error)
{
    struct finding *finding = add(findings, group, name, state);
    finding->error_id = dobby_code_id(error->code);
    int used = snprintf(finding->text, sizeof finding->text, "%s: %.300s", dobby_code_message(error->code),
                        error->detail);
    if (error->cause_count > 0 && used > 0 && (size_t)used < sizeof finding->text)
        (void)snprintf(finding->text + used, sizeof finding->text - (size_t)used, " (%.120s)",
                       error->causes[0].detail);
    finding_remedy(finding, "%s", dobby_code_remedy(error->code));
    return finding;
}

size_t finding_count(const struct findings *findings, enum finding_state state)
{
    size_t count = 0;
    for (size_t i = 0; i < findings->count; i++)
        count += findings->rows[i].state == state;
    return count;
}

const struct finding *finding_find(const struct findings *findings, const char *group, const char *name)
{
    for (size_t i = 0; i < findings->count; i++)
        if (strcmp(findings->rows[i].group, group) == 0 && strcmp(findings->rows[i].name, name) == 0)
            return &findings->rows[i];
    return NULL;
}
