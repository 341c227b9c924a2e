/* path: every spelling that a server could take for a metered path becomes that path; what is ambiguous is
 * refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "metergate/proxy/path.h"

#define CHAT "/v1/chat/completions"

static const struct {
    const char *raw, *plain; /* NULL: refused */
} rows[] = {
    {"/", "/"},
    {CHAT, CHAT},
    {CHAT "/", CHAT},
    {CHAT "//", CHAT},
    {"/v1//chat/completions", CHAT},
    {"//v1/chat///completions", CHAT},
    {"/v1/Chat/COMPLETIONS", CHAT},
    {"/v1/ch%61t/completions", CHAT},
    {"/v1/ch%2561t/completions", CHAT},
    {"/v1/chat%2Fcompletions", CHAT},
    {"/v1/chat%2fcompletions", CHAT},
    {"/v1/chat%252fcompletions", CHAT},
    {CHAT ";a=b", CHAT},
    {"/v1;x/chat;y=z/completions", CHAT},
    {CHAT "%3Ba=b", CHAT},
    {CHAT "%20", CHAT},
    {CHAT "%2F%20/", CHAT},
    {"/v1/models/openai%2Fgpt-4o", "/v1/models/openai/gpt-4o"},
    {"/v1/models/caf%C3%A9", "/v1/models/caf\xc3\xa9"},
    {"/v1/...", "/v1/..."},
    {"/v1/.well-known", "/v1/.well-known"},
    {"/v1/models/a.b", "/v1/models/a.b"},
    {"/v1/files/100%25", "/v1/files/100%"},
    {"/v1/..", NULL},
    {"/v1/../v1/chat", NULL},
    {"/v1/./models", NULL},
    {"/v1/.", NULL},
    {"/v1/%2e%2e/models", NULL},
    {"/v1/.%2E/models", NULL},
    {"/v1/%252e%252e/models", NULL},
    {"/v1/x%2f..%2fmodels", NULL},
    {"/v1/..;x/models", NULL},
    {"/v1/x%5c..%5cmodels", NULL},
    {"/v1\\models", NULL},
    {CHAT "%00", NULL},
    {CHAT "%2500", NULL},
    {"/v1/%0d%0aX", NULL},
    {"/v1/%7f", NULL},
    {"/v1/%zz", NULL},
    {"/v1/%4", NULL},
    {"/v1/%", NULL},
    {"/v1/chat%c0%afcompletions", NULL},
    {"/v1/%ff", NULL},
};

static void test_path__every_spelling__is_made_plain_or_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct slice plain;
        struct buf storage;
        const char *problem;

        buf_init(&storage, BUF_UNLIMITED);
        problem = path_read(slice_str(rows[i].raw), &storage, &plain);
        if (!rows[i].plain != !!problem)
            fail_msg("%s: %s", rows[i].raw, problem ? problem : "let through");
        if (rows[i].plain && !slice_eq(plain, slice_str(rows[i].plain)))
            fail_msg("%s: became %.*s", rows[i].raw, (int)plain.n, plain.p);
        buf_release(&storage);
    }
}

static void test_path__a_plain_one__is_not_copied(void **state)
{
    struct slice raw = SLICE(CHAT), plain;
    struct buf storage;

    (void)state;
    buf_init(&storage, BUF_UNLIMITED);
    assert_null(path_read(raw, &storage, &plain));
    assert_ptr_equal(plain.p, raw.p);
    assert_null(storage.p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_path__every_spelling__is_made_plain_or_refused),
        cmocka_unit_test(test_path__a_plain_one__is_not_copied),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
