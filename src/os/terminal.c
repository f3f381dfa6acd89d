#include "os/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

bool terminal_is_terminal(int descriptor)
{
    return isatty(descriptor) == 1;
}

static struct winsize size_of(int descriptor)
{
    struct winsize size = {0};
    if (!terminal_is_terminal(descriptor) || ioctl(descriptor, TIOCGWINSZ, &size) != 0)
        return (struct winsize){0};
    return size;
}

uint32_t terminal_columns(int descriptor)
{
    return size_of(descriptor).ws_col;
}

uint32_t terminal_rows(int descriptor)
{
    return size_of(descriptor).ws_row;
}
