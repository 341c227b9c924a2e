/*
 * load: clients that call as fast as they are answered, over a fixed number of connections, in this thread, until every
 * request has been made once. An answer that is not 200 is an error.
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <stdint.h>
#include <sys/types.h>

#include "text.h"

struct load_result {
    double cpu_us;   /* of the process that was asked about, for each call */
    double p50_us, p99_us;
    double calls_per_s;
    int errors;
};

/* Makes all calls of `rs` to that port, over `connections`; `pid` is the process whose cost is of interest. */
struct load_result load_run(int port, int connections, const struct requests *rs, pid_t pid);

#endif
