/* reload: *r->config is the configuration that the proxy runs, and is replaced only when the proxy has taken
 * the new one. */
#include "metergate/daemon/reload.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>

#include "metergate/base/log.h"
#include "metergate/daemon/privileges.h"

static int override(const struct options *o, struct config *c, struct errbuf *e)
{
    int rc = o->listen ? config_override(c, "listen", o->listen, e) : 0;

    return rc == 0 && o->log_level ? config_override(c, "log.level", o->log_level, e) : rc;
}

int reload_read(const struct options *o, struct config **ret, struct buf *said)
{
    char *path = config_find(o->config);
    struct config *c = NULL;
    struct problems problems;
    struct errbuf e;
    int rc;

    problems_init(&problems);
    rc = config_load(path, &c, &problems);
    problems_print_all(&problems, said);
    problems_release(&problems);
    free(path);
    if (rc < 0)
        return EX_CONFIG;
    if (override(o, c, &e) < 0) {
        buf_addf(said, "metergated: %s\n", e.text);
        config_free(c);
        return EX_USAGE;
    }
    *ret = c;
    return EX_OK;
}

/* What the new configuration asks for and will not get yet. */
static void name_restarts(const struct config *running, const struct config *next, struct buf *said)
{
    struct buf names;

    buf_init(&names, BUF_UNLIMITED);
    config_name_restarts(running, next, &names);
    if (names.n)
        buf_addf(said, "%s: takes effect after a restart\n", names.p);
    buf_release(&names);
}

static void log_lines(enum log_level level, struct slice lines)
{
    while (lines.n) {
        struct slice line = slice_head(lines, slice_find(lines, '\n'));

        log_write(level, "reload: %.*s", (int)line.n, line.p);
        lines = slice_skip(lines, line.n + 1);
    }
}

/* A pipe was read to its end at the start, and would keep the loop waiting for a writer now. */
static bool can_be_read_again(const struct options *o, struct buf *said)
{
    char *path = config_find(o->config);
    struct stat st;
    bool ok = !path || stat(path, &st) < 0 || S_ISREG(st.st_mode);

    if (!ok)
        buf_addf(said, "%s: is no regular file, and cannot be read again\n", path);
    free(path);
    return ok;
}

static int try_again(const struct reload *r, struct config **ret, struct buf *said)
{
    struct config *next = NULL;
    struct errbuf e;
    int rc;

    if (!can_be_read_again(r->options, said) || reload_read(r->options, &next, said) != EX_OK)
        return -EINVAL;
    rc = listeners_check(r->listeners, next, &e);
    if (rc == 0)
        rc = proxy_reload(r->proxy, next, &e);
    if (rc < 0) {
        buf_addf(said, "%s\n", e.text);
        config_free(next);
        return rc == -ESHUTDOWN ? rc : -EINVAL;
    }
    name_restarts(*r->config, next, said);
    *ret = next;
    return 0;
}

int reload_again(void *ctx, struct buf *said)
{
    const struct reload *r = ctx;
    struct config *next = NULL;
    size_t before = said->n;
    int rc = try_again(r, &next, said);

    log_lines(rc < 0 ? LOG_LEVEL_ERROR : LOG_LEVEL_WARN, slice_skip(buf_slice(said), before));
    if (rc < 0) {
        log_error("reload: keeping the running configuration");
        proxy_reload_refused(r->proxy);
        return rc;
    }
    config_free(*r->config);
    *r->config = next;
    log_setup(next->log.level, next->log.format);
    listeners_warn(r->listeners, next);
    privileges_say_room();
    log_info("reload: done");
    return 0;
}
