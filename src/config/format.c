/* format: a text is plain only when every YAML reader takes it for the same text, in a flow as well as in a
 * block. */
#include "metergate/config/format.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "metergate/config/config.h"
#include "metergate/config/value.h"

struct unit {
    const char *name;
    int64_t size;
};

static void print_with_unit(int64_t v, const struct unit *units, struct buf *out)
{
    while (v == 0 ? units[1].name != NULL : v % units->size != 0)
        units++;
    buf_addf(out, "%" PRId64 "%s", v / units->size, units->name);
}

void format_duration(int64_t us, struct buf *out)
{
    static const struct unit units[] = {{"d", 86400000000}, {"h", 3600000000}, {"m", 60000000},
                                        {"s", 1000000},     {"ms", 1000},      {"us", 1},
                                        {NULL, 0}};

    if (us == 0)
        buf_add_str(out, "0s");
    else
        print_with_unit(us, units, out);
}

static void print_size(int64_t bytes, struct buf *out)
{
    static const struct unit units[] = {
        {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"", 1}, {NULL, 0}};

    print_with_unit(bytes, units, out);
}

void format_decimal(int64_t v, int digits, struct buf *out)
{
    char text[32];
    int n = snprintf(text, sizeof text, "%0*" PRId64, digits + 1, v), point = n - digits;

    while (n > point && text[n - 1] == '0')
        n--;
    buf_add(out, text, (size_t)point);
    if (n > point)
        buf_addf(out, ".%.*s", n - point, text + point);
}

static bool is_plain(struct slice text)
{
    static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./%+-";

    if (text.n == 0 || strchr("%+-.", text.p[0]) || slice_eq_nocase(text, SLICE("null")))
        return false;
    for (size_t i = 0; i < text.n; i++) {
        if (!memchr(safe, text.p[i], sizeof safe - 1))
            return false;
    }
    return true;
}

/* Everything outside ASCII is escaped: some of it may not stand in a YAML stream as it is. */
void format_text(struct slice text, struct buf *out)
{
    if (is_plain(text)) {
        buf_add_slice(out, text);
        return;
    }
    buf_add_char(out, '"');
    while (text.n) {
        size_t n = slice_utf8(text);
        char c = text.p[0];

        MG_ASSERT(n > 0);
        if (c == '"' || c == '\\')
            buf_addf(out, "\\%c", c);
        else if (n == 1 && c >= 0x20 && c < 0x7f)
            buf_add_char(out, c);
        else
            buf_addf(out, "\\U%08" PRIX32, slice_code_point(text, n));
        text = slice_skip(text, n);
    }
    buf_add_char(out, '"');
}

static struct slice word_at(const char *words, unsigned index)
{
    struct slice rest = slice_str(words);

    while (index-- > 0)
        rest = slice_skip(rest, slice_find(rest, '|') + 1);
    return slice_head(rest, slice_find(rest, '|'));
}

static void print_choices(const char *words, unsigned bits, struct buf *out)
{
    const char *comma = "";

    for (unsigned i = 0; word_at(words, i).n; i++) {
        if (!(bits >> i & 1))
            continue;
        buf_add_str(out, comma);
        buf_add_slice(out, word_at(words, i));
        comma = ", ";
    }
}

static bool is_strings(enum table_type type)
{
    return type == TABLE_HOSTS || type == TABLE_ORIGINS || type == TABLE_GLOBS;
}

static void print_list(const struct table_row *row, const void *field, struct buf *out)
{
    const struct config_strings *strings = field;
    const struct config_listens *listens = field;
    const struct config_users *users = field;

    buf_add_char(out, '[');
    if (row->type == TABLE_CHOICES)
        print_choices(row->choices, *(const unsigned *)field, out);
    for (size_t i = 0; row->type == TABLE_LISTEN && i < listens->n; i++) {
        buf_add_str(out, i ? ", " : "");
        format_text(slice_str(listens->v[i].text), out);
    }
    for (size_t i = 0; row->type == TABLE_USERS && i < users->n; i++) {
        buf_add_str(out, i ? ", " : "");
        format_text(slice_str(users->v[i].text), out);
    }
    for (size_t i = 0; is_strings(row->type) && i < strings->n; i++) {
        buf_add_str(out, i ? ", " : "");
        format_text(slice_str(strings->v[i]), out);
    }
    buf_add_char(out, ']');
}

static void print_number(enum table_type type, int64_t v, struct buf *out)
{
    switch (type) {
    case TABLE_DURATION:
        format_duration(v, out);
        break;
    case TABLE_SIZE:
        print_size(v, out);
        break;
    case TABLE_SHARE:
        format_decimal(v, 1, out);
        buf_add_char(out, '%');
        break;
    case TABLE_USD:
        format_decimal(v, 6, out);
        break;
    case TABLE_MONEY:
        format_decimal(v, 9, out);
        break;
    default:
        buf_addf(out, "%" PRId64, v);
        break;
    }
}

void format_value(const struct table_row *row, const void *field, struct buf *out)
{
    unsigned word;

    switch (row->type) {
    case TABLE_DURATION:
    case TABLE_SIZE:
    case TABLE_COUNT:
    case TABLE_SHARE:
    case TABLE_USD:
    case TABLE_LIMIT:
    case TABLE_MONEY:
        print_number(row->type, *(const int64_t *)field, out);
        break;
    case TABLE_BOOL:
        buf_add_str(out, *(const bool *)field ? "true" : "false");
        break;
    case TABLE_CHOICE:
        memcpy(&word, field, sizeof word);
        buf_add_slice(out, word_at(row->choices, word));
        break;
    case TABLE_TEXT:
    case TABLE_USER:
    case TABLE_PATH:
    case TABLE_URL:
    case TABLE_NAME:
    case TABLE_ENV:
    case TABLE_FILE:
    case TABLE_CREDENTIAL:
        format_text(slice_str(*(char *const *)field), out);
        break;
    case TABLE_CHOICES:
    case TABLE_HOSTS:
    case TABLE_ORIGINS:
    case TABLE_GLOBS:
    case TABLE_LISTEN:
    case TABLE_USERS:
        print_list(row, field, out);
        break;
    }
}

bool format_is(const struct table_row *row, const void *field, const char *text)
{
    union value_any other = {0};
    struct buf a, b;
    bool same;

    buf_init(&a, BUF_UNLIMITED);
    buf_init(&b, BUF_UNLIMITED);
    if (text)
        value_set(row, text, &other);
    format_value(row, field, &a);
    format_value(row, &other, &b);
    same = slice_eq(buf_slice(&a), buf_slice(&b));
    buf_release(&a);
    buf_release(&b);
    value_release(row, &other);
    return same;
}
