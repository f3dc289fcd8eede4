"""Failures of a chat server.

The wording follows what OpenAI, Azure, vLLM, Ollama and llama.cpp's Python server send.
"""

from __future__ import annotations

from typing import Any

from tests.support.answers import Answer, Behaviour, Request, answer
from tests.support.people import person


def status(code: int, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
    message = {"message": f"The server had an error ({code}).", "type": "server_error"}
    default = {"error": message | {"param": None, "code": None}}
    return Answer(code, default if body is None else body, headers or {})


def _error(
    code: int, message: str, kind: str, name: str | None = None, param: str | None = None
) -> Answer:
    return Answer(code, {"error": {"message": message, "type": kind, "param": param, "code": name}})


def rate_limited(retry_after: float | str | None = None, *, milliseconds: bool = False) -> Answer:
    """429 as OpenAI words it; with the header `Retry-After` (or `retry-after-ms`)."""
    limited = _error(
        429,
        "Rate limit reached for gpt-4.1-mini in organization org-test on requests per min (RPM): "
        "Limit 3, Used 3, Requested 1. Please try again in 20s.",
        "requests",
        "rate_limit_exceeded",
    )
    if retry_after is None:
        return limited
    name = "retry-after-ms" if milliseconds else "retry-after"
    return Answer(429, limited.body, {name: str(retry_after)})


def quota_exhausted() -> Answer:
    return _error(
        429,
        "You exceeded your current quota, please check your plan and billing details. For more "
        "information on this error, read the docs: "
        "https://platform.openai.com/docs/guides/error-codes/api-errors.",
        "insufficient_quota",
        "insufficient_quota",
    )


def wrong_key() -> Behaviour:
    """401; OpenAI repeats a part of the key, this server repeats all of it."""

    def reply(request: Request) -> Answer:
        key = request.headers.get("authorization", "").removeprefix("Bearer ")
        return _error(
            401,
            f"Incorrect API key provided: {key[:8]}********{key[-4:]} ({key}). You can find your "
            "API key at https://platform.openai.com/account/api-keys.",
            "invalid_request_error",
            "invalid_api_key",
        )

    return reply


def unknown_model(style: str = "openai") -> Behaviour:
    """404 as "openai", "vllm", "ollama" or "azure" word it."""

    def reply(request: Request) -> Answer:
        model = request.body.get("model")
        if style == "vllm":
            flat = {"object": "error", "message": f"The model `{model}` does not exist."}
            return Answer(404, flat | {"type": "NotFoundError", "param": None, "code": 404})
        if style == "ollama":
            return _error(404, f'model "{model}" not found, try pulling it first', "api_error")
        if style == "azure":
            said = "The API deployment for this resource does not exist. If you created it within "
            said += "the last 5 minutes, please wait a moment and try again."
            return Answer(404, {"error": {"code": "DeploymentNotFound", "message": said}})
        said = f"The model `{model}` does not exist or you do not have access to it."
        return _error(404, said, "invalid_request_error", "model_not_found")

    return reply


def rejects_parameter(name: str, *, unsupported: str = "value") -> Behaviour:
    """400 whenever the parameter is sent; as the newer models reject temperature and max_tokens.

    `unsupported` is "value" or "parameter", which OpenAI words differently.
    """

    def reply(request: Request) -> Answer | None:
        if name not in request.body:
            return None
        if name == "max_tokens":
            said = "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
            said += "'max_completion_tokens' instead."
            return _error(400, said, "invalid_request_error", "unsupported_parameter", name)
        if unsupported == "parameter":
            said = f"Unsupported parameter: '{name}' is not supported with this model."
            return _error(400, said, "invalid_request_error", "unsupported_parameter", name)
        said = f"Unsupported value: '{name}' does not support {request.body[name]} with this model."
        said += " Only the default (1) value is supported."
        return _error(400, said, "invalid_request_error", "unsupported_value", name)

    return reply


def rejects_json_schema_400(*, json_object_too: bool = False) -> Behaviour:
    """400 whenever a schema is sent (and with `json_object_too`, plain JSON mode as well)."""

    def reply(request: Request) -> Answer | None:
        refused = ("json_schema", "json_object") if json_object_too else ("json_schema",)
        if request.format not in refused:
            return None
        said = f"Invalid parameter: 'response_format' of type '{request.format}' is not supported "
        said += "with this model."
        return _error(400, said, "invalid_request_error", None, "response_format")

    return reply


def llama_cpp_500_on_json_schema(*, names_it: bool = True) -> Behaviour:
    """500 whenever a schema is sent, as llama.cpp's Python server does: not as a refusal.

    It puts the validation error into the message; a proxy in front of it (`names_it=False`)
    gives no reason at all.
    """

    def reply(request: Request) -> Answer | None:
        if request.format != "json_schema":
            return None
        if not names_it:
            return Answer(500, "Internal Server Error", {"content-type": "text/plain"})
        said = "[{'type': 'literal_error', 'loc': ('body', 'response_format', 'type'), 'msg': "
        said += "\"Input should be 'text' or 'json_object'\", 'input': 'json_schema', 'ctx': "
        said += "{'expected': \"'text' or 'json_object'\"}}]"
        return _error(500, said, "internal_server_error")

    return reply


def hang(seconds: float = 3600.0) -> Answer:
    """A good answer after a delay; ends early when the server closes."""
    good = answer(person(999))
    return Answer(good.status, good.body, good.headers, delay=seconds)


def drop_connection(after: float = 0.0) -> Answer:
    """Closes the connection without an answer."""
    return Answer(drop=True, delay=after)
