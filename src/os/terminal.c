#include "os/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

bool terminal_is_terminal(int descriptor)
{
    return isatty(descriptor) == 1;
}

uint32_t terminal_columns(int descriptor)
{
    struct winsize size = {0};
    if (!terminal_is_terminal(descriptor) || ioctl(descriptor, TIOCGWINSZ, &size) != 0)
        return 0;
    return size.ws_col;
}
