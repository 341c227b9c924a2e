"""A program that sets no address at all: `metergate run -- python protected.py` sends its calls through the daemon."""
import anthropic
import openai
from google import genai

MESSAGES = [{"role": "user", "content": "hello [[out=3]]"}]
gpt = openai.OpenAI().chat.completions.create(model="gpt-4o", messages=MESSAGES)
claude = anthropic.Anthropic().messages.create(model="claude-sonnet-5", max_tokens=9, messages=MESSAGES)
google = genai.Client()  # kept: one that is only passed through is closed before it is used
gemini = google.models.generate_content(model="gemini-2.5-flash", contents="hello [[out=3]]")
azure = openai.AzureOpenAI(api_version="2024-10-21").chat.completions.create(model="mine", messages=MESSAGES)
print(gpt.usage.completion_tokens, claude.usage.output_tokens, gemini.usage_metadata.candidates_token_count, azure.usage.completion_tokens)
