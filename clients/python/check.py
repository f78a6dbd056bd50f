"""Holds conversations through a real server and sends their contexts to checking endpoints.

    python check.py PATH_OF_THE_KEEPSAKE_BINARY

Each provider's official package sends what BuildContext rendered, unchanged. A mock endpoint takes
only what keeps the provider's rules. Along the way: a tool loop of three calls, an answer broken
off and asked for again, a message deleted, a repeat, a restart. Exit status 0: all of it held.
"""

import json
import sys
import tempfile
import time
import uuid

from anthropic import Anthropic
from openai import OpenAI

from keepsake_example import append, said, with_cache_control
from mock_provider import MockProvider
from provider_rules import Refused, check_anthropic, check_openai
from server import Server
from stubs import context_pb2 as context, memory_service_pb2 as api, turn_pb2 as turns

BUDGET, RESERVE = 6_000, 300
USER, ASSISTANT, TOOL = turns.ROLE_USER, turns.ROLE_ASSISTANT, turns.ROLE_TOOL
RULES = "You plan mountain weekends with Ann. Answer in at most three sentences. " * 6
FACT = "The door code of the cabin in Arosa is 4417"
SECRET = "the locker at the station opens with the word peregrine"
BROKEN = "Take the heliotrope line"
TOOLS = {
    "weather": "The forecast for a place.",
    "trains": "Connections between two stations.",
}
THINKING = '{"type":"thinking","thinking":"Weather  first.","signature":"c2ln\\u002b=="}'


class OpenAiCaller:
    name, form, model = "openai", context.FORMAT_OPENAI_CHAT, "gpt-4o"
    thinks = None

    def __init__(self, url):
        self.client = OpenAI(base_url=f"{url}/v1", api_key="mock", max_retries=0)
        self.tools = [
            {"type": "function", "function": {
                "name": name, "description": what, "parameters": {"type": "object"}}}
            for name, what in TOOLS.items()
        ]

    def _create(self, answer, **more):
        return self.client.chat.completions.create(
            model=self.model, messages=json.loads(answer.payload_json), tools=self.tools, **more)

    def ask(self, answer):
        message = self._create(answer).choices[0].message
        calls = [(c.id, c.function.name, c.function.arguments) for c in message.tool_calls or []]
        return message.content, calls

    def stream(self, answer):
        with self._create(answer, stream=True) as stream:
            for chunk in stream:
                yield chunk.choices[0].delta.content

    @staticmethod
    def messages(payload):
        return payload

    @staticmethod
    def check(payload):
        check_openai({"model": "m", "messages": payload})


class AnthropicCaller:
    name, form, model = "anthropic", context.FORMAT_ANTHROPIC_MESSAGES, "claude-opus-4-8"
    thinks = turns.Part(opaque=turns.OpaquePart(provider="anthropic", json=THINKING))

    def __init__(self, url):
        self.client = Anthropic(base_url=url, api_key="mock", max_retries=0)
        self.tools = [
            {"name": name, "description": what, "input_schema": {"type": "object"}}
            for name, what in TOOLS.items()
        ]

    def _create(self, answer, **more):
        payload = with_cache_control(json.loads(answer.payload_json), answer.breakpoints)
        return self.client.messages.create(
            model=self.model, max_tokens=RESERVE, tools=self.tools, **payload, **more)

    def ask(self, answer):
        blocks = self._create(answer).content
        text = "".join(block.text for block in blocks if block.type == "text")
        calls = [(b.id, b.name, json.dumps(b.input)) for b in blocks if b.type == "tool_use"]
        return text or None, calls

    def stream(self, answer):
        with self._create(answer, stream=True) as stream:
            for event in stream:
                if event.type == "content_block_delta":
                    yield event.delta.text

    @staticmethod
    def messages(payload):
        return payload["messages"]

    @staticmethod
    def check(payload):
        tools = [{"name": "any"}]
        check_anthropic({"model": "m", "max_tokens": 1, "tools": tools, **payload})


class Chat:
    """One session of a backend, with what must never be sent again."""

    def __init__(self, memory, caller, provider):
        self.memory, self.caller, self.provider = memory, caller, provider
        self.session, self.before = f"{caller.name}-now", f"{caller.name}-before"
        self.user = f"ann-{caller.name}"
        self.gone = []
        self.built = 0

    def append(self, *new_turns, **fields):
        return append(self.memory, self.session, new_turns, user_id=self.user, **fields)

    def build(self, form=None, **fields):
        """A context, checked as every context must be."""
        form = self.caller.form if form is None else form
        answer = self.memory.BuildContext(api.BuildContextRequest(
            session_id=self.session, user_id=self.user, scope=context.SCOPE_USER, format=form,
            model=self.caller.model, budget_tokens=BUDGET, reserve_tokens=RESERVE, **fields,
        ), timeout=10)
        self.built += 1
        assert answer.used_tokens <= BUDGET - RESERVE, answer.used_tokens
        whole = answer.payload_json + str(answer.messages)
        for text in self.gone:
            assert text not in whole, f"{text!r} is gone and was sent again"
        if form == self.caller.form:
            self.caller.check(json.loads(answer.payload_json))
        self._check_account(answer)
        return answer

    def embedded(self):
        """Waits until what is retrieved goes by meaning too, and no longer changes by itself."""
        for _ in range(600):
            lacking = [
                self.memory.GetSession(api.GetSessionRequest(session_id=session), timeout=5)
                .pending.vectors_pending for session in (self.before, self.session)
            ]
            if not any(lacking):
                return
            time.sleep(0.1)
        raise AssertionError(f"turns without vectors after a minute: {lacking}")

    def _check_account(self, answer):
        """Turns shown and ranges not shown are all living turns, none twice."""
        shown = {
            (item.session_id, seq)
            for section in answer.sections for item in section.items if item.session_id
            for seq in range(item.first_seq, item.last_seq + 1)
        }
        living = 0
        for session in (self.before, self.session):
            request = api.GetSessionRequest(session_id=session)
            living += self.memory.GetSession(request, timeout=5).session.turn_count
        hidden = sum(part.turns for part in answer.not_shown)
        assert len(shown) + hidden == living, (len(shown), hidden, living)
        total = sum(section.tokens for section in answer.sections) + answer.framing_tokens
        assert total == answer.used_tokens, (total, answer.used_tokens)

    def ask(self, answer, reply):
        self.provider.script.append(reply)
        return self.caller.ask(answer)

    def quoted(self, answer):
        """The block of retrieved turns, as it is sent."""
        found = []
        for message in self.caller.messages(json.loads(answer.payload_json)):
            content = message["content"] or ""
            blocks = [{"text": content}] if isinstance(content, str) else content
            found += [b["text"] for b in blocks if b.get("text", "").startswith("<memory>")]
        assert len(found) <= 1, "one block of retrieved turns at most"
        return found[0] if found else None

    def prefix(self, answer):
        """What lies before the last breakpoint, as bytes."""
        payload = json.loads(answer.payload_json)
        assert answer.breakpoints, "the context is long enough to be cached"
        place = answer.breakpoints[-1]
        kept = self.caller.messages(payload)[: place.message_index + 1]
        if kept and isinstance(kept[-1]["content"], list):
            kept[-1]["content"] = kept[-1]["content"][: place.part_index + 1]
        system = payload.get("system") if isinstance(payload, dict) else None
        return json.dumps([system, kept])


def past(count, place):
    """Turns about nothing in particular, no two alike."""
    things = ["the tent", "two ropes", "the red stove", "dry socks", "a map", "the lamp", "tea"]
    doings = ["packed", "mended", "lent out", "counted", "forgotten", "washed", "bought"]
    for n in range(count // 2):
        thing, doing = things[n % 7], doings[(n // 7) % 7]
        yield said(USER, f"Entry {n} from {place}: {thing} should be {doing} before the next tour.")
        yield said(ASSISTANT, f"Entry {n} noted: {thing}, to be {doing}; I will remind you of it.")


def fill(chat):
    """A session of the past, with a fact in it, and a session that runs."""
    older = [*past(80, "Chur"), said(USER, f"{FACT}."), said(ASSISTANT, "I will remember the code.")]
    append(chat.memory, chat.before, [*older, *past(80, "Davos")], user_id=chat.user)
    chat.memory.CreateSession(api.CreateSessionRequest(
        session_id=chat.session, user_id=chat.user, pinned_instructions=RULES))
    chat.append(*past(70, "Arosa"))
    chat.embedded()


def recall(chat):
    """What was said in another session comes back, and the answer is appended."""
    chat.append(said(USER, "What is the door code of the cabin in Arosa?"))
    answer = chat.build()
    assert FACT in (chat.quoted(answer) or ""), "the fact stands in the retrieved block"
    text, _ = chat.ask(answer, "It is 4417.")
    chat.append(said(ASSISTANT, text))


def tool_loop(chat):
    """Three rounds of calls, the second one with two calls at once. What stands before the question
    does not change by a byte."""
    chat.append(said(USER, "Is the door code of the cabin enough, or is the weather bad there?"))
    first = chat.build()
    quoted, prefix = chat.quoted(first), chat.prefix(first)
    assert quoted is not None, "the question finds turns of the past"
    rounds = [
        [("call_1", "weather", {"place": "Arosa"})],
        [("call_2", "trains", {"from": "Zürich", "to": "Chur"}), ("call_3", "weather", {})],
        [("call_4", "trains", {"from": "Chur", "to": "Arosa"})],
    ]
    answer = first
    for calls in rounds:
        _, given = chat.ask(answer, calls)
        assert [id for id, _, _ in given] == [id for id, _, _ in calls]
        parts = [turns.Part(tool_call=turns.ToolCallPart(id=id, name=name, arguments_json=arguments))
                 for id, name, arguments in given]
        parts = [chat.caller.thinks, *parts] if chat.caller.thinks else parts
        chat.append(turns.NewTurn(role=ASSISTANT, parts=parts))
        chat.build()  # Not sent: the calls have no results yet. It keeps the rules all the same.
        results = [turns.Part(tool_result=turns.ToolResultPart(
            call_id=id, parts=[turns.Part(text=turns.TextPart(text=f"{name}: fine"))]))
            for id, name, _ in given]
        chat.append(turns.NewTurn(role=TOOL, parts=results))
        answer = chat.build()
        assert chat.quoted(answer) == quoted, "the retrieved block changed inside a tool loop"
        assert chat.prefix(answer) == prefix, "the prefix changed inside a tool loop"
        if chat.caller.thinks:
            assert THINKING in answer.payload_json, "opaque JSON comes back byte for byte"
    text, _ = chat.ask(answer, "The code is enough, and the sun shines.")
    chat.append(said(ASSISTANT, text))
    chat.build(form=context.FORMAT_NEUTRAL)


def regenerate(chat):
    """A streamed answer is broken off, kept as interrupted, then asked for again."""
    question = said(USER, "Which way do we take from the station to the cabin?")
    asked = chat.append(question).first_seq
    chat.provider.script.append(f"{BROKEN} and then the bus to the upper end of the valley.")
    stream, partial = chat.caller.stream(chat.build()), ""
    while partial != BROKEN:
        partial += next(stream)
    stream.close()
    chat.append(said(ASSISTANT, partial, status=turns.TURN_STATUS_INTERRUPTED))
    assert BROKEN in str(chat.build(form=context.FORMAT_NEUTRAL))
    again = chat.append(question, replace_from_seq=asked)
    assert again.turns_superseded == 2, again
    chat.gone.append(BROKEN)
    chat.provider.script.append("Walk down the lake road for ten minutes.")
    text = "".join(chat.caller.stream(chat.build()))
    chat.append(said(ASSISTANT, text))
    shown = chat.build(query="Which line did you mean, the heliotrope one?")
    assert "Walk down the lake road" in shown.payload_json


def delete(chat):
    """A message that is deleted is in no context and in no search."""
    seq = chat.append(said(USER, f"By the way, {SECRET}.")).first_seq
    text, _ = chat.ask(chat.build(), "Noted.")
    chat.append(said(ASSISTANT, text))
    assert SECRET in chat.build(query="Which word opens the locker?").payload_json
    receipt = chat.memory.DeleteTurns(
        api.DeleteTurnsRequest(session_id=chat.session, seqs=[seq]), timeout=5)
    assert list(receipt.seqs_erased) == [seq], receipt
    chat.gone.append(SECRET)
    chat.append(said(USER, "Which word opens the locker at the station?"))
    text, _ = chat.ask(chat.build(), "You have not told me.")
    chat.append(said(ASSISTANT, text))
    hits = chat.memory.Search(api.SearchRequest(
        user_id=chat.user, query="peregrine locker station", top_k=50), timeout=5).hits
    assert SECRET not in str(hits)


def repeat(chat):
    """The same append twice is one effect, and the second answer says so."""
    request = api.AppendTurnsRequest(
        session_id=chat.session, turns=[said(USER, "See you on Saturday.")],
        request_id=str(uuid.uuid4()))
    once = chat.memory.AppendTurns(request, timeout=5)
    twice, call = chat.memory.AppendTurns.with_call(request, timeout=5)
    assert once == twice, (once, twice)
    assert ("idempotent-replayed", "true") in call.trailing_metadata(), call.trailing_metadata()


def check_the_checks():
    """The rules refuse what a provider refuses: else all that follows would prove nothing."""
    user = {"role": "user", "content": "hi"}
    call = {"role": "assistant", "content": None, "tool_calls": [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}
    use = {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": {}}]}
    wrong_openai = [
        [], [{"role": "assistant", "content": "hi"}], [{"role": "user", "content": " "}],
        [user, call], [user, call, user], [user, {"role": "tool", "tool_call_id": "a", "content": "x"}],
        [user, {"role": "system", "content": "late"}], [{**user, "name": "An n"}],
        [user, {"role": "assistant", "content": None}],
    ]
    wrong_anthropic = [
        [], [{"role": "assistant", "content": "hi"}], [user, user], [{"role": "user", "content": []}],
        [user, use], [user, use, user], [{"role": "system", "content": "hi"}],
        [user, {"role": "assistant", "content": "open "}],
        [user, use, {"role": "user", "content": [
            {"type": "text", "text": "x"}, {"type": "tool_result", "tool_use_id": "a"}]}],
    ]
    cases = [(OpenAiCaller.check, messages) for messages in wrong_openai]
    cases += [(AnthropicCaller.check, {"messages": messages}) for messages in wrong_anthropic]
    for check, payload in cases:
        try:
            check(payload)
        except Refused:
            continue
        raise AssertionError(f"taken, though no provider would: {payload}")


def main():
    check_the_checks()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        server, provider = Server(sys.argv[1], folder), MockProvider()
        memory = server.connect()
        chats = [Chat(memory, caller(provider.url), provider)
                 for caller in (OpenAiCaller, AnthropicCaller)]
        for chat in chats:
            for step in (fill, recall, tool_loop, regenerate, delete, repeat):
                step(chat)
                print(f"{chat.caller.name}: {step.__name__} holds", flush=True)
        before = [chat.build(as_of={"seconds": 1_900_000_000}) for chat in chats]
        memory.close()
        server.stop()
        server = Server(sys.argv[1], folder)
        for chat, built in zip(chats, before):
            chat.memory = server.connect()
            again = chat.build(as_of={"seconds": 1_900_000_000})
            assert again.payload_json == built.payload_json, "a restart changed a context"
            chat.memory.close()
        print("restart: the contexts are the same bytes")
        server.stop()
        provider.close()
        assert not provider.refused, provider.refused
        assert not provider.script, "an answer was laid ready and nobody asked"
        built = sum(chat.built for chat in chats)
        print(f"{built} contexts built, {len(provider.seen)} sent and taken, "
              f"{time.monotonic() - began:.1f} s")


if __name__ == "__main__":
    main()
