"""The wordings of many providers, and the cause that each stands for."""

from __future__ import annotations

import pytest

from tinyfactory.models.http.endpoint import Target
from tinyfactory.models.http.refusals import read_error

# Cause, status, code and message; a dash stands for an unknown cause.
WORDINGS = """
content | 400 | blocked_by_safety | Request blocked by the guard model
content | 400 | 2016 | AiGateway: Prompt blocked due to security configurations
content | 446 | hooks_failed | The guardrail checks failed
balance | 429 |  | You have reached your credit limit. Add a payment method.
account | 412 |  | Account suspended due to billing. Please update your payment method
generation | 422 |  | Failed to generate tool_calls, generated arguments not valid
generation | 422 | incomplete_generation | Incomplete generation
system | 400 |  | messages 参数非法：不支持 system 角色
system | 400 |  | Die Rolle system wird nicht unterstützt
system | 422 |  | body.messages.0.role: value is not a valid enumeration member
content | 400 | invalid_prompt | This content violates our usage policies
content | 400 | content_filter | The content was blocked
content | 400 | INVALID_ARGUMENT | The request was blocked due to safety reasons: PROHIBITED_CONTENT
content | 400 |  | Request blocked by Guardrails
content | 400 | DataInspectionFailed | Output data may contain inappropriate content.
content | 400 | prohibited | the prompt contains prohibited words
content | 400 |  | unsafe content detected in the prompt
content | 400 |  | Your prompt was blocked by our content safety service
content | 400 |  | Content policy violation: prompt rejected
content | 403 |  | Request was rejected by the moderation model
content | 400 |  | Image or text contains nsfw content
generation | 500 | model_error | The model produced invalid content
generation | 400 | tool_use_failed | Failed to call a function. Please adjust your prompt
generation | 500 |  | Failed to sample token: grammar rejected all tokens
generation | 500 |  | Error sampling: no valid token under grammar
generation | 500 |  | Invalid output from model: could not parse JSON
generation | 400 |  | Model output is not valid JSON
generation | 400 | output_parse_failed | Parsing failed
format | 400 |  | Failed to parse grammar
format | 400 |  | response_format.type must be one of text, json_object
format | 400 | invalid_request_error | This response_format type is unavailable now
system | 400 |  | role 'system' is not supported
system | 400 |  | Role system not supported for this model
system | 400 | invalid_request_error | messages: Unexpected role "system"
system | 400 |  | First message must be from user
system | 400 |  | Only user, assistant and tool roles are supported, got system.
system | 500 |  | jinja2.exceptions.TemplateError: System role not supported
system | 400 |  | This model does not support the system role
system | 400 |  | system prompt is not supported for this model
system | 400 |  | The `system` role is not allowed
system | 400 |  | messages[0].role: unknown variant `system`, expected one of `user`, `assistant`
system | 400 |  | Invalid role: system
system | 400 | 1214 | the role of the first message must be 'user'
balance | 400 |  | You have run out of credits
balance | 429 |  | You have reached your monthly spending limit
balance | 402 |  | You have exceeded your monthly included credits for Inference Providers.
balance | 429 | 1113 | Your account balance is insufficient
balance | 400 | billing_hard_limit_reached | Billing hard limit has been reached
balance | 403 | insufficient_user_quota | insufficient user quota, remaining: $0.000000
balance | 403 | insufficient_user_quota | 用户额度不足
balance | 429 | exceeded_current_quota_error | You've exceeded your current quota
balance | 403 |  | Your team has used all available credits or reached its monthly spending limit
rate | 429 | RESOURCE_EXHAUSTED | Resource has been exhausted (e.g. check quota).
- | 429 | engine_overloaded_error | The engine is currently overloaded, please try again later
- | 429 |  | Too many requests
rate | 429 | 1305 | 当前API请求过多，请稍后重试
daily | 429 |  | Rate limit exceeded: limit_rpd/x. Daily limit reached.
account | 403 | account_deactivated | Your account has been deactivated
account | 401 |  | This organization has been disabled.
key | 401 |  | No auth credentials found
key | 401 |  | Authentication Fails, Your api key: ****1234 is invalid
key | 403 |  | Access denied due to Virtual Network/Firewall rules.
key | 403 | x | Project `proj_x` does not have access to model `gpt-4o`
model | 403 | model_not_found | Project `proj_x` does not have access to model `gpt-4o`
context | 400 |  | This endpoint's maximum context length is 131072 tokens
context | 400 |  | Input length 9000 exceeds maximum allowed token size 8192
context | 422 |  | Input validation error: `inputs` must have less than 4096 tokens. Given: 5000
context | 400 | context_length_exceeded | Please reduce the length of the messages or completion.
context | 400 | InvalidParameter | Range of input length should be [1, 30720]
context | 413 |  | Request Entity Too Large
context | 400 |  | input is too long for requested model
context | 500 |  | input is larger than the max context size. skipping
region | 403 |  | This model is not available in your region.
region | 403 |  | The request is from an unsupported country
policy | 404 |  | No endpoints found matching your data policy (Paid model training)
policy | 404 |  | No allowed providers are available for the selected model.
policy | 404 |  | All providers have been ignored
format | 404 |  | No endpoints found that support the requested parameters
format | 404 |  | No endpoints found that can handle the requested parameters
model | 404 |  | No endpoints found for foo/bar.
model | 404 |  | model 'x' not found, try pulling it first
model | 400 | invalid_request_error | Model Not Exist
model | 400 |  | Invalid model: x
model | 404 | DeploymentNotFound | The API deployment for this resource does not exist.
- | 400 | INVALID_ARGUMENT | Request contains an invalid argument.
- | 500 |  | The server had an error while processing your request. Sorry about that!
- | 503 | UNAVAILABLE | The model is overloaded. Please try again later.
- | 400 |  | `temperature` and `top_p` cannot both be specified for this model
- | 400 |  | temperature must be less than or equal to 1.0
- | 400 |  | Invalid value for 'content': expected a string, got null.
- | 400 |  | We could not parse the JSON body of your request.
content | 400 | 1026 | input new_sensitive
content | 400 | policy_violation | Rejected.
content | 400 |  | Jailbreak attempt detected in the prompt
content | 400 |  | 输入内容审核不通过
content | 403 |  | The request violates our community standards
content | 451 | censorship_blocked | The content you provided was stopped
- | 400 |  | Model parameters are case-sensitive
generation | 400 | incomplete_json_output | Incomplete JSON output
generation | 500 |  | error parsing tool call: raw='{', err=unexpected end of JSON input
generation | 400 |  | Model did not output valid JSON.
generation | 400 |  | Unable to generate valid structured output
moment | 400 |  | The model has crashed without additional information. (Exit code: 6)
balance | 400 | budget_exceeded | Budget has been exceeded! Current cost: 0.3759, Max budget: 0.35
balance | 403 |  | Your quota has been exceeded
balance | 402 |  | Please add credits
daily | 429 |  | You have used all free requests for today, come back tomorrow
policy | 404 |  | No endpoints available that support zero data retention
region | 403 |  | Access is blocked in your country
system | 400 |  | 'system' is not one of ['user', 'assistant'] - 'messages.0.role'
system | 400 |  | System instruction is not enabled for this model
model | 404 | NOT_FOUND | models/gemini-9 is not found for API version v1main
"""


@pytest.mark.parametrize("row", WORDINGS.strip().splitlines())
def test_the_cause_is_recognised(row):
    cause, status, code, message = (part.strip() for part in row.split(" | ", 3))
    body = {"error": {"message": message, "code": code}}
    failure = read_error(int(status), body, {}, Target("http://x/v1", "m", None))
    assert failure.cause == cause.strip("-")
