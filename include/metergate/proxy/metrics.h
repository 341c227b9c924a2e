/*
 * metrics: the parts of GET /metrics, by what they are about. Each writes whole families, so no two write one of the same
 * name; each reads what /-/status reads, at the same moment. docs/monitoring/metrics.md has every family.
 */
#ifndef METERGATE_PROXY_METRICS_H
#define METERGATE_PROXY_METRICS_H

#include <stdint.h>

#include "metergate/base/buf.h"

struct proxy;

/* The daemon, all calls together, the ledger, the clients' connections (metrics.c): the body of GET /metrics is all. */
void metrics_write(const struct proxy *p, struct buf *out);

/* Budgets: queues, waits, limits, tokens and cost (metrics_budget.c); limits of money, of clients as well (metrics_money.c). */
void metrics_budgets(const struct proxy *p, struct buf *out);
void metrics_money(const struct proxy *p, struct buf *out);

/* Clients, and how estimates of models were (metrics_client.c). */
void metrics_clients(const struct proxy *p, struct buf *out);
void metrics_estimates(const struct proxy *p, struct buf *out);

/* Upstreams (metrics_upstream.c). */
void metrics_upstreams(const struct proxy *p, struct buf *out);

/* The process, by the names that every exporter uses (metrics_process.c). */
void metrics_process(int64_t started_wall_us, struct buf *out);

struct model_budget;

/* The labels of a budget, added to `out`. Two budgets of one name are there after a reload, until the last calls of the old
 * one have ended. */
void metrics_budget_labels(const struct model_budget *b, struct buf *out);

/* A counter that may be corrected downwards: Prometheus takes a fall for a restart and counts everything again, so the
 * most that was ever told is told until the counter has caught up. */
int64_t metrics_risen(int64_t *shown, int64_t now);

#endif
