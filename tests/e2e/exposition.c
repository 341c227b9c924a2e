/* exposition: a cursor over the text; every function moves it behind what it has read, or fails the test. */
#include "exposition.h"

#include <ctype.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "metergate/base/err.h"
#include "metergate/base/slice.h"

static void bad(const char *at, const char *why)
{
    fail_msg("%s: %.*s", why, (int)strcspn(at, "\n"), at);
}

static char *copy(const char *p, size_t n)
{
    char *s = strndup(p, n);

    assert_non_null(s);
    return s;
}

static size_t name_length(const char *p)
{
    size_t n = strspn(p, "abcdefghijklmnopqrstuvwxyz_0123456789");

    return isdigit((unsigned char)p[0]) ? 0 : n;
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);

    return n >= m && strcmp(s + n - m, end) == 0;
}

/* ---- heads ---- */

/* "# HELP name rest": the name must be the same as `want`, if there is one. */
static char *read_head(const char **at, const char *keyword, const char *want, char **ret_rest)
{
    const char *line = *at, *name, *rest;
    size_t n;

    if (strncmp(line, keyword, strlen(keyword)) != 0)
        bad(line, "not what comes here");
    name = line + strlen(keyword);
    n = name_length(name);
    if (n == 0 || name[n] != ' ')
        bad(line, "no name");
    if (want && (strlen(want) != n || memcmp(want, name, n) != 0))
        bad(line, "TYPE of another than HELP");
    rest = name + n + 1;
    *ret_rest = copy(rest, strcspn(rest, "\n"));
    *at = rest + strcspn(rest, "\n") + 1;
    return copy(name, n);
}

static void begin_family(struct exposition *e, const char **at)
{
    const char *line = *at;
    struct family f = {0};
    char *again;

    f.name = read_head(at, "# HELP ", NULL, &f.help);
    again = read_head(at, "# TYPE ", f.name, &f.type);
    free(again);
    if (f.help[0] == '\0' || strchr(f.help, '\\'))
        bad(line, "no sentence");
    if (strcmp(f.type, "counter") != 0 && strcmp(f.type, "gauge") != 0 && strcmp(f.type, "histogram") != 0)
        bad(line, "no type of ours");
    if ((strcmp(f.type, "counter") == 0) != ends_with(f.name, "_total"))
        bad(line, "counters, and they alone, end in _total");
    if (exposition_family(e, f.name))
        bad(line, "a family that was there before");
    e->v = xrealloc(e->v, (e->n + 1) * sizeof *e->v);
    e->v[e->n++] = f;
}

/* ---- series ---- */

static void note_label(struct family *f, const char *name, size_t n)
{
    for (size_t i = 0; i < f->labels; i++) {
        if (strlen(f->label[i]) == n && memcmp(f->label[i], name, n) == 0)
            return;
    }
    assert_true(f->labels < MG_ARRAY_LEN(f->label) && n < sizeof f->label[0]);
    memcpy(f->label[f->labels], name, n);
    f->label[f->labels++][n] = '\0';
}

/* At the opening quote; returns the closing one. */
static const char *read_quoted(const char *line, const char *p)
{
    if (*p++ != '"')
        bad(line, "no quote");
    while (*p != '"') {
        size_t n = slice_utf8(slice_str(p));

        if (*p == '\0' || *p == '\n' || n == 0)
            bad(line, "a label's value that does not end, or is no UTF-8");
        if (*p == '\\' && !strchr("\\\"n", p[1]))
            bad(line, "an escape that is none");
        p += *p == '\\' ? 2 : (ptrdiff_t)n;
    }
    return p;
}

/* Behind the opening brace; returns the closing one. */
static const char *read_labels(struct family *f, const char *line, const char *p)
{
    for (;;) {
        size_t n = name_length(p);

        if (n == 0 || p[n] != '=')
            bad(line, "no label");
        note_label(f, p, n);
        p = read_quoted(line, p + n + 1) + 1;
        if (*p == '}')
            return p;
        if (*p++ != ',')
            bad(line, "no comma");
    }
}

static bool belongs(const struct family *f, const char *name)
{
    static const char *const parts[] = {"_bucket", "_sum", "_count"};
    size_t n = strlen(f->name);

    if (strcmp(f->type, "histogram") != 0)
        return strcmp(f->name, name) == 0;
    for (size_t i = 0; i < MG_ARRAY_LEN(parts); i++) {
        if (strncmp(name, f->name, n) == 0 && strcmp(name + n, parts[i]) == 0)
            return true;
    }
    return false;
}

static void read_series(struct family *f, const char **at)
{
    const char *line = *at, *p = line + name_length(line), *end;
    struct series s = {.name = copy(line, (size_t)(p - line))};
    char *rest;

    if (!belongs(f, s.name))
        bad(line, "not of the family above it");
    end = p;
    if (*p == '{') {
        end = read_labels(f, line, p + 1);
        s.labels = copy(p + 1, (size_t)(end - p - 1));
        end++;
    } else {
        s.labels = copy("", 0);
    }
    if (*end != ' ')
        bad(line, "no value");
    s.value = strtod(end + 1, &rest);
    if (rest == end + 1 || *rest != '\n')
        bad(line, "no number, or something behind it");
    for (size_t i = 0; i < f->n; i++) {
        if (strcmp(f->v[i].name, s.name) == 0 && strcmp(f->v[i].labels, s.labels) == 0)
            bad(line, "twice");
    }
    f->v = xrealloc(f->v, (f->n + 1) * sizeof *f->v);
    f->v[f->n++] = s;
    *at = rest + 1;
}

/* ---- histograms ---- */

/* Where le begins: it is the last label. */
static const char *le_of(const struct series *s, size_t *ret_before)
{
    const char *le = strstr(s->labels, "le=\"");

    assert_non_null(le);
    *ret_before = le > s->labels ? (size_t)(le - s->labels) - 1 : 0;
    return le + 4;
}

/* Its lines from i on; returns where the next one begins. */
static size_t check_histogram(const struct family *f, size_t i)
{
    double bound = -INFINITY, count = 0;
    size_t before = 0;

    for (; i < f->n && ends_with(f->v[i].name, "_bucket") && bound < INFINITY; i++) {
        double le = strtod(le_of(&f->v[i], &before), NULL); /* "+Inf" as well */

        if (!(le > bound) || f->v[i].value < count)
            fail_msg("%s{%s} %g: le must rise, counts not fall", f->v[i].name, f->v[i].labels, f->v[i].value);
        bound = le;
        count = f->v[i].value;
    }
    if (bound < INFINITY || i + 2 > f->n || !ends_with(f->v[i].name, "_sum") || !ends_with(f->v[i + 1].name, "_count"))
        fail_msg("%s: a histogram without +Inf, sum or count", f->name);
    if (f->v[i + 1].value != count || strncmp(f->v[i + 1].labels, f->v[i - 1].labels, before) != 0 ||
        f->v[i + 1].labels[before] != '\0')
        fail_msg("%s{%s} is not its last bucket", f->v[i + 1].name, f->v[i + 1].labels);
    return i + 2;
}

/* ---- the whole ---- */

void exposition_read(const char *text, struct exposition *ret)
{
    *ret = (struct exposition){0};
    assert_true(ends_with(text, "\n"));
    while (*text) {
        if (*text == '#')
            begin_family(ret, &text);
        else if (ret->n > 0)
            read_series(&ret->v[ret->n - 1], &text);
        else
            bad(text, "a series without a family");
    }
    for (size_t i = 0; i < ret->n; i++) {
        for (size_t at = 0; strcmp(ret->v[i].type, "histogram") == 0 && at < ret->v[i].n;)
            at = check_histogram(&ret->v[i], at);
        for (size_t at = 0; strcmp(ret->v[i].type, "counter") == 0 && at < ret->v[i].n; at++)
            assert_true(ret->v[i].v[at].value >= 0);
    }
}

void exposition_fetch(const struct fixture *f, struct exposition *ret)
{
    struct client_reply r = fixture_call(f, "GET", "/metrics", NULL);

    assert_int_equal(r.status, 200);
    assert_string_equal(client_header(&r, "Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
    exposition_read(r.body.p, ret);
    client_reply_release(&r);
}

void exposition_release(struct exposition *e)
{
    for (size_t i = 0; i < e->n; i++) {
        for (size_t j = 0; j < e->v[i].n; j++) {
            free(e->v[i].v[j].name);
            free(e->v[i].v[j].labels);
        }
        free(e->v[i].v);
        free(e->v[i].name);
        free(e->v[i].type);
        free(e->v[i].help);
    }
    free(e->v);
    *e = (struct exposition){0};
}

const struct family *exposition_family(const struct exposition *e, const char *name)
{
    for (size_t i = 0; i < e->n; i++) {
        if (strcmp(e->v[i].name, name) == 0)
            return &e->v[i];
    }
    return NULL;
}

double exposition_sum(const struct exposition *e, const char *name, const char *part)
{
    const struct family *f = exposition_family(e, name);
    double sum = 0;
    int found = 0;

    if (!f)
        fail_msg("no metric %s", name);
    for (size_t i = 0; f && i < f->n; i++) {
        if (strcmp(f->type, "histogram") == 0 && !ends_with(f->v[i].name, "_count"))
            continue;
        if (!strstr(f->v[i].labels, part))
            continue;
        sum += f->v[i].value;
        found++;
    }
    if (found == 0)
        fail_msg("no series of %s with %s", name, part);
    return sum;
}

bool exposition_has(const struct exposition *e, const char *name)
{
    for (size_t i = 0; i < e->n; i++) {
        if (belongs(&e->v[i], name))
            return true;
    }
    return false;
}
