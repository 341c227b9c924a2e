/* client_name: the characters are bytes of ASCII, so a name can be cut anywhere. */
#include "metergate/base/client_name.h"

static bool is_allowed(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

bool client_name_ok(struct slice name)
{
    bool only_dots = true;

    if (name.n == 0 || name.n > CLIENT_NAME_MAX)
        return false;
    for (size_t i = 0; i < name.n; i++) {
        if (!is_allowed(name.p[i]))
            return false;
        only_dots &= name.p[i] == '.';
    }
    return !only_dots;
}

bool client_name_make(struct slice text, char ret[CLIENT_NAME_SIZE])
{
    size_t n = 0;

    while (text.n && n < CLIENT_NAME_MAX) {
        size_t length = slice_utf8(text);

        ret[n++] = is_allowed(text.p[0]) ? text.p[0] : '_';
        text = slice_skip(text, length ? length : 1);
    }
    ret[n] = '\0';
    if (client_name_ok(slice_of(ret, n)))
        return true;
    ret[0] = '\0';
    return false;
}
