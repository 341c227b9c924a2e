/*
 * main: the `metergate` command. One table has every command: --help, the messages and the dispatch are read
 * from it. Exit statuses are those of sysexits.h: 64 for a wrong command line, 69 when no daemon answers.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "metergate/base/err.h"
#include "metergate/tool/command.h"
#include "metergate/tool/report.h"

struct command {
    const char *name;
    int (*run)(const struct arguments *a);
    const char *usage; /* what follows the name, on the usage line */
    unsigned arguments;
    bool operands; /* takes some */
    const char *summary;
    const char *more; /* for --help; may be "" */
};

static const struct command commands[] = {
    {"run", command_run, "[OPTION]... [--] COMMAND [ARGUMENT]...",
     ARGUMENT_CLIENT | ARGUMENT_PRIORITY | ARGUMENT_QUIET | ARGUMENT_DAEMON | ARGUMENT_STOP, true,
     "run a command with its LLM calls going through the daemon",
     "Sets the base-URL variables of the LLM SDKs (the list: metergate env) and becomes COMMAND. The exit "
     "status\n"
     "is COMMAND's; 126 when it cannot be run, 127 when it is not found, 69 when no daemon answers, 77 when it wants\n"
     "a token. With a token, OPENAI_API_KEY is set to it where COMMAND would have none.\n"
     "Its calls are counted under the command's own name (of `python nightly.py` the script's), or under\n"
     "the one that --client gives. While they are held, lines on standard error say how many and for how long.\n"},
    {"env", command_env, "[OPTION]...", ARGUMENT_CLIENT | ARGUMENT_PRIORITY | ARGUMENT_DAEMON, false,
     "print the variables that `run` sets, for eval",
     "    eval \"$(metergate env)\"\nThe daemon need not run yet.\n"},
    {"status", command_status, "[OPTION]...", ARGUMENT_JSON | ARGUMENT_DAEMON, false,
     "show when held calls start, budgets and who waits",
     "On a terminal lines are no longer than it is wide.\n"},
    {"top", command_top, "[OPTION]...", ARGUMENT_INTERVAL | ARGUMENT_DAEMON, false,
     "show the same live, on the whole screen",
     "Keys: ? help, q leave, Tab and arrows choose, Enter the queue of a budget, s sort, r the other way round, p pause\n"
     "or resume. Colours are left out where NO_COLOR is set.\n"},
    {"doctor", command_doctor, "[OPTION]...", ARGUMENT_OFFLINE | ARGUMENT_JSON | ARGUMENT_DAEMON, false,
     "find out why calls do not go through, and say what to do",
     "Looks at the daemon, this shell's variables, proxies and keys, each upstream (by a call that costs nothing,\n"
     "with your key or the daemon's), limits, clock, files. Status 1 when something fails, 69 when no daemon answers.\n"},
    {"usage", command_usage, "[OPTION]...",
     ARGUMENT_BY | ARGUMENT_SINCE | ARGUMENT_UNTIL | ARGUMENT_JSON | ARGUMENT_CSV | ARGUMENT_DAEMON, false,
     "show tokens and money, by model, client or day",
     "Of the last 24 hours and by model, if nothing else is said. INPUT is all input, what was read from a cache or\n"
     "written to one included, and OUTPUT has REASONING in it. Days and hours are of UTC.\n"},
    {"calls", command_calls, "[OPTION]...",
     ARGUMENT_NOW | ARGUMENT_LIMIT | ARGUMENT_OF_CLIENT | ARGUMENT_OF_MODEL | ARGUMENT_JSON | ARGUMENT_CSV | ARGUMENT_DAEMON,
     false, "show the latest calls, one line each",
     "With --now: those that are not over. `metergate explain ID` tells what one waits for.\n"},
    {"explain", command_explain, "[OPTION]... ID", ARGUMENT_JSON | ARGUMENT_DAEMON, true,
     "tell what a call waited for, what it cost and why it was refused",
     "ID is the Metergate-Request-Id of its answer, and stands in the log and in `metergate calls`.\n"},
    {"compare", command_compare, "[OPTION]... MODEL MODEL...", ARGUMENT_SINCE | ARGUMENT_JSON | ARGUMENT_DAEMON, true,
     "compare models: tokens and cost a call, waits and times",
     "The first MODEL is what the others are compared with. Of the last 30 days, if nothing else is said.\n"},
    {"prices", command_prices, "[OPTION]... [MODEL]", ARGUMENT_JSON | ARGUMENT_DAEMON, true,
     "show the prices in force and where they come from",
     "With MODEL: the price that a call of that name is billed by now. Status 1: none is known.\n"},
    {"pause", command_pause, "[OPTION]...", ARGUMENT_DAEMON, false, "hold all calls until resume; those in flight go on",
     "Calls that pass through without being counted are not held. Nobody is refused early for it.\n"},
    {"resume", command_resume, "[OPTION]...", ARGUMENT_DAEMON, false, "let calls go again", ""},
    {"reload", command_reload, "[OPTION]...", ARGUMENT_DAEMON, false, "have the daemon read its configuration again",
     "All or nothing: with anything wrong in the file its problems are printed, the running configuration stays, "
     "and the\nexit status is 78.\n"},
    {"count", command_count, "[OPTION]... [FILE]...",
     ARGUMENT_MODEL | ARGUMENT_ENCODING | ARGUMENT_CHAT | ARGUMENT_JSON, true,
     "count the tokens of files or of standard input",
     "Prints one line a file, and a total for several. No daemon is needed. A count that is an estimate (the "
     "model's\n"
     "vocabulary is not public, or images and tools take part) is said so on standard error and in the "
     "JSON.\n"},
};

static void print_help(FILE *out)
{
    fputs("Usage: metergate COMMAND [OPTION]...\nKeeps programs under their LLM rate limits, with the daemon "
          "metergated.\n\n",
          out);
    for (size_t i = 0; i < MG_ARRAY_LEN(commands); i++)
        fprintf(out, "  %-20s %s\n", commands[i].name, commands[i].summary);
    fputc('\n', out);
    arguments_help(ARGUMENT_DAEMON | ARGUMENT_HELP | ARGUMENT_VERSION, out);
    fputs("\n'metergate COMMAND --help' tells more about a command.\n", out);
}

static void print_command_help(const struct command *c)
{
    printf("Usage: metergate %s %s\n%c%s.\n%s\n", c->name, c->usage, c->summary[0] - 'a' + 'A',
           c->summary + 1, c->more);
    arguments_help(c->arguments | ARGUMENT_HELP, stdout);
}

static const struct command *find(const char *name)
{
    for (size_t i = 0; i < MG_ARRAY_LEN(commands); i++) {
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    }
    return NULL;
}

static int run_command(const struct command *c, struct arguments *a)
{
    char title[32];
    int status;

    snprintf(title, sizeof title, "metergate %s", c->name);
    a->operands[0] = title; /* getopt's messages begin with it */
    status = arguments_read(a, c->arguments | ARGUMENT_HELP, a->operand_count, a->operands);
    if (status)
        return status;
    if (a->help) {
        print_command_help(c);
        return EX_OK;
    }
    if (a->operand_count && !c->operands)
        return report(EX_USAGE, "%s takes no operand ('%s'); try 'metergate %s --help'", c->name,
                      a->operands[0], c->name);
    return c->run(a);
}

static int dispatch(int argc, char **argv)
{
    struct arguments a = {0};
    char name[] = "metergate";
    const struct command *c;
    int status;

    if (argc < 1)
        return EX_USAGE;
    argv[0] = name;
    status = arguments_read(&a, ARGUMENT_DAEMON | ARGUMENT_HELP | ARGUMENT_VERSION | ARGUMENT_STOP, argc, argv);
    if (status)
        return status;
    if (a.help || a.version) {
        if (a.help)
            print_help(stdout);
        else
            printf("metergate %s\n", METERGATE_VERSION);
        return EX_OK;
    }
    if (a.operand_count == 0) {
        print_help(stderr);
        return EX_USAGE;
    }
    c = find(a.operands[0]);
    if (!c)
        return report(EX_USAGE, "no command '%s'; 'metergate --help' lists them", a.operands[0]);
    return run_command(c, &a);
}

int main(int argc, char **argv)
{
    int status = dispatch(argc, argv);

    /* a count or a status that did not reach the disk must not look like a success */
    if ((fflush(stdout) != 0 || ferror(stdout)) && status == EX_OK)
        status = report(EX_IOERR, "cannot write the output: %s", strerror(errno));
    return status;
}
