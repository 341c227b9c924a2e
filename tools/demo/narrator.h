/*
 * narrator: what the demo prints: one line an event, with the seconds since the beginning, in colour on a
 * terminal (unless NO_COLOR is set); and whether the story went as it should. Any thread may speak.
 */
#ifndef DEMO_NARRATOR_H
#define DEMO_NARRATOR_H

#include <stdbool.h>
#include <stdint.h>

#include "metergate/base/err.h"

enum tone { TONE_PLAIN, TONE_GOOD, TONE_WAIT, TONE_BAD };

void narrator_begin(void);

/* Text without a time: a heading, and what explains it. */
void narrator_heading(const char *fmt, ...) MG_PRINTF(1, 2);
void narrator_note(const char *fmt, ...) MG_PRINTF(1, 2);

/* "   1.23 s  WHO  TEXT" */
void narrator_say(enum tone tone, const char *who, const char *fmt, ...) MG_PRINTF(3, 4);

/* Something that must be true for the story to hold. Says `fmt` as a good line, or as a bad one. */
void narrator_check(bool so, const char *fmt, ...) MG_PRINTF(2, 3);

/* How many checks were not so. */
int narrator_broken(void);

/* Microseconds since narrator_begin. */
int64_t narrator_elapsed_us(void);

/* 1234567 as "1,234,567". */
struct number {
    char text[32];
};
struct number thousands(int64_t v);

#endif
