#include "os/environment.h"

extern char **environ;

const char *environment_at(size_t index)
{
    for (size_t i = 0; environ != NULL && environ[i] != NULL; i++)
        if (i == index)
            return environ[i];
    return NULL;
}
