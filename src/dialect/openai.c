/* openai: the row. */
#include "metergate/dialect/openai.h"

#include "metergate/dialect/openai_parts.h"

const struct dialect dialect_openai = {
    .name = "openai",
    .classify = openai_classify,
    .read = openai_read,
    .count = openai_count,
    .splice = openai_splice,
    .event = openai_event,
    .paths = openai_paths,
    .paths_n = OPENAI_PATHS,
    .value = openai_value,
    .refuse = openai_refuse,
    .key_header = "Authorization",
    .key_prefix = "Bearer ",
};
