// fake: a daemon that plays the documents of states.mjs and serves the real page under the real policy. By itself,
// `node tests/page/fake.mjs STATE [PORT]`, it is for looking at the page while it is worked on.
import { createServer } from 'node:http';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { call, history, recent, states } from './states.mjs';

const PAGE = new URL('../../src/proxy/page.html', import.meta.url);

export function policy(nonce) {
  return `default-src 'none'; style-src 'nonce-${nonce}'; script-src 'nonce-${nonce}'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'`;
}

export class Fake {
  constructor(name) {
    this.play(name);
    this.secret = 'secret-1';
    this.posts = [];
    this.streams = new Set();
    this.refuse = 0; // the status that everything is answered with
    this.server = createServer((q, a) => this.answer(q, a));
  }

  play(name) {
    Object.assign(this, { name, since: Date.now(), paused: null });
  }

  status() {
    const s = states[this.name](Date.now() - this.since);
    return this.paused === null ? s : { ...s, paused: this.paused };
  }

  async listen(port = 0) {
    await new Promise((resolve) => this.server.listen(port, '127.0.0.1', resolve));
    this.port = this.server.address().port;
    this.timer = setInterval(() => this.send('status', this.status()), 1000);
    return `http://127.0.0.1:${this.port}/-/`;
  }

  send(event, data) {
    for (const stream of this.streams) stream.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  }

  // Of a call that has ended.
  call(extra) {
    const c = call(this.name, extra);
    this.send('call', c);
    return c;
  }

  async stop() {
    clearInterval(this.timer);
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
    this.streams.clear();
  }

  answer(q, a) {
    const path = q.url.split('?')[0];
    const json = (status, body) => {
      a.writeHead(status, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' });
      a.end(JSON.stringify(body));
    };
    if (path === '/-/login') {
      a.writeHead(200, { 'Content-Type': 'text/html' });
      a.end('<!doctype html><title>Login</title><link rel="icon" href="data:,">');
      return;
    }
    if (this.refuse) {
      json(this.refuse, {});
      return;
    }
    if (path === '/-/') this.page(a);
    else if (path === '/-/status') json(200, this.status());
    else if (path === '/-/history') json(200, history(this.name));
    else if (path === '/-/calls/now')
      json(200, {
        calls: [1, 2, 3].map((i) =>
          call(this.name, { id: `mg-now-${i}`, state: i < 3 ? 'held' : 'streaming', outcome: null }),
        ),
      });
    else if (path === '/-/events') this.stream(a);
    else if (q.method === 'POST') this.command(q, path.slice(3), json);
    else json(404, {});
  }

  page(a) {
    const nonce = randomBytes(16).toString('base64');
    a.writeHead(200, {
      'Content-Type': 'text/html; charset=utf-8',
      'Content-Security-Policy': policy(nonce),
      'Cache-Control': 'no-store',
      'X-Content-Type-Options': 'nosniff',
    });
    a.end(
      readFileSync(PAGE, 'utf8')
        .replaceAll('@NONCE@', nonce)
        .replaceAll('@PAGE@', this.secret)
        .replaceAll('@LOGIN@', 'none')
        .replaceAll('@VERSION@', '0.1.0'),
    );
  }

  stream(a) {
    a.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
    this.streams.add(a);
    a.on('close', () => this.streams.delete(a));
    const write = (event, data) => a.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
    write('status', this.status());
    write('history', history(this.name));
    write('recent', recent(this.name));
  }

  command(q, name, json) {
    this.posts.push({ name, secret: q.headers['metergate-page'] });
    if (q.headers['metergate-page'] !== this.secret) {
      json(403, {});
      return;
    }
    this.paused = name === 'pause';
    json(200, { paused: this.paused });
    this.send('status', this.status());
  }
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  const fake = new Fake(process.argv[2] ?? 'held');
  console.log(await fake.listen(Number(process.argv[3] ?? 0)));
  setInterval(() => fake.call(), 2300);
}
