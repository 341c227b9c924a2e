/*
 * learning: a provider whose tokenizer is another one, and noisy; and clients whose answers are of different
 * lengths. The daemon's estimates meet both soon, and a restart does not make it forget.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <cjson/cJSON.h>

#include "fixture.h"
#include "metergate/base/buf.h"

#define CALLS 130 /* the status tells of the last 64: all of them come after the first 50 */

static const char settings[] = "{\"models\":{\"*\":{\"tokenizer_percent\":133,\"noise_percent\":5}}}";

#define CONFIG                                                                                               \
    "state_dir: $DIR/state/deep\n"                                                                           \
    "upstreams:\n"                                                                                           \
    "  openai: {base_url: $SIMULATOR/v1, counting: actual}\n"                                                \
    "  anthropic: {base_url: $SIMULATOR}\n"

static const struct provider_row {
    const char *path, *header, *begin, *end, *model;
} rows[] = {
    {"/v1/chat/completions", "X-None: 1",
     "{\"model\":\"llama-3\",\"messages\":[{\"role\":\"user\",\"content\":\"", "\"}]}", "llama-3"},
    {"/v1/messages", "anthropic-version: 2023-06-01",
     "{\"model\":\"claude-opus-4-8\",\"max_tokens\":10,\"messages\":[{\"role\":\"user\",\"content\":\"",
     "\"}]}", "claude-opus-4-8"},
    {"/v1/chat/completions", "X-None: 1",
     "{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"", "\"}]}", "gpt-4o"},
};

/* One question of some length, that no other is. */
static void ask(const struct fixture *f, const struct provider_row *row, int i)
{
    const char *const headers[] = {"Authorization: Bearer k", "Content-Type: application/json", row->header,
                                   NULL};
    struct client_reply r;
    struct buf body;
    char url[256];

    buf_init(&body, BUF_UNLIMITED);
    buf_addf(&body, "%sQuestion %d: what is %d of", row->begin, i, i * 7919);
    for (int words = 0; words < 20 + i * 37 % 300; words++)
        buf_add_str(&body, words % 3 ? " the window" : " every budget");
    buf_addf(&body, "? [[out=3]]%s", row->end);
    snprintf(url, sizeof url, "%s%s", f->url, row->path);
    r = client_finish(client_start(&(struct client_call){.url = url, .headers = headers, .body = body.p}));
    if (r.status != 200)
        fail_msg("%s: %d %s", row->model, r.status, r.body.n ? r.body.p : "");
    client_reply_release(&r);
    buf_release(&body);
}

/* The figure of that model in the status. */
static double figure(const struct fixture *f, const char *model, const char *name)
{
    cJSON *status = fixture_status(f);
    const cJSON *row;
    double v = -1e9;

    cJSON_ArrayForEach(
        row, cJSON_GetObjectItem(
                 status, "estimates")) if (strcmp(cJSON_GetObjectItem(row, "model")->valuestring, model) == 0)
        v = cJSON_GetObjectItem(row, name)->valuedouble;
    cJSON_Delete(status);
    return v;
}

static void test_estimate__another_tokenizer__is_met_within_fifty_calls_and_kept(void **state)
{
    double ratio[3];
    struct fixture f;

    (void)state;
    fixture_start(&f, settings, CONFIG);
    for (int i = 0; i < CALLS; i++)
        for (size_t r = 0; r < 3; r++)
            ask(&f, &rows[r], i);
    for (size_t r = 0; r < 3; r++) {
        double mean = figure(&f, rows[r].model, "mean_error"),
               absolute = figure(&f, rows[r].model, "mean_absolute_error");

        if (mean > 0.02 || mean < -0.02 || absolute > 0.033)
            fail_msg("%s: mean error %.4f, absolute %.4f", rows[r].model, mean, absolute);
        assert_int_equal(figure(&f, rows[r].model, "calls"), CALLS);
        ratio[r] = figure(&f, rows[r].model, "text_ratio");
        assert_true(ratio[r] > 1.30 && ratio[r] < 1.36);
    }
    fixture_stop_daemon(&f);
    fixture_start_daemon(&f, CONFIG, NULL);
    for (size_t r = 0; r < 3; r++) {
        assert_true(fabs(figure(&f, rows[r].model, "text_ratio") - ratio[r]) < 0.005);
        ask(&f, &rows[r], CALLS + 6); /* a long one */
        assert_true(figure(&f, rows[r].model, "mean_absolute_error") <
                    0.07); /* of one call: its noise, and ours */
    }
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_estimate__another_tokenizer__is_met_within_fifty_calls_and_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
