/*
 * count: a text is counted as it is read, in parts; a request body is read whole. A file that cannot be read
 * is reported, and the others are counted. Who waits at a terminal sees how far it is.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "metergate/base/clock.h"
#include "metergate/base/json.h"
#include "metergate/dialect/guess.h"
#include "metergate/tokens/encoding.h"
#include "metergate/tokens/feed.h"
#include "metergate/tokens/ratio.h"
#include "metergate/tool/command.h"
#include "metergate/tool/report.h"

#define BODY_MAX      ((size_t)1 << 30)
#define DEFAULT_MODEL "gpt-4o"

/* How long nobody needs to be told anything, and how often after that. */
#define PROGRESS_AFTER_US (INT64_C(500) * 1000)
#define PROGRESS_EVERY_US (INT64_C(200) * 1000)

struct counting {
    const struct arguments *a;
    struct model_encoding encoding;
    int32_t ratio; /* of the model's own tokens to those of the encoding, as far as is published
                      (tokens/ratio.h) */
    int64_t total;
    bool exact;     /* all of the total */
    struct buf out; /* with --json: all output, printed at the end */
    struct json_writer json;
    bool tells;       /* standard error is a terminal */
    int64_t began_us; /* this file */
    int64_t told_us;  /* when something was told of it; 0: nothing yet */
};

/* What one file is. */
struct counted {
    int64_t tokens;
    bool exact;
    char model[DIALECT_MODEL_MAX]; /* of a request body; else "" */
};

/* ---- progress ---- */

static void tell(struct counting *c, const char *name, int64_t done, int64_t all)
{
    int64_t now = clock_now_us();

    if (!c->tells || now - c->began_us < PROGRESS_AFTER_US || now - c->told_us < PROGRESS_EVERY_US)
        return;
    c->told_us = now;
    if (all > 0)
        fprintf(stderr, "\r\033[K%s: %" PRId64 " of %" PRId64 " MB", name, done / 1000000, all / 1000000);
    else
        fprintf(stderr, "\r\033[K%s: %" PRId64 " MB", name, done / 1000000);
    fflush(stderr);
}

static void tell_end(struct counting *c)
{
    if (c->told_us)
        fprintf(stderr, "\r\033[K");
    c->told_us = 0;
}

/* ---- reading ---- */

static int open_file(const char *name)
{
    int fd = strcmp(name, "-") == 0 ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC);

    return fd < 0 ? -errno : fd;
}

static int64_t size_of_file(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? (int64_t)st.st_size : 0;
}

/* Gives it piece by piece to `feed`, or, when that is NULL, to `whole`. */
static int read_all(struct counting *c, const char *name, int fd, struct tokens_feed *feed, struct buf *whole)
{
    int64_t done = 0, all = size_of_file(fd);
    char chunk[65536];

    for (;;) {
        ssize_t n = read(fd, chunk, sizeof chunk);
        int rc = 0;

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : 0;
        if (feed)
            feed_add(feed, chunk, (size_t)n);
        else
            rc = buf_append(whole, chunk, (size_t)n);
        if (rc < 0)
            return rc;
        done += n;
        tell(c, name, done, all);
    }
}

static int count_text(struct counting *c, const char *name, int fd, struct counted *ret)
{
    struct tokens_feed feed;
    int rc;

    feed_init(&feed, c->encoding.encoding, INT64_MAX);
    rc = read_all(c, name, fd, &feed, NULL);
    *ret = (struct counted){.tokens = ratio_times(c->ratio, feed_finish(&feed)), .exact = c->encoding.exact};
    return rc;
}

/* -EBADMSG with a sentence: it is no such body. */
static int count_body(const struct counting *c, struct slice body, struct counted *ret, const char **why)
{
    struct request_count count;
    struct guess guess;
    int rc = guess_read(body, c->a->model ? slice_str(c->a->model) : SLICE(""), &guess, why);

    if (rc < 0)
        return rc;
    if (guess.dialect->count(body, &guess.request, &count) < 0) {
        *why = "there is nothing in it that could be counted";
        return -EBADMSG;
    }
    *ret = (struct counted){.tokens = count.input_tokens, .exact = count.parts.exact};
    memcpy(ret->model, guess.request.model, sizeof ret->model);
    return 0;
}

static int count_request(struct counting *c, const char *name, int fd, struct counted *ret, const char **why)
{
    struct buf body;
    int rc;

    buf_init(&body, BODY_MAX);
    rc = read_all(c, name, fd, NULL, &body);
    if (rc == 0)
        rc = count_body(c, buf_slice(&body), ret, why);
    buf_release(&body);
    return rc;
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
    struct counted counted = {0};
    const char *why = "";
    int fd = open_file(name), rc = fd;

    c->began_us = clock_now_us();
    if (fd >= 0)
        rc = c->a->chat ? count_request(c, name, fd, &counted, &why) : count_text(c, name, fd, &counted);
    if (fd > STDIN_FILENO)
        close(fd);
    tell_end(c);
    if (rc == -EBADMSG && c->a->chat)
        return report(EX_DATAERR, "%s: %s", name, why);
    if (rc < 0)
        return report(EX_NOINPUT, "%s: %s", name, strerror(-rc));
    print_count(c, name, named, &counted);
    c->total += counted.tokens;
    c->exact = c->exact && counted.exact;
    return EX_OK;
}

static int choose_encoding(struct counting *c)
{
    const char *model = c->a->model ? c->a->model : DEFAULT_MODEL;

    c->encoding = encoding_for_model(model, strlen(model));
    c->ratio = (int32_t)(encoding_scale_permille(model, strlen(model)) * RATIO_ONE / 1000);
    if (!c->a->encoding)
        return EX_OK;
    if (c->a->chat)
        return report(EX_USAGE, "a request is counted by its model: --chat takes no --encoding");
    c->encoding.exact = true;
    c->ratio = RATIO_ONE;
    for (int i = 0; i < ENCODINGS; i++) {
        c->encoding.encoding = (enum encoding)i;
        if (strcmp(encoding_name(c->encoding.encoding), c->a->encoding) == 0)
            return EX_OK;
    }
    return report(EX_USAGE, "no encoding '%s'; there are o200k_base and cl100k_base", c->a->encoding);
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
        report(EX_OK, "an estimate: the vocabulary of %s is not public, this is %s times %d.%02d",
               c->a->model, encoding_name(c->encoding.encoding), c->ratio / RATIO_ONE,
               c->ratio % RATIO_ONE * 100 / RATIO_ONE);
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
    struct counting c = {.a = a, .exact = true, .tells = isatty(STDERR_FILENO) == 1};
    int status = choose_encoding(&c);

    if (status != EX_OK)
        return status;
    return a->json ? count_as_json(&c) : count_as_text(&c);
}
