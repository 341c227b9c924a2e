/*
 * doctor_fixture: runs `metergate doctor --json` and looks for a finding. That what is wrong comes with
 * advice is checked of each document that is looked at.
 */
#ifndef E2E_DOCTOR_FIXTURE_H
#define E2E_DOCTOR_FIXTURE_H

#include "fixture.h"
#include "tool_fixture.h"

/* All dialects that are built in, so that nothing outside this machine is asked. */
#define ALL_UPSTREAMS                                                                                        \
    "upstreams:\n"                                                                                           \
    "  openai: {base_url: $SIMULATOR/v1}\n"                                                                  \
    "  anthropic: {base_url: $SIMULATOR}\n"                                                                  \
    "  gemini: {base_url: $SIMULATOR}\n"

/* A cmocka setup: no base URL, key or proxy in the environment. */
int doctor_environment(void **state);

/* How many findings of that result and check have the part in what was found. */
int doctor_count(const struct outcome *o, const char *result, const char *check, const char *part);

/* Fails the test, and shows all of them, where there is none. */
void doctor_has(const struct outcome *o, const char *result, const char *check, const char *part);

/* One run (offline), one finding, and the exit status that goes with it. */
void doctor_says(const char *url, int status, const char *result, const char *check, const char *part);

/* The same of a daemon whose /-/status is this. */
void doctor_says_of(const char *json, int status, const char *result, const char *check, const char *part);

#endif
