/*
 * bench_tokens [-t] [FILE...]: how fast text is counted, in MB (10^6 bytes) a second of the counting thread's
 * CPU time. "first" is the first pass of a new thread, whose caches are empty; "warm" the best of seven more.
 * Then texts that are hard for byte pair encoding, of one megabyte and of two: what is linear has the same
 * speed. Without files a text is made up. -t: tab-separated, for peers.mjs.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "metergate/base/buf.h"
#include "metergate/base/err.h"
#include "metergate/tokens/count.h"

#define PASSES 8

static double cpu_seconds(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct measurement {
    const char *text;
    size_t n;
    enum encoding encoding;
    int64_t tokens;
    double first, warm; /* seconds */
};

static void *measure(void *arg)
{
    struct measurement *m = arg;

    m->warm = 1e9;
    for (int pass = 0; pass < PASSES; pass++) {
        double start = cpu_seconds(), took;

        m->tokens = tokens_count(m->encoding, m->text, m->n);
        took = cpu_seconds() - start;
        if (pass == 0)
            m->first = took;
        else if (took < m->warm)
            m->warm = took;
    }
    return NULL;
}

/* In a thread of its own: its caches are empty, and go with it. */
static struct measurement measured(enum encoding e, const char *text, size_t n)
{
    struct measurement m = {.text = text, .n = n, .encoding = e};
    pthread_t thread;

    MG_ASSERT(pthread_create(&thread, NULL, measure, &m) == 0 && pthread_join(thread, NULL) == 0);
    return m;
}

static double speed(size_t n, double seconds)
{
    return (double)n / seconds / 1e6;
}

static void report(const char *name, const struct buf *text, bool tabs)
{
    for (int e = 0; e < ENCODINGS; e++) {
        struct measurement m = measured((enum encoding)e, text->p, text->n);

        printf(tabs ? "%s\t%s\t%zu\t%lld\t%.1f\t%.1f\n"
                    : "%-10s %-12s %9zu bytes %9lld tokens  first %6.1f MB/s  warm %6.1f MB/s\n",
               name, encoding_name((enum encoding)e), text->n, (long long)m.tokens, speed(text->n, m.first),
               speed(text->n, m.warm));
    }
}

static uint32_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (uint32_t)(*state >> 16);
}

/* ---- texts ---- */

/* Low numbers come often, as common words do; now and then a word that nobody has written before. */
static void make_up(struct buf *b)
{
    static const char *const words[] = {
        "the",      "of",      "and",      "a",        "to",      "in",      "is",      "you",
        "that",     "it",      "was",      "for",      "on",      "are",     "as",      "with",
        "his",      "they",    "be",       "at",       "queue",   "window",  "budget",  "waiting",
        "provider", "morning", "question", "answered", "quietly", "because", "Tuesday", "however",
        "patience", "don't",   "measure",  "engineer", "garden",  "twenty",  "Lisbon",  "river",
    };
    uint64_t random = 42;

    while (b->n < 4000000) {
        uint32_t r = next_random(&random);

        buf_add_str(b, words[(uint64_t)(r % 1024) * (r / 1024 % 1024) * MG_ARRAY_LEN(words) >> 20]);
        if (r >> 27 == 0)
            for (uint32_t i = 0; i < 4 + r % 7; i++)
                buf_add_char(b, (char)('a' + next_random(&random) % 26));
        buf_add_str(b, r >> 28 == 1 ? ".\n" : " ");
    }
}

static void read_file(const char *path, struct buf *b)
{
    FILE *f = fopen(path, "rb");
    char piece[65536];
    size_t n;

    if (!f) {
        fprintf(stderr, "bench_tokens: cannot open %s\n", path);
        exit(1);
    }
    while ((n = fread(piece, 1, sizeof piece, f)) > 0)
        buf_add(b, piece, n);
    (void)fclose(f);
}

/* "build/x/prose.txt" is prose. */
static void report_file(const char *path, bool tabs)
{
    const char *slash = strrchr(path, '/');
    char name[64];
    struct buf text;

    (void)snprintf(name, sizeof name, "%s", slash ? slash + 1 : path);
    name[strcspn(name, ".")] = '\0';
    buf_init(&text, BUF_UNLIMITED);
    read_file(path, &text);
    report(name, &text, tabs);
    buf_release(&text);
}

/* ---- hard texts ---- */

static void fill(char *text, size_t n, int kind)
{
    static const char *const repeated[] = {"a", " ", "^", "=-", "aab", "\n", "\xe7\x9a\x84", "aA", "0"};
    uint64_t random = 3;

    for (size_t i = 0; i < n; i++)
        text[i] = kind < (int)MG_ARRAY_LEN(repeated) ? repeated[kind][i % strlen(repeated[kind])]
                                                     : (char)('a' + next_random(&random) % 26);
}

static void report_hard(bool tabs)
{
    static const char *const names[] = {"a",       "space",  "^",  "=-", "aab",
                                        "newline", "U+7684", "aA", "0",  "letters"};
    const size_t one = 999996, two = 2 * one; /* whole repetitions of each */
    char *text = malloc(two);

    MG_ASSERT(text);
    for (size_t kind = 0; kind < MG_ARRAY_LEN(names); kind++) {
        fill(text, two, (int)kind);
        for (int e = 0; e < ENCODINGS; e++) {
            struct measurement small = measured((enum encoding)e, text, one),
                               large = measured((enum encoding)e, text, two);

            printf(tabs ? "hard:%s\t%s\t%zu\t%lld\t%.1f\t%.1f\t%.1f\n"
                        : "1 MB of %-8s %-12s %8zu bytes %8lld tokens  first %6.1f MB/s  warm %6.1f MB/s  2 "
                          "MB: first %6.1f MB/s\n",
                   names[kind], encoding_name((enum encoding)e), one, (long long)small.tokens,
                   speed(one, small.first), speed(one, small.warm), speed(two, large.first));
        }
    }
    free(text);
}

/* ---- memory ---- */

static long resident_kb(void)
{
    FILE *f = fopen("/proc/self/statm", "r");
    char line[128] = "";
    char *p = line;

    if (f) {
        if (!fgets(line, sizeof line, f))
            line[0] = '\0';
        (void)fclose(f);
    }
    (void)strtol(p, &p, 10);
    return strtol(p, NULL, 10) * (sysconf(_SC_PAGESIZE) / 1024);
}

int main(int argc, char **argv)
{
    bool tabs = argc > 1 && strcmp(argv[1], "-t") == 0;
    struct buf text;
    long kb;

    if (argc > 1 + tabs) {
        for (int i = 1 + tabs; i < argc; i++)
            report_file(argv[i], tabs);
    } else {
        buf_init(&text, BUF_UNLIMITED);
        make_up(&text);
        (void)tokens_count(ENCODING_O200K, text.p, text.n); /* in this thread, so that its tables stay */
        kb = resident_kb() - (long)(text.n / 1024);
        report("made up", &text, tabs);
        buf_release(&text);
        if (!tabs)
            printf("resident after counting, besides the text: %.1f MB\n", (double)kb / 1024);
    }
    report_hard(tabs);
    return 0;
}
