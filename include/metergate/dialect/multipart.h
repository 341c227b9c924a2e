/*
 * multipart: the model of a form that carries a file (images/edits, audio/transcriptions), as RFC 7578 writes
 * it. Nothing else is read of it.
 */
#ifndef METERGATE_DIALECT_MULTIPART_H
#define METERGATE_DIALECT_MULTIPART_H

#include <stdbool.h>

#include "metergate/base/slice.h"
#include "metergate/dialect/dialect.h"

bool multipart_is(struct slice content_type);

/* The text of the part named "model"; *ret is empty when there is no boundary or no such part. Linear in the
 * body. */
void multipart_read_model(struct slice content_type, struct slice body, char ret[DIALECT_MODEL_MAX]);

#endif
