/* check: every function looks at its text alone, but check_user, which asks for the users of this machine. */
#include "metergate/config/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/un.h>

#include "metergate/base/user.h"
#include "metergate/config/models.h"

#define TEXT_MAX  ((size_t)4096)
#define GLOB_MAX  ((size_t)256)
#define SHOWN_MAX ((size_t)60)

struct check_shown check_show(struct slice text)
{
    struct check_shown shown;
    size_t at = 0;

    while (text.n && at < SHOWN_MAX) {
        size_t n = slice_utf8(text);

        if (n <= 1 && (n == 0 || (unsigned char)text.p[0] < 0x20 || text.p[0] == 0x7f)) {
            shown.text[at++] = '?';
            n = 1;
        } else {
            memcpy(shown.text + at, text.p, n);
            at += n;
        }
        text = slice_skip(text, n);
    }
    memcpy(shown.text + at, "...", 4);
    if (text.n == 0)
        shown.text[at] = '\0';
    return shown;
}

int check_word(const char *words, struct slice word)
{
    struct slice rest = slice_str(words);

    for (int i = 0; rest.n; i++) {
        struct slice one = slice_head(rest, slice_find(rest, '|'));

        if (slice_eq(one, word))
            return i;
        rest = slice_skip(rest, one.n + 1);
    }
    return -1;
}

void check_list_words(const char *words, struct buf *out)
{
    struct slice rest = slice_str(words);

    while (rest.n) {
        struct slice one = slice_head(rest, slice_find(rest, '|'));

        rest = slice_skip(rest, one.n + 1);
        buf_add_slice(out, one);
        if (rest.n)
            buf_add_str(out, slice_find(rest, '|') < rest.n ? ", " : " or ");
    }
}

static bool has_control(struct slice text)
{
    for (size_t i = 0; i < text.n; i++) {
        if ((unsigned char)text.p[i] < 0x20 || text.p[i] == 0x7f)
            return true;
    }
    return false;
}

int check_text(struct slice text, struct errbuf *e)
{
    if (text.n > TEXT_MAX)
        err_set(e, "longer than %zu bytes", TEXT_MAX);
    else if (has_control(text))
        err_set(e, "has a control character");
    else
        return 0;
    return -EINVAL;
}

/* The sentences name no byte of the text: somebody may have put the key itself there. */
int check_env(struct slice text, struct errbuf *e)
{
    bool good = text.n > 0 && text.n <= 128 && !(text.p[0] >= '0' && text.p[0] <= '9');

    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];

        good =
            good && ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_');
    }
    if (!good) {
        err_set(e, "takes the name of an environment variable (OPENAI_API_KEY), not a key");
        return -EINVAL;
    }
    return 0;
}

int check_credential(struct slice text, struct errbuf *e)
{
    if (text.n == 0 || text.n > 128 || slice_find(text, '/') < text.n || text.p[0] == '.') {
        err_set(e, "takes the name of a systemd credential (LoadCredential=NAME:PATH), not a path");
        return -EINVAL;
    }
    return check_text(text, e);
}

int check_path(struct slice text, struct errbuf *e)
{
    if (slice_starts(text, SLICE("/")) || slice_starts(text, SLICE("~/")))
        return check_text(text, e);
    err_set(e, "takes a path that begins with / or ~/");
    return -EINVAL;
}

/* What is wrong with HOST[:PORT] of a URL, or NULL. */
static const char *authority_problem(struct slice s)
{
    size_t host = slice_starts(s, SLICE("[")) ? slice_find(s, ']') + 1 : slice_find(s, ':');
    int64_t port;

    if (slice_find(s, '@') < s.n)
        return "must not hold a user or a password";
    if (host == 0 || host > s.n || (s.p[0] == '[' && host < 4))
        return "has no host";
    for (size_t i = 0; i < host; i++) {
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_[]:", s.p[i]))
            return "has a host with a character that hosts cannot have";
    }
    s = slice_skip(s, host);
    if (s.n == 0)
        return NULL;
    if (s.p[0] != ':' || slice_int64(slice_skip(s, 1), &port) < 0 || port < 1 || port > 65535)
        return "has a port that is not between 1 and 65535";
    return NULL;
}

static const char *url_problem(struct slice rest)
{
    struct slice authority = slice_head(rest, slice_find(rest, '/'));

    for (size_t i = 0; i < rest.n; i++) {
        if (rest.p[i] <= 0x20 || rest.p[i] >= 0x7f || strchr("\"<>\\^`{|}", rest.p[i]))
            return "has a space or a character that a URL cannot have";
    }
    if (slice_find(rest, '?') < rest.n || slice_find(rest, '#') < rest.n)
        return "must not have a query or a fragment";
    return authority_problem(authority);
}

int check_url(struct slice text, const char *schemes, struct errbuf *e)
{
    size_t scheme = slice_find(text, ':');
    const char *why;

    if (!slice_starts(slice_skip(text, scheme), SLICE("://")) ||
        check_word(schemes, slice_head(text, scheme)) < 0) {
        struct buf words;

        buf_init(&words, BUF_UNLIMITED);
        check_list_words(schemes, &words);
        err_set(e, "takes a URL that begins with %s and ://", words.p);
        buf_release(&words);
        return -EINVAL;
    }
    why = url_problem(slice_skip(text, scheme + 3));
    if (why)
        err_set(e, "the URL %s", why);
    return why ? -EINVAL : 0;
}

int check_host(struct slice text, struct errbuf *e)
{
    if (!authority_problem(text))
        return 0;
    err_set(e, "\"%s\" is not a host as a Host header names it (proxy.lan, proxy.lan:4283, [fd00::1])",
            SHOW(text));
    return -EINVAL;
}

int check_origin(struct slice text, struct errbuf *e)
{
    size_t colon = slice_find(text, ':');
    struct slice rest = slice_skip(text, colon);

    for (size_t i = 0; i < colon; i++) {
        if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789+-.", text.p[i]))
            colon = 0;
    }
    if (colon > 0 && slice_starts(rest, SLICE("://")) && !authority_problem(slice_skip(rest, 3)))
        return 0;
    err_set(e,
            "\"%s\" is not an origin as a browser writes it (https://app.example, no path and no slash at "
            "the end)",
            SHOW(text));
    return -EINVAL;
}

int check_glob(struct slice text, struct errbuf *e)
{
    const char *why = "longer than 256 bytes";
    char pattern[GLOB_MAX + 1];

    if (check_text(text, e) < 0)
        return -EINVAL;
    if (text.n <= GLOB_MAX) {
        memcpy(pattern, text.p, text.n);
        pattern[text.n] = '\0';
        why = models_glob_problem(pattern);
    }
    if (why)
        err_set(e, "\"%s\" is not a glob: %s", SHOW(text), why);
    return why ? -EINVAL : 0;
}

/* HOST:PORT taken apart; false when it does not have that form. */
static bool split_port(struct slice text, char host[64], int64_t *ret_port)
{
    bool bracket = slice_starts(text, SLICE("["));
    size_t end = bracket ? slice_find(text, ']') : slice_find(text, ':');
    struct slice name = bracket ? slice_skip(slice_head(text, end), 1) : slice_head(text, end);
    struct slice rest = slice_skip(text, end + bracket);

    if (name.n == 0 || name.n > 63 || !slice_starts(rest, SLICE(":")))
        return false;
    if (slice_int64(slice_skip(rest, 1), ret_port) < 0 || *ret_port > 65535)
        return false;
    memcpy(host, name.p, name.n);
    host[name.n] = '\0';
    return true;
}

/* 1 loopback, 0 another address, -1 no numeric address. */
static int is_loopback(const char *host, bool bracket)
{
    struct in6_addr v6;
    struct in_addr v4;

    if (bracket)
        return inet_pton(AF_INET6, host, &v6) != 1 ? -1 : IN6_IS_ADDR_LOOPBACK(&v6) != 0;
    if (inet_pton(AF_INET, host, &v4) != 1)
        return -1;
    return ntohl(v4.s_addr) >> 24 == 127;
}

static int check_unix_path(struct slice path, struct errbuf *e)
{
    const size_t room = sizeof((struct sockaddr_un *)0)->sun_path;

    if (slice_starts(path, SLICE("/")) && path.n < room)
        return check_text(path, e);
    err_set(e, "unix: takes an absolute path of at most %zu bytes", room - 1);
    return -EINVAL;
}

int check_listen(struct slice text, struct errbuf *e)
{
    int64_t port;
    char host[64];

    if (slice_starts(text, SLICE("unix:")))
        return check_unix_path(slice_skip(text, 5), e);
    if (!split_port(text, host, &port)) {
        err_set(e, "\"%s\" is not an address (127.0.0.1:4283, [::1]:4283, unix:/PATH)", SHOW(text));
        return -EINVAL;
    }
    if (is_loopback(host, text.p[0] == '[') < 0) {
        err_set(e, "\"%s\" is not an address in numbers (127.0.0.1, [::1])", SHOW(slice_str(host)));
        return -EINVAL;
    }
    return 0;
}

int check_reach(struct slice listen, struct errbuf *e)
{
    int64_t port;
    char host[64];

    if (slice_starts(listen, SLICE("unix:")) || !split_port(listen, host, &port) ||
        is_loopback(host, listen.p[0] == '[') != 0)
        return 0;
    err_set(
        e,
        "%s can be reached from other machines: that needs clients.require_token: true and tokens for the "
        "clients; else listen on 127.0.0.1, [::1] or unix:/PATH",
        host);
    return -EACCES;
}

int check_user(struct slice text, uid_t *ret, struct errbuf *e)
{
    int64_t number;

    if (slice_int64(text, &number) == 0 &&
        number < UINT32_MAX) { /* the last one means "no user" to the kernel */
        *ret = (uid_t)number;
        return 0;
    }
    if (text.n && user_uid(text, ret) == 0)
        return 0;
    err_set(e, "there is no user \"%s\" in /etc/passwd; a user of another directory is written as a number",
            SHOW(text));
    return -EINVAL;
}

int check_client_name(struct slice text, struct errbuf *e)
{
    bool good = text.n > 0 && text.n <= 64, solid = false;

    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

        good = good && (alnum || c == '.' || c == '_' || c == '-');
        solid = solid || c != '.';
    }
    if (!good || !solid)
        err_set(e, "cannot be the name of a client: that has 1 to 64 letters, digits, '.', '_' or '-'");
    else if (slice_eq(text, SLICE("other")))
        err_set(e, "cannot be the name of a client: it stands for those beyond the first 1,000");
    else
        return 0;
    return -EINVAL;
}
