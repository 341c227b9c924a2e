// LiteLLM's proxy behind Metergate (it is an upstream) and before it (Metergate is its api_base), as docs/providers.md has it.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import OpenAI from 'openai';
import { startBoth } from './daemons.mjs';

const program = process.env.LITELLM ?? new URL('venv-litellm/bin/litellm', import.meta.url).pathname;

const freePort = () => new Promise((resolve) => {
  const s = createServer().listen(0, '127.0.0.1', () => {
    const { port } = s.address();
    s.close(() => resolve(port));
  });
});

async function startProxy(dir, config) {
  const port = await freePort();
  writeFileSync(join(dir, 'litellm.yaml'), config);
  const env = { PATH: process.env.PATH, HOME: dir, LITELLM_LOCAL_MODEL_COST_MAP: 'True', LITELLM_TELEMETRY: 'False', LITELLM_MASTER_KEY: 'sk-test' };
  const child = spawn(program, ['--config', join(dir, 'litellm.yaml'), '--host', '127.0.0.1', '--port', String(port)], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  child.stdout.on('data', (d) => (text += d));
  child.stderr.on('data', (d) => (text += d));
  for (let i = 0; ; i++) { // it says nothing that could be waited for
    if (child.exitCode !== null || i > 240) throw new Error(`litellm did not start: ${text}`);
    const up = await fetch(`http://127.0.0.1:${port}/health/liveliness`).then((r) => r.ok, () => false);
    if (up) break;
    await new Promise((r) => setTimeout(r, 250));
  }
  return { port, stop: () => new Promise((r) => { child.once('exit', r); child.kill('SIGTERM'); }), log: () => text };
}

const messages = [{ role: 'user', content: 'hello [[out=12]]' }];

// A plain call and a stream, whose tokens Metergate must have counted.
async function talk(baseURL, model) {
  const client = new OpenAI({ apiKey: 'sk-test', baseURL, maxRetries: 0 });
  const plain = await client.chat.completions.create({ model, messages });
  assert.equal(plain.usage.completion_tokens, 12, model);
  let text = '';
  for await (const chunk of await client.chat.completions.create({ model, messages, stream: true })) text += chunk.choices[0]?.delta?.content ?? '';
  assert.equal(text, plain.choices[0].message.content, model);
  return plain.usage.total_tokens * 2;
}

const used = async (root, name) => {
  const status = await (await fetch(`${root}/-/status`)).json();
  const budget = status.budgets.find((b) => b.name === name);
  return budget.limits[0].used + budget.limits[0].reserved;
};

export async function litellm() {
  if (!existsSync(program)) {
    console.log('skip  LiteLLM\'s proxy: PyPI could not be reached');
    return;
  }
  const dir = mkdtempSync(join(tmpdir(), 'metergate-litellm-'));
  const t = await startBoth(
    { models: { '*': {} } },
    (url) => `listen: [127.0.0.1:0]\nupstreams:\n  openai: {base_url: "${url}", counting: actual}\n  anthropic: {base_url: "${url.slice(0, -3)}", counting: actual}\n` +
      'models:\n  gpt-4o: {tpm: 1M}\n  claude: {match: ["claude-*"], tpm: 1M}\n');
  let proxy;
  try {
    // before: programs call LiteLLM, LiteLLM calls Metergate
    proxy = await startProxy(dir, `model_list:
  - {model_name: fast, litellm_params: {model: openai/gpt-4o, api_base: "${t.through}", api_key: sk-test}}
  - {model_name: wise, litellm_params: {model: anthropic/claude-sonnet-5, api_base: "${t.root}", api_key: sk-ant-test}}
`);
    assert.equal(await talk(`http://127.0.0.1:${proxy.port}/v1`, 'fast'), await used(t.root, 'gpt-4o'));
    assert.equal(await talk(`http://127.0.0.1:${proxy.port}/v1`, 'wise'), await used(t.root, 'claude'));
    console.log('ok    LiteLLM\'s proxy before Metergate: OpenAI and Anthropic, plain and streamed');
    await proxy.stop();
    await t.stop();

    // behind: programs call Metergate, which calls LiteLLM, which calls the provider
    const second = await startBoth({ models: { '*': {} } }, () => 'listen: [127.0.0.1:0]\nupstreams:\n  openai: {base_url: "http://127.0.0.1:9/v1"}\n');
    proxy = await startProxy(dir, `model_list:
  - {model_name: fast, litellm_params: {model: openai/gpt-4o, api_base: "${second.direct}", api_key: sk-test}}
`);
    const third = await startBoth({ models: {} }, () => `listen: [127.0.0.1:0]\nupstreams:\n  litellm: {dialect: openai, base_url: "http://127.0.0.1:${proxy.port}/v1", counting: actual}\nmodels:\n  fast: {tpm: 1M}\n`);
    assert.equal(await talk(`${third.root}/litellm/v1`, 'fast'), await used(third.root, 'fast'));
    console.log('ok    LiteLLM\'s proxy behind Metergate: plain and streamed');
    await third.stop();
  } finally {
    await proxy?.stop();
    await t.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}

if (process.argv[1] === new URL(import.meta.url).pathname) await litellm();
