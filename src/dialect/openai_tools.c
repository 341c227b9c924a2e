/* openai_tools: schemas are followed to SCHEMA_DEPTH; what is deeper, or says no type, counts as its JSON. */
#include "metergate/dialect/openai_tools.h"

#include "metergate/base/scan_text.h"
#include "metergate/dialect/fields.h"
#include "metergate/tokens/feed.h"

#define SCHEMA_DEPTH   8
#define REQUIRED_BYTES ((size_t)4096)

#define TOOL_INIT_O200K  7
#define TOOL_INIT_CL100K 10
#define PROPERTIES_INIT  3
#define PROPERTY_KEY     3
#define ENUM_INIT        (-3)
#define ENUM_ITEM        3
#define TOOLS_END        12

#define FUNCTIONS_FRAME    9
#define CHOICE_NONE        1
#define CHOICE_NAMED       4
#define SYSTEM_LESS        4
#define CALL_FRAME         3
#define HOSTED_TOOL_TOKENS 400 /* a tool of the provider's own: its prompt is not known */

/* ---- reading ---- */

enum {
    S_TYPE,
    S_DESCRIPTION,
    S_PROPERTIES,
    S_REQUIRED,
    S_ENUM,
    S_ITEMS,
    S_NAME,
    S_PARAMETERS,
    S_FUNCTION,
    S_ARGUMENTS,
    FIELDS
};

/* The members of a tool, a function or a schema that anything here looks at. */
struct part {
    struct slice text; /* the object */
    struct field f[FIELDS];
};

static bool read_part(struct slice text, struct part *ret)
{
    *ret = (struct part){
        .text = text,
        .f =
            {
                [S_TYPE] = {.name = "type"},
                [S_DESCRIPTION] = {.name = "description"},
                [S_PROPERTIES] = {.name = "properties"},
                [S_REQUIRED] = {.name = "required"},
                [S_ENUM] = {.name = "enum"},
                [S_ITEMS] = {.name = "items"},
                [S_NAME] = {.name = "name"},
                [S_PARAMETERS] = {.name = "parameters", .other_name = "input_schema"},
                [S_FUNCTION] = {.name = "function"},
                [S_ARGUMENTS] = {.name = "arguments"},
            },
    };
    return fields_read(text, ret->f, FIELDS, NULL) == 0;
}

/* A string's inside, or what else stands there, as it stands. */
static struct slice inside(const struct part *p, int field)
{
    const struct field *f = &p->f[field];

    return f->value.type == SCAN_STRING ? scan_inside(p->text, &f->value) : field_raw(p->text, f);
}

static struct slice raw(const struct part *p, int field)
{
    return field_raw(p->text, &p->f[field]);
}

static bool is_object(const struct part *p, int field)
{
    return p->f[field].value.type == SCAN_OBJECT;
}

static struct slice without_stop(struct slice text)
{
    return slice_ends(text, SLICE(".")) ? slice_head(text, text.n - 1) : text;
}

/* Text as it reads, out of the inside of a JSON string. */
static void say(struct tokens_feed *f, struct slice text)
{
    char some[512];

    while (text.n) {
        size_t n = scan_decode_some(&text, some, sizeof some);

        feed_add(f, some, n);
    }
}

static void put(struct tokens_feed *f, const char *text)
{
    feed_add(f, text, slice_str(text).n);
}

/* ---- tools: the cookbook's sum ---- */

/* "a:b" or "a:b:c" */
static int64_t line_tokens(const struct counter *k, struct slice a, struct slice b, const struct slice *c)
{
    struct tokens_feed f;

    feed_init(&f, k->chat.encoding, INT64_MAX);
    say(&f, a);
    put(&f, ":");
    say(&f, b);
    if (c) {
        put(&f, ":");
        say(&f, *c);
    }
    return feed_finish(&f);
}

static int64_t text_tokens(const struct counter *k, struct slice text)
{
    struct tokens_feed f;

    feed_init(&f, k->chat.encoding, INT64_MAX);
    say(&f, text);
    return feed_finish(&f);
}

static int64_t enum_tokens(const struct counter *k, struct slice list)
{
    int64_t tokens = ENUM_INIT;
    struct scan s;

    scan_init(&s, list);
    if (!scan_enter(&s, SCAN_ARRAY))
        return 0;
    while (scan_element(&s)) {
        struct scan_value v = scan_value(&s);

        tokens += ENUM_ITEM +
                  text_tokens(k, v.type == SCAN_STRING ? scan_text(&s, &v) : slice_of(list.p + v.at, v.n));
    }
    return tokens;
}

static int64_t properties_tokens(struct counter *k, const struct part *schema, int depth);

static int64_t property_tokens(struct counter *k, struct slice name, struct slice text, int depth)
{
    struct slice description;
    struct part p;
    int64_t tokens = PROPERTY_KEY;

    if (!read_part(text, &p) || p.f[S_TYPE].value.type == SCAN_NONE || depth > SCHEMA_DEPTH)
        return tokens + line_tokens(k, name, text, NULL); /* anyOf, $ref: as it stands */
    description = without_stop(inside(&p, S_DESCRIPTION));
    tokens += line_tokens(k, name, inside(&p, S_TYPE), &description);
    if (p.f[S_ENUM].value.type == SCAN_ARRAY)
        tokens += enum_tokens(k, raw(&p, S_ENUM));
    if (is_object(&p, S_PROPERTIES))
        tokens += properties_tokens(k, &p, depth + 1);
    else if (is_object(&p, S_ITEMS))
        tokens += property_tokens(k, SLICE(""), raw(&p, S_ITEMS), depth + 1) - PROPERTY_KEY;
    return tokens;
}

static int64_t properties_tokens(struct counter *k, const struct part *schema, int depth)
{
    struct slice list = raw(schema, S_PROPERTIES);
    struct scan_value key, v;
    int64_t tokens = 0;
    struct scan s;

    scan_init(&s, list);
    if (!scan_enter(&s, SCAN_OBJECT))
        return 0;
    while (scan_member(&s, &key)) {
        tokens += tokens ? 0 : PROPERTIES_INIT;
        v = scan_value(&s);
        if (v.type != SCAN_NONE)
            tokens += property_tokens(k, scan_text(&s, &key), slice_of(list.p + v.at, v.n), depth);
    }
    return tokens;
}

static int64_t function_tokens(struct counter *k, const struct part *function)
{
    int64_t tokens = k->chat.encoding == ENCODING_CL100K ? TOOL_INIT_CL100K : TOOL_INIT_O200K;
    struct part parameters;

    tokens += line_tokens(k, inside(function, S_NAME), without_stop(inside(function, S_DESCRIPTION)), NULL);
    if (is_object(function, S_PARAMETERS) && read_part(raw(function, S_PARAMETERS), &parameters))
        tokens += properties_tokens(k, &parameters, 0);
    return tokens;
}

/* False: one that the provider runs. */
static bool is_function(const struct part *tool)
{
    struct slice type = inside(tool, S_TYPE);

    return type.n == 0 || slice_eq(type, SLICE("function"));
}

static void count_tool(struct counter *k, struct slice text)
{
    struct part tool, function;

    if (!read_part(text, &tool)) {
        chat_count_tool_json(&k->chat, text.p, text.n);
        return;
    }
    if (!is_function(&tool)) {
        bool described = slice_eq(inside(&tool, S_TYPE), SLICE("custom"));

        if (described)
            chat_count_tool_json(&k->chat, text.p, text.n);
        else
            chat_count_hidden(&k->chat, HOSTED_TOOL_TOKENS);
        return;
    }
    if (is_object(&tool, S_FUNCTION) && read_part(raw(&tool, S_FUNCTION), &function))
        chat_count_tool(&k->chat, function_tokens(k, &function));
    else
        chat_count_tool(&k->chat, function_tokens(k, &tool));
}

void openai_tools_count(struct counter *k, struct slice list)
{
    int64_t tools = 0;
    struct scan s;

    scan_init(&s, list);
    if (!scan_enter(&s, SCAN_ARRAY))
        return;
    while (scan_element(&s)) {
        struct scan_value v = scan_value(&s);

        if (v.type != SCAN_NONE)
            count_tool(k, slice_of(list.p + v.at, v.n));
        tools++;
    }
    if (tools)
        chat_count_tool(&k->chat, TOOLS_END);
}

/* ---- functions: a TypeScript namespace ---- */

static void write_type(struct tokens_feed *f, struct slice text, int indent, int depth);

static void write_indent(struct tokens_feed *f, int indent)
{
    for (int i = 0; i < indent; i++)
        put(f, " ");
}

/* `required` names it: in its first REQUIRED_BYTES, as every property asks. */
static bool is_required(struct slice list, struct slice name)
{
    struct scan s;

    scan_init(&s, slice_head(list, REQUIRED_BYTES));
    if (list.n == 0 || !scan_enter(&s, SCAN_ARRAY))
        return false;
    while (scan_element(&s)) {
        struct scan_value v = scan_value(&s);

        if (v.type == SCAN_STRING && slice_eq(scan_text(&s, &v), name))
            return true;
    }
    return false;
}

/* A line for each property, a comment before it; line breaks between them. */
static void write_properties(struct tokens_feed *f, const struct part *schema, int indent, int depth)
{
    struct slice list = raw(schema, S_PROPERTIES), required = raw(schema, S_REQUIRED);
    struct scan_value key, v;
    struct scan s;
    bool more = false;

    scan_init(&s, list);
    if (!scan_enter(&s, SCAN_OBJECT))
        return;
    while (scan_member(&s, &key)) {
        struct slice name = scan_text(&s, &key);
        struct part p;

        v = scan_value(&s);
        if (v.type == SCAN_NONE)
            return;
        if (more)
            put(f, "\n");
        more = true;
        if (indent < 2 && read_part(slice_of(list.p + v.at, v.n), &p) && inside(&p, S_DESCRIPTION).n) {
            write_indent(f, indent);
            put(f, "// ");
            say(f, inside(&p, S_DESCRIPTION));
            put(f, "\n");
        }
        write_indent(f, indent);
        say(f, name);
        put(f, is_required(required, name) ? ": " : "?: ");
        write_type(f, slice_of(list.p + v.at, v.n), indent, depth);
        put(f, ",");
    }
}

/* "a" | "b" */
static bool write_enum(struct tokens_feed *f, const struct part *p)
{
    struct slice list = raw(p, S_ENUM);
    struct scan s;
    bool more = false;

    scan_init(&s, list);
    if (list.n == 0 || !scan_enter(&s, SCAN_ARRAY))
        return false;
    while (scan_element(&s)) {
        struct scan_value v = scan_value(&s);

        if (more)
            put(f, " | ");
        more = true;
        say(f, slice_of(list.p + v.at, v.n));
    }
    return more;
}

static void write_object(struct tokens_feed *f, const struct part *p, int indent, int depth)
{
    put(f, "{\n");
    write_properties(f, p, indent + 2, depth + 1);
    put(f, "\n}");
}

static void write_type(struct tokens_feed *f, struct slice text, int indent, int depth)
{
    struct slice type;
    struct part p;

    if (!read_part(text, &p) || depth > SCHEMA_DEPTH) {
        say(f, text);
        return;
    }
    type = inside(&p, S_TYPE);
    if (write_enum(f, &p))
        return;
    if (slice_eq(type, SLICE("integer"))) {
        put(f, "number");
    } else if (slice_eq(type, SLICE("array"))) {
        if (is_object(&p, S_ITEMS))
            write_type(f, raw(&p, S_ITEMS), indent, depth + 1);
        put(f, is_object(&p, S_ITEMS) ? "[]" : "any[]");
    } else if (slice_eq(type, SLICE("object"))) {
        write_object(f, &p, indent, depth);
    } else {
        say(f, type.n ? type : text);
    }
}

static void write_function(struct tokens_feed *f, const struct part *function)
{
    struct part parameters;
    bool has = is_object(function, S_PARAMETERS) && read_part(raw(function, S_PARAMETERS), &parameters) &&
               is_object(&parameters, S_PROPERTIES) && raw(&parameters, S_PROPERTIES).n > 2;

    if (inside(function, S_DESCRIPTION).n) {
        put(f, "// ");
        say(f, inside(function, S_DESCRIPTION));
        put(f, "\n");
    }
    put(f, "type ");
    say(f, inside(function, S_NAME));
    if (has) {
        put(f, " = (_: {\n");
        write_properties(f, &parameters, 0, 0);
        put(f, "\n}) => any;\n\n");
    } else {
        put(f, " = () => any;\n\n");
    }
}

static int64_t choice_tokens(const struct counter *k, struct slice choice)
{
    struct part p;

    if (slice_eq(choice, SLICE("\"none\"")))
        return CHOICE_NONE;
    return read_part(choice, &p) ? CHOICE_NAMED + text_tokens(k, inside(&p, S_NAME)) : 0;
}

void openai_functions_count(struct counter *k, struct slice list, struct slice function_call)
{
    struct tokens_feed f;
    struct scan s;

    scan_init(&s, list);
    if (!scan_enter(&s, SCAN_ARRAY))
        return;
    feed_init(&f, k->chat.encoding, INT64_MAX);
    put(&f, "namespace functions {\n\n");
    while (scan_element(&s)) {
        struct scan_value v = scan_value(&s);
        struct part function;

        if (v.type != SCAN_NONE && read_part(slice_of(list.p + v.at, v.n), &function))
            write_function(&f, &function);
    }
    put(&f, "} // namespace functions");
    chat_count_tool(&k->chat, feed_finish(&f) + FUNCTIONS_FRAME + choice_tokens(k, function_call));
}

int64_t openai_functions_system(const struct counter *k, struct slice text)
{
    struct tokens_feed f;

    feed_init(&f, k->chat.encoding, INT64_MAX);
    say(&f, text);
    put(&f, "\n");
    return feed_finish(&f) - text_tokens(k, text) - SYSTEM_LESS;
}

/* ---- calls ---- */

void openai_call_count(struct counter *k, struct slice call)
{
    struct part p, function;
    bool whole = read_part(call, &p);

    if (whole && is_object(&p, S_FUNCTION) && read_part(raw(&p, S_FUNCTION), &function))
        p = function;
    if (!whole || inside(&p, S_NAME).n == 0) {
        chat_count_tool_json(&k->chat, call.p, call.n);
        return;
    }
    chat_count_tool(&k->chat, CALL_FRAME + text_tokens(k, inside(&p, S_NAME)) +
                                  text_tokens(k, inside(&p, S_ARGUMENTS)));
}
