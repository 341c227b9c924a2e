// daemon: the real daemon before the provider simulator, and clients with calls. `start` and `stop` may follow each other:
// the daemon keeps its port.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const BIN = process.env.MG_BIN ?? new URL('../../build/release/bin', import.meta.url).pathname;

// What must never be seen on the page.
export const PROMPT = 'the-prompt-that-nobody-sees';
export const KEY = 'sk-the-key-that-nobody-sees';

// Resolves when it says on which port it listens.
function launch(program, args) {
  const child = spawn(join(BIN, program), args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  const port = new Promise((resolve, reject) => {
    const look = (data) => {
      said += data;
      const at = /listening on 127\.0\.0\.1:(\d+)/.exec(said);
      if (at) resolve(Number(at[1]));
    };
    child.stdout.on('data', look);
    child.stderr.on('data', look);
    child.on('exit', (code) => reject(new Error(`${program} ended with ${code}: ${said}`)));
  });
  return port.then((p) => ({ child, port: p }));
}

async function end({ child }) {
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await gone;
}

export class Daemon {
  // `config`: YAML beside listen, state_dir and the upstream.
  constructor(config) {
    this.config = config;
    this.dir = mkdtempSync(join(tmpdir(), 'metergate-page-daemon-'));
  }

  async start() {
    this.simulator ??= await launch('metergate-simulator', [
      '--listen',
      '127.0.0.1:0',
      '--config',
      JSON.stringify({ models: { '*': {} } }),
    ]);
    const file = join(this.dir, 'metergate.yaml');
    writeFileSync(
      file,
      `listen: ["127.0.0.1:${this.port ?? 0}"]\nstate_dir: ${this.dir}/state\ndrain: 0s\n` +
        `upstreams:\n  openai: {dialect: openai, base_url: "http://127.0.0.1:${this.simulator.port}/v1", api_key: {file: "${this.dir}/key"}}\n${this.config}`,
    );
    writeFileSync(join(this.dir, 'key'), KEY, { mode: 0o600 });
    this.running = await launch('metergated', ['-c', file]);
    this.port = this.running.port;
    this.url = `http://127.0.0.1:${this.port}`;
  }

  async stop() {
    await end(this.running);
    this.running = null;
  }

  async remove() {
    if (this.running) await this.stop();
    await end(this.simulator);
    rmSync(this.dir, { recursive: true, force: true });
  }

  async status() {
    return (await fetch(`${this.url}/-/status`)).json();
  }

  // Looks again until it is as wanted.
  async until(wanted) {
    for (const end = Date.now() + 20000; Date.now() < end;) {
      const status = await this.status();
      if (wanted(status)) return status;
    }
    throw new Error(`the daemon never was: ${wanted}`);
  }

  control(path) {
    return fetch(`http://127.0.0.1:${this.simulator.port}/_sim/${path}`, { method: 'POST', body: '{}' });
  }

  // Sends a call; resolves with its status, 0 if it came to none.
  call(client, directives = '[[out=20]]', priority = 'normal') {
    const body = JSON.stringify({
      model: 'gpt-4o',
      max_tokens: 40,
      messages: [{ role: 'user', content: `${PROMPT} ${directives}` }],
    });
    return new Promise((resolve) => {
      const out = request(
        `${this.url}/v1/chat/completions`,
        {
          method: 'POST',
          agent: false,
          headers: {
            'Content-Type': 'application/json',
            'Content-Length': Buffer.byteLength(body),
            'Metergate-Client': client,
            'Metergate-Priority': priority,
            Authorization: `Bearer ${KEY}`,
          },
        },
        (answer) => {
          answer.resume();
          answer.on('end', () => resolve(answer.statusCode));
          answer.on('error', () => resolve(0));
        },
      );
      out.on('error', () => resolve(0));
      out.end(body);
    });
  }
}
