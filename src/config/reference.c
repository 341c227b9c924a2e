/*
 * reference: texts of the table are Markdown: of its marks they use `code` alone. In roff a line that begins
 * with . or ' would be a request, and a backslash begins an escape: nothing of a text gets there as it is.
 */
#include "metergate/config/reference.h"

#include <string.h>

#include "metergate/base/slice.h"
#include "metergate/config/table.h"

/* ---- what both say ---- */

static const char *type_words(enum table_type type)
{
    switch (type) {
    case TABLE_DURATION:
        return "duration";
    case TABLE_SIZE:
        return "size";
    case TABLE_COUNT:
        return "count";
    case TABLE_SHARE:
        return "percentage";
    case TABLE_USD:
        return "US dollars";
    case TABLE_BOOL:
        return "true or false";
    case TABLE_CHOICE:
        return "one of";
    case TABLE_CHOICES:
        return "list of";
    case TABLE_URL:
        return "URL";
    case TABLE_PATH:
    case TABLE_FILE:
        return "path";
    case TABLE_USER:
        return "user";
    case TABLE_HOSTS:
    case TABLE_ORIGINS:
    case TABLE_LISTEN:
    case TABLE_USERS:
        return "list";
    case TABLE_GLOBS:
        return "list of globs";
    case TABLE_LIMIT:
        return "count, or {max, per}";
    case TABLE_MONEY:
        return "US dollars, or {max, per}";
    case TABLE_TEXT:
    case TABLE_NAME:
    case TABLE_ENV:
    case TABLE_CREDENTIAL:
    default:
        return "text";
    }
}

/* "duration, 1ms to 1h"; "one of fair, fifo" */
static void add_value(const struct table_row *row, struct buf *out)
{
    buf_add_str(out, row->type == TABLE_LIMIT && !row->span ? "count" : type_words(row->type));
    if (row->choices && (row->type == TABLE_CHOICE || row->type == TABLE_CHOICES)) {
        buf_add_char(out, ' ');
        for (const char *p = row->choices; *p; p++) {
            if (*p == '|')
                buf_add_str(out, ", ");
            else
                buf_add_char(out, *p);
        }
    }
    if (row->choices && row->type == TABLE_PATH)
        buf_addf(out, ", or `%s`", row->choices);
    if (row->min)
        buf_addf(out, ", %s to %s", row->min, row->max);
}

/* NULL: the help says what holds without the option. */
static const char *default_words(const struct table_row *row)
{
    if (!row->fallback || (!row->fallback[0] && (row->type == TABLE_TEXT || row->type == TABLE_USER || (row->type == TABLE_PATH && row->choices))))
        return NULL;
    return row->fallback[0] ? row->fallback : "none";
}

static const char *status_words(const struct table_row *row)
{
    static const char *const words[] = {
        [TABLE_WORKS] = NULL,
        [TABLE_LATER] = "Not implemented in this version: accepted with a warning, ignored.",
    };

    return words[row->status];
}

/* ---- Markdown ---- */

static void add_markdown(const struct table_row *row, struct buf *out)
{
    const char *fallback = default_words(row), *status = status_words(row);

    buf_addf(out, "| `%s` | ", row->path);
    add_value(row, out);
    buf_addf(out, " | %s | %s%s", fallback ? fallback : "-", row->help,
             row->restart ? ". A change needs a restart" : "");
    if (status)
        buf_addf(out, ". **%s**", status);
    buf_add_str(out, " |\n");
}

void reference_markdown(struct buf *out)
{
    size_t n;
    const struct table_row *rows = table_rows(&n);

    buf_add_str(out, "| option | value | default | what it does |\n|---|---|---|---|\n");
    for (size_t i = 0; i < n; i++)
        add_markdown(&rows[i], out);
}

/* ---- roff ---- */

#define ROFF_COLUMNS 68 /* before escapes */

/* One word, `code` in bold; `bold` carries over to the next word. */
static void add_roff_word(struct slice word, bool *bold, struct buf *out)
{
    if (word.n && (word.p[0] == '.' || word.p[0] == '\''))
        buf_add_str(out, "\\&");
    for (size_t i = 0; i < word.n; i++) {
        char c = word.p[i];

        if (c == '`') {
            *bold = !*bold;
            buf_add_str(out, *bold ? "\\fB" : "\\fR");
        } else if (c == '\\') {
            buf_add_str(out, "\\e");
        } else if (c == '-') {
            buf_add_str(out, "\\-");
        } else if (c == '~') {
            buf_add_str(out, "\\(ti");
        } else {
            buf_add_char(out, c);
        }
    }
}

/* In lines that no reader of the source needs to scroll. */
static void add_roff_text(struct slice text, struct buf *out)
{
    size_t begin = out->n;
    bool bold = false;

    while (text.n) {
        struct slice word = slice_head(text, slice_find(text, ' '));
        size_t before = out->n;

        text = slice_skip(text, word.n + 1);
        if (before > begin && before - begin + word.n >= ROFF_COLUMNS) {
            buf_add_char(out, '\n');
            begin = out->n;
        } else if (before > begin) {
            buf_add_char(out, ' ');
        }
        add_roff_word(word, &bold, out);
    }
}

static void add_roff(const struct table_row *row, struct buf *out)
{
    const char *fallback = default_words(row), *status = status_words(row);
    struct buf line;

    buf_add_str(out, ".TP\n.B ");
    add_roff_word(slice_str(row->path), &(bool){false}, out);
    buf_init(&line, BUF_UNLIMITED);
    add_value(row, &line);
    if (fallback)
        buf_addf(&line, "; default %s", fallback);
    buf_add_str(out, "\n(");
    add_roff_text(buf_slice(&line), out);
    buf_add_str(out, ")\n");
    add_roff_text(slice_str(row->help), out);
    buf_add_str(out, row->restart ? ".\nA change needs a restart.\n" : ".\n");
    if (status) {
        add_roff_text(slice_str(status), out);
        buf_add_char(out, '\n');
    }
    buf_release(&line);
}

static struct slice first_part(const struct table_row *row)
{
    struct slice path = slice_str(row->path);

    return slice_head(path, slice_find(path, '.'));
}

void reference_roff(struct buf *out)
{
    struct slice last = {NULL, 0};
    size_t n;
    const struct table_row *rows = table_rows(&n);

    for (size_t i = 0; i < n; i++) {
        struct slice part = first_part(&rows[i]);

        if (!slice_eq(part, last))
            buf_addf(out, ".SS %.*s\n", (int)part.n, part.p);
        last = part;
        add_roff(&rows[i], out);
    }
}
