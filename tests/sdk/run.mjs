// See README.md.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import OpenAI from 'openai';
import { startBoth } from './daemons.mjs';
import { beside } from './beside.mjs';
import { breadth } from './breadth.mjs';
import { held } from './held.mjs';
import { litellm } from './litellm.mjs';
import { proxied } from './proxied.mjs';
import { runCommand } from './run_command.mjs';

const WINDOW_S = 4;
const LIMIT = 15000;

async function collect(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

const user = (content) => [{ role: 'user', content }];
const tools = [{ type: 'function', function: { name: 'look', description: 'Looks.', parameters: { type: 'object', properties: { at: { type: 'string' } } } } }];

// Each is run twice, directly and through Metergate.
const kinds = {
  'plain': (c) => c.chat.completions.create({ model: 'gpt-4o', messages: user('hello [[out=20]]') }),
  'unicode': (c) => c.chat.completions.create({ model: 'gpt-4o', messages: user('héllo 你好 👋🏽 [[unicode]] [[out=30]]') }),
  'system, names, n': (c) => c.chat.completions.create({ model: 'gpt-3.5-turbo', n: 3, messages: [{ role: 'system', content: 'Be brief.' }, { role: 'user', name: 'ana', content: 'hi [[out=7]]' }] }),
  'stream': async (c) => collect(await c.chat.completions.create({ model: 'gpt-4o', stream: true, messages: user('hello [[out=50]]') })),
  'stream with usage': async (c) => collect(await c.chat.completions.create({ model: 'gpt-4o', stream: true, stream_options: { include_usage: true }, messages: user('hello [[out=50]]') })),
  'stream without usage': async (c) => collect(await c.chat.completions.create({ model: 'gpt-4o', stream: true, stream_options: { include_usage: false }, messages: user('hello [[out=50]]') })),
  'tools': (c) => c.chat.completions.create({ model: 'gpt-4o', tools, messages: user('look around [[tool]]') }),
  'tools, stream': async (c) => collect(await c.chat.completions.create({ model: 'gpt-4o', tools, stream: true, messages: user('look around [[tool]]') })),
  'the SDK\'s own stream helper': async (c) => (await c.chat.completions.stream({ model: 'gpt-4o', messages: user('hello [[out=12]]') }).finalChatCompletion()).choices,
  'models': async (c) => (await c.models.list()).data,
  'embeddings': (c) => c.embeddings.create({ model: 'text-embedding-3-small', input: ['one', 'two'] }),
  'bad request': async (c) => c.chat.completions.create({ model: 'gpt-4o', messages: 'no list' }).catch((e) => ({ status: e.status, error: e.error })),
  'server error': async (c) => c.chat.completions.create({ model: 'gpt-4o', messages: user('[[fault=status:500]]') }).catch((e) => ({ status: e.status })),
};

const plain = (v) => JSON.parse(JSON.stringify(v));

async function compare() {
  const t = await startBoth(
    { models: { '*': {} } },
    (url) => `listen: [127.0.0.1:0]\nupstreams:\n  openai: {dialect: openai, base_url: "${url}"}\n`);
  const bodies = async () => {
    const audit = await t.control('audit?arrivals=1000');
    const seen = Object.values(audit.models).concat(audit.other).flatMap((m) => m.list);
    await t.control('reset', {});
    return seen.map((a) => a.sha256);
  };
  try {
    for (const [name, call] of Object.entries(kinds)) {
      const options = { apiKey: 'sk-test', maxRetries: 0 };
      const direct = plain(await call(new OpenAI({ ...options, baseURL: t.direct })));
      const sent = await bodies();
      const through = plain(await call(new OpenAI({ ...options, baseURL: t.through })));
      const seen = await bodies();
      assert.deepEqual(through, direct, name);
      const spliced = name === 'stream' || name === 'tools, stream' || name.startsWith('the SDK');
      if (!spliced) assert.deepEqual(seen, sent, `${name}: the body that the provider saw`);
      console.log(`ok    ${name}`);
    }
    const audit = await t.control('audit');
    assert.deepEqual(audit.violations, []);
  } finally {
    await t.stop();
  }
}

function script(baseURL, name, calls, concurrency) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [new URL('script.mjs', import.meta.url).pathname, baseURL, name, calls, concurrency], { stdio: 'inherit' });
    child.on('exit', resolve);
  });
}

async function share() {
  const t = await startBoth(
    { models: { 'gpt-4o': { tpm: LIMIT, window_ms: WINDOW_S * 1000, limiter: 'rolling', charging: 'actual', first_byte_ms: 20 } } },
    (url) => `listen: [127.0.0.1:0]\nheadroom: 0%\nupstreams:\n  openai: {dialect: openai, base_url: "${url}", counting: actual}\n` +
             `models:\n  gpt-4o: {tpm: {max: ${LIMIT}, per: ${WINDOW_S}s}}\n`);
  try {
    const names = ['ana', 'bo', 'chris', 'dee', 'eli', 'fay'];
    const codes = await Promise.all(names.map((n) => script(t.root + `/@${n}/v1`, n, 120, 16)));
    const audit = await t.control('audit?arrivals=10000');
    const seen = audit.models['gpt-4o'];
    const times = seen.list.map((a) => a.t_us / 1e6);
    const makespan = Math.max(...times) - Math.min(...times);
    const tokens = seen.list.reduce((sum, a) => sum + a.input + a.output, 0);
    const bound = (Math.ceil(tokens / LIMIT) - 1) * WINDOW_S;
    console.log(`six processes: ${seen.arrivals} calls, ${tokens} tokens, ${audit.n429} answers of 429, peak ${seen.peak_tokens} of ${LIMIT}`);
    console.log(`last start after ${makespan.toFixed(2)} s; packing bound ${bound} s; ratio ${(makespan / bound).toFixed(3)}`);
    assert.deepEqual(codes, codes.map(() => 0));
    assert.equal(seen.arrivals, names.length * 120);
    assert.equal(audit.n429, 0);
    assert.deepEqual(audit.violations, []);
    assert.ok(makespan / bound <= 1.05, 'makespan over 1.05 of the packing bound');
    const status = await (await fetch(t.root + '/-/status')).json();
    assert.equal(status.held, 0);
    assert.equal(status.in_flight, 0);
    assert.equal(status.budgets[0].limits[0].reserved, 0);
  } finally {
    await t.stop();
  }
}

await compare();
await breadth();
await runCommand();
await proxied();
await litellm();
await held();
await share();
await beside();
console.log('all good');
