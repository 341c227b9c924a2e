/*
 * fuzz_tool_status: whatever stands in the place of the daemon's status document, the tool says of it nothing that does
 * something on a terminal: no control character but the end of a line, no escape, no mark that turns the writing, and no byte
 * that is not UTF-8. The first bytes are keys that are pressed in `metergate top`, ended by a line end.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "metergate/base/json.h"
#include "metergate/tool/doc.h"
#include "metergate/tool/figure.h"
#include "metergate/tool/lists.h"
#include "metergate/tool/meaning.h"
#include "metergate/tool/names.h"
#include "metergate/tool/notice.h"
#include "metergate/tool/outlook.h"
#include "metergate/tool/paper.h"
#include "metergate/tool/view.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static bool is_harmful(uint32_t c)
{
    return (c < 0x20 && c != '\n') || (c >= 0x7f && c < 0xa0) || c == 0x61c || (c >= 0x200b && c <= 0x200f) ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff || c >= 0xe0000;
}

static void check_safe(struct slice s)
{
    while (s.n) {
        size_t n = slice_utf8(s);

        MG_ASSERT(n && !is_harmful(slice_code_point(s, n)));
        s = slice_skip(s, n);
    }
}

static void check_said(struct buf *said)
{
    check_safe(buf_slice(said));
    buf_reset(said);
}

static void on_trouble(const char *sentence, void *ctx)
{
    (void)ctx;
    MG_ASSERT(sentence[0]);
    check_safe(slice_str(sentence));
}

static void check_sentences(struct slice doc)
{
    struct notice notice = {0};
    struct doc_list list;
    struct slice one;
    struct names names;
    struct buf said;
    int64_t ms;

    buf_init(&said, BUF_UNLIMITED);
    names_init(&names);
    outlook_sentence(doc, &said);
    MG_ASSERT(said.n);
    check_said(&said);
    outlook_troubles(doc, on_trouble, NULL);
    doc_list_begin(&list, doc, "budgets");
    while (doc_list_next(&list, &one)) {
        outlook_budget(doc, one, &said);
        check_said(&said);
        outlook_name(one, &said);
        check_said(&said);
        names_add_of(&names, one, "name");
        if (outlook_ms(one, "next_dispatch_ms", &ms))
            outlook_moment(doc, ms, &said);
        check_said(&said);
    }
    MG_ASSERT((names_text(&names)[0] != '\0') == (names.n > 0)); /* made safe by who prints it */
    for (int64_t now = 0; now < 100000000; now += 7000000) {
        notice_look(&notice, doc, "c", now, &said);
        check_said(&said);
    }
    outlook_head(doc, &said);
    MG_ASSERT(doc_check(buf_slice(&said)) && doc_int(buf_slice(&said), "time_ms") == doc_int(doc, "time_ms"));
    names_release(&names);
    buf_release(&said);
}

/* A call as reports tell it, of which `explain` and `calls` make sentences. */
static void check_call(struct slice call)
{
    struct doc_list list;
    struct slice hold;
    struct buf said;

    buf_init(&said, BUF_UNLIMITED);
    meaning_of_reason(call, &said);
    check_said(&said);
    meaning_of_state(call, &said);
    check_said(&said);
    meaning_of_source(call, &said);
    check_said(&said);
    figure_time(doc_get(call, "t"), &said);
    check_said(&said);
    doc_list_begin(&list, call, "holds");
    while (doc_list_next(&list, &hold)) {
        meaning_of_hold(hold, &said);
        check_said(&said);
    }
    buf_release(&said);
}

static void check_page(struct slice doc, struct slice keys)
{
    struct view v;
    struct grid g;
    struct buf page;

    buf_init(&page, BUF_UNLIMITED);
    view_init(&v);
    for (size_t i = 0; i <= keys.n && i < 6; i++) {
        enum view_wish wish;

        grid_init(&g, 12, 30 + 17 * (int)i);
        view_draw(&v, doc, "http://127.0.0.1:4283", i == 3 ? "nobody answers" : NULL, &g);
        grid_text(&g, &page);
        check_said(&page);
        grid_release(&g);
        wish = i < keys.n ? view_key(&v, (unsigned char)keys.p[i] < 128 ? keys.p[i] : VIEW_KEY_UP + (unsigned char)keys.p[i] % 9)
                          : VIEW_NOTHING;
        MG_ASSERT(wish <= VIEW_RESUME);
    }
    view_release(&v);
    buf_release(&page);
}

/* Members are what the reader of small JSON finds, of documents that both take. */
static void check_members(struct slice doc)
{
    static const char *const paths[] = {"held", "a", "a.b", "budgets", "time_ms", "x.y.z"};
    struct json *other;
    int64_t scaled, whole;

    if (json_parse(doc, &other) < 0)
        return;
    for (size_t i = 0; i < MG_ARRAY_LEN(paths); i++) {
        struct slice v = doc_get(doc, paths[i]);
        char *plain = doc_plain(doc, paths[i]);

        check_safe(slice_str(plain));
        free(plain);
        if (doc_scaled(doc, paths[i], 3, &scaled) == 0 && json_as_int64(json_path(other, paths[i]), &whole) == 0 &&
            !memchr(v.p, 'e', v.n) && !memchr(v.p, 'E', v.n) && slice_find(doc, '\\') == doc.n &&
            (size_t)(v.p - doc.p) == slice_find(doc, v.p[0]) && whole < INT64_C(1000000000000) && whole > -INT64_C(1000000000000))
            MG_ASSERT(scaled == whole * 1000);
    }
    json_free(other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct slice doc = slice_of((const char *)data, n), keys = slice_head(doc, slice_find(doc, '\n'));
    static bool begun;

    if (!begun) {
        setenv("TZ", "UTC", 1);
        tzset();
        begun = true;
    }
    doc = slice_skip(doc, keys.n + 1);
    if (!doc_check(doc))
        return 0;
    check_sentences(doc);
    check_call(doc);
    check_page(doc, keys);
    check_members(doc);
    return 0;
}
