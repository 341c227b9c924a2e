/*
 * openai_parts: the functions that src/dialect/openai_*.c put into the table dialect_openai; their manual is
 * dialect.h. For these files, their tests and the dialects that are OpenAI's in part.
 */
#ifndef METERGATE_DIALECT_OPENAI_PARTS_H
#define METERGATE_DIALECT_OPENAI_PARTS_H

#include "metergate/dialect/dialect.h"
#include "metergate/dialect/tap.h"

struct usage; /* gate/profile.h */

enum endpoint openai_classify(struct slice method, struct slice path);
int openai_read(const struct dialect_input *in, struct dialect_request *ret, const char **ret_why);

/* The same, but a body without a model (*ret->model is empty) is read: the path may name it. */
int openai_read_unnamed(const struct dialect_input *in, struct dialect_request *ret, const char **ret_why);

int openai_count(struct slice body, const struct dialect_request *r, struct request_count *ret);
bool openai_splice(struct slice body, const struct dialect_request *r, struct splice *ret);

void openai_event(struct answer *a, const struct sse_event *e, bool hide_usage, struct sse_fate *ret);
void openai_value(struct answer *a, const struct tap_value *v);
#define OPENAI_PATHS 16
extern const struct tap_path openai_paths[OPENAI_PATHS];

/* Reads a usage object. False when it is none (null, another type, no token figures in it). */
bool openai_read_usage(struct slice object, struct usage *ret);

void openai_refuse(const struct refusal *r, struct buf *out);

/* The code of an error object (`{"code":...,"type":...}`), else its type; empty when it has neither.
 * Borrowed. */
struct slice openai_error_code(struct slice object);

#endif
