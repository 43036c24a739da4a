# Answers what Python, or Debian's Mandos server, makes of the inputs that the
# tests generate. Reads one JSON object on standard input, a list of inputs for
# each function, and writes one with the list of answers for each. The argument is
# the server's program, of which only the functions about durations are used.
import ast
import collections
import datetime
import json
import re
import sys


def integer(text):
    try:
        return int(text)
    except ValueError:
        return None


def duration(text):
    try:
        delta = server["string_to_delta"](text)
    except (ValueError, OverflowError):
        return None
    # In whole microseconds, which a float of that many seconds has not all of.
    return delta // datetime.timedelta(microseconds=1)


server = {"datetime": datetime, "re": re, "collections": collections}
if len(sys.argv) > 1:
    with open(sys.argv[1], encoding="utf-8") as program:
        tree = ast.parse(program.read())
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name in ("rfc3339_duration_to_delta", "string_to_delta"):
            exec(compile(ast.Module([node], []), sys.argv[1], "exec"), server)

questions = json.load(sys.stdin)
json.dump({name: [globals()[name](text) for text in texts]
           for name, texts in questions.items()}, sys.stdout)
