// `metergate run` before programs that set nothing: their calls go through the daemon, in Node.js and in Python.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { bin, startBoth } from './daemons.mjs';

const keys = { OPENAI_API_KEY: 'sk-test', ANTHROPIC_API_KEY: 'sk-ant-test', GEMINI_API_KEY: 'goog-test', AZURE_OPENAI_API_KEY: 'azure-test', AZURE_API_KEY: 'azure-test' };

function run(root, command) {
  const env = { PATH: process.env.PATH, HOME: process.env.HOME, METERGATE_URL: root, ...keys };
  return new Promise((resolve) => {
    const child = spawn(join(bin, 'metergate'), ['run', '--client', 'nightly', '--', ...command], { env, stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    child.stdout.on('data', (d) => (text += d));
    child.on('exit', (code) => resolve([code, text.trim()]));
  });
}

export async function runCommand() {
  const t = await startBoth(
    { models: { '*': {} } },
    (url) => `listen: [127.0.0.1:0]\nupstreams:\n  openai: {base_url: "${url}"}\n` +
      ['anthropic', 'gemini', 'azure'].map((d) => `  ${d}: {base_url: "${url.slice(0, -3)}"}\n`).join('') +
      'models:\n  all: {match: ["*"], tpm: 1M}\n');
  const here = (name) => new URL(name, import.meta.url).pathname;
  const commands = [[process.execPath, here('protected.mjs')]];
  const python = process.env.PYTHON ?? here('venv/bin/python');
  if (existsSync(python)) commands.push([python, here('protected.py')]);
  else console.log('skip  metergate run -- python: PyPI could not be reached');
  const litellm = here('venv-litellm/bin/python');
  if (existsSync(litellm)) commands.push([litellm, here('protected_litellm.py')]);
  try {
    for (const command of commands) {
      await t.control('reset', {});
      assert.deepEqual(await run(t.root, command), [0, '3 3 3 3'], command.join(' '));
      const status = await (await fetch(`${t.root}/-/status`)).json();
      const audit = await t.control('audit');
      assert.equal(audit.arrivals, 4);
      assert.ok(status.clients.some((c) => c.name === 'nightly' && c.calls % 4 === 0));
      console.log(`ok    metergate run -- ${command[1].split('/').pop()}: OpenAI, Anthropic, Gemini and Azure went through`);
    }
  } finally {
    await t.stop();
  }
}

if (process.argv[1] === new URL(import.meta.url).pathname) await runCommand();
