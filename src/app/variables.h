/* Variables of the environment that look like Dobby's, and that nobody reads: misspelt ones are silently
 * without effect, so somebody should say so. */
#ifndef APP_VARIABLES_H
#define APP_VARIABLES_H

#include <stddef.h>

/* near: the nearest name that is read, NULL where none is near. Borrowed for the call. */
typedef void unknown_variable_fn(void *context, const char *name, const char *near);
/* Calls visit for the first few that are set; returns how many are. */
size_t variables_visit_unknown(unknown_variable_fn *visit, void *context);

#endif
