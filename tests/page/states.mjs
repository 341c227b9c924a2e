// states: documents as docs/status.md has them, for what a real daemon is seldom in. Each is made anew for a moment `t`,
// in milliseconds since the state began, so that what counts down does.

const BOOT = Date.now() - 3 * 3600 * 1000;

const limit = (metric, max, windowS, used, reserved, { headroom = 0, learned = false } = {}) => {
  const usable = Math.round(max * (1 - headroom) * 1e9) / 1e9;
  return {
    metric,
    max,
    window_s: windowS,
    used,
    reserved,
    usable,
    free: Math.max(0, Math.round((usable - used - reserved) * 1e9) / 1e9),
    learned,
  };
};

// The last hour of one series, minute by minute.
function series(budgetName, upstreamName, scale) {
  const calls = Array.from({ length: 60 }, (_, i) =>
    i < 8 ? 0 : Math.round(scale * (6 + 5 * Math.sin(i / 6) + ((i * 7919) % 5))),
  );
  return {
    budget: budgetName,
    upstream: upstreamName,
    calls,
    tokens: calls.map((n, i) => n * (1900 + ((i * 104729) % 900))),
    cost_usd: calls.map((n) => n * 0.0123),
    waited_ms: calls.map((n, i) => (i > 30 ? n * 2100 : 0)),
    longest_wait_ms: calls.map((n, i) => (i > 30 && n ? 4000 + ((i * 15485863) % 30000) : 0)),
    refused: calls.map((n, i) => (i % 17 === 0 && n ? 1 : 0)),
    upstream_429: calls.map((n, i) => (i === 41 ? 2 : 0)),
  };
}

const total = (values) => Math.round(values.reduce((a, b) => a + b, 0) * 1e9) / 1e9;
const ALL = series(null, null, 1);
const CALLS = total(ALL.calls),
  TOKENS = total(ALL.tokens),
  COST = total(ALL.cost_usd);

const hour = (calls, tokens, cost, waited, longest) => ({
  calls,
  tokens,
  cost_usd: cost,
  unpriced: 0,
  waited_ms: waited,
  longest_wait_ms: longest,
  refused: 0,
  upstream_429: 0,
  retries: 0,
});

function client(name, held, inFlight, tokens, cost, extra = {}) {
  return {
    name,
    held,
    in_flight: inFlight,
    calls: Math.round(tokens / 2000),
    tokens,
    cost_usd: cost,
    weight: 1,
    priority: null,
    hour: hour(Math.round(tokens / 3000), tokens, cost, held * 4000, held * 1000),
    limits: [],
    ...extra,
  };
}

function budget(name, upstream, limits, extra = {}) {
  return {
    name,
    upstream,
    models: [name],
    held: 0,
    in_flight: 0,
    next_dispatch_ms: null,
    last_dispatch_ms: null,
    waits_for: null,
    headroom: 0.2,
    paused_until_ms: 0,
    breaker_open: false,
    limits,
    clients: [],
    queue: [],
    ...extra,
  };
}

function upstream(name, calls, extra = {}) {
  return {
    name,
    dialect: name,
    reachable: true,
    connections: calls ? 3 : 0,
    breaker_open: false,
    calls,
    upstream_429: 0,
    retries: 0,
    connect_failures: 0,
    problem: null,
    ...extra,
  };
}

// `n` calls of these clients, the first in `next` ms and then one each `step`.
function waiting(b, clients, n, next, step, t) {
  const at = (i) => Math.max(0, next + i * step - t);
  const calls = Array.from({ length: n }, (_, i) => ({
    id: `mg-${b.name}-${i}`,
    client: clients[i % clients.length],
    priority: ['high', 'normal', 'low'][Math.min(2, i % clients.length)],
    model: b.name,
    tokens: 512 + i * 37,
    waited_ms: 800 + i * 350 + t,
    start_ms: at(i),
    attempts: i === 1 ? 1 : 0,
  }));
  const of = (name) => calls.filter((c) => c.client === name);
  return {
    ...b,
    held: n,
    next_dispatch_ms: at(0),
    last_dispatch_ms: at(n - 1),
    queue: calls.slice(0, 30),
    clients: clients
      .filter((name) => of(name).length)
      .map((name) => ({
        name,
        held: of(name).length,
        held_by_priority: {
          high: of(name).filter((c) => c.priority === 'high').length,
          normal: of(name).filter((c) => c.priority === 'normal').length,
          low: of(name).filter((c) => c.priority === 'low').length,
        },
        tokens: of(name).reduce((a, c) => a + c.tokens, 0),
        next_ms: of(name)[0].start_ms,
        last_ms: of(name).at(-1).start_ms,
      })),
  };
}

function whole(t, parts = {}) {
  const budgets = parts.budgets ?? [];
  return {
    version: '0.1.0',
    time_ms: Date.now(),
    uptime_s: (Date.now() - BOOT) / 1000,
    draining: false,
    paused: false,
    held: budgets.reduce((a, b) => a + b.held, 0),
    held_bytes: 18231,
    in_flight: budgets.reduce((a, b) => a + b.in_flight, 0),
    totals: {
      calls: 41,
      dispatched: 36,
      completed: 34,
      refused: 1,
      cancelled: 1,
      failed: 0,
      upstream_429: 0,
      retries: 0,
    },
    ledger: { ok: true, problem: null, waiting: 0, written: 3812, lost: 0, recovered: 0 },
    process: {
      pid: 812,
      user: 'metergate',
      config: '/etc/metergate/metergate.yaml',
      state_dir: '/var/lib/metergate',
      descriptors: 83,
      descriptors_max: 524288,
      connections: 12,
      connections_max: 16384,
    },
    hour: {
      ...hour(CALLS, TOKENS, COST, total(ALL.waited_ms), Math.max(...ALL.longest_wait_ms)),
      refused: total(ALL.refused),
      upstream_429: 2,
      retries: 2,
    },
    clients: [],
    estimates: [],
    upstreams: [upstream('openai', 3812), upstream('anthropic', 201), upstream('gemini', 0)],
    ...parts,
  };
}

const gpt4o = (used, reserved) =>
  budget(
    'gpt-4o',
    'openai',
    [
      limit('tpm', 30000, 60, used, reserved, { headroom: 0.2 }),
      limit('rpm', 500, 60, 14, 2, { headroom: 0.2 }),
    ],
    { models: ['gpt-4o', 'gpt-4o-2024-08-06'], in_flight: 2 },
  );
const sonnet = () =>
  budget(
    'claude-sonnet-4.x',
    'anthropic',
    [
      limit('rpm', 50, 60, 39, 1, { headroom: 0.2, learned: true }),
      limit('itpm', 30000, 60, 12011, 2100, { headroom: 0.2, learned: true }),
      limit('otpm', 8000, 60, 5400, 988, { headroom: 0.2, learned: true }),
    ],
    { models: ['claude-sonnet-4-5'], in_flight: 1 },
  );
const small = () =>
  budget('text-embedding-3-small', 'openai', [
    limit('tpm', 1000000, 60, 3100, 0, { headroom: 0.2 }),
    limit('usd_per_day', 5, 86400, 0.412350015, 0.003),
  ]);
const local = () => budget('llama3.1', 'local', [limit('concurrent', 2, 0, 0, 1)], { in_flight: 1 });
// Four clients; what they used in the hour is all that was used in it.
function people(held) {
  const parts = [0.58, 0.25, 0.14];
  const share = (all, digits) => {
    const v = parts.map((p) => Number((p * all).toFixed(digits)));
    return [...v, Number((all - v[0] - v[1] - v[2]).toFixed(digits))];
  };
  const tokens = share(TOKENS, 0),
    cost = share(COST, 6),
    calls = share(CALLS, 0);
  const some = [
    ['nightly', { priority: 'low', limits: [limit('usd_per_day', 5, 86400, 4.21, 0.02)] }],
    ['editor', { priority: 'high', weight: 2 }],
    ['ana', {}],
    ['report.service', {}],
  ];
  return some.map(([name, extra], i) => ({
    ...client(name, held[i] ?? 0, i < 2 ? 1 : 0, tokens[i], cost[i], extra),
    hour: hour(calls[i], tokens[i], cost[i], 60000, held[i] ? Math.round(31000 / (i + 1)) : 0),
  }));
}

function held(t, parts) {
  const budgets = [
    {
      ...waiting(gpt4o(21877, 2100), ['editor', 'ana', 'nightly'], 37, 5230, 6800, t),
      waits_for: { limit: 'tpm', of: 'budget', name: 'gpt-4o', until_ms: Math.max(0, 5230 - t) },
    },
    {
      ...waiting(sonnet(), ['nightly', 'ana'], 9, 2100, 11000, t),
      waits_for: { limit: 'rpm', of: 'budget', name: 'claude-sonnet-4.x', until_ms: Math.max(0, 2100 - t) },
    },
    {
      ...waiting(local(), ['editor'], 4, 0, 0, 0),
      next_dispatch_ms: null,
      last_dispatch_ms: null,
      in_flight: 2,
      waits_for: { limit: 'concurrent', of: 'budget', name: 'llama3.1', until_ms: null },
    },
    small(),
  ];
  budgets[2].queue.forEach((c) => {
    c.start_ms = null;
  });
  budgets[2].clients.forEach((c) => {
    c.next_ms = c.last_ms = null;
  });
  budgets[2].limits = [limit('concurrent', 2, 0, 0, 2)];
  return whole(t, { budgets, clients: people([24, 15, 11]), ...parts });
}

function crowd(t) {
  const budgets = Array.from({ length: 200 }, (_, i) => {
    const b = budget(`model-${i}`, 'openai', [
      limit('tpm', 30000, 60, i * 100, 0, { headroom: 0.2 }),
      limit('rpm', 500, 60, i, 0, { headroom: 0.2, learned: true }),
    ]);
    return i % 40 === 7
      ? {
          ...waiting(b, ['client-1', 'client-2'], 12, 1000 + i, 900, t),
          waits_for: { limit: 'tpm', of: 'budget', name: b.name, until_ms: 1000 + i },
        }
      : b;
  });
  return whole(t, {
    budgets,
    clients: Array.from({ length: 1000 }, (_, i) =>
      client(`client-${i}`, i < 3 ? 20 : 0, 0, 1000 + i * 31, i / 1000),
    ),
  });
}

const WICKED = [
  '<script>document.title="owned"</script>',
  '\u202egnp.exe\u2066 abc',
  'مرحبا بالعالم',
  `${'long-name-without-a-break-'.repeat(8)}`,
  '"><img src=x onerror=alert(1)>',
  '{{7*7}} ${7*7}',
];
function hostile(t) {
  const budgets = WICKED.map((name) => ({
    ...waiting(
      budget(name, WICKED[0], [limit('tpm', 30000, 60, 21877, 2100, { headroom: 0.2 })], {
        models: WICKED,
        key: WICKED[1],
      }),
      WICKED,
      6,
      4000,
      3000,
      t,
    ),
    waits_for: { limit: 'tpm', of: 'client', name, until_ms: 4000 },
  }));
  return whole(t, {
    budgets,
    clients: WICKED.map((name) =>
      client(name, 1, 0, 5000, 0.1, { limits: [limit('usd_per_day', 2, 86400, 1.87, 0.02)] }),
    ),
    upstreams: WICKED.map((name) => upstream(name, 3, { reachable: false, problem: name })),
    ledger: { ok: false, problem: WICKED[0], waiting: 12, written: 3, lost: 1, recovered: 0 },
    process: { pid: 1, user: WICKED[0], config: WICKED[3], state_dir: WICKED[1] },
  });
}

export const states = {
  calm: (t) =>
    whole(t, {
      budgets: [gpt4o(9877, 0), sonnet(), small(), local()].map((b) => ({
        ...b,
        in_flight: 0,
        limits: b.limits.map((l) => ({ ...l, free: l.free + l.reserved, reserved: 0 })),
      })),
      clients: people([0, 0, 0]).map((c) => ({ ...c, in_flight: 0 })),
    }),
  held: (t) => held(t),
  paused: (t) => {
    const s = held(t, { paused: true });
    s.budgets.forEach((b) => {
      if (b.held)
        Object.assign(b, {
          next_dispatch_ms: null,
          last_dispatch_ms: null,
          waits_for: { limit: 'stop', of: '', name: '', until_ms: null },
        });
      b.queue.forEach((q) => {
        q.start_ms = null;
      });
      b.clients.forEach((c) => {
        c.next_ms = c.last_ms = null;
      });
    });
    return s;
  },
  draining: (t) => ({ ...states.calm(t), draining: true, in_flight: 3 }),
  down: (t) => {
    const s = held(t);
    s.upstreams[0] = upstream('openai', 3812, {
      reachable: false,
      breaker_open: true,
      connections: 0,
      connect_failures: 14,
      retries: 31,
      upstream_429: 2,
      problem: 'Could not connect to 127.0.0.1 port 9: Connection refused',
    });
    s.budgets[1].breaker_open = true;
    s.budgets[0].paused_until_ms = 12000;
    return s;
  },
  // some failures in a row, too few for the breaker
  failing: (t) => {
    const s = held(t);
    s.upstreams[0] = upstream('openai', 3812, {
      reachable: false,
      connect_failures: 2,
      problem: 'Could not connect to 127.0.0.1 port 9: Connection refused',
    });
    s.budgets[0].waits_for = { limit: 'pause', of: 'upstream', name: 'openai', until_ms: 900 };
    return s;
  },
  ledger: (t) => ({
    ...states.calm(t),
    ledger: {
      ok: false,
      problem: 'database or disk is full',
      waiting: 1204,
      written: 3812,
      lost: 0,
      recovered: 0,
    },
  }),
  crowd,
  hostile,
  learning: (t) =>
    whole(t, {
      budgets: [budget('gpt-5', 'openai', [limit('learning', 4, 0, 0, 4)], { in_flight: 4 })],
      clients: people([0, 0, 0]),
    }),
  // one model is busy, the others are not: the picture of the documents
  story: (t) => {
    const s = held(t);
    const b = s.budgets;
    return {
      ...s,
      held: 37,
      in_flight: 3,
      budgets: [
        b[0],
        { ...sonnet(), in_flight: 1 },
        small(),
        { ...local(), in_flight: 0, limits: [limit('concurrent', 2, 0, 0, 0)] },
      ],
      clients: people([12, 13, 12]),
    };
  },
  empty: () => ({
    ...whole(0, { upstreams: [upstream('openai', 0), upstream('anthropic', 0), upstream('gemini', 0)] }),
    uptime_s: 2.1,
    totals: { calls: 0 },
    hour: hour(0, 0, 0, 0, 0),
    ledger: { ok: true, problem: null, waiting: 0, written: 0, lost: 0, recovered: 0 },
  }),
};

export function history(name) {
  const none = {
    budget: null,
    upstream: null,
    calls: Array(60).fill(0),
    tokens: Array(60).fill(0),
    cost_usd: Array(60).fill(0),
    waited_ms: Array(60).fill(0),
    longest_wait_ms: Array(60).fill(0),
    refused: Array(60).fill(0),
    upstream_429: Array(60).fill(0),
  };
  const budgets =
    name === 'hostile'
      ? WICKED.map((w) => series(w, w, 1))
      : [series('gpt-4o', 'openai', 0.7), series('claude-sonnet-4.x', 'anthropic', 0.3)];
  return { until_ms: Date.now(), step_s: 60, series: name === 'empty' ? [none] : [ALL, ...budgets] };
}

let nextCall = 0;
export function call(name = 'held', extra = {}) {
  const i = nextCall++;
  const odd = name === 'hostile' ? WICKED[i % WICKED.length] : null;
  const queued = i % 7 === 4 ? 3599000 : i % 3 === 0 ? 0 : 1200 * (i % 9);
  const failed = i % 11 === 5;
  return {
    id: `mg-00c0ffe-${i}`,
    time: new Date(Date.now() - 1000 * (30 - (i % 30))).toISOString(),
    client: odd ?? ['nightly', 'editor', 'ana'][i % 3],
    budget: odd ?? 'gpt-4o',
    model: odd ?? (i % 4 ? 'gpt-4o' : 'gpt-4o-2024-08-06'),
    upstream: 'openai',
    endpoint: odd ?? 'chat/completions',
    outcome: failed ? 'refused' : 'completed',
    status: failed ? 429 : 200,
    reason: failed ? (odd ?? 'max-wait') : null,
    estimated_input_tokens: 1000,
    estimated_output_tokens: 500,
    input_tokens: failed ? 0 : 1003,
    cached_tokens: 0,
    cache_write_tokens: 0,
    cache_write_1h_tokens: 0,
    output_tokens: failed ? 0 : 400 + i,
    reasoning_tokens: 0,
    usage_source: failed ? 'none' : 'provider',
    cost_nano_usd: failed ? 0 : i % 5 === 4 ? null : 6512500 + i,
    price: {
      name: 'gpt-4o',
      since: '2026-10-01',
      usd_per_million: { input: 2.5, cached: 1.25, cache_write: null, cache_write_1h: null, output: 10 },
    },
    queued_ms: queued,
    first_byte_ms: failed ? null : queued + 620,
    total_ms: failed ? queued : queued + 620 + 130 * (i % 20),
    attempts: failed ? 0 : 1 + (i % 13 === 12),
    state: 'ended',
    holds: queued
      ? [
          { limit: 'queue', of: '', name: '', from_ms: 0, to_ms: queued / 2 },
          { limit: 'tpm', of: 'budget', name: 'gpt-4o', from_ms: queued / 2, to_ms: queued },
        ]
      : [],
    ...extra,
  };
}

export const recent = (name) => ({
  calls: name === 'empty' ? [] : Array.from({ length: 40 }, () => call(name)).reverse(),
});
