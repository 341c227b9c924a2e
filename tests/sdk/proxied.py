"""Behind a proxy that is not there: what NO_PROXY says must keep every library's call for this machine away from it."""
import asyncio
import os
import sys
import urllib.request

ROOT = os.environ["METERGATE_URL"]
HEADERS = {"Authorization": "Bearer sk-test"}


def urllib_():
    request = urllib.request.Request(ROOT + "/v1/models", headers=HEADERS)
    return urllib.request.urlopen(request, timeout=20).status


def requests_():
    import requests
    return requests.get(ROOT + "/v1/models", headers=HEADERS, timeout=20).status_code


def httpx_():
    import httpx
    return httpx.get(ROOT + "/v1/models", headers=HEADERS, timeout=20).status_code


def aiohttp_():
    import aiohttp

    async def get():
        async with aiohttp.ClientSession(trust_env=True) as session:
            async with session.get(ROOT + "/v1/models", headers=HEADERS) as answer:
                return answer.status
    return asyncio.run(get())


def openai_():
    import openai
    return 200 if openai.OpenAI(api_key="sk-test", max_retries=0).models.list().data is not None else 0


def anthropic_():
    import anthropic
    return 200 if anthropic.Anthropic(api_key="sk-test", max_retries=0).models.list() is not None else 0


for look in sys.argv[1:]:
    try:
        print(look, globals()[look + "_"]())
    except Exception as e:  # what a proxy that is not there does is the library's own
        print(look, type(e).__name__)
