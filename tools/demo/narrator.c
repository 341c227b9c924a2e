/* narrator: a line is printed whole, under the lock; the colour always ends before the line does. */
#include "narrator.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "metergate/base/clock.h"

static struct {
    pthread_mutex_t lock;
    int64_t start_us;
    bool colour;
    int broken;
} narrator = {.lock = PTHREAD_MUTEX_INITIALIZER};

#define BOLD  "\033[1m"
#define DIM   "\033[2m"
#define RESET "\033[0m"

static const char *const tones[] = {
    [TONE_PLAIN] = "", [TONE_GOOD] = "\033[32m", [TONE_WAIT] = "\033[33m", [TONE_BAD] = "\033[31m"};

void narrator_begin(void)
{
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

    narrator.start_us = clock_now_us();
    narrator.colour =
        isatty(STDOUT_FILENO) && !(no_color && *no_color) && !(term && strcmp(term, "dumb") == 0);
}

int64_t narrator_elapsed_us(void)
{
    return clock_now_us() - narrator.start_us;
}

static const char *colour(const char *code)
{
    return narrator.colour ? code : "";
}

void narrator_heading(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    pthread_mutex_lock(&narrator.lock);
    printf("\n%s", colour(BOLD));
    vprintf(fmt, ap);
    printf("%s\n", colour(RESET));
    fflush(stdout);
    pthread_mutex_unlock(&narrator.lock);
    va_end(ap);
}

void narrator_note(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    pthread_mutex_lock(&narrator.lock);
    printf("%s", colour(DIM));
    vprintf(fmt, ap);
    printf("%s\n", colour(RESET));
    fflush(stdout);
    pthread_mutex_unlock(&narrator.lock);
    va_end(ap);
}

static void say(enum tone tone, const char *who, const char *fmt, va_list ap) MG_PRINTF(3, 0);

static void say(enum tone tone, const char *who, const char *fmt, va_list ap)
{
    double s = (double)narrator_elapsed_us() / CLOCK_S;

    pthread_mutex_lock(&narrator.lock);
    printf("%s%6.2f s%s  %s%-9s%s  ", colour(DIM), s, colour(RESET), colour(tones[tone]), who, colour(RESET));
    vprintf(fmt, ap);
    putchar('\n');
    fflush(stdout);
    pthread_mutex_unlock(&narrator.lock);
}

void narrator_say(enum tone tone, const char *who, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    say(tone, who, fmt, ap);
    va_end(ap);
}

void narrator_check(bool so, const char *fmt, ...)
{
    va_list ap;

    if (!so) {
        pthread_mutex_lock(&narrator.lock);
        narrator.broken++;
        pthread_mutex_unlock(&narrator.lock);
    }
    va_start(ap, fmt);
    say(so ? TONE_GOOD : TONE_BAD, so ? "checked" : "NOT SO", fmt, ap);
    va_end(ap);
}

int narrator_broken(void)
{
    int n;

    pthread_mutex_lock(&narrator.lock);
    n = narrator.broken;
    pthread_mutex_unlock(&narrator.lock);
    return n;
}

struct number thousands(int64_t v)
{
    struct number out;
    char digits[24];
    int n = snprintf(digits, sizeof digits, "%" PRIu64, v < 0 ? -(uint64_t)v : (uint64_t)v), k = 0;

    if (v < 0)
        out.text[k++] = '-';
    for (int i = 0; i < n; i++) {
        if (i > 0 && (n - i) % 3 == 0)
            out.text[k++] = ',';
        out.text[k++] = digits[i];
    }
    out.text[k] = '\0';
    return out;
}
