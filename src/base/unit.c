/*
 * unit: the rules are those of systemd.unit(5) (escapes, templates), of its cgroup paths (man 5 systemd.slice, the innermost
 * .service or .scope), and of the names that desktops give to what they start
 * (https://systemd.io/DESKTOP_ENVIRONMENTS: app[-LAUNCHER]-ID[-RANDOM].scope, app[-LAUNCHER]-ID[@RANDOM].service).
 */
#include "metergate/base/unit.h"

/* A name is at most 255 bytes (systemd's UNIT_NAME_MAX), and so is a directory's. */
#define PART_MAX 255

/* Where programs of any kind run, started by hand or by something that is not a unit of theirs. */
static const char *const none[] = {
    "init.scope",          "user@*.service",        "session-*.scope",    "vte-spawn-*.scope",       "tmux-spawn-*.scope",
    "kitty-*.scope",       "app-*tmux*",            "tmux.service",       "screen.service",          "gnome-terminal-server.service",
    "app-*[Tt]erminal*",   "app-*konsole*",         "app-*alacritty*",    "app-*Alacritty*",         "app-*kitty*",
    "app-*xterm*",         "app-*foot-*",           "app-*wezterm*",      "app-*tilix*",             "app-*terminator*",
    "app-*ghostty*",       "app-*ptyxis*",          "app-*Ptyxis*",       "gnome-session-*.service", "org.gnome.Shell@*.service",
    "plasma-*.service",    "dbus.service",          "dbus-broker.service",
};

/* As good as none where the program can be seen. */
static const char *const general[] = {
    "run-u[0-9]*", "run-p[0-9]*-i[0-9]*", "cron.service", "crond.service", "anacron.service", "atd.service", "ssh.service", "sshd.service",
    "ssh@*.service", "sshd@*.service", "app-*code*", "app-*codium*", "app-*cursor*", "app-*jetbrains*",
};

static bool is_one_of(struct slice name, const char *const *globs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (slice_glob(name, globs[i]))
            return true;
    }
    return false;
}

static bool is_hex(struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (slice_hex_digit(s.p[i]) < 0)
            return false;
    }
    return true;
}

/* 8-4-4-4-12 */
static bool is_uuid(struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;

        if (dash ? s.p[i] != '-' : slice_hex_digit(s.p[i]) < 0)
            return false;
    }
    return s.n == 36;
}

/* Where the last `c` is; s.n when there is none. */
static size_t find_last(struct slice s, char c)
{
    for (size_t i = s.n; i > 0; i--) {
        if (s.p[i - 1] == c)
            return i - 1;
    }
    return s.n;
}

/* systemd-run, which was given no name: run-r and 32 hexadecimal digits. */
static bool is_random(struct slice name)
{
    return name.n == 37 && slice_starts(name, SLICE("run-r")) && is_hex(slice_skip(name, 5));
}

/* A container's id, of which people use the first twelve digits. */
static struct slice without_long_id(struct slice name)
{
    if (name.n > 65 && name.p[name.n - 65] == '-' && is_hex(slice_skip(name, name.n - 64)))
        return slice_head(name, name.n - 52);
    if (name.n > 37 && name.p[name.n - 37] == '-' && is_uuid(slice_skip(name, name.n - 36)))
        return slice_head(name, name.n - 37);
    return name;
}

/* The application of app[-LAUNCHER]-ID[-RANDOM] or [@RANDOM]; dashes inside of ID are escaped. */
static struct slice application(struct slice name, bool is_scope)
{
    struct slice rest;
    size_t dash;

    if (!slice_starts(name, SLICE("app-")))
        return name;
    rest = slice_skip(name, 4);
    if (is_scope && find_last(rest, '-') < rest.n)
        rest = slice_head(rest, find_last(rest, '-'));
    else if (!is_scope)
        rest = slice_head(rest, slice_find(rest, '@'));
    dash = find_last(rest, '-');
    return dash < rest.n ? slice_skip(rest, dash + 1) : rest;
}

/* \x2d is a byte that could not stand in a unit's name. */
static struct slice unescape(struct slice s, char room[PART_MAX])
{
    size_t n = 0;

    for (size_t i = 0; i < s.n && n < PART_MAX; i++) {
        bool is_escape = i + 3 < s.n && s.p[i] == '\\' && s.p[i + 1] == 'x' && slice_hex_digit(s.p[i + 2]) >= 0 &&
                         slice_hex_digit(s.p[i + 3]) >= 0;

        if (is_escape) {
            room[n++] = (char)(slice_hex_digit(s.p[i + 2]) * 16 + slice_hex_digit(s.p[i + 3]));
            i += 3;
        } else {
            room[n++] = s.p[i];
        }
    }
    return slice_of(room, n);
}

static struct unit unit_named(struct slice part, struct slice name, bool is_scope)
{
    char room[PART_MAX];
    struct unit u = {.is_general = is_one_of(part, general, MG_ARRAY_LEN(general)) || is_random(name)};

    name = unescape(application(without_long_id(name), is_scope), room);
    if (!client_name_make(name, u.name))
        u.is_general = false;
    return u;
}

/* Without systemd containers are directories: /docker/ID. */
static struct unit container(struct slice parent, struct slice id)
{
    char room[PART_MAX + 1];
    struct unit u = {.is_general = false};

    parent = slice_head(parent, PART_MAX - 12);
    memcpy(room, parent.p, parent.n);
    room[parent.n] = '-';
    memcpy(room + parent.n + 1, id.p, 12);
    (void)client_name_make(slice_of(room, parent.n + 13), u.name);
    return u;
}

static struct slice last_part(struct slice path)
{
    size_t slash = find_last(path, '/');

    return slash < path.n ? slice_skip(path, slash + 1) : path;
}

struct unit unit_of_cgroup(struct slice path)
{
    while (path.n) {
        struct slice part = last_part(path);
        bool is_scope = slice_ends(part, SLICE(".scope")), is_unit = is_scope || slice_ends(part, SLICE(".service"));

        path = slice_head(path, path.n - part.n);
        path = slice_head(path, path.n ? path.n - 1 : 0);
        if (part.n > PART_MAX)
            continue;
        if (is_unit && !is_one_of(part, none, MG_ARRAY_LEN(none)))
            return unit_named(part, slice_head(part, find_last(part, '.')), is_scope);
        if (part.n == 64 && is_hex(part) && last_part(path).n)
            return container(last_part(path), part);
    }
    return (struct unit){.name = ""};
}
