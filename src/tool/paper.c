/* paper: widths are in places of a terminal, not in bytes. */
#include "metergate/tool/paper.h"

#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "metergate/base/plain.h"

#define NARROWEST 20

size_t paper_width(void)
{
    struct winsize size;

    if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
        return PAPER_ENDLESS;
    return size.ws_col < NARROWEST ? NARROWEST : size.ws_col;
}

size_t paper_break(struct slice text, size_t width)
{
    size_t n = plain_fit(text, width), space;

    if (n >= text.n)
        return text.n;
    if (n == 0) /* a wide character on one place */
        return slice_utf8(text) ? slice_utf8(text) : 1;
    for (space = n; space > 0 && text.p[space] != ' '; space--)
        ;
    return space ? space : n;
}

void paper_print(struct slice text, size_t width, int indent)
{
    size_t places = width > (size_t)indent + 1 ? width - (size_t)indent : 1;

    while (text.n) {
        size_t n = paper_break(text, places);

        printf("%*s%.*s\n", indent, "", (int)n, text.p);
        text = slice_skip(text, n);
        while (text.n && text.p[0] == ' ')
            text = slice_skip(text, 1);
    }
}
