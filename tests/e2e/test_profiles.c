/*
 * profiles: many calls at once of each provider's kind against that provider's own limiter, exact and at
 * headroom 0: all are answered, and none was refused there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <cjson/cJSON.h>

#include "fixture.h"

#define CALLS 24

#define UPSTREAMS                                                                                            \
    "headroom: %d%%\n"                                                                                       \
    "upstreams:\n"                                                                                           \
    "  openai: {base_url: $SIMULATOR/v1, counting: openai}\n"                                                \
    "  anthropic: {base_url: $SIMULATOR}\n"                                                                  \
    "  gemini: {base_url: $SIMULATOR}\n"                                                                     \
    "  azure: {base_url: $SIMULATOR}\n"                                                                      \
    "  groq: {base_url: $SIMULATOR/v1, counting: groq}\n"

static const struct row {
    const char *name, *path, *header, *body;
    const char *settings; /* of the simulator's model */
    const char *limits;   /* of the daemon's */
    int headroom; /* percent: where the provider looks at single moments, packets arrive a little earlier or
                     later */
} rows[] = {
    {"ITPM, cache reads free", "/v1/messages", "anthropic-version: 2023-06-01",
     "{\"model\":\"m\",\"max_tokens\":64000,\"system\":[{\"type\":\"text\",\"text\":\"be brief, and be as "
     "good as you "
     "can "
     "be\",\"cache_control\":{\"type\":\"ephemeral\"}}],\"messages\":[{\"role\":\"user\",\"content\":\"hi "
     "[[out=4]]\"}]}",
     "{\"itpm\":200,\"window_ms\":1000}", "itpm: {max: 200, per: 1s}", 0},
    {"OTPM as produced", "/v1/messages", "anthropic-version: 2023-06-01",
     "{\"model\":\"m\",\"max_tokens\":20,\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"hi "
     "[[out=20]]\"}]}",
     "{\"otpm\":120,\"window_ms\":1000,\"event_ms\":3}", "otpm: {max: 120, per: 1s}", 0},
    {"input alone", "/v1beta/models/m:generateContent", "x-goog-api-key: k",
     "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hello there [[out=200]]\"}]}]}",
     "{\"tpm\":100,\"window_ms\":1000,\"charging\":\"gemini\"}", "tpm: {max: 100, per: 1s}", 0},
    {"prompt and max_tokens", "/openai/deployments/m/chat/completions", "api-key: k",
     "{\"max_tokens\":40,\"messages\":[{\"role\":\"user\",\"content\":\"hello [[out=40]]\"}]}",
     "{\"tpm\":300,\"window_ms\":1000,\"charging\":\"azure\",\"refund\":true}", "tpm: {max: 300, per: 1s}",
     0},
    {"prompt and max_tokens at Groq, of which little is used", "/groq/v1/chat/completions", "X-None: 1",
     "{\"model\":\"m\",\"max_tokens\":4000,\"messages\":[{\"role\":\"user\",\"content\":\"hello [[out=5]]\"}]}",
     "{\"tpm\":15000,\"window_ms\":1000,\"charging\":\"azure\",\"refund\":true,\"first_byte_ms\":20}",
     "tpm: {max: 15000, per: 1s}", 0},
    {"cache reads free at Groq", "/groq/v1/chat/completions", "X-None: 1",
     "{\"model\":\"m\",\"max_tokens\":40,\"messages\":[{\"role\":\"user\",\"content\":\"be brief, and be as good as you "
     "can be [[out=5]] [[cached=20]]\"}]}",
     "{\"tpm\":300,\"window_ms\":1000,\"charging\":\"groq\",\"headers\":\"groq\"}", "tpm: {max: 300, per: 1s}", 0},
    {"requests in slices", "/openai/deployments/m/chat/completions", "api-key: k",
     "{\"max_tokens\":2,\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}",
     "{\"rpm\":60,\"window_ms\":4000,\"rpm_slice_ms\":200}", "rpm: {max: 60, per: 4s}, smooth: true", 20},
    {"max_tokens of a response", "/v1/responses", "X-None: 1",
     "{\"model\":\"m\",\"input\":\"hello [[out=9]]\",\"max_output_tokens\":9}",
     "{\"tpm\":150,\"window_ms\":1000}", "tpm: {max: 150, per: 1s}", 0},
};

static void run(const struct row *row)
{
    const char *const headers[] = {"Authorization: Bearer k", "Content-Type: application/json", row->header,
                                   NULL};
    struct client_async *calls[CALLS];
    char settings[256], yaml[1024], url[256];
    struct fixture f;
    cJSON *audit;

    snprintf(settings, sizeof settings, "{\"models\":{\"m\":%s}}", row->settings);
    snprintf(yaml, sizeof yaml, UPSTREAMS "models:\n  m: {%s}\n", row->headroom, row->limits);
    fixture_start(&f, settings, yaml);
    snprintf(url, sizeof url, "%s%s", f.url, row->path);
    for (int i = 0; i < CALLS; i++)
        calls[i] = client_start(&(struct client_call){.url = url, .headers = headers, .body = row->body});
    for (int i = 0; i < CALLS; i++) {
        struct client_reply r = client_finish(calls[i]);

        if (r.status != 200)
            fail_msg("%s: %d %s", row->name, r.status, r.body.n ? r.body.p : "");
        client_reply_release(&r);
    }
    audit = fixture_audit(&f);
    if (json_number(audit, "models.m.arrivals") != CALLS || json_number(audit, "n429") != 0)
        fail_msg("%s: %d arrivals, %d answers of 429", row->name,
                 (int)json_number(audit, "models.m.arrivals"), (int)json_number(audit, "n429"));
    cJSON_Delete(audit);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

static void test_each_profile__under_its_providers_own_limiter__is_never_refused_there(void **state)
{
    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++)
        run(&rows[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_profile__under_its_providers_own_limiter__is_never_refused_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
