/* openai_error: our refusals in OpenAI's shape. Anthropic's and Google's are in refusal_shapes.c. */
#include "metergate/dialect/openai_parts.h"

#include <string.h>

#include "metergate/base/json.h"
#include "metergate/dialect/refusal.h"

/*
 * The type and code that a program may look at. Where OpenAI has a code for the matter it is that one,
 * because programs know it (LangChain never repeats an `insufficient_quota`); who refused is in the header
 * Metergate-Refused.
 */
static const struct {
    const char *type, *code;
} kinds[REFUSAL_REASONS] = {
    [REFUSAL_BAD_REQUEST] = {"invalid_request_error", "bad_request"},
    [REFUSAL_TOKEN] = {"invalid_request_error", "invalid_api_key"},
    [REFUSAL_ORIGIN] = {"invalid_request_error", "origin_not_allowed"},
    [REFUSAL_USER] = {"invalid_request_error", "user_not_allowed"},
    [REFUSAL_NO_ROUTE] = {"invalid_request_error", "no_route"},
    [REFUSAL_NOT_A_TUNNEL] = {"invalid_request_error", "not_a_tunnel"},
    [REFUSAL_TOO_LARGE] = {"tokens", "rate_limit_exceeded"},
    [REFUSAL_UPGRADE] = {"invalid_request_error", "upgrade_not_supported"},
    [REFUSAL_MAX_WAIT] = {"tokens", "rate_limit_exceeded"},
    [REFUSAL_QUEUE_FULL] = {"requests", "rate_limit_exceeded"},
    [REFUSAL_BUDGET_USD] = {"insufficient_quota", "insufficient_quota"},
    [REFUSAL_UPSTREAM_CONNECT] = {"server_error", "upstream_connect"},
    [REFUSAL_UPSTREAM_PROTOCOL] = {"server_error", "upstream_protocol"},
    [REFUSAL_DRAINING] = {"server_error", "draining"},
    [REFUSAL_UPSTREAM_TIMEOUT] = {"server_error", "upstream_timeout"},
};

void openai_refuse(const struct refusal *r, struct buf *out)
{
    const char *type = kinds[r->reason].type, *code = kinds[r->reason].code;
    struct json_writer w;
    struct buf sentence;

    if (r->reason == REFUSAL_TOO_LARGE && !r->metric) { /* the body, not a limit */
        type = "invalid_request_error";
        code = "request_too_large";
    } else if (strcmp(type, "tokens") == 0 && r->metric && (r->metric[0] == 'r' || r->metric[0] == 'c')) {
        type = "requests"; /* rpm, rpd, concurrent */
    }
    buf_init(&sentence, BUF_UNLIMITED);
    refusal_sentence(r, &sentence);
    json_init(&w, out);
    json_object_begin(&w);
    json_key(&w, "error");
    json_object_begin(&w);
    json_member_str(&w, "message", buf_slice(&sentence));
    json_member_str(&w, "type", slice_str(type));
    json_key(&w, "param");
    json_null(&w);
    json_member_str(&w, "code", slice_str(code));
    json_object_end(&w);
    json_object_end(&w);
    buf_release(&sentence);
}
