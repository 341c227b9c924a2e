/*
 * log: one line an event, to stderr (a service manager keeps it).
 *
 * Levels: error = act, warn = watch, info = one line a finished call and the life of the daemon, debug = state moves.
 * Never a body, a prompt, a key or a full header; peer-given text goes through log_quote. base/ and gate/ never log
 * above debug. Functions here may be called from any thread; a line is one write.
 */
#ifndef METERGATE_BASE_LOG_H
#define METERGATE_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>

#include "metergate/base/err.h"
#include "metergate/base/slice.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

void log_setup(enum log_level level, enum log_format format);

/*
 * Whether stderr is the journal's own stream: $JOURNAL_STREAM of systemd.exec(5), DEVICE:INODE. Then every line from here on begins
 * with its level as sd-daemon(3) has it ("<3>" for error), which the journal takes off, so that `journalctl -p err` finds errors. Call it
 * once, before any line.
 */
void log_find_journal(void);

/* What a line of that level that is written to stderr otherwise has to begin with: "<3>", or nothing where nobody takes it off. */
const char *log_prefix(enum log_level level);

bool log_enabled(enum log_level level);

/* Formats and writes one line; longer than 4 KiB is cut, control characters are replaced. errno is kept. */
void log_write(enum log_level level, const char *fmt, ...) MG_PRINTF(2, 3);

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...)  log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)                                                                                       \
    do {                                                                                                     \
        if (log_enabled(LOG_LEVEL_DEBUG))                                                                    \
            log_write(LOG_LEVEL_DEBUG, __VA_ARGS__);                                                         \
    } while (0)

/* "error", "warn", "info", "debug" to the level; -EINVAL. */
int log_level_parse(struct slice name, enum log_level *ret) MG_MUSTCHECK;

/* Peer-given text made safe for a line: printable ASCII kept, the rest as \xNN, cut at 80 bytes with "...". */
struct log_quoted {
    char text[80 * 4 + 4];
};
struct log_quoted log_quote(struct slice s);

/* Sends every line to `sink` instead of stderr (tests); NULL restores stderr. */
void log_capture(void (*sink)(enum log_level level, const char *line, void *arg), void *arg);

#endif
