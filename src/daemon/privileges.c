/*
 * privileges: after privileges_drop every id of the process is the planned user's and no capability is left, or we have said why not and
 * end. Capabilities are set by the bare system call: libcap would be a library for one call.
 */
#include "metergate/daemon/privileges.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "metergate/base/log.h"
#include "metergate/base/secret.h"
#include "metergate/config/check.h"

#define DEFAULT_USER "metergate"

/* ---- what others may do to us ---- */

static int result(int rc)
{
    return rc < 0 ? errno : 0;
}

/* Leak checking by a sanitizer traces its own process. */
static int forbid_tracing(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return 0;
#else
    return result(prctl(PR_SET_DUMPABLE, 0));
#endif
}

void privileges_begin(struct privileges_wanting *ret)
{
    const struct rlimit none = {0, 0};

    umask(077);
    ret->core = result(setrlimit(RLIMIT_CORE, &none));
    ret->dump = forbid_tracing();
    ret->gain = result(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    ret->lock = -secret_protect();
}

void privileges_say(const struct privileges_wanting *w)
{
    if (w->core)
        log_warn("cannot forbid core dumps: %s", strerror(w->core));
    if (w->dump)
        log_warn("cannot make this process undumpable: %s", strerror(w->dump));
    if (w->gain)
        log_warn("cannot forbid new privileges: %s", strerror(w->gain));
    if (w->lock)
        log_warn("cannot lock the memory of keys, so that they could be swapped out: %s (LimitMEMLOCK= of the service, ulimit -l)",
                 strerror(w->lock));
}

void privileges_say_room(void)
{
    if (secret_unprotected() > 0)
        log_warn("%zu keys lie in ordinary memory: the locked one is full", secret_unprotected());
}

/* ---- who we are ---- */

static int plan_user(struct privileges *p, struct slice user, struct errbuf *e)
{
    uid_t uid;
    int rc = check_user(user, &uid, e);

    if (rc < 0)
        return rc;
    p->named = user_name(uid, p->name) == 0;
    if (!p->named)
        snprintf(p->name, sizeof p->name, "%u", (unsigned)uid);
    p->who.uid = uid;
    if (user_gid(uid, &p->who.gid) < 0)
        p->who.gid = (gid_t)uid; /* a number that nobody has: the group of that number, as containers do */
    p->leaves_root = uid != 0;
    return 0;
}

int privileges_plan(const struct config *config, struct privileges *ret, struct errbuf *e)
{
    uid_t uid;
    int rc = 0;

    *ret = (struct privileges){.asked = config->user[0] != '\0'};
    if (geteuid() != 0)
        return 0;
    if (ret->asked)
        rc = plan_user(ret, slice_str(config->user), e);
    else if (user_uid(SLICE(DEFAULT_USER), &uid) == 0)
        rc = plan_user(ret, SLICE(DEFAULT_USER), e);
    ret->stays_root = !ret->leaves_root;
    return rc;
}

static int set_capabilities(uint64_t keep)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{0}};

    if (syscall(SYS_capget, &header, data) < 0)
        return -errno;
    for (size_t i = 0; i < 2; i++) {
        data[i].permitted &= (uint32_t)(keep >> 32 * i);
        data[i].effective = data[i].permitted;
        data[i].inheritable = 0;
    }
    return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

static int become(const struct privileges *p)
{
    int rc = p->named ? initgroups(p->name, p->who.gid) : setgroups(0, NULL);

    if (rc < 0 || setresgid(p->who.gid, p->who.gid, p->who.gid) < 0 || setresuid(p->who.uid, p->who.uid, p->who.uid) < 0)
        return -errno;
    return set_capabilities(0);
}

/* Where the ids say one thing and the kernel does another, nothing here holds. */
static bool is_gone_for_good(const struct privileges *p)
{
    uid_t real, effective, saved;
    gid_t group, effective_group, saved_group;

    if (setresuid(0, 0, 0) == 0 || (p->who.gid != 0 && setresgid(0, 0, 0) == 0))
        return false;
    return getresuid(&real, &effective, &saved) == 0 && real == p->who.uid && effective == real && saved == real &&
           getresgid(&group, &effective_group, &saved_group) == 0 && group == p->who.gid && effective_group == group &&
           saved_group == group;
}

int privileges_drop(const struct privileges *p, struct errbuf *e)
{
    const uint64_t kept = UINT64_C(1) << CAP_DAC_OVERRIDE | UINT64_C(1) << CAP_DAC_READ_SEARCH | UINT64_C(1) << CAP_SYS_PTRACE;
    int rc = 0;

    if (p->leaves_root)
        rc = become(p);
    else if (p->stays_root)
        rc = set_capabilities(kept);
    if (rc == 0 && p->leaves_root && !is_gone_for_good(p))
        rc = -EPERM;
    if (rc == 0 && p->leaves_root)
        rc = -forbid_tracing(); /* a change of the user allows it again */
    if (rc < 0 && p->leaves_root)
        err_set(e, "cannot become user %s: %s", p->name, strerror(-rc));
    else if (rc < 0)
        err_set(e, "cannot give up capabilities: %s", strerror(-rc));
    return rc;
}

void privileges_say_who(const struct privileges *p, const struct config *config)
{
    uid_t uid;

    if (p->leaves_root)
        log_info("running as user %s", p->name);
    else if (p->stays_root && !p->asked)
        log_warn("running as root: add a user for it, and `user: NAME` to the configuration (`user: root` if it has to be root)");
    else if (p->asked && !p->stays_root && user_uid(slice_str(config->user), &uid) == 0 && uid != geteuid())
        log_warn("user: %s is for a daemon that root starts; this one stays user %u", config->user, (unsigned)geteuid());
}
