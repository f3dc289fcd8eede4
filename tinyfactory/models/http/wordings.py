"""The words in which providers refuse, and the cause that they stand for.

The causes: "generation" (the model wrote what the endpoint could not accept), "policy" (settings of
the account), "balance", "daily" (a limit for longer than minutes), "rate", "account", "region",
"key", "content" (a filter), "context" (too long), "model", "moment" (asking again may help), and
refused parts of a request: "system" (the role), "keyword" (a word of the schema), "format".
"""

from __future__ import annotations

import re

# A part of the request is blamed only for these: others are about key, money or load.
_REFUSED = (200, 400, 404, 422, 500, 501)
_SET_UP = (200, 400, 401, 403, 404, 412, 429, 451)
_CONTENT = (200, 400, 403, 406, 422, 446, 451, 500)

# Cause, statuses, and words in the codes or in the message. Each line is an alternative; one with a
# deeper indent continues the line above it. The first row that fits counts.
_CAUSES: tuple[tuple[str, tuple[int, ...], str], ...] = (
    (
        "generation",
        (200, 400, 422, 500),
        r"""
        json_validate_failed|tool_use_failed|output_parse_failed|failed_generation
        (?:failed|unable|could not|did not) (?:to )?(?:generate|validate|produce|output|return)\b
            .{0,30}\b(?:json|structured|tool_calls?)
        failed to parse (?:input at pos|(?:the )?(?:model|output|completion|generation|reply))
        incomplete[ _](?:json|generation)|parsing tool call
        json[ _](?:output|generation)[ _](?:failed|error)
        model (?:produced|generated|returned|output) (?:an? )?(?:invalid|malformed)
        (?:generated|produced) json (?:does not|doesn't|is not|was not)
        (?:model|generated)\b.{0,60}(?:not (?:a )?valid json|invalid json|not (?:be )?parse
            |malformed)
        invalid output|grammar stack|grammar.{0,20} sampl|\bsampl\w+.{0,40}(?:grammar|rejected)
        before generating a valid document
        """,
    ),
    (
        "policy",
        (400, 403, 404),
        r"""
        no (?:allowed |available )?(?:endpoints?|providers?)\b.{0,80}\b(?:data policy|privacy
            |guardrail|data retention|allowed|ignored|available for the selected)
        no allowed providers|providers have been ignored
        """,
    ),
    (
        "format",
        _REFUSED,
        r"""
        no endpoints found that (?:support|can handle)
        """,
    ),
    (
        "balance",
        (429,),
        r"""
        quota.{0,400}\blimit: 0\b
        """,
    ),
    (
        "daily",
        (403, 429),
        r"""
        per[ _-]?day|per[ _-]?month|/ ?month|\bdaily\b|tomorrow|24[ -]hour
        \b(?:TPD|RPD)\b|usage limit|(?:hour|weekly|monthly) (?:limit|quota)
        """,
    ),
    (
        "rate",
        (429,),
        r"""
        RESOURCE_EXHAUSTED|per[ _-]?minute|per[ _-]?second
        """,
    ),
    (
        "balance",
        _SET_UP,
        r"""
        insufficient[_ ]?(?:user[_ ])?(?:quota|balance|credit|fund)|exceeded_current_quota
        billing_(?:hard_limit|not_active)|billing hard limit|arrear|overdue|good standing
        (?:exceeded|reached|used up|exhausted)\b.{0,40}\b(?:current|monthly|included
            |free)\b.{0,20}\b(?:quota|credits?|allowance)
        (?:balance|credits?|quota|funds)(?: is| are| has been| have been)?(?: too low| not enough
            | insufficient| exhausted| used up| depleted| expired)
        \b(?:insufficient|not enough|ha(?:ve|s) (?:no|any)|out of|more) credits?\b
        add (?:funds|credits?)\b|unpaid|negative balance
        free trial .{0,20}\b(?:ended|expired|over)\b
        budget[_ ](?:has been )?exceeded|please (?:recharge|top.?up)
        spend(?:ing)?[ _](?:limit|cap|alert)|payment[_ ]required
        credit[ _]limit|check your billing details|account balance|余额|欠费|充值
        """,
    ),
    (
        "balance",
        (400, 401, 403),
        r"""
        quota\b.{0,30}\b(?:exceeded|exhausted)|(?:exceeded|exhausted)\b.{0,30}\bquota
        """,
    ),
    (
        "region",
        _SET_UP,
        r"""
        unsupported[ _](?:country|region|location)
        (?:blocked|restricted) (?:in|from) your (?:country|region|location)
        \b(?:country|region|territory|location)\b.{0,60}\b(?:not|isn't|un)[ -]?(?:supported
            |available|allowed|permitted)
        (?:not|n't) (?:supported|available|allowed|permitted)\b.{0,40}\b(?:country|region
            |territory|location)\b
        """,
    ),
    (
        "account",
        _SET_UP,
        r"""
        \b(?:account|organi[sz]ation|api[ _-]?key|subscription|access)\b(?:\s+\S+){0,2}?\s+
            (?:has been |have been |is |was |been )?(?:suspended|disabled|deactivated|banned
            |terminated|blocked|flagged|restricted|revoked|expired|not active|inactive)
        access_terminated
        """,
    ),
    (
        "key",
        (400,),
        r"""
        API_KEY_INVALID|api[ _-]?key\b.{0,40}\b(?:not valid|invalid|incorrect|missing)
        (?:invalid|incorrect|missing)[ _](?:api[ _-]?)?key\b
        """,
    ),
    (
        "content",
        _CONTENT,
        r"""
        content[ _-]?filter|content[ _-]?(?:management )?(?:[ _-])?policy(?!_fallback)
        content[ _-]?moderat|moderation|ResponsibleAI|responsible[ _]ai|data_?inspection
        (?<!case[ -])sensitive|\bflagged\b|PROHIBITED_CONTENT|BLOCKLIST
        (?<![a-z])safety(?![a-z])|usage (?:polic|guideline)|acceptable use|inappropriate
        high[ _]risk
        exists? risk|\bnsfw\b|\bunsafe\b
        (?:illegal|disallowed|prohibited|toxic|explicit) (?:content|words?|text)|harmful
        block_?reason|guardrail|(?:prompt|input|content)\b.{0,20}\bblocked
        blocked (?:by|due to|because of)\b.{0,30}\b(?:guard|safe|polic|filter)
        censor|violat\w+ .{0,40}\b(?:polic|guideline|terms|standards|rules)
        policy[ _-]?violation|jailbreak|prompt injection|审核|内容安全|敏感|不安全|违规
        不合规
        """,
    ),
    (
        "context",
        (200, 400, 413, 422, 500),
        r"""
        context[_ ]?(?:length|window|size)(?!_?fallback)|context_limit|maximum context
        exceed_context|string_above_max|model_max_prompt|range of input length
        \b(?:prompt|input|messages?|request|conversation)(?: \S+){0,2}? too (?:long|large)
        too many (?:input |prompt )?tokens|tokens?`? \+\s|reduce (?:the length|your)
        (?:input|prompt)[ _](?:tokens?|length)\b.{0,60}\b(?:exceed|limit|maximum|longer)
        must have less than \d+ tokens
        exceed\w* .{0,60}(?:context|token limit|tokens? allowed|max_model_len|maximum (?:input
            |number of (?:input )?tokens))
        max(?:imum)?[_ ]input[_ ](?:tokens|length)
        """,
    ),
    (
        "moment",
        (200, 400, 404, 422),
        r"""
        has crashed|overloaded|over capacity|temporarily|try again later|loading model
        model is (?:currently |still )?loading|was unloaded
        """,
    ),
    (
        "system",
        _REFUSED,
        r"""
        system[ _](?:role|messages?|prompts?|instructions?)\b.{0,60}\b(?:not|n't
            |un)[ -]?(?:supported|allowed|enabled|available|accepted|permitted)
        (?:not|n't|cannot) (?:support|accept|allow|handle|use)\w*\b.{0,60}\bsystem\b
        (?:developer|system) instructions? (?:is|are) not|roles must alternate
        only .{0,20}\buser\b.{0,30}\bassistant\b.{0,40}\broles?\b
        \A(?=.*\broles?\b)(?=.*\bsystem\b)(?=.*(?:\b(?:not|only|unsupported|unknown|unexpected
            |invalid|expected|cannot)\b|n't))
        \brole\b.{0,60}\b(?:must|should) be .{0,20}\buser\b
        'system' is not one of|\bno system (?:role|prompt|message)
        first message .{0,20}(?:must|should) be .{0,20}\buser\b
        (?:must|should) be '?user'? or '?assistant
        \bmessages\W{1,2}0\W{1,3}role\b
        \A(?=.*(?:\broll?[elo]\b|rôle|角色))(?=.*(?<![a-z])system(?![a-z]))
            (?=.*(?:\bnicht\b|\bnon?\b|não|\bpas\b|不))
        """,
    ),
    (
        "keyword",
        _REFUSED,
        r"""
        additional_?properties|unevaluated_?properties|\$defs|\$ref\b|\b(?:min|max)_?items\b
        \b(?:min|max)_?length\b|unique_?items|\bpattern\b|\bstrict\b|response_?schema
        invalid[ _](?:json_)?schema|schema contains features|schema .{0,60}not permitted
        (?:unsupported|unknown) (?:schema )?(?:keyword|feature)|field is not repeating
        schema .{0,40}(?:too complex|too many|nesting)
        """,
    ),
    (
        "format",
        _REFUSED,
        r"""
        response_?format|json_schema|json_object|json mode|structured[ _]outputs?|\bschema\b
        grammar|guided_json|response_?mime_?type
        """,
    ),
)


def _pattern(words: str) -> re.Pattern[str]:
    lines = re.sub(r"\n {9,}", "", words).strip().split("\n")
    return re.compile("|".join(line.strip() for line in lines), re.IGNORECASE | re.DOTALL)


_TABLE = tuple((cause, statuses, _pattern(words)) for cause, statuses, words in _CAUSES)
# Codes that are only numbers, of GLM and MiniMax.
_NUMBERS = {
    **dict.fromkeys(("1113", "1309", "1008"), "balance"),
    **dict.fromkeys(("1301", "1026", "1027"), "content"),
    **dict.fromkeys(("1304", "1308"), "daily"),
    **dict.fromkeys(("1302", "1303", "1305"), "rate"),
    **dict.fromkeys(("1261", "1039"), "context"),
    "1211": "model",
}
_ABOUT_MODEL = re.compile(r"\b(model|deployment)\b|DeploymentNotFound", re.IGNORECASE)
_NOT_A_MODEL = re.compile(
    r"(not a valid|invalid|unknown|no such) model|models?\b.{0,200}\b(not exist|not found"
    r"|decommissioned)|model_not_found|no endpoints found for"
    r"|no models? (is |are )?loaded|ModelNotFound",
    re.IGNORECASE | re.DOTALL,
)


def cause_of(status: int, code: str, names: str, message: str) -> str:
    """The cause of a refusal; "" if it is not known.

    Parameters
    ----------
    status : int
    code, names : str
        The provider's own code, and other codes and the name of the parameter.
    message : str

    Examples
    --------
    >>> cause_of(400, "content_filter", "", "The prompt was filtered.")
    'content'
    >>> cause_of(500, "", "", "Internal Server Error")
    ''
    """
    if code in _NUMBERS:
        return _NUMBERS[code]
    said = f"{code} {names} {message}"
    found = next(
        (cause for cause, statuses, words in _TABLE if status in statuses and words.search(said)),
        "",
    )
    if _is_about_model(status, f"{code} {message}", found):
        return "model"
    if status == 402:
        return "balance"
    if status == 413:
        return "context"
    return found or ("key" if status in (401, 403) else "")


def _is_about_model(status: int, said: str, found: str) -> bool:
    if "model_not_found" in said or (status in (400, 404) and _NOT_A_MODEL.search(said)):
        return True
    return status == 404 and not found and _ABOUT_MODEL.search(said) is not None
