"""What the providers ask of a request's messages, as checks that name what is wrong.

Written from the public documentation of Chat Completions (OpenAI) and Messages (Anthropic), apart
from Keepsake's renderer, and stricter where a provider is lenient: neighbours of one role are
refused for Anthropic, which would join them in silence.
"""

import json
import re

OPENAI_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
ANTHROPIC_ID = re.compile(r"[A-Za-z0-9_-]+")
ANTHROPIC_TOOL = re.compile(r"[A-Za-z0-9_-]{1,128}")
CACHE_CONTROLS_MAX = 4


class Refused(Exception):
    """A request that a provider would answer with status 400."""


def need(holds, what):
    if not holds:
        raise Refused(what)


def need_keys(value, required, optional, where):
    need(isinstance(value, dict), f"{where} must be an object")
    missing, unknown = set(required) - set(value), set(value) - set(required) - set(optional)
    need(not missing, f"{where} lacks {sorted(missing)}")
    need(not unknown, f"{where} has the unknown members {sorted(unknown)}")


def need_text(value, where):
    need(isinstance(value, str), f"{where} must be a string")
    need(value.strip() != "", f"{where} must not be empty or only white space")


def one_of_each(pairs):
    """For `json.loads`: refuses an object that names a member twice."""
    names = [name for name, _ in pairs]
    need(len(names) == len(set(names)), f"a member is given twice in {names}")
    return dict(pairs)


def check_openai(body):
    """Refuses the body of a Chat Completions request that breaks a rule."""
    need_keys(body, ["model", "messages"], ["stream", "tools", "max_completion_tokens"], "body")
    messages = body["messages"]
    need(isinstance(messages, list) and messages, "messages must be a list that is not empty")
    open_calls, seen_calls, spoken = [], set(), False
    for at, message in enumerate(messages):
        where = f"messages[{at}]"
        need(isinstance(message, dict), f"{where} must be an object")
        role = message.get("role")
        if role != "tool":
            need(not open_calls, f"{where}: no result yet for the calls {open_calls}")
        if role == "system":
            need(at == 0, f"{where}: system stands first or nowhere")
            need_keys(message, ["role", "content"], [], where)
            need_text(message["content"], f"{where}.content")
        elif role == "user":
            need_keys(message, ["role", "content"], ["name"], where)
            _openai_content(message["content"], ("text", "image_url", "file"), where)
            spoken = True
        elif role == "assistant":
            need(spoken, f"{where}: the first to speak must be the user")
            open_calls = _openai_assistant(message, seen_calls, where)
        elif role == "tool":
            need_keys(message, ["role", "content", "tool_call_id"], [], where)
            _openai_content(message["content"], ("text",), where)
            answered = message["tool_call_id"]
            need(answered in open_calls, f"{where}: answers no call of the message before it")
            open_calls.remove(answered)
        else:
            raise Refused(f"{where}: there is no role {role!r}")
        if "name" in message:
            need(OPENAI_NAME.fullmatch(message["name"]), f"{where}.name has forbidden characters")
    need(spoken, "messages must hold something of the user")
    need(not open_calls, f"no result for the calls {open_calls}")
    return messages


def _openai_assistant(message, seen_calls, where):
    need_keys(message, ["role", "content"], ["name", "tool_calls", "refusal"], where)
    calls = message.get("tool_calls")
    if message["content"] is not None or calls is None:
        _openai_content(message["content"], ("text",), where)
    if calls is None:
        return []
    need(isinstance(calls, list) and calls, f"{where}.tool_calls must not be empty")
    for call in calls:
        need_keys(call, ["id", "type", "function"], [], f"{where}.tool_calls")
        need(call["type"] == "function", f"{where}: a call must be of the type function")
        need_text(call["id"], f"{where}.tool_calls.id")
        need(call["id"] not in seen_calls, f"{where}: the call id {call['id']} came before")
        seen_calls.add(call["id"])
        function = call["function"]
        need_keys(function, ["name", "arguments"], [], f"{where}.tool_calls.function")
        need(OPENAI_NAME.fullmatch(function["name"]), f"{where}: no name of a function")
        _json_object(function["arguments"], f"{where}.tool_calls.function.arguments")
    return [call["id"] for call in calls]


def _openai_content(content, types, where):
    if isinstance(content, str):
        need_text(content, f"{where}.content")
        return
    need(isinstance(content, list) and content, f"{where}.content must not be empty")
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        need(kind in types, f"{where}.content: the type {kind!r} is not for this role")
        need_keys(part, ["type", kind], [], f"{where}.content")
        if kind == "text":
            need_text(part["text"], f"{where}.content.text")
        elif kind == "image_url":
            need(part[kind]["url"].startswith(("http://", "https://")), f"{where}: no web image")
        else:
            need_text(part[kind]["file_id"], f"{where}.content.file.file_id")


def _json_object(text, where):
    need(isinstance(text, str), f"{where} must be JSON in a string")
    try:
        value = json.loads(text, object_pairs_hook=one_of_each)
    except ValueError as error:
        raise Refused(f"{where} is no JSON: {error}") from error
    need(isinstance(value, dict), f"{where} must be an object")


def check_anthropic(body):
    """Refuses the body of a Messages request that breaks a rule."""
    optional = ["system", "stream", "tools"]
    need_keys(body, ["model", "messages", "max_tokens"], optional, "body")
    need(isinstance(body["max_tokens"], int) and body["max_tokens"] > 0, "max_tokens must be > 0")
    controls = _anthropic_system(body["system"]) if "system" in body else 0
    messages = body["messages"]
    need(isinstance(messages, list) and messages, "messages must be a list that is not empty")
    open_calls, seen_calls, uses_tools = [], set(), False
    for at, message in enumerate(messages):
        where = f"messages[{at}]"
        need_keys(message, ["role", "content"], [], where)
        expected = "assistant" if at % 2 else "user"
        need(message["role"] == expected, f"{where}: the role must be {expected}")
        blocks = _blocks(message["content"], where)
        controls += sum("cache_control" in block for block in blocks)
        if expected == "user":
            _anthropic_user(blocks, open_calls, where)
            open_calls = []
        else:
            open_calls = _anthropic_assistant(blocks, seen_calls, where)
        uses_tools = uses_tools or bool(open_calls)
    need(not open_calls, f"no result for the calls {open_calls}")
    last = messages[-1]
    if last["role"] == "assistant":
        text = _blocks(last["content"], "the last message")[-1].get("text", "")
        need(text == text.rstrip(), "a last message of the assistant must not end in white space")
    need(not uses_tools or body.get("tools"), "tools must be given where messages use them")
    need(controls <= CACHE_CONTROLS_MAX, f"{controls} blocks have cache_control, 4 may")
    return messages


def _anthropic_system(system):
    blocks = _blocks(system, "system")
    for block in blocks:
        need(block.get("type") == "text", "system takes text only")
        _anthropic_block(block, "system")
    return sum("cache_control" in block for block in blocks)


def _blocks(content, where):
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    need(isinstance(content, list) and content, f"{where}: content must not be empty")
    return content


def _anthropic_user(blocks, open_calls, where):
    answered = []
    for at, block in enumerate(blocks):
        kind = _anthropic_block(block, where)
        need(kind in ("text", "image", "document", "tool_result"), f"{where}: {kind} is not the user's")
        if kind == "tool_result":
            need(len(answered) == at, f"{where}: results stand before everything else")
            answered.append(block["tool_use_id"])
    need(sorted(answered) == sorted(open_calls),
         f"{where}: results for {answered}, calls were {open_calls}")


def _anthropic_assistant(blocks, seen_calls, where):
    calls = []
    for block in blocks:
        kind = _anthropic_block(block, where)
        need(kind in ("text", "tool_use", "thinking"), f"{where}: {kind} is not the assistant's")
        if kind == "tool_use":
            need(block["id"] not in seen_calls, f"{where}: the id {block['id']} came before")
            seen_calls.add(block["id"])
            calls.append(block["id"])
    return calls


def _anthropic_block(block, where):
    need(isinstance(block, dict), f"{where}: a block must be an object")
    kind = block.get("type")
    cached = ["cache_control"]
    if kind == "text":
        need_keys(block, ["type", "text"], cached, where)
        need_text(block["text"], f"{where}.text")
    elif kind == "tool_use":
        need_keys(block, ["type", "id", "name", "input"], cached, where)
        need(ANTHROPIC_ID.fullmatch(block["id"]), f"{where}: {block['id']!r} is no id of a call")
        need(ANTHROPIC_TOOL.fullmatch(block["name"]), f"{where}: no name of a tool")
        need(isinstance(block["input"], dict), f"{where}.input must be an object")
    elif kind == "tool_result":
        need_keys(block, ["type", "tool_use_id"], ["content", "is_error", *cached], where)
        for inner in _blocks(block.get("content", "empty"), where):
            need(_anthropic_block(inner, where) in ("text", "image"), f"{where}: no content of a result")
    elif kind in ("image", "document"):
        need_keys(block, ["type", "source"], cached, where)
        need(block["source"].get("type") in ("url", "file"), f"{where}: no source of media")
    elif kind == "thinking":
        need_keys(block, ["type", "thinking", "signature"], [], where)
    else:
        raise Refused(f"{where}: there is no block {kind!r}")
    control = block.get("cache_control")
    need(control is None or control == {"type": "ephemeral"}, f"{where}: a wrong cache_control")
    return kind
