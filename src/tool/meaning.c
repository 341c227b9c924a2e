/* meaning: tables of words; one that is not in its table is shown as it is: a newer daemon may know more. */
#include "metergate/tool/meaning.h"

#include <string.h>

#include "metergate/base/plain.h"
#include "metergate/dialect/refusal.h"
#include "metergate/tool/doc.h"

struct word {
    const char *word, *meaning;
};

static const struct word limits[] = {
    {"rpm", "requests per minute"},
    {"rpd", "requests per day"},
    {"tpm", "tokens per minute"},
    {"tpd", "tokens per day"},
    {"itpm", "input tokens per minute"},
    {"itpd", "input tokens per day"},
    {"otpm", "output tokens per minute"},
    {"otpd", "output tokens per day"},
    {"concurrent", "calls in flight at once"},
    {"usd_per_hour", "dollars per hour"},
    {"usd_per_day", "dollars per day"},
    {"usd_per_month", "dollars per month"},
    {"learning", "calls in flight at once until its limits are known"},
};

static const struct word others[] = {
    {"queue", "others were before it in the queue"},
    {"pause", "a pause after a refusal or a failed connection"},
    {"politeness", "room was left to higher priorities"},
    {"stop", "everything was paused (metergate pause)"},
    {"connections", "no connection was free"},
    {"price", "no price of its model was known, and one is needed for a money limit"},
};

static const struct word states[] = {
    {"counting", "its tokens are being counted"},
    {"held", "it is held"},
    {"sent", "it was sent, and its answer has not begun"},
    {"streaming", "its answer is arriving"},
    {"leased", "a program has it as a lease and has not settled it"},
};

static const struct word sources[] = {
    {"provider", "as the provider reported"},
    {"counted", "counted from the answer's text: it was cut, or told no usage"},
    {"estimated", "estimated: no usage was seen, the answer was lost or is to be asked for later"},
};

/* Where the sentence that the client got depends on figures that are not kept. */
static const struct word reasons[] = {
    {"max-wait",
     "It would have had to wait longer than it may: raise `max_wait` (of `queue` or of the client, or send "
     "Metergate-Max-Wait), or send less at once."},
    {"queue-full",
     "As many calls or bytes were held as may be: send less at once, or raise `queue.max_requests` and "
     "`queue.max_bytes`; one client may have 80 % of them."},
    {"draining", "Metergate was being stopped: send the call again."},
    {"too-large",
     "It can never fit: its tokens are more than a limit's maximum, or its body is over `queue.max_body`; "
     "send less, or raise that limit."},
    {"budget-usd",
     "A money limit had no room for what it would probably cost, or needs a price of its model: wait, raise "
     "the `usd_per_...` limit (`metergate status` shows what is spent), or add the price to `prices:`."},
};

static const char *find(const struct word *words, size_t n, struct slice word)
{
    for (size_t i = 0; i < n; i++) {
        if (slice_eq(slice_str(words[i].word), word))
            return words[i].meaning;
    }
    return NULL;
}

static void add_or_itself(struct slice doc, const char *name, const struct word *words, size_t n,
                          struct buf *out)
{
    const char *meaning;
    struct buf word;

    buf_init(&word, BUF_UNLIMITED);
    doc_text(doc, name, &word);
    meaning = find(words, n, buf_slice(&word));
    if (meaning)
        buf_add_str(out, meaning);
    else
        plain_add(out, buf_slice(&word));
    buf_release(&word);
}

static void add_whose(struct slice hold, struct buf *out)
{
    struct buf of, name;

    buf_init(&of, BUF_UNLIMITED);
    buf_init(&name, BUF_UNLIMITED);
    doc_text(hold, "of", &of);
    doc_text(hold, "name", &name);
    if (of.n) {
        buf_add_str(out, " of ");
        plain_add(out, buf_slice(&of));
    }
    if (name.n) {
        buf_add_str(out, of.n ? " " : " of ");
        plain_add(out, buf_slice(&name));
    }
    buf_release(&of);
    buf_release(&name);
}

void meaning_of_hold(struct slice hold, struct buf *out)
{
    struct buf what;
    const char *limit, *other;

    buf_init(&what, BUF_UNLIMITED);
    doc_text(hold, "limit", &what);
    limit = find(limits, MG_ARRAY_LEN(limits), buf_slice(&what));
    other = find(others, MG_ARRAY_LEN(others), buf_slice(&what));
    if (other) {
        buf_add_str(out, other);
    } else {
        buf_addf(out, "no room in %s%s%s", limit ? "the " : "", limit ? limit : "", limit ? " (" : "");
        plain_add(out, buf_slice(&what));
        buf_add_str(out, limit ? ")" : "");
    }
    add_whose(hold, out);
    buf_release(&what);
}

void meaning_of_reason(struct slice call, struct buf *out)
{
    const char *meaning;
    struct buf reason;

    buf_init(&reason, BUF_UNLIMITED);
    doc_text(call, "reason", &reason);
    meaning = find(reasons, MG_ARRAY_LEN(reasons), buf_slice(&reason));
    if (meaning)
        buf_add_str(out, meaning);
    for (int i = 0; i < REFUSAL_REASONS && !meaning; i++) {
        const struct refusal refusal = {.reason = (enum refusal_reason)i};

        if (!slice_eq(slice_str(refusal_name(refusal.reason)), buf_slice(&reason)))
            continue;
        refusal_sentence(&refusal, out);
        break;
    }
    buf_release(&reason);
}

void meaning_of_state(struct slice call, struct buf *out)
{
    add_or_itself(call, "state", states, MG_ARRAY_LEN(states), out);
}

void meaning_of_source(struct slice call, struct buf *out)
{
    add_or_itself(call, "usage_source", sources, MG_ARRAY_LEN(sources), out);
}
