"""Each kind of call of the Python SDKs, to the root named first; prints [family, name, result] as a line of JSON each."""
import json
import os
import sys
import warnings

warnings.simplefilter("ignore")
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # no network but the root

try:
    import litellm  # it wants another version of openai, so it has an environment of its own
except ImportError:
    litellm = None
    import anthropic
    import openai
    from google import genai
    from google.genai import types

ROOT = sys.argv[1]
MESSAGES = [{"role": "user", "content": "hello [[out=20]]"}]
TOOL = [{"role": "user", "content": "[[tool]]"}]
PARAMETERS = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"], "additionalProperties": False}
FUNCTIONS = [{"type": "function", "function": {"name": "look", "description": "Looks.", "parameters": PARAMETERS}}]
SCHEMA = {"type": "json_schema", "json_schema": {"name": "shape", "strict": True, "schema": PARAMETERS}}
CLAUDE = {"model": "claude-sonnet-5", "max_tokens": 64}


def plain(value):
    if hasattr(value, "model_dump"):
        value = value.model_dump(mode="json", exclude={"sdk_http_response"})
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return value


def show(family, name, call):
    try:
        result = plain(call())
    except Exception as e:
        status = getattr(e, "status_code", None) or getattr(e, "code", None)
        if not isinstance(status, int):
            raise
        result = ["error", status, str(e.message)]
    assert result not in (None, []), name
    print(json.dumps([family, name, result]), flush=True)


def by_openai():
    c = openai.OpenAI(api_key="sk-test", base_url=ROOT + "/v1", max_retries=0)
    chat = c.chat.completions.create
    show("openai", "chat", lambda: chat(model="gpt-4o", messages=MESSAGES))
    show("openai", "chat, stream (spliced)", lambda: list(chat(model="gpt-4o", messages=MESSAGES, stream=True)))
    show("openai", "tools", lambda: chat(model="gpt-4o", messages=TOOL, tools=FUNCTIONS))
    show("openai", "structured", lambda: chat(model="gpt-4o", messages=MESSAGES, response_format=SCHEMA))
    show("openai", "embeddings", lambda: c.embeddings.create(model="text-embedding-3-small", input=["one", "two"]))
    show("openai", "responses", lambda: c.responses.create(model="gpt-4o", input="hello"))
    show("openai", "responses, stream", lambda: list(c.responses.create(model="gpt-4o", input="hello", stream=True)))
    show("openai", "error", lambda: chat(model="gpt-4o", messages=[{"role": "user", "content": "[[fault=status:500]]"}]))
    a = openai.AzureOpenAI(api_key="azure-test", azure_endpoint=ROOT, api_version="2024-10-21", max_retries=0)
    show("openai", "Azure", lambda: a.chat.completions.create(model="my-deployment", messages=MESSAGES))


def by_anthropic():
    c = anthropic.Anthropic(api_key="sk-ant-test", base_url=ROOT, max_retries=0)
    tools = [{"name": "look", "description": "Looks.", "input_schema": PARAMETERS}]
    show("anthropic", "messages", lambda: c.messages.create(**CLAUDE, messages=MESSAGES))
    show("anthropic", "messages, stream", lambda: list(c.messages.create(**CLAUDE, messages=MESSAGES, stream=True)))
    show("anthropic", "tools", lambda: c.messages.create(**CLAUDE, messages=TOOL, tools=tools))
    show("anthropic", "count_tokens", lambda: c.messages.count_tokens(model="claude-sonnet-5", messages=MESSAGES))
    show("anthropic", "error", lambda: c.messages.create(**CLAUDE, messages=[{"role": "user", "content": "[[fault=status:500]]"}]))


def by_genai():
    c = genai.Client(api_key="goog-test", http_options=types.HttpOptions(base_url=ROOT))
    flash = "gemini-2.5-flash"
    show("google-genai", "generate", lambda: c.models.generate_content(model=flash, contents="hello [[out=20]]"))
    show("google-genai", "generate, stream", lambda: list(c.models.generate_content_stream(model=flash, contents="hello [[out=20]]")))
    show("google-genai", "embed", lambda: c.models.embed_content(model="gemini-embedding-001", contents=["one", "two"]))
    show("google-genai", "error", lambda: c.models.generate_content(model=flash, contents="[[fault=status:500]]"))


def by_litellm():
    litellm.suppress_debug_info = True
    chat = litellm.completion
    said = lambda r: [r.choices[0].message.content, r.usage.prompt_tokens, r.usage.completion_tokens]
    show("litellm", "openai", lambda: said(chat(model="openai/gpt-4o", api_key="sk-test", api_base=ROOT + "/v1", messages=MESSAGES, num_retries=0)))
    show("litellm", "anthropic", lambda: said(chat(model="anthropic/claude-sonnet-5", api_key="sk-ant-test", api_base=ROOT, messages=MESSAGES, num_retries=0)))
    show("litellm", "gemini", lambda: said(chat(model="gemini/gemini-2.5-flash", api_key="goog-test", api_base=ROOT + "/v1beta/models/gemini-2.5-flash", messages=MESSAGES, num_retries=0)))


if litellm:
    by_litellm()
else:
    by_openai()
    by_anthropic()
    by_genai()
