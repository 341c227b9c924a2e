/*
 * error_body: the body of a provider's error, read once for all who ask it something (judge: whether to try
 * again; report: which limit it is about). Their shapes do not contradict each other, so one reader serves
 * all:
 *
 *   OpenAI     {"error":{"message","type","param","code"}}, Azure with a number in a string as the code
 *   Anthropic  {"type":"error","error":{"type","message","details":{"error_code"}},"request_id"}
 *   Google     {"error":{"code":429,"message","status","details":[{"@type","retryDelay"},
 *                  {"violations":[{"quotaMetric","quotaId","quotaDimensions":{"model"},"quotaValue"}]},
 *                  {"metadata":{"quota_metric","quota_limit","quota_limit_value"}}]}}
 *   imitators  {"detail":"..."}, {"error":"..."}, plain text
 */
#ifndef METERGATE_DIALECT_ERROR_BODY_H
#define METERGATE_DIALECT_ERROR_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metergate/base/buf.h"
#include "metergate/base/slice.h"

#define ERROR_QUOTAS_MAX ((size_t)8)

/* A quota of Google's that the request was over. */
struct error_quota {
    struct slice id;     /* GenerateRequestsPerDayPerProjectPerModel-FreeTier */
    struct slice metric; /* generativelanguage.googleapis.com/generate_content_free_tier_requests */
    struct slice model;  /* the model that it counts for; empty: not said */
    int64_t value;       /* > 0; 0: not said */
};

/* What an error says; slices of the body, escapes and all, but the message, which is decoded. */
struct error_facts {
    struct slice type, code;
    struct slice retry_delay;                    /* Google's RetryInfo: "26s" */
    struct error_quota quotas[ERROR_QUOTAS_MAX]; /* the first ones */
    size_t quota_n;
    bool daily;         /* one of the quotas is one of days */
    struct buf message; /* owned, bounded */
};

/*
 * Reads a body that may be cut anywhere: what was read before the cut counts. One that says nothing is an
 * error without facts. The slices live as long as the body; the message until error_body_release.
 */
void error_body_read(struct slice body, struct error_facts *ret);
void error_body_release(struct error_facts *f);

/* Whether the model, or the base model, is among what the quota counts for. */
bool error_quota_is_of_a_model(const struct error_quota *q);

#endif
