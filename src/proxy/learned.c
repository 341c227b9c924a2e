/* learned: every model is on `all` and in by_key, owned by the table. While `saving`, a worker owns `text`
 * and `save_rc`. */
#include "metergate/proxy/learned.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "metergate/base/clock.h"
#include "metergate/base/err.h"
#include "metergate/base/file.h"
#include "metergate/base/json.h"
#include "metergate/base/log.h"
#include "metergate/tokens/utf8.h"

struct learned_budget {
    struct list link; /* on learned.budgets, in order of first use */
    char *upstream, *name;
    struct limits limits;
};

static void free_model(struct learned_model *m)
{
    map_release_values(&m->output);
    list_unlink(&m->link);
    free(m->upstream);
    free(m->model);
    free(m);
}

static void free_budget(struct learned_budget *b)
{
    list_unlink(&b->link);
    free(b->upstream);
    free(b->name);
    free(b);
}

void learned_init(struct learned *l, struct loop *loop)
{
    *l = (struct learned){.loop = loop};
    map_init(&l->by_key);
    list_init(&l->all);
    map_init(&l->budgets_by_key);
    list_init(&l->budgets);
    buf_init(&l->text, BUF_UNLIMITED);
}

static void write_key(struct slice upstream, struct slice model, struct buf *key)
{
    buf_init(key, BUF_UNLIMITED);
    buf_add_slice(key, upstream);
    buf_add_char(key, '/'); /* no name of an upstream has one */
    buf_add_slice(key, model);
}

struct learned_model *learned_look(const struct learned *l, struct slice upstream, struct slice model)
{
    struct learned_model *m;
    struct buf key;

    write_key(upstream, model, &key);
    m = map_get(&l->by_key, buf_slice(&key));
    buf_release(&key);
    return m;
}

struct learned_model *learned_of(struct learned *l, struct slice upstream, struct slice model)
{
    struct learned_model *m = learned_look(l, upstream, model);
    struct buf key;

    if (m || map_count(&l->by_key) >= LEARNED_MODELS_MAX)
        return m;
    m = xcalloc(1, sizeof *m);
    m->upstream = xstrndup(upstream.p, upstream.n);
    m->model = xstrndup(model.p, model.n);
    calibration_init(&m->calibration, model.p, model.n);
    map_init(&m->output);
    list_init(&m->link);
    list_push_back(&l->all, &m->link);
    write_key(upstream, model, &key);
    map_set(&l->by_key, buf_slice(&key), m);
    buf_release(&key);
    return m;
}

struct expect *learned_output(struct learned_model *m, struct slice client)
{
    struct expect *e = map_get(&m->output, client);

    if (!e && map_count(&m->output) >= LEARNED_CLIENTS_MAX) {
        client = SLICE(""); /* nobody's name */
        e = map_get(&m->output, client);
    }
    if (!e) {
        e = xcalloc(1, sizeof *e);
        map_set(&m->output, client, e);
    }
    return e;
}

struct limits *learned_limits(struct learned *l, struct slice upstream, struct slice budget)
{
    struct learned_budget *b;
    struct buf key;

    write_key(upstream, budget, &key);
    b = map_get(&l->budgets_by_key, buf_slice(&key));
    if (!b && map_count(&l->budgets_by_key) < LEARNED_BUDGETS_MAX) {
        b = xcalloc(1, sizeof *b);
        b->upstream = xstrndup(upstream.p, upstream.n);
        b->name = xstrndup(budget.p, budget.n);
        list_init(&b->link);
        list_push_back(&l->budgets, &b->link);
        map_set(&l->budgets_by_key, buf_slice(&key), b);
    }
    buf_release(&key);
    return b ? &b->limits : NULL;
}

/* ---- writing ---- */

static void write_ratio(struct json_writer *w, const char *key, const struct ratio *r)
{
    struct ratio_sample sample[RATIO_SAMPLES];
    int n = ratio_samples(r, sample);

    if (n == 0)
        return;
    json_key(w, key);
    json_array_begin(w);
    for (int i = 0; i < n; i++) {
        json_int(w, sample[i].counted);
        json_int(w, sample[i].reported);
    }
    json_array_end(w);
}

static void write_output(void *arg, struct slice client, void *value)
{
    struct json_writer *w = arg;
    int32_t sample[EXPECT_SAMPLES];
    int n = expect_samples(value, sample);

    if (n == 0)
        return;
    json_key_slice(w, client);
    json_array_begin(w);
    for (int i = 0; i < n; i++)
        json_int(w, sample[i]);
    json_array_end(w);
}

static void write_model(const struct learned_model *m, struct buf *out)
{
    struct json_writer w;

    json_init(&w, out);
    json_object_begin(&w);
    json_member_str(&w, "upstream", slice_str(m->upstream));
    json_member_str(&w, "model", slice_str(m->model));
    write_ratio(&w, "text", &m->calibration.text);
    write_ratio(&w, "tools", &m->calibration.tools);
    write_ratio(&w, "media", &m->calibration.media);
    json_key(&w, "output");
    json_object_begin(&w);
    map_each(&m->output, write_output, &w);
    json_object_end(&w);
    json_object_end(&w);
    buf_add_char(out, '\n');
}

static void write_budget(const struct learned_budget *b, struct buf *out)
{
    struct json_writer w;

    if (limits_are_empty(&b->limits))
        return;
    json_init(&w, out);
    json_object_begin(&w);
    json_member_str(&w, "upstream", slice_str(b->upstream));
    json_member_str(&w, "budget", slice_str(b->name));
    json_key(&w, "limits");
    limits_write(&b->limits, &w);
    json_object_end(&w);
    buf_add_char(out, '\n');
}

static void write_all(struct learned *l)
{
    buf_reset(&l->text);
    LIST_EACH (&l->budgets, node, next)
        write_budget(LIST_ENTRY(node, struct learned_budget, link), &l->text);
    LIST_EACH (&l->all, node, next)
        write_model(LIST_ENTRY(node, struct learned_model, link), &l->text);
}

/* In a worker's thread, or at the end in the loop's. */
static void save(struct worker_job *job)
{
    struct learned *l = MG_CONTAINER(job, struct learned, job);

    l->save_rc = file_replace(l->path, buf_slice(&l->text));
}

static void saved(struct learned *l)
{
    buf_release(&l->text);
    if (l->save_rc < 0 && !l->failed)
        log_warn("cannot write %s: %s; what is learned of models is kept in memory alone", l->path,
                 strerror(-l->save_rc));
    l->failed = l->save_rc < 0;
}

static void on_saved(struct worker_job *job)
{
    struct learned *l = MG_CONTAINER(job, struct learned, job);

    l->saving = false;
    saved(l);
    if (l->changed)
        learned_changed(l);
}

static void on_time(void *ctx)
{
    struct learned *l = ctx;

    write_all(l);
    l->changed = false;
    l->saving = true;
    l->job = (struct worker_job){.work = save, .done = on_saved};
    workers_submit(l->workers, &l->job);
}

void learned_changed(struct learned *l)
{
    l->changed = true;
    if (l->path && !l->saving && !loop_timer_is_set(&l->timer))
        loop_timer_set(l->loop, &l->timer, loop_now_us(l->loop) + LEARNED_SAVE_US, on_time, l);
}

void learned_release(struct learned *l)
{
    loop_timer_clear(l->loop, &l->timer);
    if (l->path && (l->changed || l->saving)) { /* a worker may have ended before it wrote */
        write_all(l);
        save(&l->job);
        saved(l);
    }
    buf_release(&l->text);
    free(l->path);
    LIST_EACH (&l->all, node, next)
        free_model(LIST_ENTRY(node, struct learned_model, link));
    LIST_EACH (&l->budgets, budget, after)
        free_budget(LIST_ENTRY(budget, struct learned_budget, link));
    map_release(&l->by_key);
    map_release(&l->budgets_by_key);
}

/* ---- reading ---- */

static int32_t number(const struct json *node)
{
    int64_t v;

    return node && json_as_int64(node, &v) == 0 && v >= 0 && v <= INT32_MAX ? (int32_t)v : -1;
}

static void read_ratio(const struct json *list, struct ratio *r)
{
    for (const struct json *counted = list ? json_first(list) : NULL; counted;) {
        const struct json *reported = json_next(counted);

        if (!reported)
            return;
        ratio_learn(r, number(counted), number(reported));
        counted = json_next(reported);
    }
}

static void read_model(struct learned *l, const struct json *line)
{
    const struct json *upstream = json_get(line, "upstream"), *model = json_get(line, "model");
    const struct json *output = json_get(line, "output");
    struct slice upstream_name, model_name;
    struct learned_model *m;

    if (!upstream || !model || json_as_str(upstream, &upstream_name) < 0 ||
        json_as_str(model, &model_name) < 0)
        return;
    m = learned_of(l, upstream_name, model_name);
    if (!m)
        return;
    read_ratio(json_get(line, "text"), &m->calibration.text);
    read_ratio(json_get(line, "tools"), &m->calibration.tools);
    read_ratio(json_get(line, "media"), &m->calibration.media);
    if (!output || !json_is_object(output))
        return;
    JSON_EACH (output, client)
        JSON_EACH (client, tokens)
            expect_learn(learned_output(m, json_name(client)), number(tokens));
}

static void read_budget(struct learned *l, const struct json *line)
{
    struct slice upstream, name;
    struct limits *limits;

    if (json_as_str(json_get(line, "upstream"), &upstream) < 0 || json_as_str(json_get(line, "budget"), &name) < 0)
        return;
    limits = learned_limits(l, upstream, name);
    if (limits)
        limits_read(limits, json_get(line, "limits"), clock_wall_us() / CLOCK_S);
}

static void read_lines(struct learned *l, struct slice text)
{
    while (text.n) {
        struct slice line = slice_head(text, slice_find(text, '\n'));
        struct json *doc;

        text = slice_skip(text, line.n + 1);
        /* what is no UTF-8 is no JSON, though the parser takes it: names would be others when they are written again */
        if (line.n == 0 || utf8_valid(line.p, line.n) < line.n || json_parse(line, &doc) < 0)
            continue;
        if (json_is_object(doc) && json_get(doc, "budget"))
            read_budget(l, doc);
        else if (json_is_object(doc))
            read_model(l, doc);
        json_free(doc);
    }
}

void learned_keep(struct learned *l, const char *path, struct workers *workers)
{
    struct errbuf e;
    struct buf text;
    int rc;

    l->path = xstrdup(path);
    l->workers = workers;
    buf_init(&text, LEARNED_FILE_MAX);
    rc = file_read(path, &text, &e);
    if (rc == 0)
        read_lines(l, buf_slice(&text));
    else if (rc != -ENOENT)
        log_warn("cannot read %s: %s; models are learned anew", path, e.text);
    buf_release(&text);
}
