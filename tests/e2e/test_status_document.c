/* status_document: docs/status.md is the manual of /-/status and /-/history, and each member that it shows is there, of its
 * type; none is there that it does not show. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "fixture.h"
#include "metergate/base/file.h"

#define MANUAL "docs/status.md"

/* Members that the example has no place for; the manual, or that of operation, tells of them in words. */
static const char *const in_words[] = {"key", "organizations"};

/* The JSON in the first block behind that heading. */
static cJSON *example(const char *heading)
{
    struct errbuf e;
    struct buf text;
    const char *at, *end;
    cJSON *json;

    buf_init(&text, 1 << 20);
    if (file_read_given(MANUAL, &text, &e) < 0)
        fail_msg("%s: %s", MANUAL, e.text);
    buf_add_char(&text, '\0');
    at = strstr(text.p, heading);
    assert_non_null(at);
    at = strstr(at, "```json\n");
    assert_non_null(at);
    end = strstr(at + 8, "```");
    assert_non_null(end);
    json = cJSON_ParseWithLength(at + 8, (size_t)(end - at - 8));
    if (!json)
        fail_msg("%s: the example behind \"%s\" is no JSON", MANUAL, heading);
    buf_release(&text);
    return json;
}

/* null may stand where another time there is something. */
static bool is_of_type(const cJSON *real, const cJSON *shown)
{
    if (cJSON_IsNull(shown) || cJSON_IsNull(real))
        return true;
    if (cJSON_IsBool(shown))
        return cJSON_IsBool(real);
    return (real->type & 0xff) == (shown->type & 0xff);
}

static bool is_in_words(const char *name)
{
    for (size_t i = 0; i < sizeof in_words / sizeof *in_words; i++) {
        if (strcmp(name, in_words[i]) == 0)
            return true;
    }
    return false;
}

static void compare(const cJSON *real, const cJSON *shown, const char *where);

static void compare_members(const cJSON *real, const cJSON *shown, const char *where)
{
    const cJSON *member;
    char path[256];

    cJSON_ArrayForEach(member, shown)
    {
        const cJSON *there = cJSON_GetObjectItemCaseSensitive(real, member->string);

        if (strcmp(member->string, "...") == 0)
            continue;
        snprintf(path, sizeof path, "%s.%s", where, member->string);
        if (there)
            compare(there, member, path);
        else
            fail_msg("%s has %s, and the answer has not", MANUAL, path);
    }
    cJSON_ArrayForEach(member, real)
    {
        if (!cJSON_GetObjectItemCaseSensitive(shown, member->string) && !cJSON_GetObjectItemCaseSensitive(shown, "...") &&
            !is_in_words(member->string))
            fail_msg("the answer has %s.%s, of which %s says nothing", where, member->string, MANUAL);
    }
}

/* An entry of a list is compared with the first one shown. A list that is not empty in the example is not empty here. */
static void compare(const cJSON *real, const cJSON *shown, const char *where)
{
    const cJSON *entry, *first = cJSON_IsArray(shown) ? shown->child : NULL;

    if (!real || !is_of_type(real, shown)) {
        char *text = cJSON_PrintUnformatted(real);

        fail_msg("%s is of another type than in %s: %s", where, MANUAL, text);
        return;
    }
    if (cJSON_IsObject(shown))
        compare_members(real, shown, where);
    if (!first)
        return;
    if (!real->child)
        fail_msg("%s is empty, and not in %s", where, MANUAL);
    cJSON_ArrayForEach(entry, real) compare(entry, first, where);
}

static void compare_answer(const struct fixture *f, const char *path)
{
    struct client_reply r = fixture_call(f, "GET", path, NULL);
    cJSON *real = client_json(&r), *shown;
    char heading[64];

    assert_int_equal(r.status, 200);
    snprintf(heading, sizeof heading, "## `GET %s`", path);
    shown = example(heading);
    compare(real, shown, path);
    cJSON_Delete(shown);
    cJSON_Delete(real);
    client_reply_release(&r);
}

#define CHAT                                                                                                 \
    "{\"model\":\"gpt-4o\",\"max_tokens\":90,\"messages\":[{\"role\":\"user\",\"content\":\"as the manual says\"}]}"

/* One call has ended, one is at the provider, and two wait for the room that the first took. */
static void test_status__every_member_of_the_manual__is_there_and_no_other(void **state)
{
    struct client_async *calls[3];
    struct client_reply r;
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL,
                  "state_dir: $DIR/state\nheadroom: 0%\n"
                  "upstreams:\n  openai: {dialect: openai, base_url: $SIMULATOR/v1, counting: openai}\n"
                  "models:\n  gpt-4o: {tpm: 250}\n");
    r = fixture_chat(&f, CHAT);
    assert_int_equal(r.status, 200);
    client_reply_release(&r);
    fixture_sim_config(&f, "{\"faults\":[{\"fault\":\"hold\",\"next\":1}]}");
    for (int i = 0; i < 3; i++)
        calls[i] = fixture_chat_start(&f, CHAT);
    fixture_sim_wait(&f, "held=1");
    fixture_wait_status(&f, "held", 2);
    compare_answer(&f, "/-/status");
    compare_answer(&f, "/-/history");
    for (int i = 0; i < 3; i++) {
        client_leave(calls[i]);
        r = client_finish(calls[i]);
        client_reply_release(&r);
    }
    fixture_wait_status(&f, "totals.cancelled", 3);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status__every_member_of_the_manual__is_there_and_no_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
