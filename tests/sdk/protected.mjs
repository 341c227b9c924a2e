// A program that sets no address at all: `metergate run -- node protected.mjs` sends its calls through the daemon.
import OpenAI, { AzureOpenAI } from 'openai';
import Anthropic from '@anthropic-ai/sdk';
import { GoogleGenAI } from '@google/genai';

const messages = [{ role: 'user', content: 'hello [[out=3]]' }];
const gpt = await new OpenAI().chat.completions.create({ model: 'gpt-4o', messages });
const claude = await new Anthropic().messages.create({ model: 'claude-sonnet-5', max_tokens: 9, messages });
const gemini = await new GoogleGenAI({}).models.generateContent({ model: 'gemini-2.5-flash', contents: 'hello [[out=3]]' });
const azure = await new AzureOpenAI({ apiVersion: '2024-10-21' }).chat.completions.create({ model: 'mine', messages });
console.log(gpt.usage.completion_tokens, claude.usage.output_tokens, gemini.usageMetadata.candidatesTokenCount, azure.usage.completion_tokens);
