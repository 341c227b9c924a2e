// browser: Chromium without a window, spoken to over a pipe (--remote-debugging-pipe: one JSON object after the other,
// each ended by a zero byte), so that nothing has to be installed for Node.js. All waiting is for something that the page
// shows; a wait that is in vain ends with an error that says for what.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const WAIT_MS = 20000;

// The first Chromium that is there, or null.
export function findBrowser() {
  const names = [process.env.CHROMIUM, 'chromium', 'chromium-browser', 'google-chrome'].filter(Boolean);
  return names.find((name) => spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0) ?? null;
}

class Pipe {
  constructor(child) {
    this.out = child.stdio[3];
    this.next = 1;
    this.waiting = new Map();
    this.listeners = new Set();
    let rest = Buffer.alloc(0);
    child.stdio[4].on('data', (data) => {
      rest = Buffer.concat([rest, data]);
      for (let end = rest.indexOf(0); end >= 0; end = rest.indexOf(0)) {
        const message = JSON.parse(rest.subarray(0, end).toString());
        rest = rest.subarray(end + 1);
        this.take(message);
      }
    });
    child.on('exit', () => this.waiting.forEach((w) => w.reject(new Error('the browser has ended'))));
  }

  take(message) {
    if (!message.id) {
      this.listeners.forEach((listen) => listen(message));
      return;
    }
    const { resolve, reject } = this.waiting.get(message.id);
    this.waiting.delete(message.id);
    if (message.error) reject(new Error(message.error.message));
    else resolve(message.result);
  }

  send(method, params = {}, sessionId) {
    const id = this.next++;
    this.out.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    return new Promise((resolve, reject) => this.waiting.set(id, { resolve, reject }));
  }
}

// One tab. `problems`: what its console, its exceptions and its policy said; `requests`: the addresses it asked for.
class Page {
  constructor(pipe, sessionId, targetId) {
    Object.assign(this, { pipe, sessionId, targetId, problems: [], requests: [], listeners: [] });
    this.listen = (message) => message.sessionId === sessionId && this.take(message);
    pipe.listeners.add(this.listen);
  }

  send(method, params) {
    return this.pipe.send(method, params, this.sessionId);
  }

  take({ method, params }) {
    if (method === 'Runtime.exceptionThrown')
      this.problems.push(params.exceptionDetails.exception?.description ?? params.exceptionDetails.text);
    if (method === 'Runtime.consoleAPICalled' && ['error', 'warning', 'assert'].includes(params.type))
      this.problems.push(params.args.map((a) => a.value).join(' '));
    if (method === 'Log.entryAdded' && ['error', 'warning'].includes(params.entry.level))
      this.problems.push(`${params.entry.source}: ${params.entry.text} ${params.entry.url ?? ''}`);
    if (method === 'Network.requestWillBeSent' && !params.request.url.startsWith('data:'))
      this.requests.push({ method: params.request.method, url: params.request.url });
    if (method === 'Page.loadEventFired') this.loaded?.();
    if (method === 'Page.frameNavigated') this.navigated?.(new URL(params.frame.url).pathname);
  }

  async open(url) {
    const loaded = new Promise((resolve) => {
      this.loaded = resolve;
    });
    await this.send('Page.navigate', { url });
    await loaded;
  }

  // Does something, and resolves with the path of the page that comes up after it.
  async leaves(act) {
    const gone = new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error('the page stays where it is')), WAIT_MS);
      this.navigated = (path) => {
        clearTimeout(late);
        resolve(path);
      };
    });
    await act();
    return gone;
  }

  // The value of an expression, or of what its promise comes to.
  async eval(expression) {
    const { result, exceptionDetails } = await this.send('Runtime.evaluate', {
      expression,
      awaitPromise: true,
      returnByValue: true,
    });
    if (exceptionDetails)
      throw new Error(
        `${exceptionDetails.exception?.description ?? exceptionDetails.text} in ${expression.slice(0, 200)}`,
      );
    return result.value;
  }

  // Looks at every frame until the expression is true.
  async until(expression, what = expression) {
    const end = `performance.now() + ${WAIT_MS}`;
    const value = await this
      .eval(`(async () => { const end = ${end}; for (;;) { const v = (${expression}); if (v) return v;
      if (performance.now() > end) return null; await new Promise((go) => requestAnimationFrame(go)); } })()`);
    if (value === null)
      throw new Error(
        `waited in vain for: ${what}\n${await this.eval('document.body.innerText.slice(0, 3000)')}`,
      );
    return value;
  }

  // A key, as a keyboard sends it.
  async press(key, modifiers = 0) {
    const codes = { Tab: 9, Enter: 13, Escape: 27, ' ': 32, ArrowDown: 40 };
    const text = key === 'Enter' ? '\r' : key === ' ' ? ' ' : undefined;
    const params = { key, code: key === ' ' ? 'Space' : key, windowsVirtualKeyCode: codes[key], modifiers };
    await this.send('Input.dispatchKeyEvent', { type: text ? 'keyDown' : 'rawKeyDown', text, ...params });
    await this.send('Input.dispatchKeyEvent', { type: 'keyUp', ...params });
  }

  // Tabs on until what has the focus matches the selector.
  async tabTo(selector, limit = 200) {
    for (let i = 0; i < limit; i++) {
      await this.press('Tab');
      if (await this.eval(`document.activeElement.matches(${JSON.stringify(selector)})`)) return;
    }
    throw new Error(`${selector} cannot be reached by Tab`);
  }

  size(width, height) {
    return this.send('Emulation.setDeviceMetricsOverride', {
      width,
      height,
      deviceScaleFactor: 1,
      mobile: width < 500,
    });
  }

  scheme(value) {
    return this.send('Emulation.setEmulatedMedia', {
      features: [
        { name: 'prefers-color-scheme', value },
        { name: 'prefers-reduced-motion', value: 'reduce' },
      ],
    });
  }

  async shot(file, whole = true) {
    const { data } = await this.send('Page.captureScreenshot', {
      format: 'png',
      captureBeyondViewport: whole,
    });
    writeFileSync(file, Buffer.from(data, 'base64'));
  }

  async close() {
    this.pipe.listeners.delete(this.listen);
    await this.pipe.send('Target.closeTarget', { targetId: this.targetId });
  }
}

export async function startBrowser() {
  const profile = mkdtempSync(join(tmpdir(), 'metergate-page-'));
  const args = [
    '--headless=new',
    '--remote-debugging-pipe',
    `--user-data-dir=${profile}`,
    '--no-first-run',
    '--disable-gpu',
    '--disable-background-networking',
    '--disable-component-update',
    '--hide-scrollbars',
  ];
  if (process.getuid() === 0) args.push('--no-sandbox'); // it refuses to have one as root
  const child = spawn(findBrowser(), args, { stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'] });
  child.stderr.resume();
  const pipe = new Pipe(child);
  return {
    async page({ width = 1200, height = 900, scheme = 'light' } = {}) {
      const { targetId } = await pipe.send('Target.createTarget', { url: 'about:blank' });
      const { sessionId } = await pipe.send('Target.attachToTarget', { targetId, flatten: true });
      const page = new Page(pipe, sessionId, targetId);
      for (const domain of ['Page', 'Runtime', 'Log', 'Network', 'Accessibility'])
        await page.send(`${domain}.enable`);
      await page.size(width, height);
      await page.scheme(scheme);
      return page;
    },
    async stop() {
      const gone = new Promise((resolve) => child.once('exit', resolve));
      await pipe.send('Browser.close').catch(() => child.kill());
      await gone;
      rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
