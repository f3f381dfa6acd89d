#include "app/variables.h"

#include "app/config.h"
#include "app/suggest.h"
#include "os/environment.h"

#include <string.h>

enum { VARIABLES_MAX = CONFIG_KEY_COUNT * CONFIG_ENVIRONMENT_MAX + 8, NAME_BYTES = 64, SHOWN_MAX = 5 };

static size_t known_variables(const char *names[VARIABLES_MAX])
{
    static const char *const others[] = {"DOBBY_CONFIG", "DOBBY_CPU"};
    size_t count = 0;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        names[count++] = others[i];
    for (int key = CONFIG_UNKNOWN + 1; key < CONFIG_KEY_COUNT; key++)
        for (size_t i = 0; i < CONFIG_ENVIRONMENT_MAX && config_keys[key].environment[i] != NULL; i++)
            names[count++] = config_keys[key].environment[i];
    return count;
}

static bool is_known(const char *name, const char *const names[], size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

size_t variables_visit_unknown(unknown_variable_fn *visit, void *context)
{
    const char *names[VARIABLES_MAX];
    const size_t count = known_variables(names);
    size_t unknown = 0;
    const char *variable;
    for (size_t i = 0; (variable = environment_at(i)) != NULL; i++) {
        char name[NAME_BYTES];
        const size_t length = strcspn(variable, "=");
        if (strncmp(variable, "DOBBY_", 6) != 0 || length >= sizeof name)
            continue;
        memcpy(name, variable, length);
        name[length] = '\0';
        if (!is_known(name, names, count) && unknown++ < SHOWN_MAX)
            visit(context, name, suggest_nearest(name, names, count));
    }
    return unknown;
}
