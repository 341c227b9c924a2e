/*
 * doctor_files: the daemon's files, as far as we may see them: it may run as another user, and then they are
 * hidden from us, which is no fault.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "metergate/tool/doc.h"
#include "metergate/tool/doctor.h"
#include "metergate/tool/output.h"

#define FREE_LEAST_MIB  100
#define TEST_TIMEOUT_MS 10000
#define TEST_OUTPUT_MAX ((size_t)64 << 10)

/* ---- the state directory ---- */

static void say_space(struct doctor *d, const char *dir)
{
    struct statvfs v;
    uint64_t mib;

    if (statvfs(dir, &v) < 0) {
        findings_add(&d->findings, "state", FINDING_OK, "kept in %s", dir);
        return;
    }
    mib = (uint64_t)v.f_bavail * v.f_frsize >> 20;
    if (v.f_flag & ST_RDONLY) {
        findings_add(&d->findings, "state", FINDING_FAIL, "kept in %s, which is mounted read-only", dir);
        findings_advise(&d->findings, "Mount it for writing, or set `state_dir` to another place.");
    } else if (mib < FREE_LEAST_MIB) {
        findings_add(&d->findings, "state", FINDING_WARN, "kept in %s, where %" PRIu64 " MiB are free", dir,
                     mib);
        findings_advise(
            &d->findings,
            "Make room, or lower `retention`. Calls go on when it is full, their records do not.");
    } else {
        findings_add(&d->findings, "state", FINDING_OK, "kept in %s (%" PRIu64 " MiB free)", dir, mib);
    }
}

static void say_ledger(struct doctor *d)
{
    char *problem = doc_plain(d->status, "ledger.problem");

    if (doc_get(d->status, "ledger.ok").n && !doc_truth(d->status, "ledger.ok")) {
        findings_add(&d->findings, "ledger", FINDING_FAIL,
                     "not written: %s (%" PRId64 " rows wait, %" PRId64 " are lost)", problem,
                     doc_int(d->status, "ledger.waiting"), doc_int(d->status, "ledger.lost"));
        findings_advise(&d->findings, "Calls go on. Mend that, and what waits is written.");
    } else if (doc_int(d->status, "ledger.lost") > 0) {
        findings_add(&d->findings, "ledger", FINDING_WARN, "%" PRId64 " rows were lost since the start",
                     doc_int(d->status, "ledger.lost"));
        findings_advise(&d->findings,
                        "The log says when and why; sums of `metergate usage` are too low by them.");
    } else if (doc_get(d->status, "ledger").n) {
        findings_add(&d->findings, "ledger", FINDING_OK, "%" PRId64 " rows written since the start",
                     doc_int(d->status, "ledger.written"));
    }
    free(problem);
}

void doctor_state(struct doctor *d)
{
    char *dir = doc_plain(d->status, "process.state_dir");

    if (*dir) {
        say_space(d, dir);
    } else if (!doc_get(d->status, "ledger").n) {
        findings_add(&d->findings, "state", FINDING_WARN,
                     "nothing is kept: each start begins with empty windows and limits of money");
        findings_advise(
            &d->findings,
            "`state_dir` is `none`, or the directory cannot be written: the daemon's log says which.");
    }
    say_ledger(d);
    free(dir);
}

/* ---- the configuration: by the daemon that was installed beside us ---- */

static bool daemon_beside_us(struct buf *path)
{
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self);

    while (n > 0 && self[n - 1] != '/')
        n--;
    buf_add(path, self, n > 0 ? (size_t)n : 0);
    buf_add_str(path, "metergated");
    return n > 0 && access(path->p, X_OK) == 0;
}

static struct slice first_line(struct slice s)
{
    return slice_head(s, slice_find(s, '\n'));
}

/* `metergated --test`, with that file or with the one that it finds by itself. -ENOEXEC: it did not say. */
static int test(const char *program, const char *file, struct buf *said)
{
    const char *argv[] = {program, "--test", file ? "--config" : NULL, file, NULL};
    int rc = output_of(argv, TEST_TIMEOUT_MS, said);

    return rc == 0 || rc == 78 ? rc : -ENOEXEC;
}

static bool has(struct slice line, const char *text)
{
    return line.n && memmem(line.p, line.n, text, strlen(text)) != NULL;
}

/* The first line that is about the file. Keys are handed to the daemon, not to us, and its files may be
 * hidden from us. */
static struct slice first_problem(struct slice said)
{
    while (said.n) {
        struct slice line = first_line(said);

        if (line.n && !has(line, "environment variable") && !has(line, "$CREDENTIALS_DIRECTORY") &&
            !has(line, strerror(EACCES)))
            return line;
        said = slice_skip(said, line.n + 1);
    }
    return SLICE("");
}

static void judge_file(struct doctor *d, const char *file, int rc, struct slice said)
{
    struct slice line = first_problem(said);

    if (rc == 0) {
        findings_add(&d->findings, "config", FINDING_OK, "%s is right", file);
    } else if (rc > 0 && line.n) {
        findings_add(&d->findings, "config", FINDING_FAIL, "%.*s", (int)line.n, line.p);
        findings_advise(&d->findings,
                        "The next start or reload fails. `metergated --test` shows all that is wrong.");
    } else {
        findings_add(&d->findings, "config", FINDING_OK,
                     "%s; its keys and files cannot be looked at from here", file);
    }
}

/* What `metergated` would read if it were started from here: "PATH: OK", or "PATH:LINE:COLUMN: ...". */
static struct slice file_of(struct slice said)
{
    struct slice line = first_line(said);
    size_t end = 0;

    while (end < line.n && line.p[end] != ':')
        end++;
    return line.n && line.p[0] == '/' ? slice_head(line, end) : SLICE("");
}

/* By whatever name: links are common there. */
static bool is_one_file(struct slice ours, const char *theirs)
{
    struct stat a, b;
    char *name;
    bool one;

    if (slice_eq(ours, slice_str(theirs)))
        return true;
    name = xstrndup(ours.p, ours.n);
    one = stat(name, &a) == 0 && stat(theirs, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
    free(name);
    return one;
}

/* A file of one's own that the daemon does not read explains much. */
static void compare_with_ours(struct doctor *d, struct slice ours, const char *theirs)
{
    if (!ours.n || is_one_file(ours, theirs))
        return;
    findings_add(&d->findings, "config", FINDING_WARN,
                 "the daemon reads %s, and not %.*s, which is there as well", *theirs ? theirs : "no file",
                 (int)ours.n, ours.p);
    findings_advise(&d->findings, "Start it with `--config %.*s` if that is the one that you mean.",
                    (int)ours.n, ours.p);
}

/* The daemon's file; one that would be read is as good where no daemon says. */
static void test_file(struct doctor *d, const char *program, const char *theirs)
{
    bool told = doc_get(d->status, "process").n > 0;
    struct buf found, said;
    int rc;

    buf_init(&found, TEST_OUTPUT_MAX);
    buf_init(&said, TEST_OUTPUT_MAX);
    rc = test(program, NULL, &found);
    if (told && rc >= 0)
        compare_with_ours(d, file_of(buf_slice(&found)), theirs);
    if (*theirs) {
        rc = access(theirs, R_OK) == 0 ? test(program, theirs, &said) : -EACCES;
        judge_file(d, theirs, rc, buf_slice(&said));
    } else if (!told && rc > 0) {
        judge_file(d, "the file that a daemon would read here", rc, buf_slice(&found));
    }
    buf_release(&found);
    buf_release(&said);
}

void doctor_config(struct doctor *d)
{
    char *theirs = doc_plain(d->status, "process.config");
    struct buf program;

    buf_init(&program, BUF_UNLIMITED);
    if (doc_get(d->status, "process").n && !*theirs)
        findings_add(&d->findings, "config", FINDING_OK,
                     "the daemon runs with what is built in, and no file");
    if (daemon_beside_us(&program))
        test_file(d, program.p, theirs);
    else if (*theirs)
        findings_add(&d->findings, "config", FINDING_OK, "the daemon reads %s", theirs);
    buf_release(&program);
    free(theirs);
}
