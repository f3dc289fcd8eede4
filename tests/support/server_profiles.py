"""What chat servers refuse, how their replies look, and how they say what is wrong.

One profile for each provider, as its documentation, its users and its maintainers describe it.
Numbers, identifiers and models in the texts are examples. `profile_server` plays a profile over
HTTP, and `docs/servers.md` has the same table for users.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.support.answers import Answer, Json
from tests.support.profile_server import Kind, Refusal, ServerProfile, error

# -- parts of a request that some servers refuse ----------------------------------------------


def _format(body: Json) -> str:
    return str((body.get("response_format") or {}).get("type", "none"))


def _schema_has(*words: str) -> Callable[[Json], bool]:
    """Whether the schema of a request uses one of these keywords."""

    def has(body: Json) -> bool:
        schema = json.dumps((body.get("response_format") or {}).get("json_schema") or {})
        return any(f'"{word}":' in schema for word in words)

    return has


def _sends(name: str) -> Callable[[Json], bool]:
    return lambda body: body.get(name) is not None


def _without_the_word_json(body: Json) -> bool:
    return _format(body) == "json_object" and "json" not in json.dumps(body["messages"]).lower()


def _has_system_role(body: Json) -> bool:
    return any(message["role"] in ("system", "developer") for message in body["messages"])


_TEMPERATURE = "temperature"
_WORD_JSON = Refusal(
    "no word json",
    _without_the_word_json,
    error(
        400,
        message="'messages' must contain the word 'json' in some form, to use 'response_format' of "
        "type 'json_object'.",
        param="messages",
    ),
)


def _not_permitted(*words: str) -> tuple[Refusal, ...]:
    """A strict schema may not have these keywords, at OpenAI and Azure."""
    return tuple(
        Refusal(
            word,
            _schema_has(word),
            error(
                400,
                message="Invalid schema for response_format 'persona': In context=('properties', "
                f"'name'), '{word}' is not permitted.",
                param="response_format",
            ),
        )
        for word in words
    )


def _says(name: str) -> dict[Kind, Answer]:
    """What a provider answers when something is wrong; `server_answers.json` has the texts."""
    return {kind: Answer(**said) for kind, said in _ANSWERS[name].items()}


# -- the providers ----------------------------------------------------------------------------

_ANSWERS = json.loads(Path(__file__).with_name("server_answers.json").read_text("utf-8"))

_ALL = (
    ServerProfile(
        "OpenAI",
        "https://api.openai.com/v1",
        "gpt-4.1-mini",
        says=_says("OpenAI"),
        refuses=(_WORD_JSON, *_not_permitted("minLength", "maxLength")),
    ),
    ServerProfile(
        "OpenAI, reasoning models",
        "https://api.openai.com/v1",
        "gpt-5-mini",
        says=_says("OpenAI"),
        length="max_completion_tokens",
        refuses=(
            Refusal(
                "max_tokens",
                _sends("max_tokens"),
                error(
                    400,
                    message="Unsupported parameter: 'max_tokens' is not supported with this model. "
                    "Use 'max_completion_tokens' instead.",
                    param="max_tokens",
                    code="unsupported_parameter",
                ),
            ),
            Refusal(
                _TEMPERATURE,
                lambda body: body.get(_TEMPERATURE, 1) != 1,
                error(
                    400,
                    message="Unsupported value: 'temperature' does not support 1.5 with this "
                    "model. Only the default (1) value is supported.",
                    param=_TEMPERATURE,
                    code="unsupported_value",
                ),
            ),
            _WORD_JSON,
            *_not_permitted("minLength", "maxLength"),
        ),
    ),
    ServerProfile(
        "Azure OpenAI",
        "https://example.openai.azure.com/openai/deployments/people",
        "people",
        says=_says("Azure OpenAI"),
        schema="plain schema",
        refuses=(_WORD_JSON, *_not_permitted("minLength", "maxLength", "minItems", "maxItems")),
    ),
    ServerProfile(
        "Google Gemini",
        "https://generativelanguage.googleapis.com/v1beta/openai",
        "gemini-2.5-flash",
        says=_says("Google Gemini"),
        schema="plain schema",
        usage="last",
        refuses=(
            Refusal(
                "additionalProperties",
                _schema_has("additionalProperties"),
                Answer(
                    400,
                    [
                        {
                            "error": {
                                "code": 400,
                                "message": "Invalid JSON payload received. Unknown name "
                                "\"additionalProperties\" at 'generation_config.response_schema': "
                                "Cannot find field.",
                                "status": "INVALID_ARGUMENT",
                            }
                        }
                    ],
                ),
            ),
        ),
    ),
    ServerProfile(
        "Anthropic",
        "https://api.anthropic.com/v1",
        "claude-sonnet-4-5",
        says=_says("Anthropic"),
        prose=True,  # response_format is ignored
    ),
    ServerProfile(
        "Mistral",
        "https://api.mistral.ai/v1",
        "magistral-small-latest",
        says=_says("Mistral"),
        length="max_tokens",
        thought="parts",
        usage="last",
        refuses=tuple(
            Refusal(
                name,
                _sends(name),
                Answer(
                    422,
                    {
                        "object": "error",
                        "message": {
                            "detail": [
                                {
                                    "type": "extra_forbidden",
                                    "loc": ["body", name],
                                    "msg": "Extra inputs are not permitted",
                                    "input": 1,
                                }
                            ]
                        },
                        "type": "invalid_request_error",
                        "param": None,
                        "code": None,
                    },
                ),
            )
            for name in ("max_completion_tokens", "stream_options")
        ),
    ),
    ServerProfile(
        "Groq",
        "https://api.groq.com/openai/v1",
        "openai/gpt-oss-20b",
        says=_says("Groq"),
        schema="plain schema",
        thought="reasoning",
        usage="x_groq",
        refuses=(
            Refusal(
                "stream with response_format",
                lambda body: body.get("stream") and _format(body) != "none",
                error(400, message="response_format` does not support streaming"),
            ),
            Refusal(
                "minItems",
                _schema_has("minItems", "maxItems"),
                error(
                    400,
                    message="invalid schema for response format: response_format/json_schema/"
                    "persona: minItems is not supported",
                    param=...,
                    code=...,
                ),
            ),
            _WORD_JSON,
        ),
    ),
    ServerProfile(
        "DeepSeek",
        "https://api.deepseek.com",
        "deepseek-reasoner",
        says=_says("DeepSeek"),
        schema="JSON",
        length="max_tokens",
        thought="reasoning_content",
        usage="last",
        comment=": keep-alive",
        refuses=(
            Refusal(
                "json_schema",
                lambda body: _format(body) == "json_schema",
                error(
                    400,
                    message="This response_format type is unavailable now",
                    code="invalid_request_error",
                ),
            ),
            Refusal(
                "length",
                lambda body: (body.get("max_tokens") or 0) > 8192,
                error(
                    400,
                    message="Invalid max_tokens value, the valid range of max_tokens is [1, 8192]",
                    code="invalid_request_error",
                ),
            ),
            _WORD_JSON,
        ),
    ),
    ServerProfile(
        "OpenRouter",
        "https://openrouter.ai/api/v1",
        "qwen/qwen3-30b-a3b",
        says=_says("OpenRouter"),
        thought="reasoning",
        comment=": OPENROUTER PROCESSING",
    ),
    ServerProfile(
        "Moonshot Kimi",
        "https://api.moonshot.ai/v1",
        "kimi-k2.5",
        says=_says("Moonshot Kimi"),
        thought="reasoning_content",
        usage="last",
        refuses=(
            Refusal(
                _TEMPERATURE,
                lambda body: body.get(_TEMPERATURE, 1) != 1,
                error(
                    400,
                    message="invalid temperature: only 1 is allowed for this model",
                    param=...,
                    code=...,
                ),
            ),
        ),
    ),
    ServerProfile(
        "Z.ai GLM",
        "https://api.z.ai/api/paas/v4",
        "glm-4.7-flash",
        says=_says("Z.ai GLM"),
        schema="JSON",
        length="max_tokens",
        thought="reasoning_content",
        usage="last",
        refuses=(
            Refusal(
                _TEMPERATURE,
                lambda body: (body.get(_TEMPERATURE) or 0) > 1,
                error(400, code="1214", message="temperature参数非法。请检查文档", type=...),
            ),
            Refusal(
                "json_schema",
                lambda body: _format(body) == "json_schema",
                error(
                    400, code="1214", message="response_format.type参数非法。请检查文档", type=...
                ),
            ),
        ),
    ),
    ServerProfile(
        "xAI Grok",
        "https://api.x.ai/v1",
        "grok-4",
        says=_says("xAI Grok"),
        thought="reasoning_content",
        refuses=(_WORD_JSON,),
    ),
    ServerProfile(
        "Together AI",
        "https://api.together.xyz/v1",
        "Qwen/Qwen3-235B-A22B-Thinking-2507",
        says=_says("Together AI"),
        thought="tags",
        finish="eos",
        usage="last",
    ),
    ServerProfile(
        "Alibaba DashScope",
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        "qwen3-235b-a22b",
        says=_says("Alibaba DashScope"),
        thought="reasoning_content",
        refuses=(
            Refusal(
                "no stream",
                lambda body: not body.get("stream") and body.get("enable_thinking") is not False,
                error(
                    400,
                    message="parameter.enable_thinking must be set to false for non-streaming "
                    "calls",
                    code="invalid_parameter_error",
                ),
            ),
            _WORD_JSON,
        ),
        settings={"extra_body": {"enable_thinking": False}},
    ),
    ServerProfile(
        "LiteLLM proxy",
        "http://localhost:4000/v1",
        "gpt-5-mini",
        says=_says("LiteLLM proxy"),
        refuses=(
            Refusal(
                _TEMPERATURE,
                lambda body: body.get(_TEMPERATURE, 1) != 1,
                error(
                    400,
                    message="litellm.UnsupportedParamsError: gpt-5 models don't support "
                    "temperature=1.5. Only temperature=1 is supported. To drop unsupported params "
                    "set `litellm.drop_params = True`",
                    type=None,
                    code="400",
                ),
            ),
        ),
    ),
    ServerProfile(
        "Ollama",
        "http://localhost:11434/v1",
        "qwen3:8b",
        says=_says("Ollama"),
        thought="reasoning",
        local=True,
    ),
    ServerProfile(
        "vLLM",
        "http://localhost:8000/v1",
        "google/gemma-2-9b-it",
        says=_says("vLLM"),
        schema="plain schema",
        thought="tags",
        local=True,
        refuses=(
            Refusal(
                "system role",
                _has_system_role,
                error(400, message="System role not supported", type="BadRequestError", code=400),
            ),
            Refusal(
                "minItems",
                _schema_has("minItems", "maxItems"),
                error(
                    400,
                    message="The provided JSON schema contains features not supported by xgrammar.",
                    type="BadRequestError",
                    code=400,
                ),
            ),
        ),
    ),
    ServerProfile(
        "llama.cpp server",
        "http://localhost:8080/v1",
        "default",
        says=_says("llama.cpp server"),
        thought="reasoning_content",
        local=True,
        refuses=(
            Refusal(
                "system role",
                _has_system_role,
                error(
                    500,
                    code=500,
                    message="Error: Jinja Exception: Only user and assistant roles are supported, "
                    "got system.",
                    type="server_error",
                ),
            ),
        ),
    ),
    ServerProfile(
        "llama-cpp-python",
        "http://localhost:8000/v1",
        "default",
        says=_says("llama-cpp-python"),
        schema="JSON",
        local=True,
        refuses=(
            Refusal(
                "json_schema",
                lambda body: _format(body) == "json_schema",
                error(
                    500,
                    message="[{'type': 'literal_error', 'loc': ('body', 'response_format', 'type')"
                    ", 'msg': \"Input should be 'text' or 'json_object'\", 'input': "
                    "'json_schema'}]",
                    type="internal_server_error",
                ),
            ),
        ),
    ),
    ServerProfile(
        "LM Studio",
        "http://localhost:1234/v1",
        "qwen/qwen3-8b",
        says=_says("LM Studio"),
        thought="tags",
        local=True,
        refuses=(
            Refusal(
                "json_object",
                lambda body: _format(body) == "json_object",
                Answer(400, {"error": "'response_format.type' must be 'json_schema' or 'text'"}),
            ),
        ),
    ),
)

PROFILES = {profile.name: profile for profile in _ALL}
