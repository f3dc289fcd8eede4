"""How real providers refuse: by wording, what is raised or done, and how many requests it takes."""

from __future__ import annotations

import itertools
import json
import logging
from typing import Any

import pytest

from tests.support.batches import Batches
from tests.support.chat_server import Answer, ChatServer, answer, status
from tests.support.people import person as persona
from tinyfactory import TinyPersonFactory, configure, control
from tinyfactory.errors import (
    AuthenticationFailed,
    BadResponse,
    EndpointUnavailable,
    InvalidInput,
    ModelError,
    PromptRefused,
    QuotaExhausted,
    RequestRejected,
    UnknownModel,
)
from tinyfactory.models import event_loop
from tinyfactory.models.chat import ChatReply, ChatRequest
from tinyfactory.models.http.retry import RetryPolicy
from tinyfactory.models.openai import OpenAIModel

QUICK = RetryPolicy(attempts=3, time_limit=5, wait_initial=0.01, wait_jitter=0.01)
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": ["string", "null"], "minLength": 1}},
    "required": ["name"],
    "additionalProperties": False,
}
MESSAGES = ({"role": "system", "content": "Be brief."}, {"role": "user", "content": "Who?"})
ASKING = ChatRequest(MESSAGES, 1.0, SCHEMA, "persona", 4_000)
CONTEXT = "A group of friends are on a camping trip."
KEY = "sk-test-abcdefghijklmnop"


def ask(server: ChatServer, request: ChatRequest = ASKING, **options: Any) -> ChatReply:
    model = OpenAIModel("test-model", base_url=server.base_url, retry=QUICK, **options)
    return event_loop.run(model.complete, request)


def prove(server: ChatServer) -> None:
    """Have a schema answered; what follows is not blamed on the schema."""
    ask(server)
    server.requests.clear()


def said(message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message} | more}


def raw(message: str, code: int, inner: Any, provider: str = "Acme") -> dict[str, Any]:
    """As OpenRouter passes on the error of a provider."""
    text = inner if isinstance(inner, str) else json.dumps(inner)
    return said(message, code=code, metadata={"raw": text, "provider_name": provider})


# --- what is raised, and what the message says ---------------------------------------------------

# Name, status, body, error, and words of the message.
REFUSALS: list[tuple[str, int, Any, type[ModelError], str]] = [
    # A content filter.
    (
        "azure",
        400,
        said(
            "The response was filtered due to the prompt triggering Azure OpenAI's content "
            "management policy.",
            type=None,
            param="prompt",
            code="content_filter",
            status=400,
            innererror={
                "code": "ResponsibleAIPolicyViolation",
                "content_filter_result": {
                    "violence": {"filtered": True, "severity": "medium"},
                    "hate": {"filtered": False, "severity": "safe"},
                },
            },
        ),
        PromptRefused,
        "(violence)",
    ),
    (
        "litellm before azure",
        400,
        said(
            "litellm.BadRequestError: litellm.ContentPolicyViolationError: AzureException - {}",
            code="400",
            provider_specific_fields={"innererror": {"code": "ResponsibleAIPolicyViolation"}},
        ),
        PromptRefused,
        "particularities",
    ),
    (
        "openai",
        400,
        said(
            "Invalid prompt: your prompt was flagged as potentially violating our usage policy.",
            code="invalid_prompt",
        ),
        PromptRefused,
        "flagged",
    ),
    (
        "moonshot",
        400,
        said(
            "The request was rejected because it was considered high risk",
            type="content_filter",
            code=400,
            param="prompt",
        ),
        PromptRefused,
        "high risk",
    ),
    (
        "dashscope",
        400,
        said(
            "Input data may contain inappropriate content.",
            code="data_inspection_failed",
            type="data_inspection_failed",
            param=None,
        ),
        PromptRefused,
        "inappropriate",
    ),
    (
        "dashscope, flat",
        400,
        {"code": "DataInspectionFailed", "message": "Output data."},
        PromptRefused,
        "Output data",
    ),
    (
        "glm",
        400,
        said("系统检测到输入或生成内容可能包含不安全或敏感内容", code="1301"),
        PromptRefused,
        "敏感内容",
    ),
    (
        "deepseek",
        400,
        said("Content Exists Risk", type="invalid_request_error"),
        PromptRefused,
        "Content Exists Risk",
    ),
    (
        "openrouter",
        403,
        said(
            "Your input was flagged",
            code=403,
            metadata={"reasons": ["sexual"], "flagged_input": "the prompt"},
        ),
        PromptRefused,
        "(sexual)",
    ),
    (
        "gemini, blocked",
        200,
        {
            "object": "chat.completion",
            "choices": [],
            "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"},
        },
        PromptRefused,
        "PROHIBITED",
    ),
    (
        "xai",
        403,
        {
            "code": "The caller does not have permission",
            "error": "Content violates usage guidelines. Failed check: SAFETY_CHECK_TYPE_BIO",
        },
        PromptRefused,
        "SAFETY_CHECK",
    ),
    (
        "anthropic",
        400,
        {
            "type": "error",
            "error": {
                "type": "invalid_request_error",
                "message": "Output blocked by content filtering policy",
            },
        },
        PromptRefused,
        "blocked",
    ),
    ("stepfun", 451, said("censored", type="censorship_blocked"), PromptRefused, "censored"),
    (
        "new-api",
        400,
        said(
            "input contains sensitive words: [x]",
            type="new_api_error",
            code="sensitive_words_detected",
        ),
        PromptRefused,
        "sensitive words",
    ),
    (
        "openrouter around azure",
        200,
        raw("Provider returned error", 400, said("The prompt was filtered", code="content_filter")),
        PromptRefused,
        "was filtered",
    ),
    # The set-up, although the words are similar.
    (
        "openai, region",
        403,
        said(
            "Country, region, or territory not supported",
            code="unsupported_country_region_territory",
        ),
        RequestRejected,
        "your own machine",
    ),
    (
        "gemini, region",
        400,
        [
            said(
                "User location is not supported for the API use.",
                code=400,
                status="FAILED_PRECONDITION",
            )
        ],
        RequestRejected,
        "your own machine",
    ),
    (
        "moonshot, account",
        403,
        said("Access terminated. Review our Community Guidelines.", type="access_terminated_error"),
        AuthenticationFailed,
        "another key",
    ),
    (
        "account flagged",
        403,
        said("Your account has been flagged for violating usage policies."),
        AuthenticationFailed,
        "another key",
    ),
    (
        "openrouter, data policy",
        404,
        said("No endpoints found matching your data policy (Free model publication).", code=404),
        RequestRejected,
        "data policy or the allowed",
    ),
    (
        "openrouter, guardrail",
        404,
        said(
            "No endpoints available matching your guardrail restrictions and data policy.", code=404
        ),
        RequestRejected,
        "Change the data policy",
    ),
    ("forbidden", 403, said("Forbidden"), AuthenticationFailed, "OPENAI_API_KEY"),
    (
        "gemini, key",
        400,
        [
            said(
                "API key not valid. Please pass a valid API key.",
                code=400,
                status="INVALID_ARGUMENT",
            )
        ],
        AuthenticationFailed,
        "OPENAI_API_KEY",
    ),
    # The money.
    (
        "openai, quota",
        429,
        said(
            "You exceeded your current quota, please check your plan and billing details.",
            code="insufficient_quota",
            type="insufficient_quota",
        ),
        QuotaExhausted,
        "Add credit",
    ),
    (
        "moonshot, quota",
        403,
        said(
            "Your account is not active, organization exceeded current quota",
            type="exceeded_current_quota_error",
        ),
        QuotaExhausted,
        "Add credit",
    ),
    (
        "moonshot, suspended",
        429,
        said(
            "Your account org-1 is suspended due to insufficient "
            "balance, please recharge your account"
        ),
        QuotaExhausted,
        "insufficient balance",
    ),
    (
        "glm, balance",
        429,
        said("余额不足或无可用资源包,请充值。", code="1113"),
        QuotaExhausted,
        "余额不足",
    ),
    (
        "dashscope, arrears",
        400,
        said("Access denied, please make sure your account is in good standing.", code="Arrearage"),
        QuotaExhausted,
        "good standing",
    ),
    ("deepseek, balance", 402, said("Insufficient Balance"), QuotaExhausted, "Add credit"),
    (
        "anthropic, balance",
        400,
        said("Your credit balance is too low to access the Anthropic API."),
        QuotaExhausted,
        "Add credit",
    ),
    (
        "xai, credits",
        403,
        {
            "code": "no permission",
            "error": "Your newly created teams doesn't have any credits yet.",
        },
        QuotaExhausted,
        "any credits",
    ),
    (
        "openrouter around moonshot",
        429,
        raw(
            "Provider returned error",
            429,
            said("Your account is suspended due to insufficient balance"),
        ),
        QuotaExhausted,
        "insufficient balance",
    ),
    (
        "openrouter, too little",
        402,
        said(
            "This request requires more credits, or fewer "
            "max_tokens. You requested up to 4000 tokens, but can only afford 222.",
            code=402,
        ),
        QuotaExhausted,
        "can only afford 222",
    ),
    (
        "minimax, balance",
        200,
        {"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}, "choices": None},
        QuotaExhausted,
        "insufficient balance",
    ),
    # A limit of a day: asking again soon cannot help.
    (
        "groq, day",
        429,
        said(
            "Rate limit reached on tokens per day (TPD): Limit 100000, Used "
            "97050, Requested 3619. Please try again in 9m38.016s. Upgrade to Dev Tier today at "
            "https://console.groq.com/settings/billing",
            code="rate_limit_exceeded",
            type="tokens",
        ),
        EndpointUnavailable,
        "578 s",
    ),
    (
        "openrouter, day",
        429,
        said(
            "Rate limit exceeded: free-models-per-day. Add 10 credits to "
            "unlock 1000 free model requests per day",
            code=429,
        ),
        QuotaExhausted,
        "is reset",
    ),
    (
        "gemini, day",
        429,
        [
            said(
                "You exceeded your current quota.",
                code=429,
                status="RESOURCE_EXHAUSTED",
                details=[
                    {
                        "violations": [
                            {"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}
                        ]
                    }
                ],
            )
        ],
        QuotaExhausted,
        "is reset",
    ),
    # Too long.
    (
        "openai, long",
        400,
        said(
            "This model's maximum context length is 8192 tokens. However, "
            "your messages resulted in 9001 tokens.",
            code="context_length_exceeded",
        ),
        RequestRejected,
        "Shorten the context",
    ),
    (
        "llama.cpp, long",
        400,
        said(
            "the request exceeds the available context size",
            type="exceed_context_size_error",
            code=400,
        ),
        RequestRejected,
        "Shorten",
    ),
    (
        "anthropic, long",
        400,
        said("prompt is too long: 250000 tokens > 200000 maximum"),
        RequestRejected,
        "Shorten",
    ),
    ("413", 413, "Payload Too Large", RequestRejected, "Shorten"),
    ("glm, long", 400, said("Prompt 超长", code="1261"), RequestRejected, "Shorten"),
    # The model.
    (
        "lm studio, model",
        404,
        said("No models loaded. Please load a model.", code="model_not_found"),
        UnknownModel,
        "/models lists them",
    ),
    ("glm, model", 400, said("模型不存在", code="1211"), UnknownModel, "/models lists them"),
    (
        "openrouter, model",
        404,
        said("No endpoints found for test-model.", code=404),
        UnknownModel,
        "/models lists them",
    ),
]


@pytest.mark.parametrize(
    ("code", "body", "kind", "words"),
    [row[1:] for row in REFUSALS],
    ids=[row[0] for row in REFUSALS],
)
def test_a_refusal_is_raised_after_one_request(code, body, kind, words):
    with ChatServer(rules=[Answer(code, body)]) as server:
        with pytest.raises(ModelError) as raised:
            ask(server)
        assert type(raised.value) is kind, raised.value
        assert len(server.requests) == 1
    assert words in str(raised.value)
    assert "the prompt" not in str(raised.value).replace("refused the prompt", "").replace(
        "The prompt", ""
    ).replace("the prompt triggering", "")


# --- retried -------------------------------------------------------------------------------------

RETRIED = [408, 409, 423, 424, 425, 429, 444, 460, 498, 499, 500, 502, 503, 504, 520, 524, 529, 530]


@pytest.mark.parametrize("code", RETRIED)
def test_a_failure_of_the_moment_is_retried_as_it_was(code):
    with ChatServer([status(code)]) as server:
        reply = ask(server)
        assert [request.format for request in server.requests] == ["json_schema"] * 2
    assert reply.requests == 2


@pytest.mark.parametrize(
    "body",
    [
        said("Overloaded", code=529),
        raw("Provider returned error", 429, "acme/m is temporarily rate-limited upstream."),
    ],
)
def test_an_error_of_the_moment_with_status_200_is_retried(body):
    inside = answer("x")
    inside.body["choices"][0] |= {"error": body["error"], "finish_reason": "error"}
    with ChatServer([Answer(200, body), inside]) as server:
        assert ask(server).requests == 3


def test_a_daily_limit_that_names_a_wait_of_seconds_is_waited_for_twice():
    text = "Quota exceeded: 20 requests per day. Please retry in 10ms"
    with ChatServer(rules=[Answer(429, said(text))]) as server:
        with pytest.raises(EndpointUnavailable, match="per day"):
            ask(server)
        assert len(server.requests) == 3


def test_a_quota_of_a_minute_is_a_rate_limit():
    body = [
        said(
            "You exceeded your current quota, please check your plan and billing details.",
            code=429,
            status="RESOURCE_EXHAUSTED",
        )
    ]
    with ChatServer([Answer(429, body)]) as server:
        assert ask(server).requests == 2


# --- the schema ----------------------------------------------------------------------------------

PLAIN = "plain"
KEYWORDS = [
    [
        said(
            'Invalid JSON payload received. Unknown name "additionalProperties" at '
            "'generation_config.response_schema': Cannot find field.",
            code=400,
            status="INVALID_ARGUMENT",
        )
    ],
    said("Invalid schema: 'minLength' is not permitted."),
    said("The provided JSON schema contains features not supported by xgrammar."),
    {
        "object": "error",
        "message": {
            "detail": [
                {
                    "type": "extra_forbidden",
                    "loc": ["body", "response_format", "json_schema", "strict"],
                    "msg": "Extra inputs are not permitted",
                    "input": True,
                }
            ]
        },
        "type": "invalid_request_error",
    },
]


def kind_of(request: Any) -> str:
    schema = (request.body.get("response_format") or {}).get("json_schema")
    return PLAIN if schema is not None and "strict" not in schema else str(request.format)


@pytest.mark.parametrize("body", KEYWORDS)
def test_a_schema_refused_for_a_word_in_it_is_sent_in_plain_words(body, caplog):
    def rule(request):
        return Answer(400, body) if kind_of(request) == "json_schema" else None

    with ChatServer(rules=[rule]) as server:
        first, second = ask(server), ask(server)
        assert [kind_of(request) for request in server.requests] == ["json_schema", PLAIN, PLAIN]
        schema = server.bodies[1]["response_format"]["json_schema"]["schema"]
    assert schema == {
        "type": "object",
        "properties": {"name": {"type": "string"}},
        "required": ["name"],
    }
    assert (first.requests, second.requests) == (2, 1)
    assert "with a simpler schema" in caplog.text


@pytest.mark.parametrize(
    ("refused", "formats"),
    [
        (("json_schema",), ["json_schema", "json_object"]),
        (("json_schema", "json_object"), ["json_schema", "json_object", "none"]),
    ],
)
def test_an_unproven_schema_refused_without_a_word_is_tried_one_level_lower(refused, formats):
    body = said("Request contains an invalid argument.", code=400, status="INVALID_ARGUMENT")

    def rule(request):
        return Answer(400, [body]) if request.format in refused else None

    with ChatServer(rules=[rule]) as server:
        ask(server)
        assert [request.format for request in server.requests] == formats
        assert ask(server).requests == 1


def test_a_refusal_at_all_levels_raises_the_first_error():
    reasons = ["One.", "Two.", "Three."]
    with ChatServer(rules=[lambda _: Answer(400, said(reasons.pop(0)))]) as server:
        with pytest.raises(RequestRejected, match="One"):
            ask(server)
        assert len(server.requests) == 3


def test_a_proven_schema_is_not_blamed_for_a_refusal_without_a_word():
    with ChatServer() as server:
        prove(server)
        server.rules.append(Answer(400, said("No.")))
        with pytest.raises(RequestRejected):
            ask(server)
        assert len(server.requests) == 1


def test_a_500_that_comes_with_the_schema_only_is_blamed_on_it_once_it_came_often():
    def rule(request):
        return Answer(500, "Internal Server Error") if request.format == "json_schema" else None

    with ChatServer(rules=[rule]) as server:
        assert [ask(server).requests for _ in range(4)] == [3, 2, 1, 1]
        assert server.requests[-1].format == "json_object"


def test_a_few_500s_among_good_replies_never_cost_the_schema():
    script = [status(500), status(500), None, None, status(500), None, status(500), status(500)]
    with ChatServer(rules=[lambda _: script.pop(0) if script else None]) as server:
        assert [ask(server).requests for _ in range(5)] == [3, 1, 2, 3, 1]
        assert [r.format for r in server.requests[3:]] == ["json_schema"] * 7


def test_a_proven_schema_is_not_given_up_for_one_500_that_names_it():
    said_so = status(500, said("Out of memory while evaluating the schema"))
    script = [None, said_so, None, None, said_so]
    with ChatServer(rules=[lambda _: script.pop(0) if script else None]) as server:
        assert [ask(server).requests for _ in range(4)] == [1, 2, 1, 2]
        assert {request.format for request in server.requests} == {"json_schema"}


@pytest.mark.parametrize("code", [502, 503, 504, 529])
def test_an_overloaded_gateway_never_costs_the_schema(code):
    with ChatServer([status(code), status(code)]) as server:
        ask(server)
        assert {request.format for request in server.requests} == {"json_schema"}


# --- failed generations --------------------------------------------------------------------------

FAILED = [
    (
        400,
        said(
            "Failed to generate JSON. Please adjust your prompt. See 'failed_generation' for "
            "more details.",
            type="invalid_request_error",
            code="json_validate_failed",
            failed_generation='{"name": "Ana',
        ),
    ),
    (400, said("Failed to call a function.", code="tool_use_failed", failed_generation="<fn>")),
    (400, said("Generated JSON does not match the expected schema.")),
    (500, said("Unexpected empty grammar stack after accepting piece: x", type="server_error")),
    (500, said("Failed to parse input at pos 0: Sure!", code=500, type="server_error")),
    (422, said("The model produced invalid content.", type="model_error")),
    (200, said("Error in sampling with the grammar.")),
]


@pytest.mark.parametrize(("code", "body"), FAILED)
def test_a_failed_generation_is_a_reply_that_ended_in_an_error(code, body):
    with ChatServer([Answer(code, body)]) as server:
        reply = ask(server)
        assert ask(server).sent["response_format"]["type"] == "json_schema"
        assert len(server.requests) == 2
    assert reply.finish_reason == "error"
    assert reply.text == body["error"].get("failed_generation", "")


def test_a_proven_schema_is_not_given_up_for_failed_generations():
    with ChatServer() as server:
        prove(server)
        server.rules.append(Answer(*FAILED[0]))
        for _ in range(6):
            assert ask(server).finish_reason == "error"
        assert {request.format for request in server.requests} == {"json_schema"}


def test_an_unproven_schema_is_given_up_after_three_failed_generations_in_a_row():
    def rule(request):
        return Answer(*FAILED[0]) if request.format == "json_schema" else None

    with ChatServer(rules=[rule]) as server:
        assert [ask(server).finish_reason for _ in range(4)] == ["error", "error", "stop", "stop"]
        assert [r.format for r in server.requests] == ["json_schema"] * 3 + ["json_object"] * 2


def test_one_failed_generation_among_eight_people_costs_one_request(serve):
    script: list[Any] = [None] * 3 + [Answer(*FAILED[0])]
    server = serve(rules=[lambda _: script.pop(0) if script else None])
    people = TinyPersonFactory(CONTEXT).generate_people(8)
    assert len(people) == 8
    assert [request.format for request in server.requests] == ["json_schema"] * 9
    assert "with an error of the server" in server.requests[4].last_message


# --- no system role ------------------------------------------------------------------------------

NO_SYSTEM = [
    (
        400,
        {
            "object": "error",
            "message": "System role not supported",
            "type": "BadRequestError",
            "code": 400,
        },
    ),
    (
        500,
        said(
            "\n------------\nWhile executing CallExpression at line 19:\nError: Jinja "
            "Exception: Conversation roles must alternate user/assistant/user/...",
            code=500,
        ),
    ),
    (
        400,
        [
            said(
                "Developer instruction is not enabled for models/gemma-3-27b-it",
                code=400,
                status="INVALID_ARGUMENT",
            )
        ],
    ),
    (400, said("This model doesn't support system messages. Try again without one.")),
    (
        400,
        said(
            "Unsupported value: 'messages[0].role' does not support 'system' with this model.",
            param="messages[0].role",
            code="unsupported_value",
        ),
    ),
    (400, said("Only user and assistant roles are supported!")),
    (
        422,
        {
            "detail": [
                {
                    "loc": ["body", "messages", 0, "role"],
                    "msg": "Input should be 'user' or 'assistant'",
                }
            ]
        },
    ),
    (400, said("system messages are not supported")),
]


@pytest.mark.parametrize(("code", "body"), NO_SYSTEM)
def test_instructions_join_the_users_message_where_there_is_no_system_role(code, body, caplog):
    def rule(request):
        roles = [message["role"] for message in request.body["messages"]]
        return Answer(code, body) if "system" in roles else None

    with ChatServer(rules=[rule]) as server:
        assert [ask(server).requests for _ in range(2)] == [2, 1]
        assert server.requests[2].format == "json_schema"
        assert server.bodies[2]["messages"] == [{"role": "user", "content": "Be brief.\n\nWho?"}]
    assert "the instructions are sent in the user's message" in caplog.text


# --- a bound on the length that is too high ------------------------------------------------------

TOO_HIGH = [
    (
        402,
        (
            "This request requires more credits, or fewer max_tokens. You requested up to 4000 "
            "tokens, but can only afford 3919."
        ),
        3919,
    ),
    (
        400,
        (
            "'max_tokens' or 'max_completion_tokens' is too large: 4000. This model's maximum "
            "context length is 4096 tokens and your request has 900 input tokens "
            "(4000 > 4096 - 900)."
        ),
        3196,
    ),
    (
        400,
        (
            "This model's maximum context length is 4096 tokens. However, you requested 4900 "
            "tokens (900 in the messages, 4000 in the completion)."
        ),
        3196,
    ),
    (
        422,
        (
            "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: "
            "900 `inputs` tokens and 4000 `max_new_tokens`"
        ),
        3196,
    ),
    (
        413,
        (
            "Request too large for model on tokens per minute (TPM): Limit 6000, Requested 6294, "
            "please reduce your message size and try again."
        ),
        3706,
    ),
    (422, "Input validation error: `max_new_tokens` must be <= 2048. Given: 4000", 2048),
    (400, "The maximum tokens you requested exceeds the model limit of 2048.", 2048),
    (
        400,
        (
            "It has a maxOutputTokens value of 4000 but the supported range is from 1 (inclusive) "
            "to 2049 (exclusive)."
        ),
        2048,
    ),
    (
        400,
        (
            "`max_tokens` must be less than or equal to `2048`, the maximum value for `max_tokens` "
            "is less than the `context_window` for this model"
        ),
        2048,
    ),
]


@pytest.mark.parametrize(("code", "message", "room"), TOO_HIGH)
def test_a_bound_that_is_too_high_is_lowered_once(code, message, room):
    def rule(request):
        return Answer(code, said(message)) if request.body["max_tokens"] > room else None

    with ChatServer(rules=[rule]) as server:
        assert [ask(server).requests for _ in range(2)] == [2, 1]
        assert 0.8 * room < server.bodies[1]["max_tokens"] <= room


# --- where the text is ---------------------------------------------------------------------------

ANA = '{"name": "Ana", "age": 30}'


def message(**fields: Any) -> Answer:
    found = answer(None)
    found.body["choices"][0]["message"] = {"role": "assistant"} | fields
    return found


PLACES = [
    message(content={"name": "Ana", "age": 30}),
    message(content=[{"type": "text", "text": ANA}]),
    message(content=[{"type": "reasoning", "text": "{"}, {"type": "output_text", "text": ANA}]),
    message(content=[], reasoning_details=[{"type": "reasoning.text", "text": f"Hm. {ANA}"}]),
    message(content=None, tool_calls=[{"function": {"name": "persona", "arguments": ANA}}]),
    message(content="", tool_calls=[{"function": {"arguments": {"name": "Ana", "age": 30}}}]),
    message(content=None, function_call={"name": "persona", "arguments": ANA}),
    message(content=None, parsed={"name": "Ana", "age": 30}),
    message(content="", reasoning_content=f'A draft: {{"name": "Eva"}}. Better: {ANA} Good.'),
    message(content=None, reasoning=f"Let me see. {ANA}"),
    Answer(200, {"choices": [{"text": ANA, "index": 0, "finish_reason": "stop"}]}),
]


@pytest.mark.parametrize("found", PLACES)
def test_the_text_is_read_where_the_server_puts_it(found):
    with ChatServer([found]) as server:
        reply = ask(server)
    assert json.loads(reply.text) == {"name": "Ana", "age": 30}
    assert (reply.finish_reason, reply.requests) == ("stop", 1)


def test_reasoning_without_an_answer_is_told_plainly(serve, caplog):
    serve(rules=[message(content="", reasoning_content="Hm. Who could it be?")])
    assert TinyPersonFactory(CONTEXT).generate_person(attempts=2) is None
    assert "only reasoning and no answer" in caplog.text
    assert "enable_thinking" in caplog.text


# --- a person whose prompt is refused ------------------------------------------------------------

FILTERED = Answer(REFUSALS[0][1], REFUSALS[0][2])


def ordinal(request: Any) -> int:
    return int(request.last_message.partition("<ordinal>")[2].partition("</ordinal>")[0])


@pytest.mark.parametrize("concurrency", [1, 3])
@pytest.mark.parametrize("found", [FILTERED, Answer(403, REFUSALS[8][2])])
def test_a_person_whose_prompt_is_refused_is_missing_and_the_others_go_on(
    serve, tmp_path, concurrency, found
):
    refused: list[int] = []
    numbers = itertools.count()

    def rule(request):
        if ordinal(request) == 4 and not refused:
            refused.append(4)
            return found
        return answer(persona(next(numbers)))

    server = serve(rules=[rule])
    for run in range(2):
        control.begin(tmp_path / "j")
        factory = TinyPersonFactory(CONTEXT)
        people = factory.generate_people(9, concurrency=concurrency)
        job = factory.last_job
        assert (len(people), [one.number for one in job.missing], run) == (8, [3], run)
        assert "content filter" in job.missing[0].reason
        control.end()
    assert len(server.requests) == 9  # the second run replays everything


def test_one_person_whose_prompt_is_refused_is_none_after_one_request(serve, caplog):
    server = serve(rules=[FILTERED])
    factory = TinyPersonFactory(CONTEXT)
    assert factory.generate_person() is None
    assert "content filter" in (factory.last_failure or "") and "violence" in caplog.text
    assert len(server.requests) == 1


def test_a_filtered_reply_without_a_message_is_one():
    body = {"choices": [{"index": 0, "finish_reason": "content_filter: PROHIBITED_CONTENT"}]}
    with ChatServer([Answer(200, body)]) as server:
        assert ask(server).finish_reason == "content_filter"
        assert len(server.requests) == 1


def test_a_parameter_is_found_among_letters_of_another_script():
    def rule(request):
        hot = request.body.get("temperature") == 1.0
        return Answer(400, said("temperature参数非法", code="1214")) if hot else None

    with ChatServer(rules=[rule]) as server:
        ask(server)
        assert [request.format for request in server.requests] == ["json_schema"] * 2


@pytest.mark.parametrize("reason", ["content_filter", "SAFETY", "PROHIBITED_CONTENT", "sensitive"])
def test_a_filter_on_the_reply_is_asked_once_more(serve, reason):
    server = serve(rules=[answer("", finish_reason=reason)])
    factory = TinyPersonFactory(CONTEXT)
    assert factory.generate_person() is None
    assert "content filter" in (factory.last_failure or "")
    assert len(server.requests) == 2


def test_a_refused_set_up_stops_the_job(serve):
    server = serve(rules=[Answer(403, said("Country, region, or territory not supported"))])
    with pytest.raises(RequestRejected, match="region"):
        TinyPersonFactory(CONTEXT).generate_people(5)
    assert len(server.requests) == 1


# --- further fields of the body ------------------------------------------------------------------


def test_further_fields_are_sent_and_are_a_part_of_the_key(serve, tmp_path, monkeypatch):
    server = serve()
    asked = []
    for fields in (None, {"enable_thinking": False}, {"enable_thinking": False}, {"top_k": 3}):
        control.begin(tmp_path / "j")
        configure(extra_body=fields)
        TinyPersonFactory(CONTEXT).generate_person()
        asked.append(control.cache_misses())
        control.end()
    assert asked == [1, 1, 0, 1]
    assert [body.get("enable_thinking") for body in server.bodies] == [None, False, None]
    configure(extra_body=None)
    monkeypatch.setenv("TINYFACTORY_EXTRA_BODY", '{"top_k": 3}')
    control.begin(tmp_path / "j")
    TinyPersonFactory(CONTEXT).generate_person()
    assert control.cache_misses() == 0


def test_further_fields_of_a_factory_join_those_of_the_settings(serve):
    server = serve()
    configure(extra_body={"top_k": 3, "enable_thinking": True})
    factory = TinyPersonFactory(CONTEXT, extra_body={"enable_thinking": False})
    person = factory.generate_person()
    assert person is not None
    assert (server.bodies[0]["top_k"], server.bodies[0]["enable_thinking"]) == (3, False)
    assert factory.encode_complete_state()["extra_body"] == {"enable_thinking": False}
    configure(extra_body=None)
    other = TinyPersonFactory(CONTEXT)
    assert "extra_body" not in other.encode_complete_state()
    assert other.decode_complete_state(factory.encode_complete_state()).extra_body is not None


def test_a_refused_field_of_the_users_own_is_told_from_where_it_comes(serve):
    serve(rules=[Answer(400, said("Unrecognized request argument supplied: enable_thinking"))])
    configure(extra_body={"enable_thinking": False})
    with pytest.raises(RequestRejected, match="enable_thinking: from extra_body"):
        TinyPersonFactory("Nurses").generate_person()


def test_a_bound_of_the_users_own_replaces_that_of_the_request():
    with ChatServer() as server:
        ask(server, extra_body={"max_completion_tokens": 9_000})
        assert "max_tokens" not in server.bodies[0]


@pytest.mark.parametrize(
    "wrong",
    [
        {"model": "x"},
        {"messages": []},
        {"stream": True},
        {"when": float("nan")},
        {"what": object()},
        {1: 2},
        [1],
        "enable_thinking=False",
    ],
)
def test_further_fields_that_cannot_be_sent_are_refused_when_they_are_set(wrong):
    for use in (
        lambda: configure(extra_body=wrong),
        lambda: OpenAIModel("m", extra_body=wrong),
        lambda: TinyPersonFactory(CONTEXT, extra_body=wrong),
    ):
        with pytest.raises(InvalidInput, match="extra_body"):
            use()


def test_further_fields_of_the_environment_name_their_variable(monkeypatch):
    monkeypatch.setenv("TINYFACTORY_EXTRA_BODY", "enable_thinking=false")
    with pytest.raises(InvalidInput, match="TINYFACTORY_EXTRA_BODY"):
        TinyPersonFactory(CONTEXT, model="m").generate_person()


def test_a_secret_in_further_fields_is_sent_but_shown_and_stored_nowhere(serve, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    fields = {"provider": {"api_key": KEY}}
    server = serve(rules=[Answer(400, said(f"Your key {KEY} is odd"))])
    with control.begin(tmp_path / "j"), pytest.raises(RequestRejected) as raised:
        TinyPersonFactory(CONTEXT, extra_body=fields).generate_person()
    server.rules.clear()
    with control.begin(tmp_path / "j"):
        TinyPersonFactory(CONTEXT, extra_body=fields).generate_person()
    assert server.bodies[-1]["provider"]["api_key"] == KEY
    stored = b"".join(path.read_bytes() for path in (tmp_path / "j").rglob("*") if path.is_file())
    assert KEY.encode() not in stored
    assert KEY not in str(raised.value)
    assert KEY not in "".join(r.getMessage() for r in caplog.records if "tinyfactory" in r.name)


def test_a_200_that_says_nothing_known_is_no_chat_endpoint():
    odd = Answer(200, {"error": "Unexpected endpoint or method."})
    with ChatServer(rules=[odd]) as server, pytest.raises(BadResponse, match="Unexpected"):
        ask(server)


def test_a_batch_has_the_further_fields_and_does_not_ask_refused_prompts_again(serve, tmp_path):
    refusing = {4: FILTERED, 6: Answer(*FAILED[0])}
    seen: list[dict[str, Any]] = []

    def rule(request):
        seen.append(request.body)
        if "<rejected>" in request.last_message:
            return None
        return refusing.get(ordinal(request))

    serve(rules=[rule], batches=Batches())
    configure(extra_body={"enable_thinking": False})
    with control.begin(tmp_path / "j"):
        factory = TinyPersonFactory(CONTEXT)
        assert len(factory.generate_people(9, batch=True, poll=0.01)) == 8
        assert [one.number for one in factory.last_job.missing] == [3]
    assert len(seen) == 10
    assert all(body["enable_thinking"] is False for body in seen)
