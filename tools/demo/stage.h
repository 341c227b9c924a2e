/*
 * stage: the provider's stand-in and the daemon in front of it, on ports of their own, with a configuration
 * in a temporary directory. They end with the demo, however it ends.
 */
#ifndef DEMO_STAGE_H
#define DEMO_STAGE_H

#include "metergate/base/err.h"

struct stage;

/*
 * Starts both and waits until they listen. From here on SIGINT, SIGTERM and SIGHUP, and `limit_s` seconds,
 * end the demo: programs killed, directory removed. To be called before any thread is started. NULL with a
 * sentence.
 */
struct stage *stage_new(const char *simulator_settings, const char *daemon_models, unsigned limit_s,
                        struct errbuf *e);

/* "http://127.0.0.1:PORT" */
const char *stage_provider_url(const struct stage *s);
const char *stage_daemon_url(const struct stage *s);

/* Runs `metergate` with these words (NULL at the end) against the daemon; its output is ours. */
void stage_show(const struct stage *s, const char *const *words);

/* Asks both to end. The daemon's exit status, or -1 when it had to be killed. */
int stage_end(struct stage *s);

/* What the daemon has logged so far, to stderr. */
void stage_show_log(struct stage *s);

/* NULL is fine. */
void stage_free(struct stage *s);

#endif
