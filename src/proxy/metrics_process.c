/* metrics_process: what every exporter tells of its process, by the same names, so that dashboards made for any show ours. */
#include "metergate/base/self.h"
#include "metergate/proxy/metric_text.h"
#include "metergate/proxy/metrics.h"

static void write_known(struct buf *out, const struct metric_family *m, int64_t value)
{
    metric_single(out, m, value < 0 ? METRIC_ABSENT : value);
}

void metrics_process(int64_t started_wall_us, struct buf *out)
{
    struct self_figures f;

    self_read(&f);
    write_known(out, &(struct metric_family){"process_cpu_seconds_total", "counter",
                                             "User and system time, all threads.", METRIC_MICRO},
                f.cpu_us);
    write_known(out, &(struct metric_family){"process_resident_memory_bytes", "gauge",
                                             "Memory that is in RAM.", METRIC_ONE},
                f.resident_bytes);
    write_known(out, &(struct metric_family){"process_virtual_memory_bytes", "gauge",
                                             "Addresses in use.", METRIC_ONE}, f.virtual_bytes);
    write_known(out, &(struct metric_family){"process_start_time_seconds", "gauge",
                                             "When the process started, since 1970.", METRIC_MICRO},
                started_wall_us);
    write_known(out, &(struct metric_family){"process_threads", "gauge", "Threads.", METRIC_ONE}, f.threads);
    write_known(out, &(struct metric_family){"process_open_fds", "gauge",
                                             "Open descriptors.", METRIC_ONE}, f.descriptors);
    write_known(out, &(struct metric_family){"process_max_fds", "gauge",
                                             "How many descriptors may be open.", METRIC_ONE},
                f.descriptors_max);
}
