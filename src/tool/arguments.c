/* arguments: an option exists when it has a row here; --help cannot forget it. */
#include "metergate/tool/arguments.h"

#include <getopt.h>
#include <stddef.h>
#include <sysexits.h>

#include "metergate/base/err.h"

struct row {
    enum argument id;
    char letter; /* 0: the long name alone */
    const char *name;
    const char *value; /* what --help calls it; NULL: a switch */
    size_t at;         /* of the field: const char * with a value, bool without */
    const char *help;
};

#define FIELD(name) offsetof(struct arguments, name)

static const struct row rows[] = {
    {ARGUMENT_URL, 'u', "url", "URL", FIELD(url),
     "where the daemon is; else $METERGATE_URL, else http://127.0.0.1:4283"},
    {ARGUMENT_TOKEN_FILE, 0, "token-file", "FILE", FIELD(token_file),
     "a file with the client token for the daemon; else $METERGATE_TOKEN"},
    {ARGUMENT_CLIENT, 'c', "client", "NAME", FIELD(client), "the name that the calls are counted under"},
    {ARGUMENT_PRIORITY, 'p', "priority", "P", FIELD(priority), "high, normal or low"},
    {ARGUMENT_MODEL, 'm', "model", "NAME", FIELD(model), "count as this model does (gpt-4o)"},
    {ARGUMENT_ENCODING, 'e', "encoding", "NAME", FIELD(encoding),
     "count with this vocabulary: o200k_base, cl100k_base"},
    {ARGUMENT_BY, 'b', "by", "KEY", FIELD(by), "model, client, budget, upstream, endpoint, day or hour"},
    {ARGUMENT_SINCE, 's', "since", "TIME", FIELD(since),
     "from then on: back from now (90m, 24h, 30d, 4w), or 2026-11-01, of UTC"},
    {ARGUMENT_UNTIL, 0, "until", "TIME", FIELD(until), "up to then; now, if not given"},
    {ARGUMENT_LIMIT, 'n', "limit", "N", FIELD(limit), "at most so many; 100, if not given"},
    {ARGUMENT_OF_CLIENT, 'c', "client", "NAME", FIELD(client), "those of this client alone"},
    {ARGUMENT_OF_MODEL, 'm', "model", "NAME", FIELD(model), "those of this model alone"},
    {ARGUMENT_NOW, 0, "now", NULL, FIELD(now), "those that are not over: held, sent, answering"},
    {ARGUMENT_QUIET, 'q', "quiet", NULL, FIELD(quiet), "say nothing on standard error while calls are held"},
    {ARGUMENT_INTERVAL, 'i', "interval", "S", FIELD(interval), "ask the daemon every S seconds, 0.1 to 3600; 1, if not given"},
    {ARGUMENT_CHAT, 0, "chat", NULL, FIELD(chat),
     "each file is the body of a request: count what the daemon would"},
    {ARGUMENT_JSON, 'j', "json", NULL, FIELD(json), "print JSON"},
    {ARGUMENT_OFFLINE, 0, "offline", NULL, FIELD(offline), "do not call the providers"},
    {ARGUMENT_CSV, 0, "csv", NULL, FIELD(csv), "print comma-separated values, every figure in full"},
    {ARGUMENT_HELP, 'h', "help", NULL, FIELD(help), "print this help and exit"},
    {ARGUMENT_VERSION, 'V', "version", NULL, FIELD(version), "print the version and exit"},
};

#define ROWS MG_ARRAY_LEN(rows)

/* What getopt_long returns for row i: no letter, so that rows without one need no case of their own. */
#define CODE(i) (1000 + (int)(i))

static void set(struct arguments *a, const struct row *row)
{
    void *field = (char *)a + row->at;

    if (row->value)
        *(const char **)field = optarg;
    else
        *(bool *)field = true;
}

static const struct row *row_of(int code, unsigned allowed)
{
    for (size_t i = 0; i < ROWS; i++) {
        if ((rows[i].id & allowed) && (code == CODE(i) || (rows[i].letter && code == rows[i].letter)))
            return &rows[i];
    }
    return NULL;
}

int arguments_read(struct arguments *a, unsigned allowed, int argc, char **argv)
{
    struct option longs[ROWS + 1] = {0};
    char letters[2 * ROWS + 2];
    size_t n = 0, k = 0;
    int c;

    if (allowed & ARGUMENT_STOP)
        letters[k++] = '+';
    for (size_t i = 0; i < ROWS; i++) {
        if (!(rows[i].id & allowed))
            continue;
        longs[n++] =
            (struct option){rows[i].name, rows[i].value ? required_argument : no_argument, NULL, CODE(i)};
        if (rows[i].letter)
            letters[k++] = rows[i].letter;
        if (rows[i].letter && rows[i].value)
            letters[k++] = ':';
    }
    letters[k] = '\0';
    optind = 0; /* glibc: start afresh, this is read once for the program and once for the command */
    while ((c = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
        const struct row *row = row_of(c, allowed);

        if (!row) {
            fprintf(stderr, "Try '%s --help'.\n", argv[0]);
            return EX_USAGE;
        }
        set(a, row);
    }
    a->operands = argv + optind;
    a->operand_count = argc - optind;
    return 0;
}

void arguments_help(unsigned allowed, FILE *out)
{
    for (size_t i = 0; i < ROWS; i++) {
        char left[32];

        if (!(rows[i].id & allowed))
            continue;
        snprintf(left, sizeof left, "--%s%s%s", rows[i].name, rows[i].value ? " " : "",
                 rows[i].value ? rows[i].value : "");
        if (rows[i].letter)
            fprintf(out, "  -%c, %-17s %s\n", rows[i].letter, left, rows[i].help);
        else
            fprintf(out, "      %-17s %s\n", left, rows[i].help);
    }
}
