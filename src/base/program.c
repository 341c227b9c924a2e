/*
 * program: each step takes at least one argument away, so that no vector keeps it busy. What the table does not know
 * is taken for a program by itself: a wrong name is worse than a general one.
 */
#include "metergate/base/program.h"

enum role {
    SCRIPT, /* its first operand is a script */
    RUNNER, /* its first operand is a command, with the arguments that follow */
};

/*
 * Lists are of words, with a blank before and after each. Options that take their value as an argument of its own must be
 * known, lest the value be taken for the operand; `--option=value` and `-Ovalue` need not.
 */
struct launcher {
    const char *names;   /* globs of what argv[0] is called */
    enum role role;
    const char *words;   /* one of these must come before the operand: `uv run`; NULL: none */
    bool bare;           /* it may also be missing: `bun run x`, `bun x` */
    const char *valued;  /* options that take a value */
    const char *naming;  /* options whose value is the name: -m, -jar */
    const char *inlined; /* options whose value is the program: it has no name */
    int skipped;         /* operands that come first: of `timeout` the time */
    bool clusters;       /* `-euo pipefail`: the last letter of several says what follows */
};

static const struct launcher launchers[] = {
    {.names = " python python[0-9]* pypy pypy[0-9]* ", .role = SCRIPT,
     .valued = " -W -X --check-hash-based-pycs ", .naming = " -m ", .inlined = " -c ", .clusters = true},
    {.names = " node nodejs tsx ts-node ", .role = SCRIPT,
     .valued = " -r --require --import --loader --experimental-loader -C --conditions --env-file ",
     .inlined = " -e -p -pe --eval --print "},
    {.names = " deno ", .role = SCRIPT, .words = " run serve ",
     .valued = " -c --config --import-map -r --lock --seed "},
    {.names = " bun ", .role = SCRIPT, .words = " run ", .bare = true,
     .valued = " -r --preload --cwd -c --config --env-file ", .inlined = " -e --eval -p --print "},
    {.names = " ruby ruby[0-9]* ", .role = SCRIPT, .valued = " -I -r -C -E ", .inlined = " -e ",
     .clusters = true},
    {.names = " perl perl[0-9]* ", .role = SCRIPT, .valued = " -I ", .inlined = " -e -E ",
     .clusters = true},
    {.names = " php php[0-9]* ", .role = SCRIPT, .valued = " -c -d ", .naming = " -f --file ",
     .inlined = " -r "},
    {.names = " Rscript lua lua[0-9]* luajit ", .role = SCRIPT, .valued = " -l ", .inlined = " -e "},
    {.names = " sh bash dash zsh ksh ash fish ", .role = SCRIPT,
     .valued = " -o +o -O +O --rcfile --init-file ", .inlined = " -c -s ",
     .clusters = true},
    {.names = " java ", .role = SCRIPT,
     .valued = " -cp -classpath --class-path -p --module-path --add-opens --add-exports --add-modules ",
     .naming = " -jar -m --module "},
    {.names = " dotnet ", .role = SCRIPT, .words = " exec ", .bare = true},
    {.names = " env ", .role = RUNNER, .valued = " -u --unset -C --chdir -S --split-string "},
    {.names = " nice ionice chrt ", .role = RUNNER, .valued = " -n --adjustment -c --class -p -P -u "},
    {.names = " timeout ", .role = RUNNER, .valued = " -k --kill-after -s --signal ", .skipped = 1},
    {.names = " taskset flock ", .role = RUNNER, .valued = " -w --timeout -E --conflict-exit-code ",
     .skipped = 1},
    {.names = " nohup setsid time stdbuf caffeinate exec command ", .role = RUNNER,
     .valued = " -i -o -e -f "},
    {.names = " sudo doas ", .role = RUNNER, .valued = " -u --user -g --group -C -D -h -p -r -t -T "},
    {.names = " uv rye pdm poetry pipenv hatch pixi conda mamba micromamba ", .role = RUNNER,
     .words = " run ",
     .valued = " --with --with-editable --with-requirements -p --python --extra --group --env-file --package --project --directory -C -n --name "
               "-e --environment --prefix --index --index-url --default-index --python-platform -i --only-group --no-group "},
    {.names = " npx bunx uvx pnpx ", .role = RUNNER,
     .valued = " -p --package -c --call --from --with --python "},
    {.names = " npm pnpm yarn ", .role = RUNNER, .words = " run run-script exec x dlx ",
     .valued = " -C --dir --prefix -w --workspace --filter --cwd --package "},
    {.names = " metergate ", .role = RUNNER, .words = " run ",
     .valued = " -c --client -p --priority -u --url --token-file "},
};

static bool has_word(const char *list, struct slice word)
{
    struct slice left = slice_str(list);

    while (left.n) {
        size_t end = slice_find(left, ' ');

        if (end == word.n && slice_eq(slice_head(left, end), word))
            return word.n > 0;
        left = slice_skip(left, end + 1);
    }
    return false;
}

static bool matches(const char *globs, struct slice name)
{
    struct slice left = slice_str(globs);

    while (left.n) {
        size_t end = slice_find(left, ' ');
        char glob[32];

        MG_ASSERT(end < sizeof glob);
        memcpy(glob, left.p, end);
        glob[end] = '\0';
        if (end > 0 && slice_glob(name, glob))
            return true;
        left = slice_skip(left, end + 1);
    }
    return false;
}

/* What follows the last '/' that has something behind it; of a login shell (`-bash`) without the dash. */
static struct slice last_part(struct slice path)
{
    size_t from;

    while (path.n > 1 && path.p[path.n - 1] == '/')
        path.n--;
    for (from = path.n; from > 0 && path.p[from - 1] != '/'; from--)
        ;
    path = slice_skip(path, from);
    return path.n > 1 && path.p[0] == '-' ? slice_skip(path, 1) : path;
}

/* Of a process that has written its own title ("gunicorn: master [shop]") what stands before the colon. */
static struct slice program_part(struct slice argument)
{
    for (size_t i = 0; i + 1 < argument.n; i++) {
        if (argument.p[i] == ':' && argument.p[i + 1] == ' ')
            return last_part(slice_head(argument, i));
    }
    return last_part(argument);
}

/* NAME=VALUE, as env takes it. */
static bool assigns(struct slice argument)
{
    size_t equals = slice_find(argument, '=');

    if (equals == 0 || equals == argument.n)
        return false;
    for (size_t i = 0; i < equals; i++) {
        char c = argument.p[i];

        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' || (c >= '0' && c <= '9')))
            return false;
    }
    return true;
}

static const struct launcher *launcher_named(struct slice name)
{
    for (size_t i = 0; i < MG_ARRAY_LEN(launchers); i++) {
        if (matches(launchers[i].names, name))
            return &launchers[i];
    }
    return NULL;
}

/* The option that decides what its next argument is: of a cluster of letters the last. */
static struct slice option_of(const struct launcher *l, struct slice argument, char room[2])
{
    if (!l->clusters || argument.n < 3)
        return argument;
    for (size_t i = 1; i < argument.n; i++) {
        char c = argument.p[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')))
            return argument;
    }
    room[0] = argument.p[0];
    room[1] = argument.p[argument.n - 1];
    return slice_of(room, 2);
}

static bool has_option(const char *list, struct slice option)
{
    return list && has_word(list, option);
}

/* What was found among the arguments of a launcher. */
struct finding {
    enum { NOTHING, NAMED, OPERAND } what;
    size_t at; /* the argument */
};

/* Looks at the arguments behind the launcher. `word`: a word of its must come first. */
static struct finding look(const struct launcher *l, const struct slice *v, size_t n, bool word)
{
    int skipped = l->skipped;
    bool options = true;

    for (size_t i = 1; i < n; i++) {
        bool is_option = options && v[i].n > 1 && (v[i].p[0] == '-' || v[i].p[0] == '+');
        char room[2];
        struct slice option = is_option ? option_of(l, v[i], room) : v[i];

        if (options && slice_eq(v[i], SLICE("--"))) {
            options = false;
        } else if (is_option && has_option(l->inlined, option)) {
            break;
        } else if (is_option && has_option(l->naming, option)) {
            return i + 1 < n ? (struct finding){NAMED, i + 1} : (struct finding){NOTHING, 0};
        } else if (is_option) {
            i += has_option(l->valued, option);
        } else if (word) {
            if (!has_word(l->words, v[i]))
                break;
            word = false;
        } else if (l->role == RUNNER && assigns(v[i])) {
            continue;
        } else if (skipped > 0) {
            skipped--;
        } else {
            return slice_eq(v[i], SLICE("-")) ? (struct finding){NOTHING, 0} : (struct finding){OPERAND, i};
        }
    }
    return (struct finding){NOTHING, 0};
}

bool program_name(const struct slice *arguments, size_t n, char ret[CLIENT_NAME_SIZE])
{
    char found[CLIENT_NAME_SIZE];

    ret[0] = '\0';
    if (n > PROGRAM_ARGUMENTS_MAX)
        n = PROGRAM_ARGUMENTS_MAX;
    while (n > 0) {
        struct slice name = program_part(arguments[0]);
        const struct launcher *l = launcher_named(name);
        struct finding f = {NOTHING, 0};

        /* the launcher itself, should there be nothing better to say */
        if (client_name_make(name, found))
            memcpy(ret, found, sizeof found);
        if (l)
            f = look(l, arguments, n, l->words != NULL);
        if (l && f.what == NOTHING && l->bare)
            f = look(l, arguments, n, false);
        if (f.what == NOTHING)
            break;
        if (f.what == NAMED || l->role == SCRIPT) {
            if (client_name_make(last_part(arguments[f.at]), found))
                memcpy(ret, found, sizeof found);
            break;
        }
        n -= f.at;
        arguments += f.at;
    }
    return ret[0] != '\0';
}

bool program_name_of_cmdline(struct slice cmdline, char ret[CLIENT_NAME_SIZE])
{
    struct slice arguments[PROGRAM_ARGUMENTS_MAX];
    size_t n = 0;

    while (cmdline.n && n < PROGRAM_ARGUMENTS_MAX) {
        size_t end = slice_find(cmdline, '\0');

        arguments[n++] = slice_head(cmdline, end);
        cmdline = slice_skip(cmdline, end + 1);
    }
    return program_name(arguments, n, ret);
}
