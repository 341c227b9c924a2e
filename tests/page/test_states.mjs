// states: what the page says in each state of the daemon, and that what a person is doing survives every update.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startBrowser } from './browser.mjs';
import { Fake } from './fake.mjs';
import { call, history, recent, states } from './states.mjs';

let browser;
before(async () => {
  browser = await startBrowser();
});
after(() => browser.stop());

const text = (id) => `document.getElementById(${JSON.stringify(id)}).textContent`;
// Resolves when the page has drawn what was sent so far.
const frame = 'new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))';

async function shown(name, use, options) {
  const fake = new Fake(name);
  const page = await browser.page(options);
  try {
    await page.open(await fake.listen());
    await page.until(`${text('process')} !== ''`);
    await page.eval(frame);
    await use(page, fake);
  } finally {
    await page.close();
    await fake.stop();
  }
  return page;
}

for (const name of Object.keys(states)) {
  test(`test_page__${name}__shows_it_without_a_complaint`, async () => {
    const page = await shown(name, async (p) =>
      assert.match(await p.eval(text('state')), /Running|Paused|Stopping/),
    );
    assert.deepEqual(page.problems, []);
  });
}

// The names of all members, and the document without any of one name (or with null in their place).
const members = (v) =>
  v && typeof v === 'object' ? [...(Array.isArray(v) ? [] : Object.keys(v)), ...Object.values(v).flatMap(members)] : [];
const without = (v, name, put) =>
  Array.isArray(v)
    ? v.map((x) => without(x, name, put))
    : v && typeof v === 'object'
      ? Object.fromEntries(
          Object.entries(v)
            .filter(([k]) => k !== name || put !== undefined)
            .map(([k, x]) => [k, k === name ? put : without(x, name, put)]),
        )
      : v;

test('test_page__members_that_are_missing_or_null__are_nothing_and_no_error', () =>
  shown('held', async (page, fake) => {
    const documents = {
      status: states.held(0),
      history: history('held'),
      recent: recent('held'),
      call: call('held', { id: 'mg-odd' }),
    };
    for (const [event, whole] of Object.entries(documents)) {
      for (const name of new Set(members(whole))) {
        for (const put of [undefined, null]) {
          fake.send(event, without(whole, name, put));
          await page.eval(frame);
          assert.deepEqual(page.problems, [], `${event} without ${name} (${put})`);
        }
      }
      fake.send(event, whole);
    }
    await page.eval(frame);
    assert.match(await page.eval(text('sentence')), /^50 calls wait/);
  }));

test('test_page__calls_wait__the_sentence_says_when_the_last_starts', () =>
  shown('held', async (page) => {
    assert.match(
      await page.eval(text('sentence')),
      /^50 calls wait; the last of 46 starts in 4 min \d+ s, at \d\d:\d\d:\d\d, and what is under way decides about 4\.$/,
    );
    assert.match(
      await page.eval('document.querySelector(".budget .why").innerText'),
      /^Waits for tokens per minute \(tpm\)\. Next in \d s\. The last of 37 starts in 4 min \d+ s, at/,
    );
    assert.match(await page.eval('document.title'), /^50 held/);
  }));

for (const [name, words] of [
  ['paused', /^Paused: 50 calls wait until somebody resumes; 5 calls are in flight\.$/],
  ['draining', /^The daemon stops: no call begins any more, and 3 calls are in flight\.$/],
  ['empty', /^Ready\. No call has come yet\.$/],
  ['calm', /^Nothing waits, nothing is in flight\.$/],
  ['crowd', /^60 calls wait; the last of them starts in \d+ s, at/],
]) {
  test(`test_page__${name}__the_sentence_says_so`, () =>
    shown(name, async (page) => assert.match(await page.eval(text('sentence')), words)));
}

test('test_page__paused__a_budget_waits_for_somebody_and_for_nothing_else', () =>
  shown('paused', async (page) =>
    assert.equal(
      (await page.eval('document.querySelector(".budget .why").innerText')).trim(),
      'Waits for somebody to resume.',
    )));

test('test_page__limits_not_known_yet__are_not_called_configured', () =>
  shown('learning', async (page) => {
    const card = await page.eval('document.querySelector(".budget").textContent');
    assert.match(card, /Calls in flight until its limits are known \(learning\)/);
    assert.match(card, /first calls/);
    assert.doesNotMatch(card, /configured/);
  }));

test('test_page__provider_down_or_ledger_in_trouble__says_so_in_words', async () => {
  await shown('down', async (page) => {
    assert.match(
      await page.eval(text('alerts')),
      /openai.* cannot be reached.*Connection refused.*Its calls are held.*Overloaded at the provider.*claude-sonnet/,
    );
    assert.match(await page.eval('document.getElementById("upstream-list").innerText'), /openai\s+cannot be reached/);
  });
  await shown('failing', async (page) => {
    assert.match(await page.eval(text('alerts')), /openai.* cannot be reached.*Connection refused.* It is tried again\./);
    assert.doesNotMatch(await page.eval(text('alerts')), /now and then/);
    assert.match(
      await page.eval('document.querySelector(".budget .why").innerText'),
      /^Waits for a pause to end, after a refusal or a failed connection of upstream .*openai/,
    );
    // a connection that failed is no refusal
    assert.match(await page.eval('document.querySelector(".budget").textContent'), /, tried once/);
    assert.doesNotMatch(await page.eval('document.querySelector(".budget").textContent'), /refused once/);
  });
  await shown('ledger', async (page) =>
    assert.match(
      await page.eval(text('alerts')),
      /The ledger cannot be written: database or disk is full; 1,204 rows wait in memory/,
    ),
  );
});

test('test_page__no_event_for_a_while__countdowns_go_on', () =>
  shown('held', async (page, fake) => {
    clearInterval(fake.timer);
    const left =
      'Number(/in (\\d+) s/.exec(document.querySelector(".budget tbody:last-of-type tr td.num:last-child").textContent)?.[1] ?? 0)';
    const first = await page.eval(left);
    await page.until(`${left} < ${first}`, 'a countdown that goes on');
  }));

test('test_page__hostile_names__are_text_and_nothing_else', () =>
  shown('hostile', async (page) => {
    assert.match(await page.eval('document.title'), /^36 held \u00b7 Metergate$/);
    assert.equal(
      await page.eval('document.querySelectorAll("main script, main img, main iframe").length'),
      0,
    );
    assert.equal(
      await page.eval(
        '[...document.querySelectorAll(".budget h3 bdi")].some((n) => n.textContent.startsWith("<script>"))',
      ),
      true,
    );
    assert.equal(await page.eval('/[\\u202a-\\u202e\\u2066\\u2067]/.test(document.body.textContent)'), false);
    await page.eval('document.querySelectorAll("details").forEach((d) => { d.open = true; })');
    await page.eval(frame);
    assert.equal(
      await page.eval('document.querySelectorAll("main script, main img, main iframe").length'),
      0,
    );
  }));

test('test_page__hundreds_of_budgets_and_clients__shows_the_busiest_and_the_rest_on_demand', () =>
  shown('crowd', async (page) => {
    const budgets = 'document.querySelectorAll(".budget").length',
      clients = 'document.querySelectorAll("#client-list tr").length';
    assert.equal(await page.eval(budgets), 9);
    assert.equal(await page.eval(clients), 10);
    assert.equal(
      await page.eval(
        '[...document.querySelectorAll(".budget")].slice(0, 5).every((b) => b.classList.contains("busy"))',
      ),
      true,
    );
    await page.eval(
      'document.getElementById("budgets-more").click(); document.getElementById("clients-more").click()',
    );
    assert.equal(await page.eval(budgets), 200);
    assert.equal(await page.eval(clients), 1000);
    const ms = await page.eval(
      '(() => { const t = performance.now(); for (let i = 0; i < 10; i++) render(); return (performance.now() - t) / 10; })()',
    );
    console.log(`      an update with 200 budgets and 1,000 clients shown: ${ms.toFixed(1)} ms`);
    await page.eval('document.getElementById("budgets-more").click()');
    assert.equal(await page.eval(budgets), 9);
  }));

test('test_page__updates__focus_selection_and_what_is_open_stay', () =>
  shown('held', async (page, fake) => {
    await page.eval(
      'document.querySelectorAll("#call-list details")[2].open = true; window.opened = document.querySelectorAll("#call-list details")[2]',
    );
    await page.eval('window.focused = document.querySelector(".budget [data-f=queueMore]"); focused.focus()');
    await page.eval(
      'getSelection().selectAllChildren(document.querySelector("#client-list th")); window.selected = getSelection().toString()',
    );
    for (let i = 0; i < 30; i++) fake.call();
    const last = fake.call({ id: 'mg-the-last' });
    fake.play('down'); // other budgets are busy now
    fake.send('status', fake.status());
    await page.until(
      `document.getElementById("alerts").childElementCount > 0 && document.querySelector("#call-list").textContent.length > 0 && app.calls[0].id === ${JSON.stringify(last.id)}`,
    );
    await page.eval(frame);
    assert.equal(await page.eval('opened.isConnected && opened.open'), true, 'the open call');
    assert.equal(await page.eval('document.activeElement === focused'), true, 'the focus');
    assert.equal(
      await page.eval('getSelection().toString() === selected && selected !== ""'),
      true,
      'the selection',
    );
    assert.match(await page.eval('opened.textContent'), /Waited for.*tokens per minute|It did not wait/);
  }));

test('test_page__two_budgets_of_one_name__are_both_there', () =>
  shown('held', async (page, fake) => {
    const s = fake.status();
    const before = await page.eval('document.querySelectorAll(".budget").length');
    s.budgets.unshift({ ...s.budgets[0], retired: true });
    clearInterval(fake.timer);
    fake.send('status', s);
    await page.until(`document.querySelectorAll(".budget").length === ${before + 1}`);
    assert.match(
      await page.eval('document.getElementById("budget-list").textContent'),
      /no longer in the configuration/,
    );
  }));

test('test_page__the_order_changes__the_node_with_the_focus_does_not_move', () =>
  shown('held', async (page, fake) => {
    await page.eval(
      'window.focused = [...document.querySelectorAll(".budget")].find((b) => b.textContent.includes("claude")).querySelector("button"); focused.focus(); window.moved = 0;',
    );
    await page.eval(
      'new MutationObserver((all) => { for (const m of all) for (const n of m.removedNodes) if (n.contains(focused)) moved++; }).observe(document.getElementById("budget-list"), { childList: true })',
    );
    const s = fake.status();
    s.budgets[0] = { ...s.budgets[0], held: 0, in_flight: 0, queue: [], clients: [], waits_for: null };
    clearInterval(fake.timer);
    fake.send('status', s);
    await page.until('document.querySelector(".budget h3").textContent.includes("claude")');
    assert.equal(await page.eval('moved'), 0);
    assert.equal(await page.eval('document.activeElement === focused'), true);
  }));

test('test_page__the_daemon_goes_and_comes_back__says_so_and_goes_on', () =>
  shown('held', async (page, fake) => {
    const port = fake.port;
    await fake.stop();
    await page.until('document.body.classList.contains("stale")');
    assert.match(
      await page.eval(text('sentence')),
      /^The connection to the daemon is lost; what stands here is of \d\d:\d\d:\d\d/,
    );
    assert.equal(await page.eval(text('state')), 'Connection lost');
    assert.equal(await page.eval('document.getElementById("pause").disabled'), true);
    const again = new Fake('calm');
    await again.listen(port);
    await page.until('!document.body.classList.contains("stale")');
    assert.equal(await page.eval(text('sentence')), 'Nothing waits, nothing is in flight.');
    await again.stop();
  }));

test('test_page__a_stream_that_is_silent__counts_as_lost', () =>
  shown('calm', async (page, fake) => {
    clearInterval(fake.timer);
    await page.until('document.body.classList.contains("stale")');
  }));

test('test_page__nobody_looks_at_it__gives_its_connection_back', () =>
  shown('held', async (page, fake) => {
    const look = (hidden) =>
      `Object.defineProperty(document, 'hidden', { configurable: true, get: () => ${hidden} }); document.dispatchEvent(new Event('visibilitychange'))`;
    const closed = new Promise((resolve) => [...fake.streams][0].once('close', resolve));
    await page.eval(look(true));
    await closed;
    assert.equal(fake.streams.size, 0);
    fake.play('paused');
    await page.eval(look(false));
    await page.until(`${text('state')} === "Paused"`);
  }));

test('test_page__session_over__goes_to_the_login', () =>
  shown('calm', async (page, fake) => {
    const path = await page.leaves(() => {
      fake.refuse = 401;
      for (const stream of fake.streams) stream.end();
    });
    assert.equal(path, '/-/login');
  }));

test('test_page__stream_refused__asks_for_the_status_instead', () =>
  shown('calm', async (page, fake) => {
    fake.answer = (q, a) => {
      if (q.url.startsWith('/-/events')) {
        a.writeHead(503);
        a.end();
      } else Fake.prototype.answer.call(fake, q, a);
    };
    for (const stream of fake.streams) stream.end();
    await page.until(`${text('alerts')}.includes("stream of events is refused")`);
    assert.equal(await page.eval(text('state')), 'Running');
  }));

test('test_page__daemon_restarted__pause_takes_the_new_secret', () =>
  shown('held', async (page, fake) => {
    fake.secret = 'secret-2';
    await page.eval(
      'document.getElementById("pause").click(); document.getElementById("dialog-yes").click()',
    );
    await page.until(`${text('state')} === "Paused"`);
    assert.deepEqual(fake.posts, [
      { name: 'pause', secret: 'secret-1' },
      { name: 'pause', secret: 'secret-2' },
    ]);
  }));

test('test_page__pause_refused__the_dialog_says_so_and_stays', () =>
  shown('held', async (page, fake) => {
    fake.command = (q, name, json) => json(403, {});
    await page.eval(
      'document.getElementById("pause").click(); document.getElementById("dialog-yes").click()',
    );
    await page.until(`${text('dialog-problem')}.includes("own machine")`);
    assert.equal(await page.eval('document.getElementById("dialog").open'), true);
  }));

test('test_page__many_changes__speaks_once_in_ten_seconds', () =>
  shown('held', async (page, fake) => {
    await page.eval(
      'window.said = []; new MutationObserver(() => said.push({ at: performance.now(), text: document.getElementById("spoken").textContent })).observe(document.getElementById("spoken"), { childList: true })',
    );
    for (const name of ['paused', 'held', 'ledger', 'down', 'paused']) {
      fake.play(name);
      fake.send('status', fake.status());
      await page.eval(frame);
    }
    await page.until('said.length > 0');
    await page.eval(frame);
    assert.equal(await page.eval('said.length'), 1);
    assert.match(await page.eval('said[0].text'), /^Paused: 50 calls wait/);
  }));
