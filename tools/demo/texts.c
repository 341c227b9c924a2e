/* texts: what is compared began after `since`, so the calls of other scenes are not in it. */
#include "texts.h"

#include <inttypes.h>
#include <stdio.h>

#include "calls.h"
#include "metergate/base/clock.h"
#include "metergate/base/when.h"
#include "narrator.h"

#define MODELS 2

static const char *const models[MODELS] = {"gpt-4o", "gpt-3.5-turbo"};

/* All at once; how many were answered 200. */
static int send_texts(const struct client *daemon)
{
    struct call calls[MODELS * TEXTS];
    int good = 0;

    for (int i = 0; i < MODELS * TEXTS; i++) {
        calls[i] = (struct call){.script = "survey",
                                 .model = models[i / TEXTS],
                                 .input_tokens = 60 + 5 * (i % TEXTS),
                                 .max_tokens = 50};
        call_start(&calls[i], daemon);
    }
    for (int i = 0; i < MODELS * TEXTS; i++) {
        call_join(&calls[i]);
        good += calls[i].status == 200;
        call_release(&calls[i]);
    }
    return good;
}

void texts_compare(const struct stage *stage, const struct client *daemon)
{
    int64_t completed, dear, cheap;
    char since[WHEN_SIZE], path[128];
    struct json *doc;
    int good;

    narrator_heading("6. Is the cheap model good enough? The same %d texts to both", TEXTS);
    when_text(clock_wall_us() + CLOCK_MS, since); /* it is cut to milliseconds; a call takes many */
    narrator_say(TONE_PLAIN, "survey", "sends %d texts to %s and to %s", TEXTS, models[0], models[1]);
    good = send_texts(daemon);
    narrator_note("$ metergate compare %s %s --since %s", models[0], models[1], since);
    stage_show(stage, (const char *const[]){"compare", models[0], models[1], "--since", since, NULL});
    narrator_note("%s", "");
    snprintf(path, sizeof path, "/-/compare?model=%s&model=%s&since=%s", models[0], models[1], since);
    doc = ask(daemon, path, false);
    completed = ask_number(doc, "models.0.completed") + ask_number(doc, "models.1.completed");
    dear = ask_number(doc, "models.0.cost_nano_usd");
    cheap = ask_number(doc, "models.1.cost_nano_usd");
    json_free(doc);
    narrator_check(good == MODELS * TEXTS && completed == good, "the ledger has all %d calls, and no other", good);
    narrator_check(cheap > 0 && dear > cheap, "%s cost $0.%09" PRId64 " and %s $0.%09" PRId64 ", to the nano-dollar",
                   models[0], dear, models[1], cheap);
}
