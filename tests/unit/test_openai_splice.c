/* openai_splice: what is put into a body, and that only that is put in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "metergate/base/scan.h"
#include "metergate/base/scan_text.h"
#include "metergate/dialect/dialect.h"
#include "metergate/dialect/openai.h"

/* As the body of a chat. */
static int read_chat(struct slice body, struct dialect_request *ret, const char **ret_why)
{
    return dialect_openai.read(&(struct dialect_input){.endpoint = ENDPOINT_CHAT, .body = body}, ret, ret_why);
}

/* The body after the splice; false when there is none to make. */
static bool splice(struct slice body, struct splice *ret_splice, struct buf *out)
{
    struct dialect_request r;
    const char *why = "";

    if (read_chat(body, &r, &why) != 0)
        fail_msg("not read: %.*s: %s", (int)body.n, body.p, why);
    if (!dialect_openai.splice(body, &r, ret_splice))
        return false;
    assert_int_equal(splice_apply(ret_splice, body, out), 0);
    assert_int_equal((int64_t)out->n - (int64_t)body.n, splice_growth_bytes(ret_splice));
    return true;
}

static const struct {
    const char *body, *after; /* NULL: left alone */
} rows[] = {
    {"{\"model\":\"m\",\"stream\":true}",
     "{\"model\":\"m\",\"stream\":true,\"stream_options\":{\"include_usage\":true}}"},
    {" {\"stream\" : true, \"model\":\"m\"\r\n} \n",
     " {\"stream\" : true, \"model\":\"m\"\r\n,\"stream_options\":{\"include_usage\":true}} \n"},
    {"{\"model\":\"m\",\"stream\":true,\"x\":{\"stream_options\":1}}",
     "{\"model\":\"m\",\"stream\":true,\"x\":{\"stream_options\":1},\"stream_options\":{\"include_usage\":"
     "true}}"},
    {"{\"model\":\"m\",\"stream_options\": null ,\"stream\":true}",
     "{\"model\":\"m\",\"stream_options\": {\"include_usage\":true} ,\"stream\":true}"},
    {"{\"model\":\"m\",\"stream_options\":{},\"stream\":true}",
     "{\"model\":\"m\",\"stream_options\":{\"include_usage\":true},\"stream\":true}"},
    {"{\"model\":\"m\",\"stream_options\":{ \n},\"stream\":true}",
     "{\"model\":\"m\",\"stream_options\":{ \n\"include_usage\":true},\"stream\":true}"},
    {"{\"model\":\"m\",\"stream_options\":{\"include_obfuscation\":false },\"stream\":true}",
     "{\"model\":\"m\",\"stream_options\":{\"include_obfuscation\":false "
     ",\"include_usage\":true},\"stream\":true}"},
    {"{\"model\":\"m\",\"str\\u0065am\":true,\"stream\\u005foptions\":null}",
     "{\"model\":\"m\",\"str\\u0065am\":true,\"stream\\u005foptions\":{\"include_usage\":true}}"},
    {"{\"model\":\"m\",\"stream\":true,\"stream_options\":{\"include_usage\":true}}", NULL},
    {"{\"model\":\"m\",\"stream\":true,\"stream_options\":{\"include_usage\":false}}", NULL},
    {"{\"model\":\"m\",\"stream\":true,\"stream_options\":{\"include\\u005fusage\":false}}", NULL},
    {"{\"model\":\"m\",\"stream\":true,\"stream_options\":{\"include_usage\":null}}", NULL},
    {"{\"model\":\"m\",\"stream\":true,\"stream_options\":[]}", NULL},
    {"{\"model\":\"m\",\"stream\":true,\"stream_options\":\"x\"}", NULL},
    {"{\"model\":\"m\",\"stream\":false}", NULL},
    {"{\"model\":\"m\"}", NULL},
    {"{\"model\":\"m\",\"stream\":1}", NULL},
    {"{\"model\":\"m\",\"stream\":\"true\"}", NULL},
    /* what two parsers may read differently is left alone */
    {"{\"model\":\"m\",\"stream\":false,\"stream\":true}", NULL},
    {"{\"model\":\"m\",\"stream\":true,\"stream_options\":null,\"stream_options\":{}}", NULL},
    {"{\"model\":\"m\",\"stream\":true,\"stream_options\":{\"include_usage\":false},\"stream_options\":null}",
     NULL},
};

static void test_splice__each_state_of_stream_options__gets_its_edit(void **state)
{
    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct splice sp;
        struct buf out;
        bool made;

        buf_init(&out, BUF_UNLIMITED);
        made = splice(slice_str(rows[i].body), &sp, &out);
        if (made != (rows[i].after != NULL))
            fail_msg("%s was %s", rows[i].body, made ? "spliced" : "left alone");
        if (made)
            assert_string_equal(out.p, rows[i].after);
        buf_release(&out);
    }
}

static void test_splice__a_spliced_body__says_so_and_is_not_spliced_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct dialect_request r;
        struct splice sp;
        struct buf once;
        const char *why;

        buf_init(&once, BUF_UNLIMITED);
        if (splice(slice_str(rows[i].body), &sp, &once)) {
            assert_int_equal(read_chat(buf_slice(&once), &r, &why), 0);
            assert_int_equal(r.usage_wish, USAGE_WANTED);
            assert_true(r.stream);
            assert_false(dialect_openai.splice(buf_slice(&once), &r, &sp));
        }
        buf_release(&once);
    }
}

/* ---- property: what was put in can be taken out, and what is left is the body
 * ------------------------------------- */

static uint64_t random_next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static void add_space(struct buf *b, uint64_t *seed)
{
    static const char *const spaces[] = {"", "", "", " ", "\n", "\r\n\t", "  "};

    buf_add_str(b, spaces[random_next(seed) % MG_ARRAY_LEN(spaces)]);
}

/* A body of some members in random order and spacing, `stream` always among them. */
static void random_body(struct buf *b, uint64_t *seed)
{
    static const char *const members[] = {
        "\"messages\":[{\"role\":\"user\",\"content\":\"} ,\\\"stream_options\\\":{\"}]",
        "\"n\" : 2",
        "\"stream_options\":null",
        "\"stream_options\" : { }",
        "\"stream_options\":{\"include_obfuscation\":true}",
        "\"stream_options\":{\"include_usage\":false}",
        "\"metadata\":{\"stream_options\":null,\"deep\":[[{}]]}",
        "\"temperature\":1e-1",
    };
    size_t first = random_next(seed) % MG_ARRAY_LEN(members), many = random_next(seed) % 5;

    add_space(b, seed);
    buf_add_str(b, "{");
    for (size_t i = 0; i < many; i++) {
        add_space(b, seed);
        buf_add_str(b, members[(first + i * 3) % MG_ARRAY_LEN(members)]);
        add_space(b, seed);
        buf_add_str(b, ",");
    }
    buf_add_str(b, random_next(seed) % 2 ? "\"stream\":true,\"model\":\"m\""
                                         : "\"model\":\"m\" , \"stream\" :\ttrue");
    add_space(b, seed);
    buf_add_str(b, "}");
    add_space(b, seed);
}

static void test_splice__taken_out_again__leaves_the_body_byte_for_byte(void **state)
{
    uint64_t seed = 20261123;
    int spliced = 0;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        struct buf body, after, back;
        struct splice sp;

        buf_init(&body, BUF_UNLIMITED);
        buf_init(&after, BUF_UNLIMITED);
        buf_init(&back, BUF_UNLIMITED);
        random_body(&body, &seed);
        if (splice(buf_slice(&body), &sp, &after)) {
            struct splice undo = {
                .at = sp.at, .cut_bytes = sp.insert.n, .insert = slice_of(body.p + sp.at, sp.cut_bytes)};

            spliced++;
            assert_int_equal(splice_apply(&undo, buf_slice(&after), &back), 0);
            assert_true(slice_eq(buf_slice(&back), buf_slice(&body)));
        }
        buf_release(&body);
        buf_release(&after);
        buf_release(&back);
    }
    assert_in_range(spliced, 5000, 19000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_splice__each_state_of_stream_options__gets_its_edit),
        cmocka_unit_test(test_splice__a_spliced_body__says_so_and_is_not_spliced_again),
        cmocka_unit_test(test_splice__taken_out_again__leaves_the_body_byte_for_byte),
    };

    return cmocka_run_group_tests_name("openai_splice", tests, NULL, NULL);
}
