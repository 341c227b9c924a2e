/*
 * path_model: the name of a model that stands in the path: Gemini's /v1beta/models/MODEL:METHOD, Azure's
 * /openai/deployments/MODEL/... Paths as they came, for their letters' case matters.
 */
#ifndef METERGATE_DIALECT_PATH_MODEL_H
#define METERGATE_DIALECT_PATH_MODEL_H

#include <stdbool.h>

#include "metergate/base/err.h"
#include "metergate/base/slice.h"
#include "metergate/dialect/dialect.h"

/* -EBADMSG: there is none, or none that can be a name; *ret is empty. Escapes are decoded. */
int path_model_gemini(struct slice path, char ret[DIALECT_MODEL_MAX]) MG_MUSTCHECK;
int path_model_azure(struct slice path, char ret[DIALECT_MODEL_MAX]) MG_MUSTCHECK;

/* Whether what follows the last colon is `method` (in lower case). */
bool path_model_method_is(struct slice path, const char *method);

#endif
