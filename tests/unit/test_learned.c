/* learned: what is kept comes back, whatever the file looks like, and callers cannot make it grow without
 * bound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "metergate/base/clock.h"
#include "metergate/base/file.h"
#include "metergate/base/log.h"
#include "metergate/proxy/learned.h"

static char dir[] = "/tmp/metergate-test-XXXXXX", path[64];

static int make_dir(void **state)
{
    (void)state;
    snprintf(path, sizeof path, "%s/learned.jsonl", mkdtemp(dir));
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(dir);
}

/* A loop and workers, and a table that knows the file. */
struct world {
    struct loop *loop;
    struct workers *workers;
    struct learned learned;
};

static void begin(struct world *w)
{
    w->loop = loop_new();
    assert_non_null(w->loop);
    w->workers = workers_new(w->loop, 1);
    assert_non_null(w->workers);
    learned_init(&w->learned, w->loop);
    learned_keep(&w->learned, path, w->workers);
}

static void end(struct world *w)
{
    workers_free(w->workers);
    learned_release(&w->learned);
    loop_free(w->loop);
}

static void write_file(const char *text)
{
    assert_int_equal(file_replace(path, slice_str(text)), 0);
}

static void test_learned__a_restart__remembers_limits(void **state)
{
    struct limits *l;
    struct world w;

    (void)state;
    begin(&w);
    l = learned_limits(&w.learned, SLICE("openai"), SLICE("gpt-\"4o\""));
    assert_ptr_equal(learned_limits(&w.learned, SLICE("openai"), SLICE("gpt-\"4o\"")), l);
    assert_non_null(learned_limits(&w.learned, SLICE("openai"), SLICE("nothing known"))); /* is not kept */
    l->known[METRIC_TOKENS][0] =
        (struct known_limit){.max = 30000, .source = LIMIT_BY_HEADER, .said_s = clock_wall_us() / CLOCK_S};
    learned_changed(&w.learned);
    end(&w);
    begin(&w);
    l = learned_limits(&w.learned, SLICE("openai"), SLICE("gpt-\"4o\""));
    assert_int_equal(l->known[METRIC_TOKENS][0].max, 30000);
    assert_false(l->known[METRIC_TOKENS][0].is_old);
    end(&w);
    write_file("{\"upstream\":\"u\",\"budget\":7,\"limits\":[]}\n{\"budget\":\"b\"}\n"
               "{\"upstream\":\"u\",\"budget\":\"b\",\"limits\":{}}\n");
    begin(&w);
    assert_true(limits_are_empty(learned_limits(&w.learned, SLICE("u"), SLICE("b"))));
    end(&w);
}

static void test_learned__more_budgets_than_are_kept__learn_nothing(void **state)
{
    struct world w;
    char name[16];

    (void)state;
    begin(&w);
    for (int i = 0; i <= LEARNED_BUDGETS_MAX; i++) {
        snprintf(name, sizeof name, "b%d", i);
        (void)learned_limits(&w.learned, SLICE("another"), slice_str(name));
    }
    assert_int_equal(map_count(&w.learned.budgets_by_key), LEARNED_BUDGETS_MAX);
    assert_null(learned_limits(&w.learned, SLICE("another"), slice_str(name))); /* the last of them */
    end(&w);
}

static void test_learned__a_restart__remembers_ratios_and_outputs(void **state)
{
    const struct token_parts text = {.text = 1000};
    struct learned_model *m;
    int32_t value, guess;
    struct world w;
    struct stat st;

    (void)state;
    begin(&w);
    m = learned_of(&w.learned, SLICE("anthropic"), SLICE("claude-\"x\""));
    for (int i = 0; i < 40; i++)
        calibration_learn(&m->calibration, &text, 1500, 1400 + i);
    for (int i = 0; i < 100; i++)
        expect_learn(learned_output(m, SLICE("nightly")), i);
    value = m->calibration.text.mean;
    guess = (int32_t)expect_output(learned_output(m, SLICE("nightly")), 0);
    learned_changed(&w.learned);
    end(&w);

    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    begin(&w);
    m = learned_of(&w.learned, SLICE("anthropic"), SLICE("claude-\"x\""));
    assert_int_equal(m->calibration.text.mean, value);
    assert_int_equal(expect_output(learned_output(m, SLICE("nightly")), 0), guess);
    assert_int_equal(expect_output(learned_output(m, SLICE("other")), 0), EXPECT_FIRST_TOKENS);
    assert_ptr_not_equal(m, learned_of(&w.learned, SLICE("openai"), SLICE("claude-\"x\"")));
    end(&w);
}

static void test_learned__nothing_new__leaves_the_file_alone(void **state)
{
    struct stat before, after;
    struct world w;

    (void)state;
    write_file("{\"upstream\":\"u\",\"model\":\"m\",\"text\":[500,650]}\n");
    assert_int_equal(stat(path, &before), 0);
    begin(&w);
    end(&w);
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
}

static void test_learned__a_broken_file__gives_what_can_be_read(void **state)
{
    struct world w;

    (void)state;
    write_file(
        "not json\n[1]\n{}\n{\"upstream\":1,\"model\":\"m\"}\n"
        "{\"upstream\":\"u\",\"model\":\"m\",\"text\":[500,650,-1,7,99999999999,1,500],\"tools\":{\"a\":1},"
        "\"media\":\"x\",\"output\":[1,2]}\n"
        "{\"upstream\":\"u\",\"model\":\"n\",\"output\":{\"c\":[7,-1,\"x\",99999999999],\"d\":5}}\n"
        "{\"upstream\":\"u\",\"model\":\"cut");
    begin(&w);
    assert_int_equal(learned_of(&w.learned, SLICE("u"), SLICE("m"))->calibration.text.seen, 1);
    assert_int_equal(
        expect_output(learned_output(learned_of(&w.learned, SLICE("u"), SLICE("n")), SLICE("c")), 0), 7);
    end(&w);
}

static void test_learned__too_many_names__are_not_kept_apart(void **state)
{
    struct learned_model *m;
    struct world w;
    char name[16];

    (void)state;
    write_file("");
    begin(&w);
    for (int i = 0; i < LEARNED_MODELS_MAX; i++) {
        snprintf(name, sizeof name, "m%d", i);
        assert_non_null(learned_of(&w.learned, SLICE("u"), slice_str(name)));
    }
    assert_null(learned_of(&w.learned, SLICE("u"), SLICE("one more")));
    m = learned_of(&w.learned, SLICE("u"), SLICE("m7"));
    for (int i = 0; i < LEARNED_CLIENTS_MAX; i++) {
        snprintf(name, sizeof name, "c%d", i);
        learned_output(m, slice_str(name));
    }
    assert_ptr_equal(learned_output(m, SLICE("x")), learned_output(m, SLICE("y")));
    assert_ptr_not_equal(learned_output(m, SLICE("c5")), learned_output(m, SLICE("c6")));
    end(&w);
}

static void test_learned__a_place_that_cannot_be_written__is_only_a_warning(void **state)
{
    struct world w;

    (void)state;
    w.loop = loop_new();
    w.workers = workers_new(w.loop, 1);
    assert_true(w.loop && w.workers);
    learned_init(&w.learned, w.loop);
    learned_keep(&w.learned, "/proc/nowhere/learned.jsonl", w.workers);
    learned_of(&w.learned, SLICE("u"), SLICE("m"));
    learned_changed(&w.learned);
    end(&w);
}

/* ---- the files themselves ---- */

static void test_file_make_dir__missing_parts__are_made_for_the_owner_alone(void **state)
{
    char deep[96], file[128];
    struct stat st;

    (void)state;
    snprintf(deep, sizeof deep, "%s/a/b/", dir);
    assert_int_equal(file_make_dir(deep, NULL), 0);
    assert_int_equal(file_make_dir(deep, NULL), 0);
    assert_int_equal(stat(deep, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    snprintf(file, sizeof file, "%s/a/b/file", dir);
    assert_int_equal(file_replace(file, SLICE("x")), 0);
    assert_true(file_make_dir(file, NULL) < 0);
    unlink(file);
    rmdir(deep);
    snprintf(deep, sizeof deep, "%s/a", dir);
    rmdir(deep);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_learned__a_restart__remembers_ratios_and_outputs),
        cmocka_unit_test(test_learned__a_restart__remembers_limits),
        cmocka_unit_test(test_learned__more_budgets_than_are_kept__learn_nothing),
        cmocka_unit_test(test_learned__nothing_new__leaves_the_file_alone),
        cmocka_unit_test(test_learned__a_broken_file__gives_what_can_be_read),
        cmocka_unit_test(test_learned__too_many_names__are_not_kept_apart),
        cmocka_unit_test(test_learned__a_place_that_cannot_be_written__is_only_a_warning),
        cmocka_unit_test(test_file_make_dir__missing_parts__are_made_for_the_owner_alone),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
