/* The simulator's bill, asked without a daemon: it is what the answers reported, and what was sent of those
 * that were cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <cjson/cJSON.h>

#include "fixture.h"

#define CHAT(model, text)                                                                                    \
    "{\"model\":\"" model "\",\"messages\":[{\"role\":\"user\",\"content\":\"" text "\"}]"
#define ASK(text) "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"" text "\"}]}]}"

static const struct row {
    const char *path, *header, *body;
    const char *model;
    const char *says[3]; /* the answer */
    const char *bill;    /* its beginning; N stands for any number */
} rows[] = {
    {"/v1/chat/completions",
     "X-None: 1",
     CHAT("gpt-4o", "a b c d [[cached=4]] [[reasoning=5]] [[out=3]] [[tier=flex]]") "}",
     "gpt-4o",
     {"\"cached_tokens\":4", "\"completion_tokens\":8", "\"reasoning_tokens\":5"},
     "{\"answered\":1,\"refused\":0,\"failed\":0,\"cut\":0,\"input\":N,\"cached\":4,\"cache_write\":0,"
     "\"cache_write_1h\":0,"
     "\"output\":8,\"reasoning\":5,\"cost_nano\":N,\"unpriced\":0}"},
    {"/v1/responses",
     "X-None: 1",
     "{\"model\":\"gpt-5\",\"stream\":true,\"input\":\"a b c d [[cached=4]] [[reasoning=5]] [[out=3]] "
     "[[tier=priority]]\"}",
     "gpt-5",
     {"\"service_tier\":\"priority\"", "\"output_tokens\":8", "\"reasoning_tokens\":5"},
     "{\"answered\":1,\"refused\":0,\"failed\":0,\"cut\":0,\"input\":N,\"cached\":4,\"cache_write\":0,"
     "\"cache_write_1h\":0,"
     "\"output\":8,\"reasoning\":5,\"cost_nano\":0,\"unpriced\":1}"},
    {"/v1/messages",
     "anthropic-version: 2023-06-01",
     CHAT("claude-sonnet-4-6",
          "a b c d e f [[cached=4]] [[written=3]] [[written_1h=2]] [[out=6]]") ",\"max_tokens\":9}",
     "claude-sonnet-4-6",
     {"\"cache_creation_input_tokens\":5,\"cache_read_input_tokens\":4",
      "\"ephemeral_5m_input_tokens\":3,\"ephemeral_1h_input_tokens\":2", "\"output_tokens\":6"},
     "{\"answered\":1,\"refused\":0,\"failed\":0,\"cut\":0,\"input\":N,\"cached\":4,\"cache_write\":5,"
     "\"cache_write_1h\":2,"
     "\"output\":6,\"reasoning\":0,\"cost_nano\":N,\"unpriced\":0}"},
    {"/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
     "x-goog-api-key: k",
     ASK("a b c d e [[cached=4]] [[reasoning=5]] [[out=3]]"),
     "gemini-2.5-flash",
     {"\"candidatesTokenCount\":3", "\"cachedContentTokenCount\":4", "\"thoughtsTokenCount\":5"},
     "{\"answered\":1,\"refused\":0,\"failed\":0,\"cut\":0,\"input\":N,\"cached\":4,\"cache_write\":0,"
     "\"cache_write_1h\":0,"
     "\"output\":8,\"reasoning\":5,\"cost_nano\":N,\"unpriced\":0}"},
    {"/v1/chat/completions",
     "X-None: 1",
     CHAT("gpt-4o-mini", "x [[fault=status:500]]") "}",
     "gpt-4o-mini",
     {"\"error\""},
     "{\"answered\":0,\"refused\":0,\"failed\":1,\"cut\":0,\"input\":0,\"cached\":0,\"cache_write\":0,"
     "\"cache_write_1h\":0,"
     "\"output\":0,\"reasoning\":0,\"cost_nano\":0,\"unpriced\":0}"},
    /* of a chat the first event is the role: five more are five words */
    {"/v1/chat/completions",
     "X-None: 1",
     CHAT("gpt-3.5-turbo", "x [[out=40]] [[fault=close_event:6]]") ",\"stream\":true}",
     "gpt-3.5-turbo",
     {"\"content\":\"The\""},
     "{\"answered\":0,\"refused\":0,\"failed\":0,\"cut\":1,\"input\":N,\"cached\":0,\"cache_write\":0,"
     "\"cache_write_1h\":0,"
     "\"output\":5,\"reasoning\":0,\"cost_nano\":N,\"unpriced\":0}"},
};

static struct client_reply ask(const struct fixture *f, const char *path, const char *header,
                               const char *body)
{
    const char *const headers[] = {"Authorization: Bearer k", header, NULL};
    char url[256];

    snprintf(url, sizeof url, "%s%s", f->simulator_url, path);
    return client_run(&(struct client_call){.url = url, .headers = headers, .body = body});
}

/* Whether the text is the pattern, in which N is any positive number. */
static bool fits(const char *text, const char *pattern)
{
    for (; *pattern; pattern++) {
        if (*pattern == 'N') {
            size_t n = strspn(text, "0123456789");

            if (n == 0 || *text == '0')
                return false;
            text += n;
        } else if (*pattern != *text++) {
            return false;
        }
    }
    return *text == '\0';
}

static void test_bill__of_each_dialect__is_what_it_reported(void **state)
{
    struct fixture f = {0};

    (void)state;
    fixture_start_simulator(&f, NULL, NULL);
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct client_reply r = ask(&f, rows[i].path, rows[i].header, rows[i].body);
        char path[128], *bill;
        cJSON *audit;

        for (size_t k = 0; k < MG_ARRAY_LEN(rows[i].says) && rows[i].says[k]; k++)
            if (!strstr(r.body.p, rows[i].says[k]))
                fail_msg("%s: no %s in %s", rows[i].path, rows[i].says[k], r.body.p);
        fixture_sim_wait(&f, "in_flight=0");
        audit = fixture_audit(&f);
        snprintf(path, sizeof path, "models.%s.bill", rows[i].model);
        bill = cJSON_PrintUnformatted(json_at(audit, path));
        if (!bill || !fits(bill, rows[i].bill))
            fail_msg("%s: the bill is %s", rows[i].model, bill);
        cJSON_free(bill);
        cJSON_Delete(audit);
        client_reply_release(&r);
    }
    fixture_stop(&f);
}

static void test_bill__client_that_leaves_a_stalled_stream__pays_for_what_it_saw(void **state)
{
    const char *const headers[] = {"Authorization: Bearer k", NULL};
    struct client_async *a;
    struct client_reply r;
    struct fixture f = {0};
    cJSON *audit;
    char url[128];

    (void)state;
    fixture_start_simulator(&f, NULL, NULL);
    snprintf(url, sizeof url, "%s/v1/chat/completions", f.simulator_url);
    a = client_start(&(struct client_call){
        .url = url,
        .headers = headers,
        .body = CHAT("gpt-4o", "[[out=40]] [[fault=stall_event:8]]") ",\"stream\":true}"});
    fixture_sim_wait(&f, "held=1");
    client_leave(a);
    r = client_finish(a);
    client_reply_release(&r);
    fixture_sim_wait(&f, "in_flight=0&aborted=1");
    audit = fixture_audit(&f);
    assert_int_equal((int)json_number(audit, "models.gpt-4o.bill.cut"), 1);
    assert_int_equal((int)json_number(audit, "models.gpt-4o.bill.output"), 7);
    cJSON_Delete(audit);
    fixture_stop(&f);
}

static void test_bill__prices_of_the_settings__count_instead_of_the_table(void **state)
{
    struct fixture f = {0};
    struct client_reply r;
    cJSON *audit;

    (void)state;
    fixture_start_simulator(&f, "{\"models\":{\"gpt-4o\":{\"price_input\":0,\"price_output\":7000}}}", NULL);
    fixture_sim_config(&f, "{\"models\":{\"gpt-4o\":{\"price_input\":1000}}}");
    r = ask(&f, "/v1/chat/completions", "X-None: 1", CHAT("gpt-4o", "hello [[out=3]]") "}");
    audit = fixture_audit(&f);
    assert_int_equal((int)json_number(audit, "models.gpt-4o.bill.cost_nano"),
                     (int)json_number(audit, "models.gpt-4o.bill.input") + 21);
    cJSON_Delete(audit);
    client_reply_release(&r);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bill__of_each_dialect__is_what_it_reported),
        cmocka_unit_test(test_bill__client_that_leaves_a_stalled_stream__pays_for_what_it_saw),
        cmocka_unit_test(test_bill__prices_of_the_settings__count_instead_of_the_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
