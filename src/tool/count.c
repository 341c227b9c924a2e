/*
 * count: a text has to be seen whole before it can be counted (a token may cross any place that it could be
 * cut at), so each file is read into memory, one at a time. A file that cannot be read is reported, and the
 * others are counted.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "metergate/base/json.h"
#include "metergate/dialect/openai.h"
#include "metergate/tokens/count.h"
#include "metergate/tokens/encoding.h"
#include "metergate/tool/command.h"
#include "metergate/tool/report.h"

#define FILE_MAX      ((size_t)1 << 30)
#define DEFAULT_MODEL "gpt-4o"

struct counting {
    const struct arguments *a;
    struct model_encoding encoding;
    int64_t total;
    bool exact;     /* all of the total */
    struct buf out; /* with --json: all output, printed at the end */
    struct json_writer json;
};

/* What one file is. */
struct counted {
    int64_t tokens;
    bool exact;
    char model[DIALECT_MODEL_MAX]; /* of a chat body; else "" */
};

static int read_all(int fd, struct buf *text)
{
    char chunk[65536];

    for (;;) {
        ssize_t n = read(fd, chunk, sizeof chunk);
        int rc;

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : 0;
        rc = buf_append(text, chunk, (size_t)n);
        if (rc < 0)
            return rc;
    }
}

static int read_file(const char *name, struct buf *text)
{
    bool standard = strcmp(name, "-") == 0;
    int fd = standard ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC);
    int rc;

    if (fd < 0)
        return -errno;
    rc = read_all(fd, text);
    if (!standard)
        close(fd);
    return rc;
}

static int count_chat(const struct counting *c, struct slice body, struct counted *ret, const char **why)
{
    const struct dialect_input in = {.endpoint = ENDPOINT_CHAT, .body = body};
    struct dialect_request request;
    struct request_count count;
    int rc = dialect_openai.read(&in, &request, why);

    if (rc < 0)
        return rc;
    if (c->a->model)
        snprintf(request.model, sizeof request.model, "%s", c->a->model);
    rc = dialect_openai.count(body, &request, &count);
    if (rc < 0) {
        *why = "it is no chat request";
        return rc;
    }
    *ret = (struct counted){.tokens = count.input_tokens, .exact = count.parts.exact};
    memcpy(ret->model, request.model, sizeof ret->model);
    return 0;
}

static void print_count(struct counting *c, const char *name, bool named, const struct counted *counted)
{
    if (!c->a->json) {
        if (named)
            printf("%8" PRId64 " %s\n", counted->tokens, name);
        else
            printf("%" PRId64 "\n", counted->tokens);
        return;
    }
    json_object_begin(&c->json);
    json_member_str(&c->json, "file", slice_str(name));
    if (c->a->chat)
        json_member_str(&c->json, "model", slice_str(counted->model));
    json_member_int(&c->json, "tokens", counted->tokens);
    json_member_bool(&c->json, "exact", counted->exact);
    json_object_end(&c->json);
}

/* EX_OK, or what is wrong with this file, reported. */
static int count_file(struct counting *c, const char *name, bool named)
{
    struct counted counted = {.exact = c->encoding.exact};
    const char *why = "";
    int status = EX_OK, rc;
    struct buf text;

    buf_init(&text, FILE_MAX);
    rc = read_file(name, &text);
    if (rc < 0) {
        status = report(EX_NOINPUT, "%s: %s", name, strerror(-rc));
    } else if (c->a->chat && count_chat(c, buf_slice(&text), &counted, &why) < 0) {
        status = report(EX_DATAERR, "%s: %s", name, why);
    } else {
        if (!c->a->chat)
            counted.tokens = tokens_count(c->encoding.encoding, text.p, text.n);
        print_count(c, name, named, &counted);
        c->total += counted.tokens;
        c->exact = c->exact && counted.exact;
    }
    buf_release(&text);
    return status;
}

static int choose_encoding(const struct arguments *a, struct model_encoding *ret)
{
    const char *model = a->model ? a->model : DEFAULT_MODEL;

    *ret = encoding_for_model(model, strlen(model));
    if (!a->encoding)
        return EX_OK;
    if (a->chat)
        return report(EX_USAGE, "a chat request is counted by its model: --chat takes no --encoding");
    ret->exact = true;
    for (int i = 0; i < ENCODINGS; i++) {
        ret->encoding = (enum encoding)i;
        if (strcmp(encoding_name(ret->encoding), a->encoding) == 0)
            return EX_OK;
    }
    return report(EX_USAGE, "no encoding '%s'; there are o200k_base and cl100k_base", a->encoding);
}

static int count_all(struct counting *c)
{
    static char standard_input[] = "-";
    char *alone[] = {standard_input, NULL};
    char **names = c->a->operand_count ? c->a->operands : alone;
    int status = EX_OK;

    for (char **name = names; *name; name++) {
        int rc = count_file(c, *name, c->a->operand_count > 0);

        status = status == EX_OK ? rc : status;
    }
    return status;
}

static int count_as_text(struct counting *c)
{
    int status = count_all(c);

    if (c->a->operand_count > 1)
        printf("%8" PRId64 " total\n", c->total);
    if (!c->exact && c->a->chat)
        report(EX_OK, "an estimate: images, tools or a model without a public vocabulary take part");
    else if (!c->exact)
        report(EX_OK, "an estimate: the vocabulary of %s is not public, this is %s", c->a->model,
               encoding_name(c->encoding.encoding));
    return status;
}

static int count_as_json(struct counting *c)
{
    struct json_writer *w = &c->json;
    int status;

    buf_init(&c->out, BUF_UNLIMITED);
    json_init(w, &c->out);
    json_object_begin(w);
    if (!c->a->chat)
        json_member_str(w, "encoding", slice_str(encoding_name(c->encoding.encoding)));
    json_key(w, "files");
    json_array_begin(w);
    status = count_all(c);
    json_array_end(w);
    json_member_int(w, "total", c->total);
    json_member_bool(w, "exact", c->exact);
    json_object_end(w);
    buf_add_char(&c->out, '\n');
    fwrite(c->out.p, 1, c->out.n, stdout);
    buf_release(&c->out);
    return status;
}

int command_count(const struct arguments *a)
{
    struct counting c = {.a = a, .exact = true};
    int status = choose_encoding(a, &c.encoding);

    if (status != EX_OK)
        return status;
    return a->json ? count_as_json(&c) : count_as_text(&c);
}
