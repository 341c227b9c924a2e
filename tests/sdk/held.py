"""One call by the client named first, to the base URL named second; prints the tokens of its answer."""
import sys

BODY = {"model": "gpt-4o", "max_tokens": 5, "messages": [{"role": "user", "content": "hello [[out=5]]"}]}


def by_openai(url):
    from openai import OpenAI

    client = OpenAI(api_key="sk-test", base_url=url, max_retries=0)
    return client.chat.completions.create(**BODY).usage.completion_tokens


def by_httpx(url):
    import httpx

    return httpx.post(url + "/chat/completions", json=BODY).json()["usage"]["completion_tokens"]


def by_requests(url):
    import requests

    return requests.post(url + "/chat/completions", json=BODY).json()["usage"]["completion_tokens"]


def by_aiohttp(url):
    import asyncio

    import aiohttp

    async def call():
        async with aiohttp.ClientSession() as session:
            async with session.post(url + "/chat/completions", json=BODY) as answer:
                return (await answer.json())["usage"]["completion_tokens"]

    return asyncio.run(call())


print(globals()["by_" + sys.argv[1]](sys.argv[2]))
