/* What a standard stream is connected to. */
#ifndef OS_TERMINAL_H
#define OS_TERMINAL_H

#include <stdbool.h>
#include <stdint.h>

enum { STREAM_INPUT = 0, STREAM_OUTPUT = 1, STREAM_ERROR = 2 };

bool terminal_is_terminal(int descriptor);
/* The terminal's width and height now; 0 where there is no terminal or it does not say. */
uint32_t terminal_columns(int descriptor);
uint32_t terminal_rows(int descriptor);

#endif
