/* options: the command line of metergated. Later options win; what is not an option is an error. */
#include "metergate/daemon/options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

static const char help_text[] =
    "Usage: metergated [OPTION]...\n"
    "Holds LLM API calls until their rate limits have room. Runs in the foreground.\n"
    "\n"
    "  -c, --config FILE     read this configuration\n"
    "  -t, --test            check the configuration, print every problem, and exit (78 if any)\n"
    "  -p, --print-config    print the effective configuration as YAML, without secrets, and exit\n"
    "  -l, --listen ADDR     listen on ADDR (127.0.0.1:4283, [::1]:4283, unix:/run/x.sock) instead\n"
    "      --log-level LEVEL error, warn, info or debug\n"
    "  -V, --version         print the version and exit\n"
    "  -h, --help            print this and exit\n"
    "\n"
    "Without --config: $METERGATE_CONFIG, then $XDG_CONFIG_HOME/metergate/metergate.yaml (~/.config),\n"
    "then /etc/metergate/metergate.yaml, then the built-in configuration.\n"
    "\n"
    "SIGHUP reads the configuration again, all or nothing. SIGTERM and SIGINT stop when the calls in flight "
    "have ended;\n"
    "a second one stops at once.\n"
    "\n"
    "Exit status: 0 clean stop, 1 failure while running, 64 wrong usage, 78 wrong configuration.\n";

static int usage_error(const char *why)
{
    if (why)
        fprintf(stderr, "metergated: %s\n", why);
    fprintf(stderr, "Try 'metergated --help'.\n");
    return EX_USAGE;
}

int options_read(struct options *o, int argc, char **argv)
{
    enum { OPT_LOG_LEVEL = 256 };
    static const struct option longs[] = {
        {"config", required_argument, NULL, 'c'},
        {"test", no_argument, NULL, 't'},
        {"print-config", no_argument, NULL, 'p'},
        {"listen", required_argument, NULL, 'l'},
        {"log-level", required_argument, NULL, OPT_LOG_LEVEL},
        {"version", no_argument, NULL, 'V'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int c;

    memset(o, 0, sizeof *o);
    while ((c = getopt_long(argc, argv, "c:tpl:Vh", longs, NULL)) != -1) {
        switch (c) {
        case 'c':
            o->config = optarg;
            break;
        case 't':
            o->test = true;
            break;
        case 'p':
            o->print = true;
            break;
        case 'l':
            o->listen = optarg;
            break;
        case OPT_LOG_LEVEL:
            o->log_level = optarg;
            break;
        case 'V':
            printf("metergated %s\n", METERGATE_VERSION);
            return OPTIONS_DONE;
        case 'h':
            fputs(help_text, stdout);
            return OPTIONS_DONE;
        default:
            return usage_error(NULL);
        }
    }
    if (optind < argc)
        return usage_error("this program takes options only");
    return OPTIONS_GO_ON;
}
