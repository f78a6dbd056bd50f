"""A first conversation with Keepsake from Python.

    python keepsake_example.py [ADDRESS [KEY_FILE]]

It expects a server on 127.0.0.1:7777 and its development key in keepsake-data/dev.key. It appends
a few turns, asks for a context, and prints what a backend would send to OpenAI and to Anthropic.
"""

import json
import sys
import uuid
from pathlib import Path

from stubs import Memory, context_pb2 as context, memory_service_pb2 as api, turn_pb2 as turns


def said(role, text, **fields):
    """A turn of one text."""
    part = turns.Part(text=turns.TextPart(text=text))
    return turns.NewTurn(role=role, parts=[part], **fields)


def append(memory, session, new_turns, **fields):
    """Appends turns. The request id makes a retry safe: it has one effect, however often sent."""
    request = api.AppendTurnsRequest(
        session_id=session, turns=new_turns, request_id=str(uuid.uuid4()), **fields)
    return memory.AppendTurns(request, timeout=10)


def with_cache_control(payload, breakpoints):
    """An Anthropic payload with a cache breakpoint at each place that Keepsake names.

    `payload` is `payload_json` of the format ANTHROPIC_MESSAGES, parsed. A `message_index` of -1 is
    the system text; each other one is an index into `messages`.
    """
    for place in breakpoints:
        if place.message_index < 0:
            payload["system"] = [{"type": "text", "text": payload["system"]}]
            block = payload["system"][0]
        else:
            block = payload["messages"][place.message_index]["content"][place.part_index]
        block["cache_control"] = {"type": "ephemeral"}
    return payload


def main():
    address = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:7777"
    key_file = Path(sys.argv[2] if len(sys.argv) > 2 else "keepsake-data/dev.key")
    memory = Memory(address, key_file.read_text().strip())
    session = f"example-{uuid.uuid4().hex[:8]}"

    append(memory, session, user_id="ann", new_turns=[
        said(turns.ROLE_USER, "My sister Mia is allergic to hazelnuts, keep that in mind."),
        said(turns.ROLE_ASSISTANT, "Noted: no hazelnuts for Mia."),
        said(turns.ROLE_USER, "She visits on Friday. What can I bake for her?"),
    ])
    for form in (context.FORMAT_OPENAI_CHAT, context.FORMAT_ANTHROPIC_MESSAGES):
        answer = memory.BuildContext(api.BuildContextRequest(
            session_id=session,
            model="gpt-4o" if form == context.FORMAT_OPENAI_CHAT else "claude-opus-4-8",
            budget_tokens=2_000,
            instructions="You help with the household. Be brief.",
            format=form,
        ), timeout=5)
        payload = json.loads(answer.payload_json)
        if form == context.FORMAT_ANTHROPIC_MESSAGES:
            with_cache_control(payload, answer.breakpoints)
        exactness = context.Exactness.Name(answer.exactness).removeprefix("EXACTNESS_")
        print(f"{answer.model}: {answer.used_tokens} of {answer.budget_tokens} tokens ({exactness})")
        print(json.dumps(payload, indent=2, ensure_ascii=False))
    memory.close()


if __name__ == "__main__":
    main()
