/* fault: `any` is the first, and the others follow in the order of the table in tests/README.md. */
#include "fault.h"

#include "metergate/base/err.h"

const struct fault *const *faults(size_t *ret_n)
{
    static const struct fault *const all[] = {&fault_any,   &fault_disk,    &fault_files,  &fault_clock,       &fault_names,
                                              &fault_calls, &fault_signals, &fault_config, &fault_descriptors, &fault_kills};

    *ret_n = MG_ARRAY_LEN(all);
    return all;
}
