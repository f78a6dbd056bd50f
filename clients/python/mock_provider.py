"""OpenAI's and Anthropic's endpoints on loopback: they check each request by the providers' rules
and answer with what a test has laid ready. No model, no network.
"""

import json
import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from provider_rules import Refused, check_anthropic, check_openai, one_of_each


class MockProvider:
    """A server in a thread. `script` holds the next answers; `seen` the bodies that were taken.

    An answer is a text, or a list of calls `(id, tool name, arguments)`.
    """

    def __init__(self):
        self.script = deque()
        self.seen = []
        self.refused = []
        provider = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                provider.answer(self)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def answer(self, http):
        raw = http.rfile.read(int(http.headers["content-length"]))
        checks = {"/v1/chat/completions": check_openai, "/v1/messages": check_anthropic}
        try:
            body = json.loads(raw, object_pairs_hook=one_of_each)
            checks[http.path](body)
        except (Refused, ValueError, KeyError) as error:
            self.refused.append(str(error))
            refusal = {"type": "invalid_request_error", "message": str(error)}
            _send(http, 400, {"type": "error", "error": refusal})
            return
        self.seen.append(body)
        anthropic = http.path == "/v1/messages"
        said = self.script.popleft()
        if body.get("stream"):
            _stream(http, _anthropic_events(said) if anthropic else _openai_events(said))
        else:
            _send(http, 200, _anthropic_answer(said) if anthropic else _openai_answer(said))


def _send(http, status, value):
    content = json.dumps(value).encode()
    http.send_response(status)
    http.send_header("content-type", "application/json")
    http.send_header("content-length", str(len(content)))
    http.end_headers()
    http.wfile.write(content)


def _stream(http, events):
    http.send_response(200)
    http.send_header("content-type", "text/event-stream")
    http.send_header("connection", "close")
    http.end_headers()
    http.close_connection = True
    try:
        for event in events:
            http.wfile.write(event.encode())
            http.wfile.flush()
    except ConnectionError:
        pass  # The client broke the stream off, as some tests do.


def _openai_answer(said):
    message = {"role": "assistant", "content": said if isinstance(said, str) else None}
    if not isinstance(said, str):
        message["tool_calls"] = [
            {"id": id, "type": "function", "function": {"name": name, "arguments": json.dumps(given)}}
            for id, name, given in said
        ]
    finish = "stop" if isinstance(said, str) else "tool_calls"
    choice = {"index": 0, "message": message, "finish_reason": finish, "logprobs": None}
    return {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "mock",
            "choices": [choice],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}


def _openai_events(said):
    for at, word in enumerate(said.split(" ")):
        delta = {"content": word if at == 0 else f" {word}"}
        choice = {"index": 0, "delta": delta, "finish_reason": None}
        yield _data({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1,
                     "model": "mock", "choices": [choice]})
    yield "data: [DONE]\n\n"


def _anthropic_answer(said):
    if isinstance(said, str):
        content = [{"type": "text", "text": said}]
    else:
        content = [{"type": "tool_use", "id": id, "name": name, "input": given}
                   for id, name, given in said]
    return {"id": "msg_1", "type": "message", "role": "assistant", "model": "mock",
            "content": content, "stop_sequence": None,
            "stop_reason": "end_turn" if isinstance(said, str) else "tool_use",
            "usage": {"input_tokens": 1, "output_tokens": 1}}


def _anthropic_events(said):
    start = {**_anthropic_answer(""), "content": [], "stop_reason": None}
    yield _event({"type": "message_start", "message": start})
    yield _event({"type": "content_block_start", "index": 0,
                  "content_block": {"type": "text", "text": ""}})
    for at, word in enumerate(said.split(" ")):
        delta = {"type": "text_delta", "text": word if at == 0 else f" {word}"}
        yield _event({"type": "content_block_delta", "index": 0, "delta": delta})
    yield _event({"type": "content_block_stop", "index": 0})
    yield _event({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None},
                  "usage": {"output_tokens": 1}})
    yield _event({"type": "message_stop"})


def _event(value):
    return f"event: {value['type']}\n{_data(value)}"


def _data(value):
    return f"data: {json.dumps(value)}\n\n"
