"""As protected.py, by LiteLLM, which has variables of its own for Gemini and Azure."""
import litellm

MESSAGES = [{"role": "user", "content": "hello [[out=3]]"}]


def out(model, **more):
    return litellm.completion(model=model, messages=MESSAGES, num_retries=0, **more).usage.completion_tokens


print(out("openai/gpt-4o"), out("anthropic/claude-sonnet-5", max_tokens=9), out("gemini/gemini-2.5-flash"), out("azure/mine", api_version="2024-10-21"))
