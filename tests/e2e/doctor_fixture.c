/* doctor_fixture: nothing of the environment that the tests were started in is looked at. */
#include "doctor_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <cjson/cJSON.h>

#include "metergate/base/err.h"

int doctor_environment(void **state)
{
    static const char *const names[] = {"OPENAI_BASE_URL",
                                        "OPENAI_API_BASE",
                                        "ANTHROPIC_BASE_URL",
                                        "ANTHROPIC_API_URL",
                                        "ANTHROPIC_API_BASE",
                                        "GEMINI_API_BASE",
                                        "AZURE_API_BASE",
                                        "GOOGLE_GEMINI_BASE_URL",
                                        "AZURE_OPENAI_ENDPOINT",
                                        "GOOGLE_VERTEX_BASE_URL",
                                        "ANTHROPIC_API_KEY",
                                        "ANTHROPIC_AUTH_TOKEN",
                                        "GOOGLE_API_KEY",
                                        "GEMINI_API_KEY",
                                        "AZURE_OPENAI_API_KEY",
                                        "METERGATE_CONFIG",
                                        "HTTP_PROXY",
                                        "HTTPS_PROXY",
                                        "https_proxy",
                                        "ALL_PROXY",
                                        "all_proxy"};

    for (size_t i = 0; i < MG_ARRAY_LEN(names); i++)
        unsetenv(names[i]);
    return tool_environment(state) || unsetenv("http_proxy");
}

/* ---- what was found ---- */

static bool matches(const cJSON *finding, const char *result, const char *check, const char *part)
{
    return strcmp(json_text(finding, "result"), result) == 0 &&
           strcmp(json_text(finding, "check"), check) == 0 && strstr(json_text(finding, "found"), part);
}

int doctor_count(const struct outcome *o, const char *result, const char *check, const char *part)
{
    cJSON *all = cJSON_Parse(o->out);
    const cJSON *one;
    int n = 0;

    if (!cJSON_IsArray(all))
        fail_msg("no array: %s%s", o->out, o->err);
    cJSON_ArrayForEach(one, all)
    {
        const cJSON *advice = json_at(one, "advice");

        n += matches(one, result, check, part);
        /* what is wrong always comes with what to do */
        if (strcmp(json_text(one, "result"), "ok") != 0 && !cJSON_IsString(advice))
            fail_msg("no advice: %s", json_text(one, "found"));
    }
    cJSON_Delete(all);
    return n;
}

void doctor_has(const struct outcome *o, const char *result, const char *check, const char *part)
{
    if (doctor_count(o, result, check, part) == 0)
        fail_msg("no %s of %s with '%s' in %s%s", result, check, part, o->out, o->err);
}

void doctor_says(const char *url, int status, const char *result, const char *check, const char *part)
{
    struct outcome o = TOOL("doctor", "--json", "--offline", "--url", url);

    doctor_has(&o, result, check, part);
    if (o.status != status)
        fail_msg("status %d instead of %d: %s", o.status, status, o.out);
    assert_string_equal(o.err, "");
    outcome_release(&o);
}

void doctor_says_of(const char *json, int status, const char *result, const char *check, const char *part)
{
    const struct fake_answer answers[] = {
        {"/healthz", 200, "ok\n"}, {"/", 200, "Metergate\n"}, {"/-/status", 200, json}, {0}};
    struct fake_server *s = fake_server_start(answers);

    doctor_says(fake_server_url(s), status, result, check, part);
    fake_server_stop(s);
}
