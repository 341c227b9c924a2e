// One of several "scripts" that share a budget: the official SDK, unchanged, without retries of its own.
import OpenAI from 'openai';

const [, , baseURL, name, calls, concurrency, tokens] = process.argv;
const client = new OpenAI({ baseURL, apiKey: `sk-test-${name}`, maxRetries: 0, timeout: 600_000 });
let next = 0;
let failed = 0;

async function worker() {
  while (next < Number(calls)) {
    const i = next++;
    const spread = (i * 37 + name.charCodeAt(0) * 11) % 160;
    const words = tokens ? Math.round(tokens * (0.3 + spread / 115)) : 40 + spread;
    const out = 5 + (i % 7) * 5;
    try {
      const answer = await client.chat.completions.create({
        model: 'gpt-4o',
        max_tokens: out,
        messages: [{ role: 'user', content: `${name} ${i} ` + 'river '.repeat(words) + `[[out=${out}]]` }],
      });
      if (answer.usage.completion_tokens !== out) failed++;
    } catch (e) {
      failed++;
      console.error(`${name} ${i}: ${e}`);
    }
  }
}

await Promise.all(Array.from({ length: Number(concurrency) }, worker));
process.exit(failed ? 1 : 0);
