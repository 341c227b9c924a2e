/*
 * azure: OpenAI's dialect as Azure serves it: the deployment in the path is the model
 * (/openai/deployments/NAME/...) unless the newer surface is used (/openai/v1/..., the model in the body),
 * and the key is in `api-key`.
 */
#ifndef METERGATE_DIALECT_AZURE_H
#define METERGATE_DIALECT_AZURE_H

#include "metergate/dialect/dialect.h"

extern const struct dialect dialect_azure;

#endif
