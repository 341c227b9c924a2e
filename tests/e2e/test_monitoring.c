/* monitoring: the documents of docs/monitoring/ know every metric, and no other. Run from the top of the tree. */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <cjson/cJSON.h>

#include "exposition.h"
#include "metergate/base/err.h"

static void read_file(const char *path, struct buf *out)
{
    FILE *f = fopen(path, "re");
    char piece[4096];
    size_t n;

    if (!f)
        fail_msg("no %s: run this from the top of the tree", path);
    buf_init(out, BUF_UNLIMITED);
    while ((n = fread(piece, 1, sizeof piece, f)) > 0)
        buf_add(out, piece, n);
    buf_add_str(out, "");
    fclose(f);
}

/* Every family that can be has its head in the page; those with series show their labels. */
static void fetch_all(struct fixture *f, struct exposition *e)
{
    static const char config[] = "state_dir: $DIR/state\n" FIXTURE_UPSTREAM
                                 "models:\n  gpt-4o: {tpm: 30000, usd_per_day: 5}\n  \"*\": {learn: false}\n";
    struct client_reply r;

    fixture_start(f, NULL, config);
    r = fixture_chat(f, "{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}");
    assert_int_equal(r.status, 200);
    client_reply_release(&r);
    exposition_fetch(f, e);
}

/* Whether the labels of a row of the table, `a`, `b`, are those of the family, but for `key` and `retired`, which are rare. */
static bool same_labels(const struct family *m, const char *cell, size_t n)
{
    char quoted[48];
    size_t in_cell = 0;

    for (size_t i = 0; i < n; i++)
        in_cell += cell[i] == '`';
    for (size_t i = 0; i < m->labels; i++) {
        const char *at;

        snprintf(quoted, sizeof quoted, "`%s`", m->label[i]);
        at = strstr(cell, quoted);
        if (strcmp(m->label[i], "le") == 0)
            continue;
        if (!at || at > cell + n)
            return false;
        in_cell -= 2;
    }
    return in_cell == 0;
}

/* A row: | `name` | type | `label`, `label` | what | */
static void check_row(const struct exposition *e, const char *row, size_t name)
{
    const struct family *m;
    const char *type, *labels;
    char text[96];

    snprintf(text, sizeof text, "%.*s", (int)name, row + 3);
    m = exposition_family(e, text);
    if (!m) {
        fail_msg("documented, but not there: %s", text);
        return;
    }
    type = row + 3 + name + strlen("` | ");
    labels = type + strcspn(type, "|") + 1;
    if (strncmp(type, m->type, strlen(m->type)) != 0 || type[strlen(m->type)] != ' ')
        fail_msg("%s is a %s", text, m->type);
    if (m->n > 0 && !same_labels(m, labels, strcspn(labels, "|")))
        fail_msg("%s has other labels", text);
}

static void test_document__of_metrics__has_each_and_no_other(void **state)
{
    struct exposition e;
    struct fixture f;
    struct buf text;
    size_t rows = 0;

    (void)state;
    fetch_all(&f, &e);
    read_file("docs/monitoring/metrics.md", &text);
    for (const char *row = strstr(text.p, "\n| `"); row; row = strstr(row + 1, "\n| `")) {
        size_t name = strcspn(row + 4, "`");

        check_row(&e, row + 1, name);
        rows++;
    }
    for (size_t i = 0; i < e.n; i++) {
        char want[128];

        snprintf(want, sizeof want, "\n| `%s` | ", e.v[i].name);
        if (!strstr(text.p, want))
            fail_msg("not documented: %s", e.v[i].name);
    }
    assert_int_equal(rows, e.n);
    buf_release(&text);
    exposition_release(&e);
    fixture_stop(&f);
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* Every word that begins with one of the prefixes: how many there were. */
static int check_names(const struct exposition *e, const char *path)
{
    static const char *const prefixes[] = {"metergate_", "process_"};
    struct buf text;
    int found = 0;

    read_file(path, &text);
    for (size_t i = 0; i < MG_ARRAY_LEN(prefixes); i++) {
        for (const char *at = strstr(text.p, prefixes[i]); at; at = strstr(at + 1, prefixes[i])) {
            char name[96];
            size_t n = 0;

            if (at > text.p && is_word(at[-1]))
                continue;
            while (is_word(at[n]))
                n++;
            snprintf(name, sizeof name, "%.*s", (int)n, at);
            if (!exposition_has(e, name))
                fail_msg("%s asks for %s, which there is not", path, name);
            found++;
        }
    }
    buf_release(&text);
    return found;
}

static void test_documents__alerts_and_dashboard__ask_only_for_what_there_is(void **state)
{
    struct exposition e;
    struct fixture f;

    (void)state;
    fetch_all(&f, &e);
    assert_true(check_names(&e, "docs/monitoring/alerts.yml") > 10);
    assert_true(check_names(&e, "docs/monitoring/alerts_test.yml") > 10);
    assert_true(check_names(&e, "docs/monitoring/grafana.json") > 30);
    exposition_release(&e);
    fixture_stop(&f);
}

/* What Grafana needs to take it: JSON, panels of different ids that do not lie on each other, and a question in each. */
static void test_dashboard__its_panels__are_whole_and_apart(void **state)
{
    const cJSON *panels, *a, *b;
    struct buf text;
    cJSON *json;

    (void)state;
    read_file("docs/monitoring/grafana.json", &text);
    json = cJSON_Parse(text.p);
    assert_non_null(json);
    panels = json_at(json, "panels");
    assert_true(cJSON_GetArraySize(panels) > 20);
    cJSON_ArrayForEach(a, panels)
    {
        double x = json_number(a, "gridPos.x"), y = json_number(a, "gridPos.y"), w = json_number(a, "gridPos.w"),
               h = json_number(a, "gridPos.h");

        assert_true(x >= 0 && y >= 0 && w > 0 && h > 0 && x + w <= 24);
        if (strcmp(json_text(a, "type"), "row") != 0)
            assert_true(json_text(a, "targets.0.expr")[0] != '\0');
        for (b = a->next; b; b = b->next) {
            double bx = json_number(b, "gridPos.x"), by = json_number(b, "gridPos.y");

            assert_true(json_number(a, "id") != json_number(b, "id"));
            if (bx < x + w && x < bx + json_number(b, "gridPos.w") && by < y + h && y < by + json_number(b, "gridPos.h"))
                fail_msg("%s lies on %s", json_text(b, "title"), json_text(a, "title"));
        }
    }
    cJSON_Delete(json);
    buf_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_document__of_metrics__has_each_and_no_other),
        cmocka_unit_test(test_documents__alerts_and_dashboard__ask_only_for_what_there_is),
        cmocka_unit_test(test_dashboard__its_panels__are_whole_and_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
