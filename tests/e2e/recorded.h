/*
 * recorded: documents as the daemon gives them, for the tests of what is made of them.
 */
#ifndef E2E_RECORDED_H
#define E2E_RECORDED_H

extern const char recorded_usage[];   /* /-/usage */
extern const char recorded_calls[];   /* /-/calls */
extern const char recorded_story[];   /* /-/calls/ID: sent twice, completed */
extern const char recorded_refused[]; /* ... one that would have waited too long */
extern const char recorded_held[];    /* ... one that waits now */
extern const char recorded_compare[]; /* /-/compare */
extern const char recorded_prices[];  /* /-/prices */

#endif
