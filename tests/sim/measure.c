/* measure: a run is measured from its records alone, and added to the sums; what is divided, is at the
 * end. */
#include "measure.h"

#include <math.h>
#include <stdlib.h>

#include "metergate/base/clock.h"
#include "metergate/base/err.h"

static double seconds(int64_t us)
{
    return (double)us / CLOCK_S;
}

static double larger(double a, double b)
{
    return a > b ? a : b;
}

/* ---- waits ---- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

/* Nearest rank. */
static double percentile(const double *sorted, size_t n, double p)
{
    size_t rank = (size_t)ceil(p * (double)n / 100);

    return n == 0 ? 0 : sorted[rank > 0 ? rank - 1 : 0];
}

/* Of the calls of `stream`, or of `class` when that is negative. */
static void add_waits(const struct workload *w, const struct outcome *o, int stream, enum ticket_class class,
                      struct waits *sum)
{
    double *v = xmalloc((o->n + 1) * sizeof *v), total = 0;
    size_t n = 0;

    for (size_t i = 0; i < o->n; i++) {
        const struct record *r = &o->records[i];

        if (r->left || (stream >= 0 ? r->stream != stream : w->streams[r->stream].class != class))
            continue;
        if (r->start_us < 0) {
            sum->max_s = larger(sum->max_s, seconds(o->end_us - r->arrival_us));
            continue;
        }
        v[n] = seconds(r->start_us - r->arrival_us);
        total += v[n++];
    }
    qsort(v, n, sizeof *v, by_value);
    sum->calls += (double)n;
    sum->runs += n > 0;
    sum->mean_s += n > 0 ? total / (double)n : 0;
    sum->p50_s += percentile(v, n, 50);
    sum->p95_s += percentile(v, n, 95);
    sum->p99_s += percentile(v, n, 99);
    sum->max_s = larger(sum->max_s, n > 0 ? v[n - 1] : 0);
    free(v);
}

static void divide_waits(struct waits *w, int seeds)
{
    int runs = w->runs > 0 ? w->runs : 1;

    w->calls /= seeds;
    w->mean_s /= runs;
    w->p50_s /= runs;
    w->p95_s /= runs;
    w->p99_s /= runs;
}

/* ---- makespan ---- */

static void add_makespan(const struct workload *w, const struct outcome *o, struct figures *f)
{
    const struct limit *l = &w->pools[0].limits[0];
    int64_t last_us = -1, total = 0, spans;

    for (size_t i = 0; i < o->n; i++) {
        const struct stream *s = &w->streams[o->records[i].stream];

        if (s->pool == 0 && stream_is_batch(s) && o->records[i].start_us > last_us)
            last_us = o->records[i].start_us;
    }
    for (size_t i = 0; i < o->n; i++) {
        if (w->streams[o->records[i].stream].pool == 0 && o->records[i].start_us >= 0 &&
            o->records[i].start_us <= last_us)
            total += o->records[i].taken;
    }
    spans = total > 0 ? (total - 1) / (l->max * (1000 - w->pools[0].headroom_permille) / 1000) : 0;
    if (spans == 0)
        return;
    f->last_s += seconds(last_us);
    f->bound_s += seconds(spans * l->span_us);
    f->makespan += seconds(last_us) / seconds(spans * l->span_us);
}

/* ---- fairness ---- */

/* What each client was given in each whole minute, and whether it had calls held all through it. */
struct minutes {
    size_t n;
    int clients;
    struct share *shares; /* [client] */
    double *given;        /* tokens: [client * n + minute] */
    int *busy;            /* likewise: calls that waited all through it */
};

struct share {
    enum ticket_class class;
    double weight;
    double largest; /* of its calls */
    double ahead;   /* of its share: gap_of */
    double least, most;
};

static void shares_init(struct minutes *m, const struct workload *w)
{
    int i = 0;

    m->shares = xcalloc((size_t)m->clients, sizeof *m->shares);
    for (int s = 0; i < m->clients; s++) {
        const struct stream *stream = &w->streams[s];

        for (int k = 0; k < (stream->clients > 0 ? stream->clients : 1); k++)
            m->shares[i++] = (struct share){.class = stream->class,
                                            .weight = stream->weight > 0 ? (double)stream->weight : 1};
    }
}

static void minutes_init(struct minutes *m, const struct workload *w, const struct outcome *o)
{
    const int64_t minute_us = 60 * CLOCK_S;

    m->n = (size_t)(o->end_us / minute_us);
    m->clients = o->clients;
    m->given = xcalloc((size_t)m->clients * m->n + 1, sizeof *m->given);
    m->busy = xcalloc((size_t)m->clients * m->n + 1, sizeof *m->busy);
    shares_init(m, w);
    for (size_t i = 0; i < o->n; i++) {
        const struct record *r = &o->records[i];
        int64_t until_us = r->start_us < 0 ? o->end_us : r->start_us;
        size_t row = (size_t)r->client * m->n, minute = (size_t)(until_us / minute_us), first;

        if (r->left)
            continue;
        if (r->start_us >= 0 && minute < m->n)
            m->given[row + minute] += (double)r->tokens;
        m->shares[r->client].largest = larger(m->shares[r->client].largest, (double)r->tokens);
        /* one that comes in the first second of a minute is taken to be there from its beginning */
        first = (size_t)((r->arrival_us + minute_us - CLOCK_S) / minute_us);
        for (size_t k = first; k < minute && k < m->n; k++)
            m->busy[row + k]++;
    }
}

static void minutes_release(struct minutes *m)
{
    free(m->given);
    free(m->busy);
    free(m->shares);
}

/* R. Jain, D. Chiu, W. Hawe, 1984: (sum x)^2 / (n sum x^2). 0: fewer than two clients, or nothing given. */
static double jain_of(const struct minutes *m, enum ticket_class class, size_t minute)
{
    double sum = 0, squares = 0;
    int n = 0;

    for (int c = 0; c < m->clients; c++) {
        double x = m->given[(size_t)c * m->n + minute] / m->shares[c].weight;

        if (m->shares[c].class != class || m->busy[(size_t)c * m->n + minute] == 0)
            continue;
        n++;
        sum += x;
        squares += x * x;
    }
    return n < 2 || squares <= 0 ? 0 : sum * sum / (n * squares);
}

/* The clients of that class that wait all through that minute; what is given to them is *ret_given, their
 * weights together *ret_weight. */
static int busy_in(const struct minutes *m, enum ticket_class class, size_t minute, double *ret_given,
                   double *ret_weight)
{
    int n = 0;

    *ret_given = *ret_weight = 0;
    for (int c = 0; c < m->clients; c++) {
        if (m->shares[c].class != class || m->busy[(size_t)c * m->n + minute] == 0)
            continue;
        n++;
        *ret_given += m->given[(size_t)c * m->n + minute];
        *ret_weight += m->shares[c].weight;
    }
    return n;
}

/* How far a client got from its share, ahead or behind, in any time that all who ever waited together did;
 * in largest calls of any of them. The first minute is left out: it tells who came a moment before. */
static double gap_of(struct minutes *m, enum ticket_class class)
{
    double given, weight, largest = 1, gap = 0;
    size_t last = 0;
    int all = 0;

    for (size_t k = 0; k < m->n; k++) {
        int n = busy_in(m, class, k, &given, &weight);

        if (n < 2 || n < all)
            continue;
        for (int c = 0; c < m->clients; c++) {
            struct share *s = &m->shares[c];

            if (s->class != class || m->busy[(size_t)c * m->n + k] == 0)
                continue;
            if (n > all || k != last + 1) /* from the beginning */
                s->ahead = s->least = s->most = 0;
            else
                s->ahead += m->given[(size_t)c * m->n + k] - given * s->weight / weight;
            s->least = s->ahead < s->least ? s->ahead : s->least;
            s->most = larger(s->most, s->ahead);
            gap = larger(gap, s->most - s->least);
            largest = larger(largest, s->largest);
        }
        all = n;
        last = k;
    }
    return gap / largest;
}

static void add_fairness(const struct workload *w, const struct outcome *o, struct figures *f)
{
    struct minutes m;
    double sum = 0;
    int n = 0;

    minutes_init(&m, w, o);
    for (int class = 0; class < TICKET_CLASSES; class++) {
        for (size_t k = 0; k < m.n; k++) {
            double jain = jain_of(&m, (enum ticket_class)class, k);

            sum += jain;
            n += jain > 0;
        }
        f->gap = larger(f->gap, gap_of(&m, (enum ticket_class)class));
    }
    f->jain += n > 0 ? sum / n : 0;
    minutes_release(&m);
}

/* ---- all of it ---- */

static void add_run(const struct workload *w, const struct outcome *o, struct figures *f)
{
    for (int c = 0; c < TICKET_CLASSES; c++)
        add_waits(w, o, -1, (enum ticket_class)c, &f->classes[c]);
    for (int s = 0; s < WORKLOAD_STREAMS && w->streams[s].name; s++)
        add_waits(w, o, s, TICKET_HIGH, &f->streams[s]);
    add_makespan(w, o, f);
    add_fairness(w, o, f);
    f->util += o->waited_us > 0 ? 100 * o->filled_us / (double)o->waited_us : 0;
    f->over_percent = larger(f->over_percent, o->worst_percent);
    f->violations += o->over;
    f->heads += (double)o->heads;
    f->late_s = larger(f->late_s, seconds(o->late_us));
    f->late_mean_s += o->heads > 0 ? o->late_total_s / (double)o->heads : 0;
    f->refused += (double)o->refused;
    f->turn_us += o->turns > 0 ? o->gate_s * 1e6 / (double)o->turns : 0;
}

void measure(const struct workload *w, const struct gate_policy *policy, int seeds, struct figures *ret)
{
    *ret = (struct figures){0};
    for (int seed = 1; seed <= seeds; seed++) {
        struct outcome o;

        workload_run(w, policy, (uint64_t)seed, &o);
        add_run(w, &o, ret);
        outcome_release(&o);
    }
    for (int c = 0; c < TICKET_CLASSES; c++)
        divide_waits(&ret->classes[c], seeds);
    for (int s = 0; s < WORKLOAD_STREAMS; s++)
        divide_waits(&ret->streams[s], seeds);
    ret->util /= seeds;
    ret->last_s /= seeds;
    ret->bound_s /= seeds;
    ret->makespan /= seeds;
    ret->jain /= seeds;
    ret->heads /= seeds;
    ret->late_mean_s /= seeds;
    ret->refused /= seeds;
    ret->turn_us /= seeds;
}
