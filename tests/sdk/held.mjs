// Held calls: each client is told three times that its call is alive, then gets its answer, and another call after it.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';
import OpenAI from 'openai';
import { startBoth } from './daemons.mjs';

const run = promisify(execFile);
const python = new URL('venv/bin/python', import.meta.url).pathname;
const script = new URL('held.py', import.meta.url).pathname;
const body = { model: 'gpt-4o', max_tokens: 5, messages: [{ role: 'user', content: 'hello [[out=5]]' }] };
const json = { 'Content-Type': 'application/json' };
const TOLD = 3;
const PATIENCE_MS = 20_000;

// Each makes one call and gives the tokens of its answer.
function clients(url) {
  const sdk = new OpenAI({ apiKey: 'sk-test', baseURL: url, maxRetries: 0 });
  const all = {
    'openai (npm)': async () => (await sdk.chat.completions.create(body)).usage.completion_tokens,
    'openai (npm), stream': async () => {
      let tokens = 0;
      for await (const chunk of await sdk.chat.completions.create({ ...body, stream: true }))
        if (chunk.choices[0]?.delta?.content) tokens++;
      return tokens;
    },
    'fetch of Node.js': async () => {
      const r = await fetch(`${url}/chat/completions`, { method: 'POST', headers: json, body: JSON.stringify(body) });
      return (await r.json()).usage.completion_tokens;
    },
    'curl': async () => {
      const r = await run('curl', ['-sS', '-H', 'Content-Type: application/json', '-d', JSON.stringify(body), `${url}/chat/completions`]);
      return JSON.parse(r.stdout).usage.completion_tokens;
    },
  };
  if (!existsSync(python)) {
    console.log('skip  the Python clients: tests/sdk/venv is not there');
    return all;
  }
  for (const name of ['openai', 'httpx', 'aiohttp'])
    all[`${name} (PyPI)`] = async () => Number((await run(python, [script, name, url])).stdout);
  return all;
}

const status = async (root) => (await fetch(`${root}/-/status`)).json();

async function told(root) {
  const text = await (await fetch(`${root}/metrics`)).text();
  return Number(/^metergate_interim_responses_total (\d+)$/m.exec(text)[1]);
}

// What Metergate does not know gets no 102, so the counter is the other client's alone.
function unknown(url, agent) {
  return fetch(`${url}/chat/completions`, { method: 'POST', headers: { ...json, 'User-Agent': agent }, body: JSON.stringify(body) });
}

async function hold(t, call, others) {
  await t.control('config', { faults: [{ fault: 'hold', next: 1 }] });
  const inTheWay = unknown(t.through, 'in-the-way/1');
  assert.ok(await t.control('wait?held=1&timeout_ms=10000'));
  const pending = Promise.all([call(), ...others.map((o) => o())]);
  let over = false;
  pending.then(() => (over = true), () => (over = true));
  const last = Date.now() + PATIENCE_MS;
  while ((await status(t.root)).held < 1 + others.length && !over) assert.ok(Date.now() < last, 'it was not held');
  const before = await told(t.root);
  while ((await told(t.root)) < before + TOLD && !over) assert.ok(Date.now() < last, 'it was not told');
  assert.ok(!over, 'the call ended while it was held');
  await t.control('release', {});
  assert.equal((await inTheWay).status, 200);
  return pending;
}

export async function held() {
  const t = await startBoth(
    { models: { '*': {} } },
    (url) => `listen: [127.0.0.1:0]\nqueue: {keepalive: 50ms}\nupstreams:\n  openai: {dialect: openai, base_url: "${url}"}\n` +
             'models:\n  gpt-4o: {concurrent: 1}\n');
  try {
    // It takes a 102 for the answer: it is held beside each of the others and must not see one.
    const requests = existsSync(python) ? [async () => Number((await run(python, [script, 'requests', t.through])).stdout)] : [];
    for (const [name, call] of Object.entries(clients(t.through))) {
      for (const tokens of await hold(t, call, requests)) assert.equal(tokens, 5, name);
      assert.equal(await call(), 5, `${name}: the call after it`);
      console.log(`ok    held, ${name}`);
    }
    assert.deepEqual((await t.control('audit')).violations, []);
  } finally {
    await t.stop();
  }
}
