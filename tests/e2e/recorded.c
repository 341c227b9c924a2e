/* recorded: three calls that completed, were refused and have no price; one that is held; four models; two
 * prices. */
#include "recorded.h"

const char recorded_usage[] =
    "{\"by\":\"model\",\"since\":\"2026-11-27T14:03:12.000Z\","
    "\"until\":\"2026-11-28T14:03:12.000Z\",\"rows\":[{\"key\":\"gpt-4o\",\"calls\":1200,"
    "\"input_tokens\":1234567,\"cached_tokens\":1024,\"cache_write_tokens\":5,"
    "\"output_tokens\":98765,\"reasoning_tokens\":77,\"cost_nano_usd\":4210000,"
    "\"unpriced_calls\":0},{\"key\":\"=SUM(A1),\\\"x\\\"\",\"calls\":3,\"input_tokens\":900,"
    "\"cached_tokens\":0,\"cache_write_tokens\":0,\"output_tokens\":300,"
    "\"reasoning_tokens\":0,\"cost_nano_usd\":1234000000000,\"unpriced_calls\":1},"
    "{\"key\":\"\",\"calls\":9,\"input_tokens\":70,\"cached_tokens\":0,\"cache_write_tokens\":0,"
    "\"output_tokens\":8,\"reasoning_tokens\":0,\"cost_nano_usd\":0,\"unpriced_calls\":7}]}";

const char recorded_calls[] =
    "{\"calls\":[{\"id\":\"mg-00c0ffe-7\",\"time\":\"2026-11-28T14:03:12.345Z\","
    "\"client\":\"nightly\",\"budget\":\"gpt-4o\",\"model\":\"gpt-4o-2024-08-06\","
    "\"upstream\":\"openai\",\"endpoint\":\"chat\",\"outcome\":\"completed\",\"status\":200,"
    "\"reason\":null,\"estimated_input_tokens\":1200,\"estimated_output_tokens\":300,"
    "\"input_tokens\":1187,\"cached_tokens\":1024,\"cache_write_tokens\":0,"
    "\"cache_write_1h_tokens\":0,\"output_tokens\":211,\"reasoning_tokens\":0,"
    "\"usage_source\":\"provider\",\"cost_nano_usd\":3797500,\"price\":{\"name\":\"gpt-4o\","
    "\"since\":\"2024-10-01\",\"usd_per_million\":{\"input\":2.5,\"cached\":1.25,"
    "\"cache_write\":null,\"cache_write_1h\":null,\"output\":10}},\"queued_ms\":5230,"
    "\"first_byte_ms\":6100,\"total_ms\":8200,\"attempts\":1},{\"id\":\"mg-00c0ffe-6\","
    "\"time\":\"2026-11-28T14:03:10.000Z\",\"client\":\"editor\",\"budget\":\"gpt-4o\","
    "\"model\":\"gpt-4o\",\"upstream\":\"openai\",\"endpoint\":\"chat\",\"outcome\":\"refused\","
    "\"status\":429,\"reason\":\"max-wait\",\"estimated_input_tokens\":1200,"
    "\"estimated_output_tokens\":300,\"input_tokens\":0,\"cached_tokens\":0,"
    "\"cache_write_tokens\":0,\"cache_write_1h_tokens\":0,\"output_tokens\":0,"
    "\"reasoning_tokens\":0,\"usage_source\":\"none\",\"cost_nano_usd\":0,\"price\":null,"
    "\"queued_ms\":8200,\"first_byte_ms\":null,\"total_ms\":8200,\"attempts\":0},"
    "{\"id\":\"mg-00c0ffe-5\",\"time\":\"2026-11-28T14:03:09.000Z\",\"client\":\"@cmd\","
    "\"budget\":\"llama\",\"model\":\"llama\",\"upstream\":\"local\",\"endpoint\":\"chat\","
    "\"outcome\":\"completed\",\"status\":200,\"reason\":null,\"input_tokens\":12,"
    "\"output_tokens\":0,\"cost_nano_usd\":null,\"price\":null,\"queued_ms\":0,"
    "\"first_byte_ms\":12,\"total_ms\":340,\"attempts\":1}]}";

const char recorded_story[] =
    "{\"id\":\"mg-00c0ffe-7\",\"time\":\"2026-11-28T14:03:12.345Z\",\"client\":\"nightly\","
    "\"budget\":\"gpt-4o\",\"model\":\"gpt-4o-2024-08-06\",\"upstream\":\"openai\","
    "\"endpoint\":\"chat\",\"outcome\":\"completed\",\"status\":200,\"reason\":null,"
    "\"estimated_input_tokens\":1200,\"estimated_output_tokens\":300,"
    "\"input_tokens\":1187,\"cached_tokens\":1024,\"cache_write_tokens\":0,"
    "\"cache_write_1h_tokens\":0,\"output_tokens\":211,\"reasoning_tokens\":20,"
    "\"usage_source\":\"provider\",\"cost_nano_usd\":3797500,\"price\":{\"name\":\"gpt-4o\","
    "\"since\":\"2024-10-01\",\"usd_per_million\":{\"input\":2.5,\"cached\":1.25,"
    "\"cache_write\":null,\"cache_write_1h\":null,\"output\":10}},\"queued_ms\":5230,"
    "\"first_byte_ms\":6100,\"total_ms\":8200,\"attempts\":2,\"state\":\"ended\","
    "\"holds\":[{\"limit\":\"queue\",\"of\":\"budget\",\"name\":\"gpt-4o\",\"from_ms\":0,"
    "\"to_ms\":1200},{\"limit\":\"tpm\",\"of\":\"budget\",\"name\":\"gpt-4o\",\"from_ms\":1200,"
    "\"to_ms\":5230},{\"limit\":\"pause\",\"of\":\"account\",\"name\":\"\",\"from_ms\":5300,"
    "\"to_ms\":5900}]}";

const char recorded_refused[] =
    "{\"id\":\"mg-00c0ffe-6\",\"time\":\"2026-11-28T14:03:10.000Z\",\"client\":\"editor\","
    "\"budget\":\"gpt-4o\",\"model\":\"gpt-4o\",\"upstream\":\"openai\",\"endpoint\":\"chat\","
    "\"outcome\":\"refused\",\"status\":429,\"reason\":\"max-wait\","
    "\"estimated_input_tokens\":1200,\"estimated_output_tokens\":300,\"input_tokens\":0,"
    "\"cached_tokens\":0,\"cache_write_tokens\":0,\"cache_write_1h_tokens\":0,"
    "\"output_tokens\":0,\"reasoning_tokens\":0,\"usage_source\":\"none\",\"cost_nano_usd\":0,"
    "\"price\":null,\"queued_ms\":8200,\"first_byte_ms\":null,\"total_ms\":8200,"
    "\"attempts\":0,\"state\":\"ended\",\"holds\":[{\"limit\":\"tpm\",\"of\":\"client\","
    "\"name\":\"editor\",\"from_ms\":0,\"to_ms\":8200}]}";

const char recorded_held[] =
    "{\"id\":\"mg-00c0ffe-9\",\"client\":\"nightly\",\"budget\":\"gpt-4o\",\"model\":\"gpt-4o\","
    "\"upstream\":\"openai\",\"endpoint\":\"chat\",\"state\":\"held\","
    "\"estimated_input_tokens\":1200,\"estimated_output_tokens\":300,"
    "\"holds\":[{\"limit\":\"rpm\",\"of\":\"upstream\",\"name\":\"openai\",\"from_ms\":0,"
    "\"to_ms\":40},{\"limit\":\"weekly\",\"of\":\"\",\"name\":\"\",\"from_ms\":40,\"to_ms\":null}],"
    "\"predicted_start_ms\":3200}";

const char recorded_compare[] =
    "{\"since\":\"2026-10-29T14:03:12.000Z\",\"until\":\"2026-11-28T14:03:12.000Z\","
    "\"models\":[{\"model\":\"gpt-4o\",\"calls\":21,\"completed\":20,\"failed\":1,\"refused\":0,"
    "\"cancelled\":0,\"input_tokens\":24000,\"output_tokens\":6000,"
    "\"cost_nano_usd\":120000000,\"unpriced_calls\":0,\"input_tokens_per_call\":1200.05,"
    "\"output_tokens_per_call\":300,\"cost_nano_usd_per_call\":6000000,\"cost_ratio\":1.0,"
    "\"queued_ms\":{\"mean\":1200,\"p50\":800,\"p95\":5230},\"first_byte_ms\":{\"mean\":1000,"
    "\"p50\":340,\"p95\":61000},\"total_ms\":{\"mean\":1200,\"p50\":800,\"p95\":190000}},"
    "{\"model\":\"gpt-3.5-turbo\",\"calls\":5,\"completed\":5,\"failed\":0,\"refused\":0,"
    "\"cancelled\":0,\"input_tokens\":24000,\"output_tokens\":6000,"
    "\"cost_nano_usd\":2238000,\"unpriced_calls\":0,\"input_tokens_per_call\":1200.05,"
    "\"output_tokens_per_call\":300,\"cost_nano_usd_per_call\":447600,"
    "\"cost_ratio\":0.0746,\"queued_ms\":{\"mean\":1200,\"p50\":800,\"p95\":5230},"
    "\"first_byte_ms\":{\"mean\":1000,\"p50\":340,\"p95\":61000},\"total_ms\":{\"mean\":1200,"
    "\"p50\":800,\"p95\":190000}},{\"model\":\"llama\",\"calls\":21,\"completed\":20,\"failed\":1,"
    "\"refused\":0,\"cancelled\":0,\"input_tokens\":24000,\"output_tokens\":6000,"
    "\"cost_nano_usd\":0,\"unpriced_calls\":21,\"input_tokens_per_call\":1200.05,"
    "\"output_tokens_per_call\":300,\"cost_nano_usd_per_call\":null,\"cost_ratio\":null,"
    "\"queued_ms\":{\"mean\":1200,\"p50\":800,\"p95\":5230},\"first_byte_ms\":{\"mean\":null,"
    "\"p50\":null,\"p95\":null},\"total_ms\":{\"mean\":1200,\"p50\":800,\"p95\":190000}},"
    "{\"model\":\"gpt-6\",\"calls\":21,\"completed\":20,\"failed\":1,\"refused\":0,"
    "\"cancelled\":0,\"input_tokens\":24000,\"output_tokens\":6000,"
    "\"cost_nano_usd\":1200000000,\"unpriced_calls\":1,\"input_tokens_per_call\":1200.05,"
    "\"output_tokens_per_call\":300,\"cost_nano_usd_per_call\":60000000,"
    "\"cost_ratio\":10.0,\"queued_ms\":{\"mean\":1200,\"p50\":800,\"p95\":5230},"
    "\"first_byte_ms\":{\"mean\":1000,\"p50\":340,\"p95\":61000},\"total_ms\":{\"mean\":2980,"
    "\"p50\":3020,\"p95\":99960}}]}";

const char recorded_prices[] =
    "{\"day\":\"2026-11-28\",\"prices\":[{\"match\":\"gpt-4o\",\"since\":\"2024-10-01\","
    "\"source\":\"OpenAI, pricing\",\"configured\":false,\"usd_per_million\":{\"input\":2.5,"
    "\"cached\":1.25,\"cache_write\":null,\"cache_write_1h\":null,\"output\":10},"
    "\"long_above\":null,\"long_usd_per_million\":null},{\"match\":\"gemini-2.5-pro\","
    "\"since\":null,\"source\":\"configuration\",\"configured\":true,"
    "\"usd_per_million\":{\"input\":1.25,\"cached\":0.125,\"cache_write\":1.25,"
    "\"cache_write_1h\":1.25,\"output\":10.0},\"long_above\":200000,"
    "\"long_usd_per_million\":{\"input\":2.5,\"cached\":0.25,\"cache_write\":2.5,"
    "\"cache_write_1h\":2.5,\"output\":15}}]}";
