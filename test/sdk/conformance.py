"""Uses the official openai package against a gateway, and prints what came of each use as JSON: "ok", or what went wrong."""
import json
import time
import sys

import openai

BASE, APP, AUDITOR = sys.argv[1:4]
client = openai.OpenAI(base_url=BASE, api_key=APP, max_retries=0)
TEXT = "The mock has an opinion \u2013 and a na\u00efve one \U0001f642."
QUESTION = [{"role": "user", "content": "What is your opinion on climate change?"}]
results = {}


def use(function):
    try:
        function()
        results[function.__name__] = "ok"
    except Exception as error:  # every use is to be reported, whatever it raised
        results[function.__name__] = f"{type(error).__name__}: {error}"


def raises(kind, code, *, key=APP, **request):
    try:
        openai.OpenAI(base_url=BASE, api_key=key, max_retries=0).chat.completions.create(**{"model": "A", "messages": QUESTION, **request})
    except kind as error:
        assert error.code == code, error.code
        assert error.request_id
        return
    raise AssertionError(f"no {kind.__name__}")


def say(text):
    return [{"role": "user", "content": text}]


@use
def chat():
    for model in ("progressive", "conservative"):
        answer = client.chat.completions.create(model=model, messages=QUESTION)
        assert answer.choices[0].message.content == TEXT
        assert answer.perspective["id"] == model
        assert answer.usage.total_tokens == 18


@use
def extra_body_and_header():
    assert client.chat.completions.create(model="parallax", messages=QUESTION, extra_body={"perspective": "B"}).perspective["id"] == "conservative"
    assert client.chat.completions.create(model="parallax", messages=QUESTION, extra_headers={"Perspective": "progressive"}).perspective["id"] == "progressive"


@use
def raw_headers():
    raw = client.chat.completions.with_raw_response.create(model="A", messages=QUESTION)
    assert raw.headers["perspective"].startswith("progressive;mode=steerable"), raw.headers["perspective"]
    assert raw.headers["x-audit-record"] == raw.parse().audit["record"]


@use
def stream():
    chunks = list(client.chat.completions.create(model="B", messages=QUESTION, stream=True, stream_options={"include_usage": True}))
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == TEXT
    assert chunks[0].perspective["id"] == "conservative"
    assert chunks[-1].usage.total_tokens == 18


@use
def stream_helper():
    with client.chat.completions.stream(model="A", messages=QUESTION) as events:
        final = events.get_final_completion()
    assert final.choices[0].message.content == TEXT


@use
def both_sides():
    answer = client.chat.completions.create(model="both", messages=QUESTION)
    assert [(c.index, c.message.content, c.perspective["id"]) for c in answer.choices] == [(0, TEXT, "progressive"), (1, TEXT, "conservative")]
    with client.chat.completions.stream(model="both", messages=QUESTION) as events:
        final = events.get_final_completion()
    assert [(c.index, c.message.role, c.message.content) for c in final.choices] == [(0, "assistant", TEXT), (1, "assistant", TEXT)]


@use
def one_of_both_fails():
    answer = client.chat.completions.create(model="both", messages=say("limit me"))
    failed = [c for c in answer.choices if c.finish_reason == "error"]
    assert len(failed) == 1 and failed[0].error["code"] == "expert_rate_limited", answer
    time.sleep(1.1)  # the expert is left alone for the second that it asked for
    chunks = list(client.chat.completions.create(model="both", messages=say("limit me"), stream=True))
    assert sorted(c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason) == ["error", "stop"]
    time.sleep(1.1)


@use
def mixture():
    answer = client.chat.completions.create(model="parallax", messages=QUESTION, extra_body={"perspective": {"weights": {"progressive": 0.5, "conservative": 0.5}, "sticky": "c"}})
    assert answer.perspective["draw"]["chosen"] == answer.perspective["id"]


@use
def several():
    answer = client.chat.completions.create(model="A", messages=QUESTION, n=2, stop=["x"], seed=3)
    assert [choice.index for choice in answer.choices] == [0, 1]


@use
def logprobs():
    answer = client.chat.completions.create(model="A", messages=say("logprobs"), logprobs=True)
    assert answer.choices[0].logprobs.content


@use
def tools():
    answer = client.chat.completions.create(model="A", messages=say("tools"), tools=[{"type": "function", "function": {"name": "f", "parameters": {}}}])
    assert answer.choices[0].message.tool_calls[0].function.name == "f"


@use
def models():
    assert {"progressive", "conservative", "baseline", "parallax"} <= {model.id for model in client.models.list()}


@use
def exceptions():
    raises(openai.AuthenticationError, "invalid_api_key", key="plx_wrong")
    raises(openai.PermissionDeniedError, "insufficient_scope", key=AUDITOR)
    raises(openai.NotFoundError, "model_not_found", model="gpt-4o")
    raises(openai.BadRequestError, "perspective_required", model="parallax")
    raises(openai.RateLimitError, "expert_rate_limited", messages=say("limit me"))
    time.sleep(1.1)
    raises(openai.InternalServerError, "expert_unavailable", model="baseline")


@use
def broken_stream():
    try:
        list(client.chat.completions.create(model="A", messages=say("break"), stream=True))
    except openai.APIError:
        return
    raise AssertionError("a broken stream passed for a whole one")


@use
def leaving():
    events = client.chat.completions.create(model="A", messages=say("go on"), stream=True)
    next(iter(events))
    events.close()


print(json.dumps(results))
