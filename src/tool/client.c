/*
 * client: one easy handle a call, so that threads share nothing. The head is kept of the last answer alone: a
 * held call may be preceded by any number of 102s.
 */
#include "metergate/tool/client.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "client_inside.h"

#include "metergate/base/log.h"

#define CONNECT_TIMEOUT_MS 3000L
#define HEAD_MAX           ((size_t)64 << 10)

#define PLACE(c) (address_shown(&(c)->address).text)

void client_init(struct client *c, const struct address *a, const struct secret *token)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
    c->address = *a;
    c->token = token;
}

void client_release(struct client *c)
{
    (void)c;
    curl_global_cleanup();
}

static size_t on_head(char *p, size_t size, size_t n, void *ctx)
{
    struct client_answer *a = ctx;
    struct slice line = slice_of(p, size * n);

    if (slice_starts(line, SLICE("HTTP/")))
        buf_reset(&a->head);
    return buf_append(&a->head, line.p, line.n) < 0 ? 0 : line.n;
}

static size_t on_body(char *p, size_t size, size_t n, void *ctx)
{
    struct client_answer *a = ctx;

    return buf_append(&a->body, p, size * n) < 0 ? 0 : size * n;
}

static struct curl_slist *add_header(struct curl_slist *list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(list, line);

    MG_ASSERT(longer);
    return longer;
}

static struct curl_slist *add_token(struct curl_slist *list, const struct secret *token)
{
    struct buf line;

    buf_init(&line, BUF_UNLIMITED);
    buf_add_str(&line, "Metergate-Token: ");
    buf_add_slice(&line, secret_expose(token));
    list = add_header(list, line.p);
    buf_release_secret(&line);
    return list;
}

static struct curl_slist *make_headers(const struct client *c, const struct client_request *r)
{
    struct curl_slist *list = NULL;

    list = add_header(list, "User-Agent: metergate/" METERGATE_VERSION);
    if (r->body.n)
        list = add_header(list, "Content-Type: application/json");
    list = add_header(list,
                      "Expect:"); /* curl's own, for big bodies, costs a round trip that nobody needs here */
    if (c->token && secret_is_set(c->token))
        list = add_token(list, c->token);
    for (const char *const *line = r->headers; line && *line; line++)
        list = add_header(list, *line);
    return list;
}

static void set_url(CURL *h, const struct client *c, const char *path)
{
    const char *socket = address_unix_path(&c->address);
    struct buf url;

    buf_init(&url, BUF_UNLIMITED);
    buf_add_str(&url, socket ? "http://localhost" : c->address.text);
    buf_add_str(&url, path);
    curl_easy_setopt(h, CURLOPT_URL, url.p);
    if (socket)
        curl_easy_setopt(h, CURLOPT_UNIX_SOCKET_PATH, socket);
    buf_release(&url);
}

static int explain(CURL *h, const struct client *c, CURLcode rc, const char *detail, struct errbuf *e)
{
    const char *why = detail[0] ? detail : curl_easy_strerror(rc);
    long os_error = 0;

    curl_easy_getinfo(h, CURLINFO_OS_ERRNO, &os_error);
    switch (rc) {
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
        err_set(e,
                "no daemon answers at %s (%s): start metergated, or name its address with --url or "
                "$METERGATE_URL",
                PLACE(c), rc == CURLE_COULDNT_CONNECT && os_error ? strerror((int)os_error) : why);
        return -EHOSTUNREACH;
    case CURLE_OPERATION_TIMEDOUT:
        err_set(e, "no answer in time from %s (%s)", PLACE(c), why);
        return -ETIMEDOUT;
    case CURLE_WRITE_ERROR:
        err_set(e, "the answer from %s is too long", PLACE(c));
        return -E2BIG;
    default:
        err_set(e, "no usable answer from %s (%s)", PLACE(c), why);
        return -EPROTO;
    }
}

void transfer_prepare(struct transfer *t, const struct client *c, const struct client_request *r)
{
    CURL *h = t->handle;

    t->headers = make_headers(c, r);
    t->answer = (struct client_answer){0};
    t->detail[0] = '\0';
    buf_init(&t->answer.head, HEAD_MAX);
    buf_init(&t->answer.body, r->answer_max ? r->answer_max : CLIENT_ANSWER_MAX);
    curl_easy_reset(h); /* options alone: a connection that is kept stays */
    set_url(h, c, r->path);
    curl_easy_setopt(h, CURLOPT_ERRORBUFFER, t->detail);
    curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(h, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(h, CURLOPT_PROXY, "");
    curl_easy_setopt(h, CURLOPT_HTTPHEADER, t->headers);
    curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
    curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, (long)(r->timeout_ms ? r->timeout_ms : CLIENT_TIMEOUT_MS));
    curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, on_head);
    curl_easy_setopt(h, CURLOPT_HEADERDATA, &t->answer);
    curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(h, CURLOPT_WRITEDATA, &t->answer);
    if (r->body.n || r->post) {
        curl_easy_setopt(h, CURLOPT_POST, 1L);
        curl_easy_setopt(h, CURLOPT_POSTFIELDS, r->body.n ? r->body.p : "");
        curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body.n);
    }
}

int transfer_finish(struct transfer *t, const struct client *c, CURLcode rc, struct client_answer *ret,
                    struct errbuf *e)
{
    long status = 0;
    int result = 0;

    curl_easy_getinfo(t->handle, CURLINFO_RESPONSE_CODE, &status);
    t->answer.status = (int)status;
    if (rc != CURLE_OK) {
        result = explain(t->handle, c, rc, t->detail, e);
        client_answer_release(&t->answer);
    } else {
        *ret = t->answer;
    }
    t->answer = (struct client_answer){0};
    curl_easy_setopt(t->handle, CURLOPT_HTTPHEADER, NULL);
    curl_easy_setopt(t->handle, CURLOPT_ERRORBUFFER, NULL);
    curl_slist_free_all(t->headers);
    t->headers = NULL;
    return result;
}

int client_call(const struct client *c, const struct client_request *r, struct client_answer *ret,
                struct errbuf *e)
{
    struct transfer t = {.handle = curl_easy_init()};
    int rc;

    MG_ASSERT(t.handle);
    transfer_prepare(&t, c, r);
    rc = transfer_finish(&t, c, curl_easy_perform(t.handle), ret, e);
    curl_easy_cleanup(t.handle);
    return rc;
}

void client_answer_release(struct client_answer *a)
{
    buf_release(&a->head);
    buf_release(&a->body);
}

struct slice client_answer_header(const struct client_answer *a, const char *name)
{
    struct slice rest = buf_slice(&a->head);

    while (rest.n) {
        size_t end = slice_find(rest, '\n');
        struct slice line = slice_head(rest, end);
        size_t colon = slice_find(line, ':');

        if (line.n && line.p[line.n - 1] == '\r')
            line.n--;
        if (colon < line.n && slice_eq_nocase(slice_head(line, colon), slice_str(name)))
            return slice_trim(slice_skip(line, colon + 1));
        rest = slice_skip(rest, end + 1);
    }
    return SLICE("");
}

int client_refuses(const struct client *c, const struct client_answer *a, struct errbuf *e)
{
    bool shown = c->token && secret_is_set(c->token);

    if (a->status != 401 && a->status != 403)
        return 0;
    if (a->status == 403)
        err_set(e,
                "the daemon at %s does not serve this user (clients.users in its configuration) or host name",
                PLACE(c));
    else if (shown)
        err_set(e, "the daemon at %s does not know this token (clients.NAME.token in its configuration)",
                PLACE(c));
    else
        err_set(
            e,
            "the daemon at %s wants a client token: name its file with --token-file, or set $METERGATE_TOKEN",
            PLACE(c));
    return -EACCES;
}

int client_get(const struct client *c, const char *path, struct client_answer *ret, struct errbuf *e)
{
    const struct client_request r = {.path = path};
    struct client_answer a;
    int rc = client_call(c, &r, &a, e);

    if (rc < 0)
        return rc;
    if (a.status == 200) {
        *ret = a;
        return 0;
    }
    rc = client_refuses(c, &a, e);
    if (rc == 0) {
        err_set(e, "%s%s is answered %d: is that Metergate?", PLACE(c), path, a.status);
        rc = -EPROTO;
    }
    client_answer_release(&a);
    return rc;
}

/* /healthz answers everybody; the page at / only those who may call. */
static int check_admission(const struct client *c, struct errbuf *e)
{
    const struct client_request r = {.path = "/"};
    struct client_answer a;
    int rc = client_call(c, &r, &a, e);

    if (rc < 0)
        return rc;
    rc = client_refuses(c, &a, e);
    client_answer_release(&a);
    return rc;
}

int client_check(const struct client *c, struct errbuf *e)
{
    struct client_answer a;
    int rc = client_get(c, "/healthz", &a, e);

    if (rc < 0)
        return rc;
    if (!slice_starts(buf_slice(&a.body), SLICE("ok"))) {
        err_set(e, "what answers at %s is not Metergate", PLACE(c));
        rc = -EPROTO;
    }
    client_answer_release(&a);
    return rc < 0 ? rc : check_admission(c, e);
}
