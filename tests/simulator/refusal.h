/*
 * refusal: the errors of a provider, in OpenAI's words (as people quoted them), with the headers that go
 * with them.
 */
#ifndef SIMULATOR_REFUSAL_H
#define SIMULATOR_REFUSAL_H

struct exchange;

/* The limits said no: "Rate limit reached ...", "Request too large ...". */
void refusal_by_limit(struct exchange *x);

/* The plan says so: plan.status with its headers. */
void refusal_by_plan(struct exchange *x);

#endif
