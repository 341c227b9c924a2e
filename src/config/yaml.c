/*
 * yaml: libyaml's events become nodes. open[0..depth-1] are the containers that have begun and not ended,
 * each inside the one before it; every node made so far hangs in doc->all, whether or not the tree holds it,
 * so that a reader that stops half way leaks nothing. Memory is bounded by the three bounds of the header:
 * the abort-on-failure allocators are used.
 */
#include "metergate/config/yaml.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "metergate/config/check.h"

#define TOO_DEEP "nested too deeply: nothing of a configuration is"
#define TOO_MANY "more than 20,000 values (an alias counts as what it stands for)"

struct reader {
    struct yaml_doc *doc;
    struct problems *problems;
    yaml_parser_t parser;
    struct yaml_node *open[YAML_DEPTH_MAX];
    size_t depth;
    struct {
        char *name; /* owned */
        struct yaml_node *node;
    } anchors[YAML_ANCHORS_MAX];
    size_t anchor_count;
};

static int refuse(struct reader *r, int line, int column, const char *why)
{
    problems_error(r->problems, line, column, "%s", why);
    return -EINVAL;
}

/* Line and column of a byte, for problems that libyaml reports by offset. */
static int refuse_at(struct reader *r, struct slice text, size_t offset, const char *why)
{
    int line = 1, column = 1;

    for (size_t i = 0; i < offset && i < text.n; i++) {
        if (text.p[i] == '\n') {
            line++;
            column = 1;
        } else if (((unsigned char)text.p[i] & 0xc0) != 0x80) {
            column++;
        }
    }
    return refuse(r, line, column, why);
}

/* A new node; its text, if any, follows it in the same allocation. */
static struct yaml_node *node_new(struct reader *r, enum yaml_kind kind, struct slice text)
{
    struct yaml_node *node = xcalloc(1, sizeof *node + text.n + 1);
    char *copy = (char *)(node + 1);

    if (text.n)
        memcpy(copy, text.p, text.n);
    node->kind = kind;
    node->text = slice_of(copy, text.n);
    node->all_next = r->doc->all;
    r->doc->all = node;
    r->doc->node_count++;
    return node;
}

static void append(struct yaml_node *parent, struct yaml_node *node)
{
    if (parent->n == parent->cap) {
        parent->cap = parent->cap ? 2 * parent->cap : 8;
        parent->children = xrealloc((void *)parent->children, parent->cap * sizeof(parent->children[0]));
    }
    parent->children[parent->n++] = node;
}

static bool is_key(const struct yaml_node *parent)
{
    return parent->kind == YAML_MAP && parent->n % 2 == 0;
}

/* A twin of an earlier key is reported; it stays in the tree, so that its value is checked as well. */
static void check_twin(struct reader *r, const struct yaml_node *map, const struct yaml_node *key)
{
    for (size_t i = 0; i < map->n; i += 2) {
        if (!slice_eq(map->children[i]->text, key->text))
            continue;
        problems_error(r->problems, key->line, key->column,
                       "%s: stands here twice, first in line %d; remove one of them", SHOW(key->text),
                       map->children[i]->line);
        return;
    }
}

static int place(struct reader *r, struct yaml_node *node)
{
    struct yaml_node *parent = r->depth ? r->open[r->depth - 1] : NULL;

    if (r->doc->node_count > YAML_NODES_MAX)
        return refuse(r, node->line, node->column, TOO_MANY);
    if (!parent) {
        r->doc->root = node;
        return 0;
    }
    if (is_key(parent)) {
        if (node->kind != YAML_SCALAR)
            return refuse(r, node->line, node->column,
                          "a key must be a word, not a list or a mapping: put a text that begins with [ or { "
                          "in quotes");
        check_twin(r, parent, node);
    }
    append(parent, node);
    return 0;
}

static int remember(struct reader *r, const yaml_char_t *name, struct yaml_node *node)
{
    if (!name)
        return 0;
    if (r->anchor_count == YAML_ANCHORS_MAX)
        return refuse(r, node->line, node->column, "too many anchors: a file has at most 64");
    r->anchors[r->anchor_count].name = xstrdup((const char *)name);
    r->anchors[r->anchor_count++].node = node;
    return 0;
}

static void mark(struct yaml_node *node, const yaml_mark_t *at)
{
    node->line = (int)at->line + 1;
    node->column = (int)at->column + 1;
}

static int on_scalar(struct reader *r, const yaml_event_t *event)
{
    const char *p = (const char *)event->data.scalar.value;
    struct slice text = slice_of(p, event->data.scalar.length);
    struct yaml_node *node = node_new(r, YAML_SCALAR, text);
    int rc;

    mark(node, &event->start_mark);
    node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (slice_find(text, '\0') < text.n)
        return refuse(r, node->line, node->column, "a NUL character: remove it");
    rc = remember(r, event->data.scalar.anchor, node);
    return rc < 0 ? rc : place(r, node);
}

static int on_begin(struct reader *r, enum yaml_kind kind, const yaml_event_t *event,
                    const yaml_char_t *anchor)
{
    struct yaml_node *node = node_new(r, kind, slice_of(NULL, 0));
    int rc;

    mark(node, &event->start_mark);
    rc = remember(r, anchor, node);
    if (rc == 0)
        rc = place(r, node);
    if (rc < 0)
        return rc;
    if (r->depth == YAML_DEPTH_MAX)
        return refuse(r, node->line, node->column, TOO_DEEP);
    r->open[r->depth++] = node;
    return 0;
}

/* NULL when a bound is passed: `level` counts from the root. */
static struct yaml_node *copy_of(struct reader *r, const struct yaml_node *from, size_t level)
{
    struct yaml_node *to;

    if (r->doc->node_count > YAML_NODES_MAX || level > YAML_DEPTH_MAX)
        return NULL;
    to = node_new(r, from->kind, from->text);
    to->line = from->line;
    to->column = from->column;
    to->plain = from->plain;
    for (size_t i = 0; i < from->n; i++) {
        struct yaml_node *child = copy_of(r, from->children[i], level + 1);

        if (!child)
            return NULL;
        append(to, child);
    }
    return to;
}

static bool is_open(const struct reader *r, const struct yaml_node *node)
{
    for (size_t i = 0; i < r->depth; i++) {
        if (r->open[i] == node)
            return true;
    }
    return false;
}

static int on_alias(struct reader *r, const yaml_event_t *event)
{
    const char *name = (const char *)event->data.alias.anchor;
    int line = (int)event->start_mark.line + 1, column = (int)event->start_mark.column + 1;
    struct yaml_node *node = NULL;

    for (size_t i = r->anchor_count; i > 0 && !node; i--) {
        if (strcmp(r->anchors[i - 1].name, name) == 0)
            node = r->anchors[i - 1].node;
    }
    if (!node)
        return refuse(r, line, column,
                      "an alias of an anchor (&NAME) that is not above it; a text that begins with * must be "
                      "in quotes");
    if (is_open(r, node))
        return refuse(r, line, column, "an alias inside its own anchor: write the value out");
    node = copy_of(r, node, r->depth);
    if (!node)
        return refuse(r, line, column, r->doc->node_count > YAML_NODES_MAX ? TOO_MANY : TOO_DEEP);
    node->line = line;
    node->column = column;
    return place(r, node);
}

static int on_document(struct reader *r, const yaml_event_t *event)
{
    if (r->doc->root)
        return refuse(r, (int)event->start_mark.line + 1, (int)event->start_mark.column + 1,
                      "a second document: a configuration is one; remove this line");
    return 0;
}

static int on_event(struct reader *r, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        return on_document(r, event);
    case YAML_SCALAR_EVENT:
        return on_scalar(r, event);
    case YAML_ALIAS_EVENT:
        return on_alias(r, event);
    case YAML_SEQUENCE_START_EVENT:
        return on_begin(r, YAML_LIST, event, event->data.sequence_start.anchor);
    case YAML_MAPPING_START_EVENT:
        return on_begin(r, YAML_MAP, event, event->data.mapping_start.anchor);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        r->depth--;
        return 0;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        return 0;
    }
    return 0;
}

/* What to do about a mistake that libyaml names in its own words; `began`: the sentence ends with where. */
static const struct {
    const char *problem, *said;
    bool began;
} syntax[] = {
    {"mapping values are not allowed in this context",
     "a second \": \" of one value: indent the line like those above it, or put the text in quotes", false},
    {"block sequence entries are not allowed in this context",
     "a list item (- ) cannot begin here: put it on a line of its own, or write [a, b]", false},
    {"could not find expected ':'", "this is no option: write KEY: VALUE", false},
    {"found unexpected end of stream", "a quote is not closed; it was opened", true},
    {"found unexpected document indicator", "a quote is not closed; it was opened", true},
    {"did not find expected ',' or ']'", "a list wants , or ] here; its [ stands", true},
    {"did not find expected ',' or '}'", "a mapping wants , or } here; its { stands", true},
    {"did not find expected node content", "a value is missing here", false},
    {"did not find expected key",
     "this does not belong here: check the indentation and the brackets of the mapping that begins", true},
    {"did not find expected '-' indicator",
     "this does not belong here: check the indentation of the list that begins", true},
    {"did not find expected <document start>",
     "this does not belong to what stands above it: check the indentation and the brackets", false},
    {"did not find expected alphabetic or numeric character",
     "a text that begins with * or & must be in quotes, as in \"*\"", false},
    {"found unknown escape character",
     "a backslash in double quotes begins an escape: use single quotes, or write \\\\", false},
    {"found a tab character that violates indentation", "a tab: indent with spaces", false},
    {"found incompatible YAML document", "a version that is not 1.1 or 1.2: remove the %YAML line", false},
    {"control characters are not allowed", "a control character: remove it", false},
};

/* The printable character at that mark, or a tab; else 0. Marks count characters, a byte order mark not. */
static char char_at(struct slice text, const yaml_mark_t *at)
{
    if (slice_starts(text, SLICE("\xef\xbb\xbf")))
        text = slice_skip(text, 3);
    for (size_t i = 0; i < at->index && text.n; i++)
        text = slice_skip(text, slice_utf8(text));
    return text.n && (text.p[0] == '\t' || (text.p[0] > 0x20 && text.p[0] < 0x7f)) ? text.p[0] : '\0';
}

/* Our sentence about it, else libyaml's, with what it was reading when they explain more. */
static void say_syntax(const yaml_parser_t *p, struct slice text, struct errbuf *e)
{
    char c = char_at(text, &p->problem_mark);

    for (size_t i = 0; i < MG_ARRAY_LEN(syntax); i++) {
        if (strcmp(p->problem, syntax[i].problem) != 0)
            continue;
        if (syntax[i].began)
            err_set(e, "%s in line %d", syntax[i].said, (int)p->context_mark.line + 1);
        else
            err_set(e, "%s", syntax[i].said);
        return;
    }
    if (strcmp(p->problem, "found character that cannot start any token") != 0 || !c)
        err_set(e, "%s%s%s", p->problem, p->context ? ", " : "", p->context ? p->context : "");
    else if (c == '\t')
        err_set(e, "a tab: indent with spaces");
    else
        err_set(e, "a text that begins with %c must be in quotes", c);
}

static int on_syntax_error(struct reader *r, struct slice text)
{
    const yaml_parser_t *p = &r->parser;
    struct errbuf e;

    if (p->error == YAML_MEMORY_ERROR || !p->problem)
        return refuse(r, 0, 0, "not enough memory to read it");
    say_syntax(p, text, &e);
    if (p->error == YAML_READER_ERROR)
        return refuse_at(r, text, p->problem_offset, e.text);
    return refuse(r, (int)p->problem_mark.line + 1, (int)p->problem_mark.column + 1, e.text);
}

static int read_events(struct reader *r, struct slice text)
{
    bool done = false;
    int rc = 0;

    while (!done && rc == 0) {
        yaml_event_t event;

        if (!yaml_parser_parse(&r->parser, &event))
            return on_syntax_error(r, text);
        rc = on_event(r, &event);
        done = event.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
    }
    return rc;
}

static int check_bytes(struct reader *r, struct slice text)
{
    struct slice rest = text;

    if (text.n > YAML_BYTES_MAX)
        return refuse(r, 0, 0, "is longer than 1 MiB; a configuration is not");
    while (rest.n) {
        size_t n = slice_utf8(rest);

        if (n == 0)
            return refuse_at(r, text, text.n - rest.n, "not UTF-8: save the file as UTF-8");
        rest = slice_skip(rest, n);
    }
    return 0;
}

int yaml_read(struct yaml_doc *doc, struct slice text, struct problems *problems)
{
    struct reader r = {.doc = doc, .problems = problems};
    int rc;

    *doc = (struct yaml_doc){0};
    rc = check_bytes(&r, text);
    if (rc < 0)
        return rc;
    if (!yaml_parser_initialize(&r.parser))
        return refuse(&r, 0, 0, "not enough memory to read it");
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)(text.n ? text.p : ""), text.n);
    rc = read_events(&r, text);
    yaml_parser_delete(&r.parser);
    for (size_t i = 0; i < r.anchor_count; i++)
        free(r.anchors[i].name);
    if (rc < 0)
        doc->root = NULL;
    return rc;
}

void yaml_release(struct yaml_doc *doc)
{
    while (doc->all) {
        struct yaml_node *node = doc->all;

        doc->all = node->all_next;
        free((void *)node->children);
        free(node);
    }
    *doc = (struct yaml_doc){0};
}

const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key)
{
    if (!map || map->kind != YAML_MAP)
        return NULL;
    for (size_t i = 0; i + 1 < map->n; i += 2) {
        if (slice_eq(map->children[i]->text, slice_str(key)))
            return map->children[i + 1];
    }
    return NULL;
}

bool yaml_is_null(const struct yaml_node *node)
{
    return node->kind == YAML_SCALAR && node->plain &&
           (node->text.n == 0 || slice_eq(node->text, SLICE("~")) ||
            slice_eq_nocase(node->text, SLICE("null")));
}
