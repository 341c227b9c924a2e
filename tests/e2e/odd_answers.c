/* odd_answers: one row an answer. Rows of a chapter stand together. Every call is made with one attempt. */
#include "odd_answers.h"

#include "metergate/base/err.h"

/* NOLINTBEGIN(bugprone-macro-parentheses): the arguments are literals that are put together */
#define OK      "HTTP/1.1 200 OK\r\n"
#define TWO     "Content-Length: 2\r\n"
#define CHUNKED "Transfer-Encoding: chunked\r\n"
#define PLAIN   OK TWO "\r\n{}"
#define HAS(text) .bytes = text, .n = sizeof(text) - 1
#define GOOD      .status = 200, .refused = "", .body = "{}"
#define NO_HTTP   .status = 502, .refused = "upstream-protocol"
#define LATE      .status = 504, .refused = "upstream-timeout"
#define CUT       .cut = true, .refused = ""
/* NOLINTEND(bugprone-macro-parentheses) */

#define X100 "1234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890"

const struct odd_answer odd_answers[] = {
    {.chapter = "What is no HTTP", .name = "nothing: the connection is closed", HAS(""), NO_HTTP,
     .end = ODD_CLOSES},
    {.name = "nothing: the connection is reset", HAS(""), NO_HTTP, .end = ODD_RESETS},
    {.name = "HTTP/0.9: a page at once", HAS("<html>no HTTP at all</html>"), NO_HTTP, .end = ODD_CLOSES},
    {.name = "SSH", HAS("SSH-2.0-OpenSSH_9.2\r\n"), NO_HTTP},
    {.name = "a TLS alert (https is wanted there)", HAS("\x15\x03\x01\x00\x02\x02\x46"), NO_HTTP,
     .end = ODD_CLOSES},
    {.name = "HTTP/2: a SETTINGS frame", HAS("\0\0\0\4\0\0\0\0\0"), NO_HTTP, .end = ODD_CLOSES},
    {.name = "`HTTP/2 200`", HAS("HTTP/2 200\r\n" TWO "\r\n{}"), NO_HTTP},
    {.name = "`HTTP/1.2 200 OK`", HAS("HTTP/1.2 200 OK\r\n" TWO "\r\n{}"), NO_HTTP},
    {.name = "half a head", HAS("HTTP/1.1 200 OK\r\nContent-Le"), NO_HTTP, .end = ODD_CLOSES},

    {.chapter = "Status", .name = "no reason: `HTTP/1.1 200`", HAS("HTTP/1.1 200\r\n" TWO "\r\n{}"), GOOD,
     .stays = true},
    {.name = "`HTTP/1.0 200 OK`", HAS("HTTP/1.0 200 OK\r\n" TWO "\r\n{}"), GOOD},
    {.name = "000", HAS("HTTP/1.1 000 Zero\r\n" TWO "\r\n{}"), NO_HTTP},
    {.name = "99", HAS("HTTP/1.1 99 Low\r\n" TWO "\r\n{}"), NO_HTTP},
    {.name = "1000", HAS("HTTP/1.1 1000 High\r\n" TWO "\r\n{}"), NO_HTTP},
    {.name = "2x0", HAS("HTTP/1.1 2x0 Odd\r\n" TWO "\r\n{}"), NO_HTTP},
    {.name = "999", HAS("HTTP/1.1 999 Unknown\r\n" TWO "\r\n{}"), .status = 999, .refused = "", .body = "{}",
     .stays = true},
    {.name = "100, 102 and 103, then 200",
     HAS("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" PLAIN), GOOD,
     .header = "Link", .stays = true},
    {.name = "102 without end", HAS("$"), .filler = "HTTP/1.1 102 Processing\r\n\r\n", .times = 100, NO_HTTP},
    {.name = "101 to a protocol that nobody asked for",
     HAS("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n"), NO_HTTP},
    {.name = "100, and another status line in its head", HAS("HTTP/1.1 100 Continue\r\nHTTP/1.1 200 a:b\r\n\r\n" PLAIN), NO_HTTP},
    {.name = "401, and another status line in its head", HAS("HTTP/1.1 401 No\r\nHTTP/1.1 200 a:b\r\n" TWO "\r\n{}"), NO_HTTP},
    {.name = "204 with a body", HAS("HTTP/1.1 204 No Content\r\n" TWO "\r\n{}"), .status = 204, .refused = "",
     .body = ""},
    {.name = "304 with chunks", HAS("HTTP/1.1 304 Not Modified\r\n" CHUNKED "\r\n2\r\n{}\r\n0\r\n\r\n"),
     .status = 304,
     .refused = "", .body = ""},
    {.name = "the answer to HEAD with a body", HAS(PLAIN), .method = "HEAD", .status = 200, .refused = "",
     .body = ""},

    {.chapter = "Headers", .name = "a header of 20,000 bytes", HAS(OK "X-Long: $\r\n" TWO "\r\n{}"),
     .filler = X100, .times = 200,
     GOOD, .stays = true},
    {.name = "a header of 1 MB", HAS(OK "X-Long: $\r\n" TWO "\r\n{}"), .filler = X100, .times = 10000, NO_HTTP},
    {.name = "100,000 headers", HAS(OK "$" TWO "\r\n{}"), .filler = "x-many: 1\r\n", .times = 100000, NO_HTTP},
    {.name = "headers without end", HAS(OK "$"), .filler = "x-many: 1\r\n", .times = 5000, NO_HTTP},
    {.name = "a NUL in a value", HAS(OK "X-Odd: a\0b\r\n" TWO "\r\n{}"), NO_HTTP},
    {.name = "a control character in a value (that header is dropped)",
     HAS(OK "X-Odd: a\1b\r\n" TWO "\r\n{}"), GOOD,
     .header = "X-Odd", .stays = true},
    {.name = "a bare CR in a value (dropped)", HAS(OK "X-Odd: a\rX-Smuggled: b\r\n" TWO "\r\n{}"), GOOD,
     .header = "X-Smuggled", .stays = true},
    {.name = "an 8-bit byte in a value", HAS(OK "X-Odd: caf\xc3\xa9\r\n" TWO "\r\n{}"), GOOD, .header = "X-Odd",
     .value = "caf\xc3\xa9", .stays = true},
    {.name = "a blank in the name (dropped)", HAS(OK "X Odd: b\r\n" TWO "\r\n{}"), GOOD, .header = "X Odd",
     .stays = true},
    {.name = "a blank before the colon (dropped)", HAS(OK "X-Odd : b\r\n" TWO "\r\n{}"), GOOD,
     .header = "X-Odd", .stays = true},
    {.name = "an empty name (dropped)", HAS(OK ": b\r\n" TWO "\r\n{}"), GOOD, .stays = true},
    {.name = "no colon", HAS(OK "no colon\r\n" TWO "\r\n{}"), NO_HTTP},
    {.name = "a folded line (joined by a blank)", HAS(OK "X-Odd: a\r\n b\r\n" TWO "\r\n{}"), GOOD,
     .header = "X-Odd",
     .value = "a b", .stays = true},
    {.name = "a folded first line", HAS(OK " of nothing\r\n" TWO "\r\n{}"), NO_HTTP},
    {.name = "bare LFs", HAS("HTTP/1.1 200 OK\n" "Content-Length: 2\n\n{}"), GOOD, .stays = true},
    {.name = "`Metergate-Refused` (ours alone to say)", HAS(OK "Metergate-Refused: token\r\n" TWO "\r\n{}"),
     GOOD, .stays = true},
    {.name = "`Connection: X-Odd` (dropped, as it says)",
     HAS(OK "X-Odd: 1\r\nConnection: X-Odd\r\n" TWO "\r\n{}"), GOOD,
     .header = "X-Odd", .stays = true},
    {.name = "`Connection` with 1,000 names", HAS(OK "Connection: close$\r\n" TWO "\r\n{}"), .filler = ",x", .times = 1000, NO_HTTP},

    {.chapter = "Length of the body", .name = "two Content-Length, the same", HAS(OK TWO TWO "\r\n{}"), GOOD,
     .stays = true},
    {.name = "two Content-Length, different", HAS(OK TWO "Content-Length: 3\r\n\r\n{} "), NO_HTTP},
    {.name = "`Content-Length: two`", HAS(OK "Content-Length: two\r\n\r\n{}"), NO_HTTP},
    {.name = "`Content-Length: -2`", HAS(OK "Content-Length: -2\r\n\r\n{}"), NO_HTTP},
    {.name = "`Content-Length: +2`", HAS(OK "Content-Length: +2\r\n\r\n{}"), NO_HTTP},
    {.name = "`Content-Length: 0x2`", HAS(OK "Content-Length: 0x2\r\n\r\n{}"), NO_HTTP},
    {.name = "`Content-Length:` without a number", HAS(OK "Content-Length:\r\n\r\n{}"), NO_HTTP},
    {.name = "Content-Length of 2^64 + 2", HAS(OK "Content-Length: 18446744073709551618\r\n\r\n{}"), NO_HTTP},
    {.name = "Content-Length and chunks (the chunks count)", HAS(OK TWO CHUNKED "\r\n2\r\n{}\r\n0\r\n\r\n"),
     GOOD, .stays = true},
    {.name = "chunks, then Content-Length (likewise)",
     HAS(OK CHUNKED "Content-Length: 9\r\n\r\n2\r\n{}\r\n0\r\n\r\n"), GOOD,
     .stays = true},
    {.name = "`Transfer-Encoding: gzip, chunked`",
     HAS(OK "Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"), NO_HTTP},
    {.name = "`Transfer-Encoding: identity`", HAS(OK "Transfer-Encoding: identity\r\n" TWO "\r\n{}"), NO_HTTP},
    {.name = "two Transfer-Encoding", HAS(OK CHUNKED CHUNKED "\r\n2\r\n{}\r\n0\r\n\r\n"), NO_HTTP},
    {.name = "fewer bytes than Content-Length says", HAS(OK "Content-Length: 9\r\n\r\n{}"), CUT,
     .end = ODD_CLOSES},
    {.name = "more bytes than Content-Length says (they are nobody's)", HAS(OK TWO "\r\n{}" PLAIN), GOOD},
    {.name = "neither, and a close behind whole JSON", HAS(OK "Content-Type: application/json\r\n\r\n{}"),
     GOOD, .end = ODD_CLOSES},
    {.name = "neither, and a close in the middle of JSON",
     HAS(OK "Content-Type: application/json\r\n\r\n{\"a\":"), CUT,
     .end = ODD_CLOSES},
    {.name = "neither, and no close", HAS(OK "\r\n{}"), CUT},

    {.chapter = "Chunks", .name = "an extension (dropped)", HAS(OK CHUNKED "\r\n2;a=b\r\n{}\r\n0\r\n\r\n"),
     GOOD, .stays = true},
    {.name = "an extension without end", HAS(OK CHUNKED "\r\n2;$"), .filler = X100, .times = 10000, CUT},
    {.name = "a size that is no number", HAS(OK CHUNKED "\r\nzz\r\n{}\r\n0\r\n\r\n"), CUT},
    {.name = "a size of -2", HAS(OK CHUNKED "\r\n-2\r\n{}\r\n0\r\n\r\n"), CUT},
    {.name = "a size of 2^63", HAS(OK CHUNKED "\r\n8000000000000000\r\n{}\r\n0\r\n\r\n"), CUT},
    {.name = "a size beyond 2^64", HAS(OK CHUNKED "\r\n10000000000000002\r\n{}\r\n0\r\n\r\n"), CUT},
    {.name = "a size with 1,000 zeros before it", HAS(OK CHUNKED "\r\n$2\r\n{}\r\n0\r\n\r\n"),
     .filler = "0000000000", .times = 100,
     CUT},
    {.name = "more data than the size says", HAS(OK CHUNKED "\r\n2\r\n{}{}\r\n0\r\n\r\n"), CUT},
    {.name = "the last chunk is missing", HAS(OK CHUNKED "\r\n2\r\n{}\r\n"), CUT, .end = ODD_CLOSES},
    {.name = "a trailer (dropped)", HAS(OK CHUNKED "\r\n2\r\n{}\r\n0\r\nX-Odd: 1\r\n\r\n"), GOOD,
     .header = "X-Odd", .stays = true},
    {.name = "trailers without end", HAS(OK CHUNKED "\r\n2\r\n{}\r\n0\r\n$"), .filler = "x-many: 1\r\n",
     .times = 10000, CUT},
    {.name = "another answer behind the last chunk (dropped)",
     HAS(OK CHUNKED "\r\n2\r\n{}\r\n0\r\n\r\n" PLAIN), GOOD,
     .stays = true},

    {.chapter = "Silence", .name = "nothing comes", HAS(""), LATE},
    {.name = "half a head", HAS("HTTP/1.1 200 OK\r\nContent-Le"), LATE},
    {.name = "102, then nothing", HAS("HTTP/1.1 102 Processing\r\n\r\n"), LATE},
    {.name = "a head, then nothing", HAS(OK TWO "\r\n"), CUT},
    {.name = "half a body", HAS(OK TWO "\r\n{"), CUT},
    {.name = "half a chunk", HAS(OK CHUNKED "\r\n2\r\n{"), CUT},
    {.name = "a chunk, then nothing", HAS(OK CHUNKED "\r\n2\r\n{}\r\n"), CUT},

    {.chapter = "Redirects and passwords", .name = "302 to another host (never followed here)",
     HAS("HTTP/1.1 302 Found\r\nLocation: https://evil.example/v1?x\r\nContent-Length: 0\r\n\r\n"),
     .status = 302, .refused = "",
     .body = "", .header = "Location", .value = "https://evil.example/v1?x", .stays = true},
    {.name = "308 to a path of the provider (it is `/v1/...` of its own, and the upstream's name is `openai`)",
     HAS("HTTP/1.1 308 Moved\r\nLocation: /v1/chat/completions/\r\nContent-Length: 0\r\n\r\n"), .status = 308,
     .refused = "",
     .body = "", .header = "Location", .value = "/openai/v1/chat/completions/", .stays = true},
    {.name = "307 out of the provider's path into Metergate's own (dropped)",
     HAS("HTTP/1.1 307 Moved\r\nLocation: /v1/../-/pause\r\nContent-Length: 0\r\n\r\n"), .status = 307,
     .refused = "", .body = "",
     .header = "Location", .stays = true},
    {.name = "300 with a megabyte", HAS("HTTP/1.1 300 Choices\r\nContent-Length: 1000000\r\n\r\n$"),
     .filler = X100, .times = 10000,
     .status = 300, .refused = "", .stays = true},
    {.name = "401 with WWW-Authenticate",
     HAS("HTTP/1.1 401 No\r\nWWW-Authenticate: Bearer\r\n" TWO "\r\n{}"), .status = 401, .refused = "",
     .body = "{}",
     .header = "WWW-Authenticate", .value = "Bearer", .stays = true},
    {.name = "407 with Proxy-Authenticate (dropped: it is for us)",
     HAS("HTTP/1.1 407 No\r\nProxy-Authenticate: Basic\r\n" TWO "\r\n{}"), .status = 407, .refused = "",
     .body = "{}",
     .header = "Proxy-Authenticate", .stays = true},
    {.name = "408 without a request (nobody's, if it is there in time)",
     HAS(PLAIN "HTTP/1.1 408 Timeout\r\nContent-Length: 0\r\n\r\n"), GOOD},

    {.chapter = "What would be kept or run in its client", .name = "Set-Cookie (dropped, for programs too)",
     HAS(OK "Set-Cookie: metergate=x; Path=/\r\n" TWO "\r\n{}"), GOOD, .header = "Set-Cookie", .stays = true},
    {.name = "Strict-Transport-Security (dropped)",
     HAS(OK "Strict-Transport-Security: max-age=9\r\n" TWO "\r\n{}"), GOOD,
     .header = "Strict-Transport-Security", .stays = true},
    {.name = "Alt-Svc (dropped)", HAS(OK "Alt-Svc: h3=\":443\"\r\n" TWO "\r\n{}"), GOOD, .header = "Alt-Svc",
     .stays = true},
    {.name = "Clear-Site-Data (dropped)", HAS(OK "Clear-Site-Data: \"*\"\r\n" TWO "\r\n{}"), GOOD,
     .header = "Clear-Site-Data",
     .stays = true},
    {.name = "Refresh (dropped)", HAS(OK "Refresh: 0;url=/-/\r\n" TWO "\r\n{}"), GOOD, .header = "Refresh",
     .stays = true},
    {.name = "a page with scripts (a sandbox)", HAS(OK "Content-Type: text/html\r\n" TWO "\r\n{}"), GOOD,
     .header = "Content-Security-Policy", .value = "sandbox; default-src 'none'; frame-ancestors 'none'",
     .stays = true},
};

const size_t odd_answers_count = MG_ARRAY_LEN(odd_answers);

void odd_answer_write(const struct odd_answer *r, struct buf *out)
{
    for (size_t i = 0; i < r->n; i++) {
        for (unsigned k = 0; r->bytes[i] == '$' && k < r->times; k++)
            buf_add_str(out, r->filler);
        if (r->bytes[i] != '$')
            buf_add_char(out, r->bytes[i]);
    }
}
