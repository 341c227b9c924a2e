// daemon: the page as the real daemon serves it, with calls that wait.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startBrowser } from './browser.mjs';
import { Daemon, KEY, PROMPT } from './daemon.mjs';

let browser;
before(async () => {
  browser = await startBrowser();
});
after(() => browser.stop());

const text = (id) => `document.getElementById(${JSON.stringify(id)}).textContent`;
const count = (v) => v.toLocaleString('en-US');

// One call in flight that does not end by itself, and `held` that wait for it.
async function withHeld(held, use) {
  const daemon = new Daemon(
    'models:\n  gpt-4o: {rpm: 500, tpm: 60k, concurrent: 1}\nclients:\n  nightly: {priority: low, usd_per_day: 2}\n',
  );
  await daemon.start();
  const page = await browser.page();
  try {
    const calls = [daemon.call('editor', '[[fault=hold:1]]')];
    await daemon.until((s) => s.in_flight === 1);
    for (let i = 0; i < held; i++)
      calls.push(daemon.call(i % 3 ? 'nightly' : 'editor', undefined, i % 3 ? 'low' : 'normal'));
    await daemon.until((s) => s.held === held);
    await page.open(`${daemon.url}/-/`);
    await page.until(`${text('f-held')} === "${held}"`);
    await use(page, daemon, calls);
  } finally {
    await page.close();
    await daemon.remove();
  }
}

test('test_dashboard__opened_while_calls_wait__is_one_request_and_the_stream', () =>
  withHeld(6, async (page, daemon) => {
    assert.deepEqual(page.requests, [
      { method: 'GET', url: `${daemon.url}/-/` },
      { method: 'GET', url: `${daemon.url}/-/events?history=1` },
    ]);
    assert.match(await page.eval(text('sentence')), /^6 calls wait; /);
    assert.deepEqual(page.problems, []);
  }));

test('test_dashboard__paused__its_numbers_are_those_of_status', () =>
  withHeld(9, async (page, daemon) => {
    await fetch(`${daemon.url}/-/pause`, { method: 'POST' });
    await page.until(`${text('state')} === "Paused"`);
    const s = await daemon.status();
    const seen = await page.eval(`(() => {
    const all = (root, f) => [...root.querySelectorAll('[data-f=' + f + ']')].map((n) => n.textContent);
    const b = document.querySelector('.budget');
    return { held: ${text('f-held')}, inFlight: ${text('f-in-flight')}, name: b.querySelector('h3').textContent, limits: all(b, 'figures'), meters: [...b.querySelectorAll('[role=meter]')].map((m) => [Number(m.ariaValueNow), Number(m.ariaValueMax)]),
      queue: [...b.querySelectorAll('[data-f=queueRows] tr')].map((r) => [all(r, 'client')[0], all(r, 'priority')[0], all(r, 'tokens')[0]]), waiters: [...b.querySelectorAll('[data-f=waiterRows] tr')].map((r) => [all(r, 'name')[0], all(r, 'held')[0], all(r, 'tokens')[0]]),
      clients: [...document.querySelectorAll('#client-list tr')].map((r) => [all(r, 'name')[0], all(r, 'held')[0], all(r, 'inFlight')[0]]) };
  })()`);
    const b = s.budgets[0];
    assert.deepEqual([seen.held, seen.inFlight, seen.name], [count(s.held), count(s.in_flight), b.name]);
    assert.deepEqual(
      seen.meters,
      b.limits.map((l) => [l.used + l.reserved, l.max]),
    );
    b.limits.forEach((l, i) =>
      assert.ok(
        seen.limits[i].includes(
          l.metric === 'concurrent'
            ? `${count(l.free)} free of ${count(l.max)}`
            : `${count(l.used)} used, ${count(l.reserved)} reserved, ${count(l.free)} free of ${count(l.usable)}`,
        ),
        seen.limits[i],
      ),
    );
    assert.deepEqual(
      seen.queue,
      b.queue.slice(0, 8).map((q) => [q.client, q.priority, count(q.tokens)]),
    );
    assert.deepEqual(
      seen.waiters.map((w) => [w[0], w[2]]),
      b.clients.map((c) => [c.name, count(c.tokens)]),
    );
    assert.deepEqual(
      [...seen.clients].sort(),
      s.clients.map((c) => [c.name, count(c.held), count(c.in_flight)]).sort(),
    );
  }));

test('test_dashboard__calls_end__it_shows_them_without_being_asked', () =>
  withHeld(3, async (page, daemon, calls) => {
    assert.equal(await page.eval('document.querySelectorAll("#call-list > li").length'), 0);
    await daemon.control('release');
    assert.deepEqual(await Promise.all(calls), [200, 200, 200, 200]);
    await page.until('document.querySelectorAll("#call-list > li").length === 4');
    await page.until(`${text('f-held')} === "0" && ${text('f-in-flight')} === "0"`);
    await page.eval('document.querySelectorAll("#call-list details").forEach((d) => { d.open = true; })');
    await page.until(
      '[...document.querySelectorAll("#call-list dd")].some((n) => n.textContent.includes("calls in flight (concurrent)"))',
      'why it waited',
    );
    assert.deepEqual(page.problems, []);
  }));

test('test_dashboard__keyboard_alone__pauses_and_resumes_after_asking', () =>
  withHeld(2, async (page, daemon) => {
    await page.tabTo('#pause');
    await page.press('Enter');
    await page.until('document.getElementById("dialog").open');
    assert.equal((await daemon.status()).paused, false);
    await page.press('Tab');
    await page.press('Enter');
    await daemon.until((s) => s.paused);
    await page.until(`${text('state')} === "Paused" && !document.getElementById("dialog").open`);
    assert.match(
      await page.eval(text('sentence')),
      /^Paused: 2 calls wait until somebody resumes; 1 call is in flight\.$/,
    );
    await page.press('Enter');
    await page.press('Tab');
    await page.press('Enter');
    await daemon.until((s) => !s.paused);
    await page.until(`${text('state')} === "Running"`);
    assert.deepEqual(page.problems, []);
  }));

test('test_dashboard__daemon_started_again__goes_on_and_may_still_pause', () =>
  withHeld(2, async (page, daemon, calls) => {
    await daemon.control('release');
    await Promise.all(calls);
    await daemon.stop();
    await page.until('document.body.classList.contains("stale")');
    await daemon.start();
    await page.until('!document.body.classList.contains("stale")');
    await page.eval(
      'document.getElementById("pause").click(); document.getElementById("dialog-yes").click()',
    );
    await daemon.until((s) => s.paused);
  }));

test('test_dashboard__all_of_it_opened__no_prompt_and_no_key', () =>
  withHeld(5, async (page, daemon, calls) => {
    await page.eval('document.querySelectorAll("details").forEach((d) => { d.open = true; })');
    await page.until('document.querySelectorAll("#now-list tr").length > 0');
    const during = await page.eval('document.documentElement.outerHTML');
    await daemon.control('release');
    await Promise.all(calls);
    await page.until('document.querySelectorAll("#call-list > li").length === 6');
    await page.eval('document.querySelectorAll("details").forEach((d) => { d.open = true; })');
    for (const html of [during, await page.eval('document.documentElement.outerHTML')]) {
      assert.ok(html.includes('nightly'));
      assert.ok(!html.includes(PROMPT));
      assert.ok(!html.includes(KEY) && !html.includes(KEY.slice(0, 12)));
    }
  }));

test('test_dashboard__tokens_required__logs_in_and_out_by_keyboard', async () => {
  const daemon = new Daemon(
    'clients:\n  require_token: true\n  editor: {token: {env: METERGATE_TEST_TOKEN}}\n',
  );
  process.env.METERGATE_TEST_TOKEN = 'a-token-of-the-editor';
  await daemon.start();
  const page = await browser.page();
  try {
    await page.open(`${daemon.url}/-/`);
    assert.equal(await page.eval('location.pathname'), '/-/login');
    assert.equal(await page.eval('document.activeElement.id'), 'token');
    await page.send('Input.insertText', { text: 'a-token-of-the-editor' });
    assert.equal(await page.leaves(() => page.press('Enter')), '/-/');
    await page.until(`document.readyState === 'complete' && ${text('state')} === "Running"`);
    await page.tabTo('#logout button');
    assert.equal(await page.leaves(() => page.press('Enter')), '/-/login');
    await page.open(`${daemon.url}/-/`);
    assert.equal(await page.eval('location.pathname'), '/-/login', 'the session has ended');
  } finally {
    await page.close();
    await daemon.remove();
  }
});

test('test_dashboard__a_script_that_is_not_its_own__does_not_run', () =>
  withHeld(0, async (page) => {
    await page.eval(
      '(() => { const s = document.createElement("script"); s.textContent = "window.ran = true"; document.body.append(s); document.body.setAttribute("onclick", "window.ran = true"); document.body.click(); })()',
    );
    assert.equal(await page.eval('window.ran'), undefined);
    assert.ok(
      page.problems.some((p) => p.includes('Content Security Policy')),
      page.problems.join('\n'),
    );
  }));
