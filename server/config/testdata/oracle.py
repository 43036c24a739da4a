# Answers what Python's own libraries make of the inputs that the tests generate.
# Reads one JSON object on standard input, a list of inputs for each function,
# and writes one with the list of answers for each.
import binascii
import configparser
import io
import json
import os.path
import sys


def parse(text):
    parser = configparser.ConfigParser()
    try:
        parser.read_file(io.TextIOWrapper(io.BytesIO(text.encode()), encoding="utf-8"))
    except configparser.Error:
        return None
    return [[name, [option(parser, name, key) for key in parser.options(name)]]
            for name in parser.sections()]


def option(parser, section, key):
    try:
        return [key, parser.get(section, key)]
    except configparser.InterpolationError:
        return [key, None]


def base64(text):
    try:
        return list(binascii.a2b_base64(text.encode()))
    except binascii.Error:
        return None


def path(text):
    return os.path.expanduser(os.path.expandvars(text))


questions = json.load(sys.stdin)
json.dump({name: [globals()[name](text) for text in texts]
           for name, texts in questions.items()}, sys.stdout)
