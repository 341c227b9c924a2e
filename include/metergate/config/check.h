/*
 * check: is this text a good URL, address, path, glob, name? Pure, but for check_user. The sentences of
 * credentials, paths to them and URLs quote nothing of the text, because an operator may have put a key
 * there.
 */
#ifndef METERGATE_CONFIG_CHECK_H
#define METERGATE_CONFIG_CHECK_H

#include <sys/types.h>

#include "metergate/base/buf.h"
#include "metergate/base/err.h"
#include "metergate/base/slice.h"

/* Each: 0, or -EINVAL with a sentence about the text. */

/* At most 4,096 bytes without control characters. */
int check_text(struct slice text, struct errbuf *e) MG_MUSTCHECK;

/* The name of an environment variable. */
int check_env(struct slice text, struct errbuf *e) MG_MUSTCHECK;

/* The name of a systemd credential. */
int check_credential(struct slice text, struct errbuf *e) MG_MUSTCHECK;

/* Begins with / or ~/. */
int check_path(struct slice text, struct errbuf *e) MG_MUSTCHECK;

/* SCHEME://HOST[:PORT][/PATH] with one of the schemes "http|https"; no user, query or fragment. */
int check_url(struct slice text, const char *schemes, struct errbuf *e) MG_MUSTCHECK;

/* HOST[:PORT], as in a Host header. */
int check_host(struct slice text, struct errbuf *e) MG_MUSTCHECK;

/* SCHEME://HOST[:PORT] of a web page; the scheme may be any, such as a browser extension's. */
int check_origin(struct slice text, struct errbuf *e) MG_MUSTCHECK;

/* A shell glob of at most 256 bytes. */
int check_glob(struct slice text, struct errbuf *e) MG_MUSTCHECK;

/* An address in numbers with its port, or unix:/PATH. */
int check_listen(struct slice text, struct errbuf *e) MG_MUSTCHECK;

/* Whether other machines could reach that (good) address, which only tokens may allow: the sentence says so.
 */
int check_reach(struct slice listen, struct errbuf *e) MG_MUSTCHECK;

/* The name of a user in /etc/passwd, or any user's number. */
int check_user(struct slice text, uid_t *ret, struct errbuf *e) MG_MUSTCHECK;

/* The name of a client: 1 to 64 letters, digits, '.', '_' or '-'. */
int check_client_name(struct slice text, struct errbuf *e) MG_MUSTCHECK;

/* The place of the word in "a|b|c", or -1. */
int check_word(const char *words, struct slice word);

/* Appends "a, b or c". */
void check_list_words(const char *words, struct buf *out);

/* Operator-given text for a sentence: what is not printable replaced, cut at 60 bytes. */
struct check_shown {
    char text[72];
};
struct check_shown check_show(struct slice text);
#define SHOW(slice) check_show(slice).text

#endif
