"""Reads a Bicep file on standard input strictly: with a parser of the language, and each resource of Event Grid against the models of the API that it names.

Prints a line for each resource; of others only that what they name is declared is looked at. A fault is a line on standard error with its place, and exit 1.
"""

import enum
import json
import re
import sys

from azure.mgmt.eventgrid import models
from azure.mgmt.eventgrid._configuration import EventGridManagementClientConfiguration
from lark import Token
from pycep import BicepParser

# What each type of resource holds, as Event Grid's own client sends it.
KNOWN = {
    "Microsoft.EventGrid/partnerTopics": models.PartnerTopic,
    "Microsoft.EventGrid/partnerTopics/eventSubscriptions": models.EventSubscription,
}
UNREAD = re.compile(r"^Microsoft\.(Storage|Authorization)/")
PLACE = {"name", "parent", "scope", "dependsOn"}
LITERALS = {"str": str, "int": int, "long": int, "bool": bool}
# The parser gives a symbol and a text in quotes alike: texts are marked before.
MARK = "="
HEAD = re.compile(r"^(resource|targetScope|@)")

faults = []
variables = {}


def fault(place, text):
    faults.append(f"{place}: {text}")


def marked(parser, text):
    lines = text.split("\n")
    tokens = parser._create_tree(text, None).scan_values(lambda one: isinstance(one, Token))
    quoted = [token for token in tokens if token.type.startswith("QUOTED")]
    for token in sorted(quoted, key=lambda one: -one.start_pos):
        if not HEAD.match(lines[token.line - 1]):
            text = f"{text[: token.start_pos + 1]}{MARK}{text[token.start_pos + 1 :]}"
    return text


def is_text(value):
    return isinstance(value, str) and value.startswith(MARK)


def branches(value):
    """What an expression may come to: both sides of a condition, and what a variable holds."""
    if isinstance(value, str) and value in variables:
        return branches(variables[value])
    if isinstance(value, dict) and isinstance(value.get("operator"), dict) and value["operator"]["type"] == "conditional":
        operands = value["operator"]["operands"]
        return branches(operands["true_value"]) + branches(operands["false_value"])
    return [value]


def is_expression(value):
    return isinstance(value, dict) and set(value) in ({"operator"}, {"function"})


def symbols_in(value):
    """Every symbol that is named, with those of expressions."""
    if isinstance(value, dict):
        if is_expression(value):
            (part,) = value.values()
            given = part.get("operands", part.get("parameters"))
            if part["type"] == "property_accessor":
                given = given["operand_1"]
            return symbols_in(given)
        return [name for part in value.values() for name in symbols_in(part)]
    if isinstance(value, list):
        return [name for part in value for name in symbols_in(part)]
    return [value] if isinstance(value, str) and not is_text(value) else []


def enums_of(model):
    """The values of each attribute that is an enumeration: the documentation of the model names it."""
    found = {}
    for part in model.__mro__:
        for attribute, kind in re.findall(r":(?:vartype|paramtype) (\w+): str or\s+~azure\.mgmt\.eventgrid\.models\.(\w+)", part.__doc__ or ""):
            values = getattr(models, kind)
            assert isinstance(values, enum.EnumMeta), kind
            found[attribute] = {member.value for member in values}
    return found


def model_of(base, value, place):
    """The kind of a thing that has several, by its discriminator."""
    for attribute, kinds in vars(base).get("_subtype_map", {}).items():
        key = base._attribute_map[attribute]["key"]
        chosen = value.get(key)
        if not is_text(chosen) or chosen[1:] not in kinds:
            fault(f"{place}.{key}", f"{chosen!r} is none of {sorted(kinds)}")
            return None
        return model_of(getattr(models, kinds[chosen[1:]]), value, place)
    return base


def check_value(kind, value, place):
    for one in branches(value):
        # Symbols are looked at as a whole; here they may be of any kind.
        if one is None or is_expression(one) or (isinstance(one, str) and not is_text(one)):
            continue
        if kind.startswith("["):
            if isinstance(one, list):
                for index, item in enumerate(one):
                    check_value(kind[1:-1], item, f"{place}[{index}]")
            else:
                fault(place, "is no list")
        elif kind in LITERALS:
            if type(one) is not LITERALS[kind]:
                fault(place, f"{one!r} is no {kind}")
        elif not isinstance(one, dict):
            fault(place, f"{one!r} is no {kind}")
        else:
            check_object(getattr(models, kind), one, place)


def tree_of(model):
    """Attributes by their place: `properties.filter` is `filter` in `properties`."""
    tree = {}
    for attribute, told in model._attribute_map.items():
        *outer, last = told["key"].split(".")
        at = tree
        for name in outer:
            at = at.setdefault(name, {})
        at[last] = (attribute, told["type"])
    return tree


def check_object(base, value, place, complete=True):
    model = model_of(base, value, place)
    if model is None:
        return
    rules, enums = model._validation, enums_of(model)

    def check_attribute(attribute, kind, part, here):
        rule = rules.get(attribute, {})
        if rule.get("readonly"):
            fault(here, "is read-only")
        if type(part) is int and not rule.get("minimum_ei", rule.get("minimum", part)) <= part <= rule.get("maximum", part):
            fault(here, f"{part} is out of bounds")
        if attribute in enums and is_text(part) and part[1:] not in enums[attribute]:
            fault(here, f"{part[1:]!r} is none of {sorted(enums[attribute])}")
        check_value(kind, part, here)

    def walk(tree, given, at):
        for key, part in given.items():
            here = f"{at}.{key}"
            if key not in tree:
                fault(here, f"{model.__name__} has no such property; it has {sorted(tree)}")
            elif isinstance(tree[key], tuple):
                check_attribute(*tree[key], part, here)
            elif isinstance(part, dict):
                walk(tree[key], part, here)
            else:
                fault(here, "is no object")
        for key, part in tree.items():
            if complete and isinstance(part, tuple) and rules.get(part[0], {}).get("required") and key not in given:
                fault(at, f"{key} is missing")

    walk(tree_of(model), value, place)


def main():
    parser = BicepParser()
    told = json.loads(json.dumps(parser.parse(text=marked(parser, sys.stdin.read())), default=str))
    version = EventGridManagementClientConfiguration(credential=object(), subscription_id="none").api_version
    parameters, resources, outputs = (told.get(part, {}) for part in ("parameters", "resources", "outputs"))
    variables.update({name: variable["value"] for name, variable in told.get("variables", {}).items()})
    configs = {name: resource["config"] for name, resource in resources.items()}
    named = symbols_in([configs, list(variables.values()), [one.get("default") for one in parameters.values()], [one["value"] for one in outputs.values()]])
    declared = {*parameters, *variables, *resources}
    for name in sorted({*named} - declared):
        fault(name, "is used and not declared")
    for name in sorted({*parameters} - {*named}):
        fault(name, "is declared and not used")
    for name, resource in resources.items():
        kind, config, exists = resource["type"], resource["config"], resource["existing"]
        if UNREAD.match(kind):
            print(f"{kind}@{resource['api_version']} unread")
            continue
        if kind not in KNOWN:
            fault(name, f"{kind} is not known here")
            continue
        if resource["api_version"] != version:
            fault(name, f"its API is of {resource['api_version']}, and the models are of {version}")
        if "name" not in config:
            fault(name, "has no name")
        if kind.count("/") > 1 and config.get("parent") not in resources:
            fault(name, f"its parent {config.get('parent')!r} is no resource")
        properties = {key: part for key, part in config.items() if key not in PLACE}
        check_object(KNOWN[kind], properties, name, complete=not exists)
        print(f"{kind}@{resource['api_version']}{' existing' if exists else ''}")
    for line in faults:
        print(line, file=sys.stderr)
    return 1 if faults else 0


sys.exit(main())
