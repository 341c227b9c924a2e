/* What the daemon keeps in memory while calls are on their way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client.h"
#include "fixture.h"

enum { STREAMS = 24, BODY_BYTES = 1 << 20 };

static int64_t resident_kb(pid_t pid)
{
    char path[64], line[256];
    int64_t kb = -1;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/status", pid);
    f = fopen(path, "re");
    assert_non_null(f);
    while (kb < 0 && fgets(line, sizeof line, f))
        if (strncmp(line, "VmRSS:", 6) == 0)
            kb = strtoll(line + 6, NULL, 10);
    fclose(f);
    assert_true(kb > 0);
    return kb;
}

/* A prompt of BODY_BYTES whose answer stalls after its first events. */
static char *make_body(void)
{
    static const char words[] = "the quiet garden of the river in Lisbon ";
    struct buf b;

    buf_init(&b, BUF_UNLIMITED);
    buf_add_str(&b, "{\"model\":\"gpt-4o\",\"stream\":true,\"max_tokens\":40,\"messages\":[{\"role\":\"user\",\"content\":\""
                    "[[out=30]] [[fault=stall_after:900]] ");
    while (b.n < BODY_BYTES)
        buf_add_str(&b, words);
    buf_add_str(&b, "\"}]}");
    return buf_take(&b, NULL);
}

static void test_body__once_the_answer_has_begun__is_not_kept(void **state)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    (void)state;
    skip(); /* its allocator keeps what is freed */
#else
    struct client_async *calls[STREAMS];
    struct fixture f;
    char *body = make_body();
    int64_t before;

    (void)state;
    fixture_start(&f, NULL, FIXTURE_UPSTREAM);
    before = resident_kb(process_pid(f.daemon));
    for (int i = 0; i < STREAMS; i++) {
        calls[i] = fixture_chat_start(&f, body);
        assert_true(client_wait_body(calls[i], "data:", FIXTURE_TIMEOUT_MS));
    }
    /* the counters' own tables and one body that is being read are there, 24 bodies are not */
    assert_true(resident_kb(process_pid(f.daemon)) - before < STREAMS * BODY_BYTES / 1024 / 2);
    for (int i = 0; i < STREAMS; i++) {
        struct client_reply r;

        client_leave(calls[i]);
        r = client_finish(calls[i]);
        client_reply_release(&r);
    }
    free(body);
    fixture_assert_idle(&f);
    fixture_stop(&f);
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_body__once_the_answer_has_begun__is_not_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
