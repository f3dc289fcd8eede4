"""A person put into words: the object that a request for a persona is answered with."""

from __future__ import annotations

import re
from typing import Any

from tinyfactory.models.offline.casting import TRAITS, Cast, cast
from tinyfactory.models.offline.facts import grammar_for, job_of, organization
from tinyfactory.models.offline.grammar import Grammar
from tinyfactory.models.offline.mark import OFFLINE_MARK
from tinyfactory.models.offline.reading import Brief
from tinyfactory.models.offline.relations import Relation, relations
from tinyfactory.models.offline.words import capitalise, lower_first
from tinyfactory.utils.random import Dice
from tinyfactory.utils.text import fold

Json = dict[str, Any]


def write_persona(brief: Brief, seed: int, dice: Dice) -> Json:
    """The person whom a brief asks for, with every key of the persona layout."""
    who = cast(brief, seed, dice)
    org = organization(who, dice)
    people = relations(who, dice)
    say = grammar_for(who, people, "" if who.status in {"home", "seeking"} else org, dice)
    return {
        "name": who.name,
        "age": who.age,
        "gender": who.gender,
        "nationality": who.nationality,
        "residence": who.residence,
        "education": _education(who, say),
        "occupation": {
            "title": who.title,
            "organization": _organization_line(who, org),
            "description": _description(who, say),
        },
        "style": say.say(f"style.{_degree(who.big_five['extraversion'])}"),
        "personality": {"traits": _traits(who, say), "big_five": dict(who.big_five)},
        "preferences": {
            "interests": [i.name for i in who.interests],
            "likes": _likes(who, say),
            "dislikes": say.several(4, "dislike"),
        },
        "skills": _skills(who, say),
        "beliefs": _beliefs(who, say),
        "behaviors": {"general": _general(who, say), "routines": _routines(who, say)},
        "health": _health(who, say),
        "relationships": [_relationship(who, person, say) for person in people],
        "long_term_goals": _goals(who, say),
        "other_facts": _facts(who, brief.language, say),
    }


def _degree(score: int) -> str:
    return "high" if score >= 60 else "low" if score <= 40 else "mid"


def _organization_line(who: Cast, org: str) -> str:
    if who.status in {"home", "seeking"}:
        return ""
    org = org.removeprefix("the ") if not org.startswith("the City") else org
    return capitalise(f"formerly {org}" if who.status == "retired" and org else org)


def _education(who: Cast, say: Grammar) -> str:
    if who.status == "pupil":
        return say.say("edu.pupil")
    if who.status == "student":
        now, told = say.say("edu.student"), who.profile.education
        return f"{capitalise(told)}: {lower_first(now)}" if told else now
    level = who.profile.level or who.occupation.education
    if who.profile.education:
        return _education_told(who.profile.education, level, say)
    # Too young to have finished, as when an age was asked for: a step lower.
    finished = {"doctor": 27, "master": 23, "bachelor": 21, "apprentice": 18}
    if who.age < finished.get(level, 0):
        level = "school"
    return say.say(f"edu.{level}")


def _education_told(told: str, level: str, say: Grammar) -> str:
    """The education that was asked for, in the words that were used."""
    taught = level in {"bachelor", "master", "doctor"}
    if taught and re.search(r"(?i)degree$|doctorate$|ph\.?d\.?$|bachelor$|master$", told):
        return f"{capitalise(told)} {say.expand('in {field_subject} from {uni}, {edu_how}.')}"
    sentence = say.say(f"edu.{level}")
    if fold(sentence).startswith(fold(told)):
        return sentence
    return f"{capitalise(told)}: {lower_first(sentence)}"


def _description(who: Cast, say: Grammar) -> str:
    match who.status:
        case "retired":
            said = [say.say("work.retired"), say.say("work.retired2")]
        case "student":
            said = [say.say("work.study"), say.say("work.study2")]
        case "pupil":
            said = [
                say.say("work.study"),
                say.say("work.child2" if who.age < 14 else "work.study2"),
            ]
        case "home":
            said = [say.say("work.home"), say.say("work.home2")]
        case "seeking":
            said = [say.say("work.seeking"), say.say("work.seeking2")]
        case _:
            said = [say.say("work.first"), *say.several(2, "work.second")]
            if who.theme.kind == "work":
                said[-1] = say.say("work.theme")
    return " ".join(said)


def _traits(who: Cast, say: Grammar) -> list[str]:
    """The scores that stand out most, each as it shows; three to five sentences."""
    order = sorted(TRAITS, key=lambda t: -abs(who.big_five[t] - 50))
    said: list[str] = []
    for trait in order[:4]:
        degree = _degree(who.big_five[trait])
        pool = "trait.middle" if degree == "mid" else f"trait.{trait}.{degree}"
        said.append(_with_tail(say.say(pool), say))
        if degree == "mid" and len(said) >= 3:
            break
    strongest = order[0]
    if abs(who.big_five[strongest] - 50) >= 28:
        more = say.say(f"trait.{strongest}.{_degree(who.big_five[strongest])}")
        said.insert(1, _with_tail(more, say))
    return list(dict.fromkeys(said))[:5]


def _with_tail(sentence: str, say: Grammar) -> str:
    """The trait, and as a rule what it comes from, what it leads to, or who minds."""
    if say.dice.chance(0.15):
        return sentence
    return f"{sentence.removesuffix('.')}{say.one_of('trait.tail')}."


def _likes(who: Cast, say: Grammar) -> list[str]:
    own = [i.likes + say.one_of("like.tail") for i in who.interests[:2]]
    if who.theme.kind == "activity" and say.dice.chance(0.5):
        own[-1:] = [say.say("activity.like")]
    return [capitalise(text) for text in own] + say.several(3, "like")


def _skills(who: Cast, say: Grammar) -> list[str]:
    work = [] if who.status in {"pupil", "student", "home"} else list(who.occupation.skills)
    play = [i.skill for i in who.interests]
    skills = say.dice.few(work, 3) + say.dice.few(play, 2 if work else 4)
    said = []
    for skill in skills:
        say.facts["skill_said"] = skill
        said.append(say.say("skill.own"))
    return said


def _beliefs(who: Cast, say: Grammar) -> list[str]:
    own = {"work": "belief.work", "retired": "belief.retired", "student": "belief.study",
           "pupil": "belief.study"}.get(who.status, "belief.any")  # fmt: skip
    common = "belief.young" if who.age < 18 else "belief.any"
    return [*say.several(2, own), *say.several(2, common), say.say("belief.interest")]


def _general(who: Cast, say: Grammar) -> list[str]:
    careful = who.big_five["conscientiousness"] >= 50
    habits = say.several(3, "general.any")
    return [*habits, say.say("general.careful" if careful else "general.careless")]


def _routines(who: Cast, say: Grammar) -> dict[str, list[str]]:
    quiet = any(i.when == "evening" for i in who.interests)
    interest = say.say("evening.interest" if quiet else "evening.any")
    weekend = [say.say("weekend.any"), say.say("weekend.interest")]
    if who.theme.kind == "activity" and say.dice.chance(0.6):
        weekend[0] = say.say("activity.weekend")
    child = who.age < 16
    if child:
        morning = say.several(2, "morning.child")
    elif who.status == "retired":
        morning = [say.say("morning.any"), say.say("morning.retired")]
    elif who.status in {"home", "seeking"}:
        morning = say.several(2, "morning.any")
    else:
        morning = [say.say("morning.any"), say.say("morning.way")]
    day = {"work": "workday.work", "retired": "workday.retired", "home": "workday.home",
           "seeking": "workday.seeking"}.get(who.status, "workday.study")  # fmt: skip
    evening = say.say("evening.child" if child else "evening.any")
    return {
        "morning": morning,
        "workday": say.several(3, day),
        "evening": [evening, interest],
        "weekend": weekend,
    }


def _health(who: Cast, say: Grammar) -> str:
    stage = "young" if who.age < 36 else "middle" if who.age < 66 else "old"
    habit = "health.habit.child" if who.age < 18 else "health.habit"
    return f"{say.say(f'health.state.{stage}')}; {lower_first(say.say(habit))}"


def _relationship(who: Cast, person: Relation, say: Grammar) -> dict[str, str]:
    say.facts["noun"] = person.noun
    say.facts["n_age"] = str(person.age) if person.age else "not yet one"
    say.facts["n_years"] = f"{_years_together(who, person, say.dice)} years"
    say.facts["partner_job"] = job_of(person.age, say.dice)
    if person.kind == "child":
        ages = ((2, "baby"), (6, "small"), (17, "school"), (22, "young"), (200, "grown"))
        stage = next(stage for until, stage in ages if person.age < until)
        say.facts["child_does"] = say.one_of(f"child_does.{stage}")
    if person.kind == "parent":
        stage = ".old" if person.age >= 78 else ".younger" if person.age < 63 else ""
        say.facts["parent_state"] = say.one_of(f"parent_state{stage}")
    if person.kind == "sibling":
        young = who.age < 18 or person.age < 18
        say.facts["sibling_does"] = say.one_of(f"sibling_does{'.young' if young else ''}")
    text = say.say(f"rel.{person.kind}")
    return {"name": person.name, "description": text}


def _years_together(who: Cast, person: Relation, dice: Dice) -> int:
    return dice.integer(2, max(2, min(who.age, person.age) - 20))


def _goals(who: Cast, say: Grammar) -> list[str]:
    if who.age < 14:
        return say.several(3, "goal.child")
    goals = [say.say("goal.interest") if who.age < 70 else say.say("goal.old")]
    match who.status:
        case "work":
            goals.append(say.say("goal.work"))
        case "student" | "pupil":
            goals.append(say.say("goal.study"))
        case "retired":
            goals.append(say.say("goal.old"))
        case _:
            goals.append(say.say("goal.any"))
    goals.append(say.say("goal.any"))
    themed = {"activity": "activity.goal", "customer": "customer.goal", "topic": "topic.goal"}
    if who.theme.kind in themed:
        goals[0] = say.say(themed[who.theme.kind])
    return list(dict.fromkeys(goals))


def _facts(who: Cast, language: str, say: Grammar) -> list[str]:
    pool = "fact.child" if who.age < 18 else "fact.any"
    facts = say.several(2 if who.profile.told_home else 3, pool)
    if who.profile.told_home:
        facts.insert(0, say.say("household.fact"))
    themed = f"{who.theme.kind}.fact"
    learns = who.status in {"pupil", "student"}
    if themed in say.pools and (learns or themed != "study.fact"):
        facts += say.several(2, themed)
    if who.theme.archetype:
        facts.append(capitalise(say.expand(who.theme.archetype.fact)))
    if language.lower() not in {"english", "en"}:
        say.facts["language"] = language
        facts.append(say.say("language.note"))
    return [*facts, OFFLINE_MARK]
