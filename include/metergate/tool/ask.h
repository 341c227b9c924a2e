/*
 * ask: one question to the daemon, whose answer is a JSON document, and what all commands do alike with it:
 * --json prints it as it came; without a document there is one line on stderr, with the daemon's own sentence
 * where it has one.
 */
#ifndef METERGATE_TOOL_ASK_H
#define METERGATE_TOOL_ASK_H

#include "metergate/base/buf.h"
#include "metergate/base/slice.h"
#include "metergate/tool/arguments.h"

/* A report of ten thousand calls with names as long as they may be. */
#define ASK_ANSWER_MAX ((size_t)64 << 20)

/* Reports over millions of calls take their time. */
#define ASK_TIMEOUT_MS 60000

/* Appends a part of a path, or a parameter of the query ("?" before the first, "&" before others; nothing for
 * NULL); all that has a meaning in a URL is escaped. */
void ask_add_part(struct buf *path, const char *part);
void ask_add_parameter(struct buf *path, const char *name, const char *value);

/* How a document becomes an output; an exit status. `doc` is one JSON object (tool/doc.h). */
typedef int ask_show(const struct arguments *a, struct slice doc);

/*
 * GET, and the answer as --json, --csv (where `csv` is not NULL) or `text` shows it. EX_OK, what `text` says,
 * or: EX_USAGE the command line is wrong (the daemon says so, too: 400), EX_NOPERM, EX_UNAVAILABLE no such
 * daemon, 1 it has no answer.
 */
int ask(const struct arguments *a, const char *path, ask_show *text, ask_show *csv);

#endif
