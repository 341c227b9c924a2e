/*
 * price_table: figures are thousandths of a dollar per million tokens, as they are printed on price pages, -1 where
 * none is known. `since` is the day from which the provider charges that, where the source says so, else the day on
 * which the source was read. What a family's rule gives (cache writes, long context) the row's macro computes. Of two
 * sources that differ the provider's own counts; a figure that nobody has is left out.
 *
 * Not here, because tokens alone do not tell what they cost: models of images, audio, realtime, search and deep
 * research.
 */
#include "metergate/config/price_table.h"

#include "metergate/base/err.h"

#define PICO(thousandths) ((thousandths) < 0 ? PRICE_UNKNOWN : INT64_C(1000) * (thousandths))
#define TIMES(thousandths, times, over)                                                                      \
    ((thousandths) < 0 ? PRICE_UNKNOWN : INT64_C(1000) * (thousandths) * (times) / (over))

#define ROW(match, day, who) .name = (match), .since = (day), .source = (who)

/* OpenAI until the 5.6 family: writing to the cache costs as input (OpenAI, prompt caching, read 2026-11). */
#define OPENAI_RATES(in, cached, out, n, d)                                                                  \
    {{TIMES(in, n, d), TIMES(cached, n, d), TIMES(in, n, d), TIMES(in, n, d), PICO(out)}}
#define OPENAI(match, day, who, in, cached, out, times, over)                                                \
    {ROW(match, day, who), .rates = OPENAI_RATES(in, cached, out, 1, 1), .priority = {times, over}}

/* Above 272,000 input tokens all input costs double and output half more (OpenAI, models with a 1M context). */
#define OPENAI_LONG 272000
#define OPENAI_1M(match, day, who, in, cached, out, times, over)                                             \
    {ROW(match, day, who), .rates = OPENAI_RATES(in, cached, out, 1, 1), .long_above = OPENAI_LONG,          \
     .long_rates = {{TIMES(in, 2, 1), TIMES(cached, 2, 1), TIMES(in, 2, 1), TIMES(in, 2, 1), TIMES(out, 3, 2)}}, \
     .priority = {times, over}}

/* From the 5.6 family on writing to the cache costs 1.25 times input (the same page), for 30 minutes. `hours` is what
 * it costs for 12 hours. */
#define GPT6(match, day, who, in, cached, hours, out, times, over)                                           \
    {ROW(match, day, who),                                                                                   \
     .rates = {{PICO(in), PICO(cached), TIMES(in, 5, 4), PICO(hours), PICO(out)}},                           \
     .long_above = OPENAI_LONG,                                                                              \
     .long_rates = {{TIMES(in, 2, 1), TIMES(cached, 2, 1), TIMES(in, 5, 2), TIMES(hours, 2, 1), TIMES(out, 3, 2)}}, \
     .priority = {times, over}}

/* Writing to the cache costs 1.25 times input for five minutes, twice input for an hour (Anthropic, prompt caching). */
#define CLAUDE_RATES(in, cached, out)                                                                        \
    {{PICO(in), PICO(cached), TIMES(in, 5, 4), TIMES(in, 2, 1), PICO(out)}}
/* `fast` times as much in fast mode; 0: not known, or it has none. */
#define CLAUDE(match, day, who, in, cached, out, fast)                                                       \
    {ROW(match, day, who), .rates = CLAUDE_RATES(in, cached, out), .priority = {fast, (fast) > 0}}
#define CLAUDE_STEP(match, day, who, in, cached, out, above, in2, cached2, out2)                             \
    {ROW(match, day, who), .rates = CLAUDE_RATES(in, cached, out), .long_above = (above),                    \
     .long_rates = CLAUDE_RATES(in2, cached2, out2)}

/* What is kept in a cache costs by the hour besides, which no answer tells; writing costs as input. */
#define GEMINI_RATES(in, cached, out) {{PICO(in), PICO(cached), PICO(in), PICO(in), PICO(out)}}
#define GEMINI(match, day, who, in, cached, out, times, over)                                                \
    {ROW(match, day, who), .rates = GEMINI_RATES(in, cached, out), .priority = {times, over}}
#define GEMINI_STEP(match, day, who, in, cached, out, in2, cached2, out2, times, over)                       \
    {ROW(match, day, who), .rates = GEMINI_RATES(in, cached, out), .long_above = 200000,                     \
     .long_rates = GEMINI_RATES(in2, cached2, out2), .priority = {times, over}}

/* Input alone. */
#define EMBEDDING(match, day, who, in)                                                                       \
    {ROW(match, day, who), .rates = {{PICO(in), PICO(in), PICO(in), PICO(in), PRICE_UNKNOWN}}}
#define FREE(match, day, who) {ROW(match, day, who), .rates = {{0, 0, 0, 0, 0}}, .priority = {1, 1}}

/* It costs something, but nobody here knows what. */
#define NOT_KNOWN(match, day, who)                                                                           \
    {ROW(match, day, who), .rates = OPENAI_RATES(-1, -1, -1, 1, 1), .long_rates = OPENAI_RATES(-1, -1, -1, 1, 1)}

#define MODELS_DEV   "models.dev, read 2026-07-02"
#define LITELLM      "LiteLLM's price map, a copy of summer 2026"
#define OPENAI_OLD   "OpenAI, pricing at the model's release"
#define OPENAI_MODEL "OpenAI, page of the model, 2026-11"
#define PROMPTFUEL   "OpenAI, pricing, as quoted by PromptFuel 1.0.24 (2026-10-27)"
#define TOKENMETER   "pricing page, as quoted by TokenMeter 0.17.0 (2026-11)"
#define SOL_PROMOTED "OpenAI, pricing, as quoted by PromptFuel 1.0.17: a promotion, promised until 2026-11-21"
#define SOL_LATER    "the promotion was promised until 2026-11-21; what holds since is not known"
#define CLAUDE_PAGE  "Anthropic, models overview, 2026"
#define CLAUDE_QUOTE "Anthropic, pricing, as quoted by claudit 1.9.2 (2026-10-24)"
#define CLAUDE_FUEL  "Anthropic, pricing, as quoted by PromptFuel 1.0.22 (2026-10-01)"
#define CLAUDE_OLD   "Anthropic, pricing, 2025; LiteLLM's price map, a copy of summer 2026"
#define GEMINI_PAGE  "Google, Gemini API pricing, read 2026-10-07"
#define GEMINI_OLD   "Google, Gemini API pricing at the model's release"
#define GEMINI_PROMO "Google, Gemini API pricing: half price until 2026-12-31; cached by its rule, a tenth of input"
#define GEMINI_ARGON "Google, Gemini API pricing, as quoted by TokenMeter 0.13.1 (2026-10-13)"
#define GEMINI_4     "Google, Gemini API pricing, as quoted by Trazum 2.7.9 (2026-11-16)"

static const struct price rows[] = {
    /* OpenAI. A name matches its dated snapshots as well, so a snapshot with a price of its own comes first. */
    GPT6("gpt-6.2-sol", 20261120, OPENAI_MODEL, 2000, 100, 5000, 10000, 2, 1),
    GPT6("gpt-6.2-astra", 20261120, "OpenAI, " TOKENMETER, 8000, 400, -1, 40000, 2, 1),
    GPT6("gpt-6.1-sol", 20260929, "OpenAI, page of the model, as quoted by Codex-Manager 0.4.7 (2026-09-30)", 2000, 100,
         -1, 10000, 2, 1),
    GPT6("gpt-6.1-terra", 20261026, PROMPTFUEL, 1000, 50, -1, 5000, 2, 1),
    GPT6("gpt-6-astra", 20260903, PROMPTFUEL, 10000, 1000, -1, 50000, 2, 1),
    GPT6("gpt-6-sol", 20260922, PROMPTFUEL, 2000, 200, -1, 10000, 2, 1),
    GPT6("gpt-6-luna", 20260922, PROMPTFUEL, 100, 10, -1, 500, 2, 1),
    GPT6("gpt-5.6-sol", 20260709, PROMPTFUEL, 5000, 500, -1, 30000, 2, 1),
    GPT6("gpt-5.6-sol", 20260821, SOL_PROMOTED, 4000, 400, -1, 20000, 2, 1),
    NOT_KNOWN("gpt-5.6-sol", 20261122, SOL_LATER),
    GPT6("gpt-5.6", 20260709, PROMPTFUEL ", as gpt-5.6-sol", 5000, 500, -1, 30000, 2, 1),
    GPT6("gpt-5.6", 20260821, SOL_PROMOTED, 4000, 400, -1, 20000, 2, 1),
    NOT_KNOWN("gpt-5.6", 20261122, SOL_LATER),
    GPT6("gpt-5.6-terra", 20260730, "llm-prices, 2026-07-30", 2000, 200, -1, 12000, 2, 1),
    GPT6("gpt-5.6-luna", 20260730, "llm-prices, 2026-07-30", 200, 20, -1, 1200, 2, 1),
    OPENAI_1M("gpt-5.5", 20260702, MODELS_DEV "; priority by OpenAI's own page", 5000, 500, 30000, 5, 2),
    OPENAI_1M("gpt-5.5-pro", 20260702, LITELLM, 30000, 3000, 180000, 0, 0),
    OPENAI_1M("gpt-5.4", 20260702, MODELS_DEV, 2500, 250, 15000, 2, 1),
    OPENAI("gpt-5.4-mini", 20260702, MODELS_DEV, 750, 75, 4500, 2, 1),
    OPENAI("gpt-5.4-nano", 20260702, MODELS_DEV, 200, 20, 1250, 0, 0),
    OPENAI_1M("gpt-5.4-pro", 20260702, LITELLM, 30000, 3000, 180000, 0, 0),
    OPENAI("gpt-5.3-codex", 20260702, MODELS_DEV, 1750, 175, 14000, 2, 1),
    OPENAI("gpt-5.3-chat-latest", 20260702, LITELLM, 1750, 175, 14000, 2, 1),
    OPENAI("gpt-5.2", 20260702, MODELS_DEV, 1750, 175, 14000, 2, 1),
    OPENAI("gpt-5.2-codex", 20260702, LITELLM, 1750, 175, 14000, 2, 1),
    OPENAI("gpt-5.2-chat-latest", 20260702, LITELLM, 1750, 175, 14000, 2, 1),
    OPENAI("gpt-5.2-pro", 20260702, LITELLM, 21000, -1, 168000, 0, 0),
    OPENAI("gpt-5.1", 20260702, MODELS_DEV, 1250, 125, 10000, 2, 1),
    OPENAI("gpt-5.1-codex", 20260702, LITELLM, 1250, 125, 10000, 2, 1),
    OPENAI("gpt-5.1-codex-max", 20260702, LITELLM, 1250, 125, 10000, 0, 0),
    OPENAI("gpt-5.1-codex-mini", 20260702, LITELLM, 250, 25, 2000, 9, 5),
    OPENAI("gpt-5.1-chat-latest", 20260702, LITELLM, 1250, 125, 10000, 2, 1),
    OPENAI("gpt-5", 20260702, MODELS_DEV, 1250, 125, 10000, 2, 1),
    OPENAI("gpt-5-mini", 20260702, MODELS_DEV, 250, 25, 2000, 9, 5),
    OPENAI("gpt-5-nano", 20260702, MODELS_DEV, 50, 5, 400, 0, 0),
    OPENAI("gpt-5-codex", 20260702, LITELLM, 1250, 125, 10000, 2, 1),
    OPENAI("gpt-5-chat-latest", 20260702, LITELLM, 1250, 125, 10000, 0, 0),
    OPENAI("gpt-5-pro", 20260702, LITELLM, 15000, -1, 120000, 0, 0),
    OPENAI("gpt-4.1", 20260702, MODELS_DEV, 2000, 500, 8000, 7, 4),
    OPENAI("gpt-4.1-mini", 20260702, MODELS_DEV, 400, 100, 1600, 7, 4),
    OPENAI("gpt-4.1-nano", 20260702, MODELS_DEV, 100, 25, 400, 2, 1),
    OPENAI("gpt-4o-2024-05-13", 20260702, LITELLM, 5000, -1, 15000, 7, 4),
    OPENAI("gpt-4o", 20260702, MODELS_DEV, 2500, 1250, 10000, 17, 10),
    OPENAI("gpt-4o-mini", 20260702, MODELS_DEV, 150, 75, 600, 5, 3),
    OPENAI("chatgpt-4o-latest", 20240815, OPENAI_OLD, 5000, -1, 15000, 0, 0),
    OPENAI("o4-mini", 20260702, MODELS_DEV, 1100, 275, 4400, 20, 11),
    OPENAI("o3", 20260702, MODELS_DEV, 2000, 500, 8000, 7, 4),
    OPENAI("o3-mini", 20250131, OPENAI_OLD, 1100, 550, 4400, 0, 0),
    OPENAI("o3-pro", 20250610, OPENAI_OLD, 20000, -1, 80000, 0, 0),
    OPENAI("o1", 20260702, MODELS_DEV, 15000, 7500, 60000, 0, 0),
    OPENAI("o1-pro", 20250319, OPENAI_OLD, 150000, -1, 600000, 0, 0),
    OPENAI("gpt-4-turbo", 20240409, OPENAI_OLD, 10000, -1, 30000, 0, 0),
    OPENAI("gpt-4-turbo-preview", 20240125, OPENAI_OLD, 10000, -1, 30000, 0, 0),
    OPENAI("gpt-4-1106-preview", 20231106, OPENAI_OLD, 10000, -1, 30000, 0, 0),
    OPENAI("gpt-4-0125-preview", 20240125, OPENAI_OLD, 10000, -1, 30000, 0, 0),
    OPENAI("gpt-4", 20230314, OPENAI_OLD, 30000, -1, 60000, 0, 0),
    OPENAI("gpt-3.5-turbo-1106", 20231106, OPENAI_OLD, 1000, -1, 2000, 0, 0),
    OPENAI("gpt-3.5-turbo-0613", 20230613, OPENAI_OLD, 1500, -1, 2000, 0, 0),
    OPENAI("gpt-3.5-turbo", 20240125, OPENAI_OLD, 500, -1, 1500, 0, 0),
    OPENAI("gpt-3.5-turbo-instruct", 20230918, OPENAI_OLD, 1500, -1, 2000, 0, 0),
    EMBEDDING("text-embedding-3-small", 20260702, MODELS_DEV, 20),
    EMBEDDING("text-embedding-3-large", 20260702, MODELS_DEV, 130),
    EMBEDDING("text-embedding-ada-002", 20260702, MODELS_DEV, 100),
    FREE("omni-moderation-*", 20260702, "OpenAI, moderation: free of charge"),
    FREE("text-moderation-*", 20260702, "OpenAI, moderation: free of charge"),

    /* Anthropic */
    CLAUDE("claude-fable-5-1", 20260901, CLAUDE_FUEL, 10000, 250, 50000, 0),
    CLAUDE("claude-mythos-5-1", 20260901, CLAUDE_FUEL ", as claude-fable-5-1", 10000, 250, 50000, 0),
    CLAUDE("claude-fable-5", 20261001, "synaps 0.10.2 (2026-10)", 10000, 1000, 50000, 0),
    CLAUDE("claude-mythos-5", 20260724, LITELLM, 10000, 1000, 50000, 0),
    CLAUDE("claude-opus-5-5", 20260922, CLAUDE_FUEL, 4000, 200, 20000, 2),
    CLAUDE("claude-opus-5", 20260724, CLAUDE_PAGE, 5000, 500, 25000, 2),
    CLAUDE("claude-opus-4-8", 20261001, "synaps 0.10.2 (2026-10); fast mode by Anthropic's page", 5000, 500, 25000, 2),
    CLAUDE("claude-opus-4-7", 20261001, "synaps 0.10.2 (2026-10); fast mode by Anthropic's page", 5000, 500, 25000, 6),
    CLAUDE("claude-opus-4-6", 20261001, "synaps 0.10.2 (2026-10); fast mode by Anthropic's page", 5000, 500, 25000, 6),
    CLAUDE("claude-opus-4-5", 20261001, "synaps 0.10.2 (2026-10)", 5000, 500, 25000, 0),
    CLAUDE("claude-opus-4-1", 20250805, CLAUDE_OLD, 15000, 1500, 75000, 0),
    CLAUDE("claude-opus-4", 20250522, CLAUDE_OLD, 15000, 1500, 75000, 0),
    CLAUDE("claude-opus-4-0", 20250522, CLAUDE_OLD, 15000, 1500, 75000, 0),
    CLAUDE("claude-sonnet-5-5", 20260928, CLAUDE_FUEL, 2000, 200, 10000, 0),
    CLAUDE("claude-sonnet-5-5", 20261007, CLAUDE_QUOTE, 2000, 100, 10000, 0),
    CLAUDE("claude-sonnet-5", 20260630, CLAUDE_FUEL, 2000, 200, 10000, 0),
    CLAUDE("claude-sonnet-4-6", 20261001, "synaps 0.10.2 (2026-10)", 3000, 300, 15000, 0),
    CLAUDE_STEP("claude-sonnet-4-5", 20250929, CLAUDE_OLD, 3000, 300, 15000, 200000, 6000, 600, 22500),
    CLAUDE_STEP("claude-sonnet-4", 20250814, CLAUDE_OLD, 3000, 300, 15000, 200000, 6000, 600, 22500),
    CLAUDE_STEP("claude-sonnet-4-0", 20250814, CLAUDE_OLD, 3000, 300, 15000, 200000, 6000, 600, 22500),
    CLAUDE_STEP("claude-haiku-5-5", 20261007, CLAUDE_QUOTE, 100, 10, 500, 100000, 500, 50, 2500),
    CLAUDE("claude-haiku-4-5", 20261001, "synaps 0.10.2 (2026-10)", 1000, 100, 5000, 0),
    CLAUDE("claude-3-7-sonnet*", 20250224, CLAUDE_OLD, 3000, 300, 15000, 0),
    CLAUDE("claude-3-5-sonnet*", 20240620, CLAUDE_OLD, 3000, 300, 15000, 0),
    CLAUDE("claude-3-5-haiku*", 20241104, CLAUDE_OLD, 800, 80, 4000, 0),
    CLAUDE("claude-3-opus*", 20240304, CLAUDE_OLD, 15000, 1500, 75000, 0),
    {ROW("claude-3-haiku*", 20240313, CLAUDE_OLD), .rates = {{PICO(250), PICO(30), PICO(300), PICO(500), PICO(1250)}}},

    /* Google. Audio input has other prices. */
    GEMINI("gemini-4-argon", 20261013, GEMINI_ARGON, 2000, 100, 10000, 9, 5),
    GEMINI("gemini-4-argon", 20261201, GEMINI_ARGON, 4000, 200, 20000, 9, 5),
    GEMINI("gemini-4-carbon", 20261116, GEMINI_4, 2000, 100, 10000, 9, 5),
    GEMINI("gemini-4-carbon", 20261201, GEMINI_4, 4000, 200, 20000, 9, 5),
    GEMINI("gemini-4-hydrogen", 20261116, GEMINI_4, 1500, 75, 7500, 9, 5),
    GEMINI("gemini-4-neon", 20261120, "Google, " TOKENMETER, 3000, 150, 15000, 9, 5),
    GEMINI("gemini-3.8-flash", 20260902, GEMINI_PROMO, 750, 75, 3750, 9, 5),
    GEMINI("gemini-3.8-flash", 20270101, GEMINI_PROMO, 1500, 150, 7500, 9, 5),
    GEMINI("gemini-3.7-flash", 20260902, GEMINI_PROMO, 750, 75, 3750, 9, 5),
    GEMINI("gemini-3.7-flash", 20270101, GEMINI_PROMO, 1500, 150, 7500, 9, 5),
    GEMINI("gemini-3.6-flash", 20260721, LITELLM, 1500, 150, 7500, 9, 5),
    GEMINI("gemini-3.6-flash", 20260902, GEMINI_PROMO, 750, 75, 3750, 9, 5),
    GEMINI("gemini-3.6-flash", 20270101, GEMINI_PROMO, 1500, 150, 7500, 9, 5),
    GEMINI("gemini-3.5-flash", 20261007, GEMINI_PAGE, 1500, 150, 9000, 9, 5),
    GEMINI("gemini-3.5-flash-lite", 20261007, GEMINI_PAGE, 300, 30, 2500, 9, 5),
    GEMINI_STEP("gemini-3.1-pro-preview", 20261007, GEMINI_PAGE "; cached by " LITELLM, 2000, 200, 12000, 4000, 400,
                18000, 9, 5),
    GEMINI_STEP("gemini-3.1-pro-preview-customtools", 20260801, LITELLM, 2000, 200, 12000, 4000, 400, 18000, 0, 0),
    GEMINI_STEP("gemini-3-pro-preview", 20260801, LITELLM, 2000, 200, 12000, 4000, 400, 18000, 9, 5),
    GEMINI("gemini-3.1-flash-lite", 20260801, LITELLM, 250, 25, 1500, 9, 5),
    GEMINI("gemini-3.1-flash-lite-preview", 20260801, LITELLM, 250, 25, 1500, 0, 0),
    GEMINI("gemini-3-flash-preview", 20260801, LITELLM, 500, 50, 3000, 9, 5),
    GEMINI_STEP("gemini-2.5-pro", 20261007, GEMINI_PAGE, 1250, 125, 10000, 2500, 250, 15000, 0, 0),
    GEMINI("gemini-2.5-flash", 20261007, GEMINI_PAGE, 300, 30, 2500, 0, 0),
    GEMINI("gemini-2.5-flash-lite", 20261007, GEMINI_PAGE, 100, 10, 400, 0, 0),
    GEMINI("gemini-2.5-flash-lite-preview-09-2025", 20260801, LITELLM, 100, 10, 400, 0, 0),
    GEMINI("gemini-2.0-flash", 20250205, GEMINI_OLD, 100, 25, 400, 0, 0),
    GEMINI("gemini-2.0-flash-001", 20250205, GEMINI_OLD, 100, 25, 400, 0, 0),
    GEMINI("gemini-2.0-flash-lite", 20250225, GEMINI_OLD, 75, -1, 300, 0, 0),
    GEMINI("gemini-2.0-flash-lite-001", 20250225, GEMINI_OLD, 75, -1, 300, 0, 0),
    EMBEDDING("gemini-embedding-001", 20260801, LITELLM, 150),
};

const struct price *price_table(size_t *ret_n)
{
    *ret_n = MG_ARRAY_LEN(rows);
    return rows;
}
