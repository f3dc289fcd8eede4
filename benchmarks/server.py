"""A chat endpoint on loopback that answers each request with a person after a fixed time.

In a process of its own, so that its work is not counted with ours. python server.py SECONDS
prints its port; a GET gives, as JSON, what was asked since the last GET.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys

from people import person

counted = {"requests": 0, "prompt_characters": 0}
people = 0


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, wait: float) -> None:
    """Answer the requests of one connection."""
    while head := await _head(reader):
        length = next(
            (
                int(line.split(b":")[1])
                for line in head
                if line.lower().startswith(b"content-length")
            ),
            0,
        )
        body = await reader.readexactly(length)
        if head[0].startswith(b"GET"):
            answer = json.dumps(counted)
            counted.update(requests=0, prompt_characters=0)
        else:
            answer = _completion(json.loads(body))
            await asyncio.sleep(wait)
        content = answer.encode()
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
            + str(len(content)).encode()
            + b"\r\n\r\n"
            + content
        )
        await writer.drain()
    writer.close()


async def _head(reader: asyncio.StreamReader) -> list[bytes]:
    try:
        return (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return []


def _completion(request: dict) -> str:  # type: ignore[type-arg]
    global people
    people += 1
    schema = request.get("response_format", {})
    prompt = sum(len(m["content"]) for m in request["messages"]) + len(json.dumps(schema))
    counted["requests"] += 1
    counted["prompt_characters"] += prompt
    text = json.dumps(person(people) | _asked(request["messages"][-1]["content"]))
    return json.dumps(
        {
            "id": "chatcmpl-bench",
            "object": "chat.completion",
            "created": 0,
            "model": request["model"],
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": text},
                    "finish_reason": "stop",
                }
            ],
            "usage": {"prompt_tokens": prompt // 4, "completion_tokens": len(text) // 4},
        }
    )


def _asked(prompt: str) -> dict:  # type: ignore[type-arg]
    """What a profile fixes of the person, which a model would keep to."""
    told = prompt.partition("<particularities>\n")[2].partition("\n</particularities>")[0]
    fields = json.loads(told) if told.startswith("{") else {}
    places = {"residence": fields["city"]} if "city" in fields else {}
    return {key: fields[key] for key in ("name", "age") if key in fields} | places


async def main(wait: float) -> None:
    """Serve until whoever started this closes our standard input."""
    server = await asyncio.start_server(
        lambda r, w: serve(r, w, wait), "127.0.0.1", 0, backlog=1024
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, sys.stdin.read)
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1])))
