"""A small server that speaks OpenAI's completions protocol on the loopback, well or badly."""

import asyncio
import json
import threading
from contextlib import contextmanager, suppress

TTFT_S, TPOT_S = 0.03, 0.004
TOKENS_PER_WORD = 2


class Completions:
    """Streams ``max_tokens`` tokens at a steady pace; ``fault`` says what goes wrong, if anything."""

    def __init__(self, fault=None, models=("served",)):
        self.fault = fault
        self.models = models
        self.requests = 0
        self.most_under_way = 0
        self.keys = set()
        self._under_way = 0

    async def handle(self, reader, writer):
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):  # the client had enough
                await self._answer(reader, writer)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
        self.keys.add(headers.get("Authorization"))
        body = await reader.readexactly(int(headers.get("Content-Length", 0)))
        if head.startswith("GET /v1/models "):
            self._send(writer, json.dumps({"data": [{"id": name} for name in self.models]}))
            await writer.drain()
            return
        asked = json.loads(body)
        assert head.startswith("POST /v1/completions ") and asked["stream"] and asked["model"] in self.models
        self.requests += 1
        self._under_way += 1
        self.most_under_way = max(self.most_under_way, self._under_way)
        await self._stream(writer, asked)
        self._under_way -= 1

    def _send(self, writer, text, status="200 OK"):
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode())

    async def _stream(self, writer, asked):
        fault = self.fault if self.requests > 3 else None  # the first requests are answered well
        if fault == "refuses":
            self._send(writer, f"busy, your key is {sorted(map(str, self.keys))}", "503 Service Unavailable")
            return
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
        await asyncio.sleep(TTFT_S)
        for number in range(asked["max_tokens"]):
            if number:
                await asyncio.sleep(TPOT_S)
            if number == 2 and fault == "stalls":
                await asyncio.sleep(30)
            while number == 2 and fault == "only keeps alive":
                writer.write(b": alive\n\n")
                await writer.drain()
                await asyncio.sleep(0.1)
            if number == 2 and fault == "hangs up":
                return
            if number == 2 and fault == "garbles":
                writer.write(b"data: {{{\n\n")
            if number == 2 and fault == "no events":
                writer.write(b"<html>oops</html>\n")
            self._event(writer, {"choices": [{"text": "" if fault == "is silent" else "x "}]})
            await writer.drain()
        while fault == "never ends":
            self._event(writer, {"choices": [{"text": "x "}]})
            await writer.drain()
        if fault != "does not count":
            words = len(asked["prompt"].split())
            usage = {"prompt_tokens": words * TOKENS_PER_WORD, "completion_tokens": asked["max_tokens"]}
            self._event(writer, {"choices": [], "usage": usage})
        writer.write(b"data: [DONE]\n\n")
        await writer.drain()

    def _event(self, writer, data):
        writer.write(f"data: {json.dumps(data)}\n\n".encode())


@contextmanager
def serving(completions):
    """The URL under which ``completions`` is served, in a thread of its own."""
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(completions.handle, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        asyncio.run_coroutine_threadsafe(_stop(server), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.close()


async def _stop(server):
    server.close()
    here = asyncio.current_task()
    others = [task for task in asyncio.all_tasks() if task is not here]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
