/* findings: results are words; nothing depends on a colour. */
#include "metergate/tool/findings.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "metergate/base/json.h"
#include "metergate/base/plain.h"

#define TEXT_PLACES_MAX 500

static const char *const result_names[FINDING_RESULTS] = {"ok", "warn", "fail"};

void findings_init(struct findings *f)
{
    *f = (struct findings){.n = 0};
}

void findings_release(struct findings *f)
{
    for (size_t i = 0; i < f->n; i++) {
        free(f->v[i].found);
        free(f->v[i].advice);
    }
    findings_init(f);
}

/* What is shown of it; free() it. */
static char *text_of(const char *fmt, va_list ap) MG_PRINTF(1, 0);
static char *text_of(const char *fmt, va_list ap)
{
    struct buf said, safe;
    size_t fits;

    buf_init(&said, BUF_UNLIMITED);
    buf_init(&safe, BUF_UNLIMITED);
    buf_addv(&said, fmt, ap);
    plain_add(&safe, buf_slice(&said));
    fits = plain_fit(buf_slice(&safe), TEXT_PLACES_MAX);
    if (fits < safe.n) {
        buf_drop_tail(&safe, safe.n - fits);
        buf_add_str(&safe, "...");
    }
    buf_release(&said);
    return buf_take(&safe, NULL);
}

static bool has_room(const struct findings *f, const char *check)
{
    size_t same = 0;

    for (size_t i = 0; i < f->n; i++)
        same += strcmp(f->v[i].check, check) == 0;
    return f->n < FINDINGS_MAX && same < FINDINGS_CHECK_MAX;
}

void findings_add(struct findings *f, const char *check, enum finding_result result, const char *fmt, ...)
{
    va_list ap;

    f->count[result]++;
    f->dropped = !has_room(f, check);
    if (f->dropped)
        return;
    va_start(ap, fmt);
    f->v[f->n++] = (struct finding){.check = check, .result = result, .found = text_of(fmt, ap)};
    va_end(ap);
}

void findings_advise(struct findings *f, const char *fmt, ...)
{
    struct finding *last = f->v + f->n - 1;
    va_list ap;

    MG_ASSERT(f->n > 0);
    if (f->dropped)
        return;
    free(last->advice);
    va_start(ap, fmt);
    last->advice = text_of(fmt, ap);
    va_end(ap);
}

static void print_count(size_t n, const char *one, FILE *out)
{
    if (n == 0)
        fprintf(out, "no %ss", one);
    else
        fprintf(out, "%zu %s%s", n, one, n == 1 ? "" : "s");
}

/* One advice stands below all that it is for. */
static bool same_advice(const struct finding *a, const struct finding *b)
{
    return b->advice && strcmp(a->check, b->check) == 0 && strcmp(a->advice, b->advice) == 0;
}

void findings_print(const struct findings *f, FILE *out)
{
    size_t all = 0;

    for (size_t i = 0; i < f->n; i++) {
        const struct finding *one = &f->v[i];

        fprintf(out, "%-4s  %-11s  %s\n", result_names[one->result], one->check, one->found);
        if (one->advice && !(i + 1 < f->n && same_advice(one, one + 1)))
            fprintf(out, "                   %s\n", one->advice);
    }
    for (int r = 0; r < FINDING_RESULTS; r++)
        all += f->count[r];
    if (all > f->n)
        fprintf(out, "and %zu more of the same\n", all - f->n);
    fputc('\n', out);
    print_count(f->count[FINDING_FAIL], "problem", out);
    fputs(", ", out);
    print_count(f->count[FINDING_WARN], "warning", out);
    fputc('\n', out);
}

void findings_print_json(const struct findings *f, FILE *out)
{
    struct json_writer w;
    struct buf text;

    buf_init(&text, BUF_UNLIMITED);
    json_init(&w, &text);
    json_array_begin(&w);
    for (size_t i = 0; i < f->n; i++) {
        json_object_begin(&w);
        json_member_str(&w, "check", slice_str(f->v[i].check));
        json_member_str(&w, "result", slice_str(result_names[f->v[i].result]));
        json_member_str(&w, "found", slice_str(f->v[i].found));
        json_key(&w, "advice");
        if (f->v[i].advice)
            json_str(&w, slice_str(f->v[i].advice));
        else
            json_null(&w);
        json_object_end(&w);
    }
    json_array_end(&w);
    buf_add_char(&text, '\n');
    fwrite(text.p, 1, text.n, out);
    buf_release(&text);
}
