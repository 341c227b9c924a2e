// Every provider's own SDK, and the libraries on top of them: each kind of call once directly and once through Metergate. The
// results must be deep-equal, and the bodies that the provider saw the same, but for the documented splice.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import OpenAI, { AzureOpenAI, toFile } from 'openai';
import Anthropic from '@anthropic-ai/sdk';
import { GoogleGenAI, Type } from '@google/genai';
import { embedMany, generateText, streamText, tool, Output } from 'ai';
import { createOpenAI } from '@ai-sdk/openai';
import { createAnthropic } from '@ai-sdk/anthropic';
import { createGoogleGenerativeAI } from '@ai-sdk/google';
import { ChatOpenAI, OpenAIEmbeddings } from '@langchain/openai';
import { ChatAnthropic } from '@langchain/anthropic';
import { ChatGoogleGenerativeAI } from '@langchain/google-genai';
import { z } from 'zod';
import { startBoth } from './daemons.mjs';

async function collect(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

const failure = (e) => ({ name: e.constructor.name, status: e.status ?? e.statusCode, error: e.error });
const user = (content) => [{ role: 'user', content }];
const parameters = { type: 'object', properties: { text: { type: 'string' } }, required: ['text'], additionalProperties: false };
const Shape = z.object({ text: z.string() });

// ---- OpenAI

const gpt = 'gpt-4o';
const functions = [{ type: 'function', function: { name: 'look', description: 'Looks.', parameters } }];
const schema = { type: 'json_schema', json_schema: { name: 'shape', strict: true, schema: parameters } };

const openai = (root) => new OpenAI({ apiKey: 'sk-test', maxRetries: 0, baseURL: `${root}/v1` });
const openaiKinds = {
  'chat': (c) => c.chat.completions.create({ model: gpt, messages: user('hello [[out=20]]') }),
  'chat, stream (spliced)': async (c) => collect(await c.chat.completions.create({ model: gpt, stream: true, messages: user('hello [[out=20]]') })),
  'chat, structured': async (c) => (await c.chat.completions.parse({ model: gpt, response_format: schema, messages: user('hello [[out=9]]') })).choices[0].message.parsed,
  'chat, tools, stream (spliced)': async (c) => collect(await c.chat.completions.create({ model: gpt, tools: functions, stream: true, messages: user('[[tool]]') })),
  'completions': (c) => c.completions.create({ model: 'davinci-002', prompt: 'hello', max_tokens: 9 }),
  'completions, stream (spliced)': async (c) => collect(await c.completions.create({ model: 'davinci-002', prompt: 'hello', max_tokens: 9, stream: true })),
  'completions, list': (c) => c.completions.create({ model: 'davinci-002', prompt: ['hello', 'there'], n: 2, max_tokens: 5 }),
  'embeddings': (c) => c.embeddings.create({ model: 'text-embedding-3-small', input: ['one', 'two'] }),
  'embeddings of tokens': (c) => c.embeddings.create({ model: 'text-embedding-3-small', input: [[1, 2, 3], [4]] }),
  'responses': (c) => c.responses.create({ model: gpt, input: 'hello [[out=20]]' }),
  'responses, stream': async (c) => collect(await c.responses.create({ model: gpt, stream: true, input: 'hello [[out=20]]' })),
  'responses, tools': (c) => c.responses.create({ model: gpt, tools: [{ type: 'function', name: 'look', parameters, strict: true }], input: '[[tool]]' }),
  'responses, structured': async (c) => (await c.responses.parse({ model: gpt, text: { format: { type: 'json_schema', name: 'shape', schema: parameters, strict: true } }, input: 'hello' })).output_parsed,
  'responses, that build on others': async (c) => {
    const first = await c.responses.create({ model: gpt, input: 'first [[out=30]]' });
    return [first, await c.responses.create({ model: gpt, input: 'second', previous_response_id: first.id })];
  },
  'responses, in the background': async (c) => {
    const first = await c.responses.create({ model: gpt, input: 'later [[out=30]]', background: true });
    return [first, await c.responses.retrieve(first.id)];
  },
  'images': (c) => c.images.generate({ model: 'gpt-image-1', prompt: 'a gate' }),
  'speech': async (c) => Buffer.from(await (await c.audio.speech.create({ model: 'tts-1', voice: 'alloy', input: 'hello' })).arrayBuffer()).toString('hex'),
  'transcription (a form)': async (c) => c.audio.transcriptions.create({ model: 'whisper-1', file: await toFile(Buffer.from('RIFF'), 'a.wav') }),
  'moderation': (c) => c.moderations.create({ input: 'hello' }),
  'models': async (c) => (await c.models.list()).data,
  'bad request': (c) => c.chat.completions.create({ model: gpt, messages: 'no list' }).catch(failure),
  'server error': (c) => c.chat.completions.create({ model: gpt, messages: user('[[fault=status:500]]') }).catch(failure),
};

const azure = (root) => new AzureOpenAI({ apiKey: 'azure-test', maxRetries: 0, endpoint: root, apiVersion: '2024-10-21' });
const azureKinds = {
  'chat': (c) => c.chat.completions.create({ model: 'my-deployment', messages: user('hello [[out=20]]') }),
  'chat, stream (spliced)': async (c) => collect(await c.chat.completions.create({ model: 'my-deployment', stream: true, messages: user('hello [[out=9]]') })),
  'embeddings': (c) => c.embeddings.create({ model: 'my-embeddings', input: 'one' }),
  'bad request': (c) => c.chat.completions.create({ model: 'my-deployment', messages: 'no list' }).catch(failure),
};

// ---- Anthropic

const claude = { model: 'claude-sonnet-5', max_tokens: 64 };
const looks = [{ name: 'look', description: 'Looks.', input_schema: parameters }];
const anthropic = (root) => new Anthropic({ apiKey: 'sk-ant-test', maxRetries: 0, baseURL: root });
const anthropicKinds = {
  'messages': (c) => c.messages.create({ ...claude, messages: user('hello [[out=20]]') }),
  'messages, cached system': (c) => c.messages.create({ ...claude, system: [{ type: 'text', text: 'A long system prompt.', cache_control: { type: 'ephemeral' } }], messages: user('hello') }),
  'messages, stream': async (c) => collect(await c.messages.create({ ...claude, stream: true, messages: user('hello [[out=20]]') })),
  'messages, thinking, stream helper': (c) => c.messages.stream({ ...claude, max_tokens: 4096, thinking: { type: 'enabled', budget_tokens: 1024 }, messages: user('hello [[out=9]]') }).finalMessage(),
  'messages, tools': (c) => c.messages.create({ ...claude, tools: looks, messages: user('[[tool]]') }),
  'messages, tools, stream helper': (c) => c.messages.stream({ ...claude, tools: looks, messages: user('[[tool]]') }).finalMessage(),
  'count_tokens': (c) => c.messages.countTokens({ model: claude.model, messages: user('hello') }),
  'models': async (c) => (await c.models.list()).data,
  'bad request': (c) => c.messages.create({ ...claude, messages: 'no list' }).catch(failure),
  'overloaded': (c) => c.messages.create({ ...claude, messages: user('[[fault=status:500]]') }).catch(failure),
};

// ---- Gemini

const gemini = (root) => new GoogleGenAI({ apiKey: 'goog-test', httpOptions: { baseUrl: root } });
const flash = 'gemini-2.5-flash';
const declarations = [{ functionDeclarations: [{ name: 'look', description: 'Looks.', parameters: { type: Type.OBJECT, properties: { text: { type: Type.STRING } } } }] }];
const bare = ({ sdkHttpResponse, ...rest }) => rest; // its headers carry ids and times
const geminiKinds = {
  'generate': async (c) => bare(await c.models.generateContent({ model: flash, contents: 'hello [[out=20]]' })),
  'generate, stream': async (c) => (await collect(await c.models.generateContentStream({ model: flash, contents: 'hello [[out=20]]' }))).map(bare),
  'generate, thinking': async (c) => bare(await c.models.generateContent({ model: flash, contents: 'hello', config: { thinkingConfig: { thinkingBudget: 64 } } })),
  'generate, tools': async (c) => (await c.models.generateContent({ model: flash, contents: '[[tool]]', config: { tools: declarations } })).functionCalls,
  'generate, structured': async (c) => JSON.parse((await c.models.generateContent({ model: flash, contents: 'hello', config: { responseMimeType: 'application/json', responseSchema: { type: Type.OBJECT, properties: { text: { type: Type.STRING } } } } })).text),
  'embed': async (c) => (await c.models.embedContent({ model: 'gemini-embedding-001', contents: ['one', 'two'] })).embeddings,
  'count': async (c) => bare(await c.models.countTokens({ model: flash, contents: 'hello' })),
  'bad request': (c) => c.models.generateContent({ model: flash, contents: '[[fault=status:500]]' }).catch((e) => ({ status: e.status, message: e.message })),
};

// ---- Vercel's AI SDK, with its three providers

const aiKinds = (make) => ({
  'text': async (m) => { const r = await generateText({ model: m, maxRetries: 0, prompt: 'hello [[out=20]]' }); return [r.text, r.usage, r.finishReason]; },
  'text, stream': async (m) => { const r = streamText({ model: m, maxRetries: 0, prompt: 'hello [[out=20]]' }); return [await collect(r.textStream), await r.usage]; },
  'tools': async (m) => { const r = await generateText({ model: m, maxRetries: 0, prompt: '[[tool]]', tools: { look: tool({ description: 'Looks.', inputSchema: Shape }) } }); return r.toolCalls.map((t) => [t.toolName, t.input]); },
  'structured': async (m) => (await generateText({ model: m, maxRetries: 0, prompt: 'hello', output: Output.object({ schema: Shape }) })).output,
  'errors': (m) => generateText({ model: m, maxRetries: 0, prompt: '[[fault=status:400]]' }).then(() => assert.fail('no error'), (e) => [e.statusCode, e.responseBody?.replaceAll(/req_\w+/g, '')]),
  ...make,
});

// ---- LangChain

const message = (m) => [m.content, m.tool_calls, m.usage_metadata];
const chainKinds = {
  'invoke': async (m) => message(await m.invoke('hello [[out=20]]')),
  'stream': async (m) => (await collect(await m.stream('hello [[out=20]]'))).map((c) => c.content),
  'tools': async (m) => (await m.bindTools([{ name: 'look', description: 'Looks.', schema: Shape }]).invoke('[[tool]]')).tool_calls.map((t) => [t.name, t.args]),
  'errors': (m) => m.invoke('[[fault=status:400]]').then(() => assert.fail('no error'), (e) => e.status ?? e.message.replaceAll(/127\.0\.0\.1:\d+/g, '')),
};

const families = [
  ['openai', openai, openaiKinds],
  ['openai, Azure', azure, azureKinds],
  ['@anthropic-ai/sdk', anthropic, anthropicKinds],
  ['@google/genai', gemini, geminiKinds],
  ['AI SDK, OpenAI responses', (root) => createOpenAI({ apiKey: 'sk-test', baseURL: `${root}/v1` })(gpt), aiKinds({})],
  ['AI SDK, OpenAI chat', (root) => createOpenAI({ apiKey: 'sk-test', baseURL: `${root}/v1` }).chat(gpt), aiKinds({})],
  ['AI SDK, embeddings', (root) => createOpenAI({ apiKey: 'sk-test', baseURL: `${root}/v1` }).embedding('text-embedding-3-small'), {
    'embeddings': async (m) => { const r = await embedMany({ model: m, maxRetries: 0, values: ['one', 'two'] }); return [r.embeddings, r.usage]; },
  }],
  ['AI SDK, Anthropic', (root) => createAnthropic({ apiKey: 'sk-ant-test', baseURL: root })(claude.model), aiKinds({})],
  ['AI SDK, Google', (root) => createGoogleGenerativeAI({ apiKey: 'goog-test', baseURL: `${root}/v1beta` })(flash), aiKinds({})],
  ['LangChain, OpenAI', (root) => new ChatOpenAI({ model: gpt, apiKey: 'sk-test', maxRetries: 0, configuration: { baseURL: `${root}/v1` } }), chainKinds],
  ['LangChain, embeddings', (root) => new OpenAIEmbeddings({ model: 'text-embedding-3-small', apiKey: 'sk-test', maxRetries: 0, configuration: { baseURL: `${root}/v1` } }), { 'embeddings': (m) => m.embedDocuments(['one', 'two']) }],
  ['LangChain, Anthropic', (root) => new ChatAnthropic({ model: claude.model, apiKey: 'sk-ant-test', maxRetries: 0, anthropicApiUrl: root }), chainKinds],
  ['LangChain, Google', (root) => new ChatGoogleGenerativeAI({ model: flash, apiKey: 'goog-test', maxRetries: 0, baseUrl: root }), chainKinds],
];

const here = (name) => new URL(name, import.meta.url).pathname;
const pythons = [process.env.PYTHON ?? here('venv/bin/python'), process.env.PYTHON_LITELLM ?? here('venv-litellm/bin/python')];
const plain = (v) => JSON.parse(JSON.stringify(v ?? null));

export async function breadth() {
  const t = await startBoth(
    { models: { 'gpt-4o': {}, '*': {} } },
    (url) => `listen: [127.0.0.1:0]\nupstreams:\n  openai: {base_url: "${url}"}\n` +
      ['anthropic', 'gemini', 'azure', 'ollama'].map((d) => `  ${d}: {base_url: "${url.slice(0, -3)}"}\n`).join('') +
      'models:\n  all: {match: ["*"], tpm: 100M, itpm: 100M, otpm: 100M, rpm: 100k}\n');
  const bodies = async () => {
    const audit = await t.control('audit?arrivals=1000');
    const seen = Object.values(audit.models).concat(audit.other).flatMap((m) => m.list);
    assert.deepEqual(audit.violations, []);
    await t.control('reset', {});
    return seen.sort((a, b) => a.t_us - b.t_us).map((a) => [a.method, a.target, a.sha256]);
  };
  let n = 0;
  try {
    for (const [family, make, kinds] of families) {
      for (const [name, call] of Object.entries(kinds)) {
        const direct = plain(await call(make(t.direct.slice(0, -3))));
        const sent = await bodies();
        const through = plain(await call(make(t.root)));
        const seen = await bodies();
        assert.deepEqual(through, direct, `${family}: ${name}`);
        assert.equal(seen.length, sent.length, `${family}: ${name}: how many calls`);
        if (!name.includes('(spliced)') && !name.includes('(a form)')) // a form's boundary is drawn anew
          assert.deepEqual(seen.map((s) => s[2]), sent.map((s) => s[2]), `${family}: ${name}: the body that the provider saw`);
        const says = JSON.stringify(direct);
        if (name.includes('tools')) assert.match(says, /look/, `${family}: ${name}`);
        if (name.includes('structured')) assert.match(says, /"text":"The/, `${family}: ${name}`);
        if (/error|bad request|overloaded/.test(name)) assert.match(says, /400|500/, `${family}: ${name}`);
        assert.ok(says.length > 2, `${family}: ${name}`);
        n++;
      }
      console.log(`ok    ${family}: ${Object.keys(kinds).length} kinds of call`);
    }
    for (const python of pythons) {
      if (existsSync(python)) n += await comparePython(python, t, bodies);
      else console.log(`skip  ${python}: PyPI could not be reached`);
    }
    const status = await (await fetch(`${t.root}/-/status`)).json();
    assert.equal(status.in_flight, 0);
    for (const b of status.budgets) for (const l of b.limits) assert.equal(l.reserved, 0, `${b.upstream} ${l.metric}`);
    console.log(`${n} kinds of call, each deep-equal to the direct one`);
  } finally {
    await t.stop();
  }
}

// ---- the same in Python, by breadth.py, which prints a line for each kind of call

function python(program, root) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, [here('breadth.py'), root], { stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    child.stdout.on('data', (d) => (text += d));
    child.on('error', reject);
    child.on('exit', (code) => (code === 0 ? resolve(text.trim().split('\n').map((line) => JSON.parse(line))) : reject(new Error(`breadth.py ended with ${code}`))));
  });
}

async function comparePython(program, t, bodies) {
  const direct = await python(program, t.direct.slice(0, -3));
  const sent = await bodies();
  const through = await python(program, t.root);
  const seen = await bodies();
  assert.deepEqual(through, direct);
  assert.equal(seen.length, sent.length, 'Python: how many calls');
  let unequal = 0;
  for (let i = 0; i < seen.length; i++) unequal += seen[i][2] !== sent[i][2];
  const spliced = direct.filter(([, name]) => name.includes('(spliced)')).length;
  assert.equal(unequal, spliced, 'Python: the bodies that the provider saw');
  console.log(`ok    Python (${[...new Set(direct.map(([family]) => family))].join(', ')}): ${direct.length} kinds of call`);
  return direct.length;
}

if (process.argv[1] === new URL(import.meta.url).pathname) await breadth();
