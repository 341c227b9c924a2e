// An interactive client beside a batch that takes everything: one call of 1,500 tokens every half window, at 30,000 tokens a
// window. The window is a tenth of a minute; how long the calls wait is told in windows.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import OpenAI from 'openai';
import { startBoth } from './daemons.mjs';

const WINDOW_S = 6;
const LIMIT = 30000;
const ASKED = 24;
const TOKENS = 1500;

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function batch(baseURL) {
  const script = new URL('script.mjs', import.meta.url).pathname;
  return spawn(process.execPath, [script, baseURL, 'nightly', 100000, 64, TOKENS], { stdio: 'inherit' });
}

// The Metergate-Queued-Ms of each answer, in windows, sorted.
async function ask(url) {
  const sdk = new OpenAI({ baseURL: url, apiKey: 'sk-test-editor', maxRetries: 0 });
  const waits = [];
  for (let i = 0; i < ASKED; i++) {
    const next = pause((WINDOW_S * 1000) / 2 + 37 * (i % 5));
    const { response } = await sdk.chat.completions
      .create({ model: 'gpt-4o', max_tokens: 20, messages: [{ role: 'user', content: 'river '.repeat(TOKENS - 30) + `${i} [[out=20]]` }] })
      .withResponse();
    waits.push(Number(response.headers.get('metergate-queued-ms')) / 1000 / WINDOW_S);
    await next;
  }
  return waits.sort((a, b) => a - b);
}

export async function beside() {
  const t = await startBoth(
    { models: { 'gpt-4o': { tpm: LIMIT, window_ms: WINDOW_S * 1000, limiter: 'rolling', charging: 'actual', first_byte_ms: 20 } } },
    (url) => `listen: [127.0.0.1:0]\nheadroom: 0%\nupstreams:\n  openai: {dialect: openai, base_url: "${url}", counting: actual}\n` +
             `models:\n  gpt-4o: {tpm: {max: ${LIMIT}, per: ${WINDOW_S}s}}\nclients:\n  editor: {priority: high}\n`);
  try {
    const nightly = batch(`${t.root}/@nightly/v1`);
    await pause(WINDOW_S * 1000); // the batch has had a window to itself
    const waits = await ask(`${t.root}/@editor/v1`);
    nightly.kill();
    const audit = await t.control('audit?arrivals=10000');
    const list = audit.models['gpt-4o'].list;
    const from = list[0].t_us + WINDOW_S * 1e6;
    const until = list[list.length - 1].t_us;
    const used = list.filter((a) => a.t_us > from).reduce((sum, a) => sum + a.input + a.output, 0) / (LIMIT * ((until - from) / 1e6 / WINDOW_S));
    const at = (q) => waits[Math.ceil(waits.length * q) - 1];
    console.log(`beside a batch: ${ASKED} calls waited p50 ${(100 * at(0.5)).toFixed(1)} %, p95 ${(100 * at(0.95)).toFixed(1)} %, at most ` +
                `${(100 * at(1)).toFixed(1)} % of the window; ${(100 * used).toFixed(1)} % of the limit used; ${audit.n429} answers of 429`);
    assert.ok(at(0.95) <= 0.2, 'p95 over 20 % of the window');
    assert.equal(audit.n429, 0);
  } finally {
    await t.stop();
  }
}
