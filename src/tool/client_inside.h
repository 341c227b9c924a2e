/*
 * client_inside: one call to the daemon as libcurl carries it out, for those who speak HTTP: client (a call
 * is waited for) and line (it is waited for beside other things). No other file of the tool includes curl's
 * headers.
 */
#ifndef TOOL_CLIENT_INSIDE_H
#define TOOL_CLIENT_INSIDE_H

#include <curl/curl.h>

#include "metergate/tool/client.h"

struct transfer {
    CURL *handle;                /* owned by whoever made the transfer */
    struct curl_slist *headers;  /* owned from prepare to finish */
    struct client_answer answer; /* what came so far; likewise */
    char detail[CURL_ERROR_SIZE];
};

/* Makes the handle ready to be performed, by curl_easy_perform or in a multi handle. `t` must not move until
 * finish. */
void transfer_prepare(struct transfer *t, const struct client *c, const struct client_request *r);

/* Once after each prepare, with what curl said of it: as client_call. */
int transfer_finish(struct transfer *t, const struct client *c, CURLcode rc, struct client_answer *ret,
                    struct errbuf *e) MG_MUSTCHECK;

#endif
