# Answers what Python's own libraries make of the inputs that the tests generate.
# Reads one JSON object on standard input, a list of inputs for each function,
# and writes one with the list of answers for each.
import argparse
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


class Ended(Exception):
    pass


class Parser(argparse.ArgumentParser):
    def error(self, message):
        raise Ended("error: " + message)

    def exit(self, status=0, message=None):
        raise Ended("version")

    def print_help(self, file=None):
        raise Ended("help")

    def _print_message(self, message, file=None):
        pass


class Given(argparse.Action):
    """Notes each option in the order and with the value in which it comes."""

    def __call__(self, parser, namespace, values, option_string=None):
        parser.given.append(self.option_strings[-1] + "=" + ("True" if self.nargs == 0 else values))


def arguments(text):
    parser = Parser(prog="mandos")
    parser.given = ["values"]
    parser.add_argument("-v", "--version", action="version", version="1")
    for names in (["-i", "--interface"], ["-a", "--address"], ["-p", "--port"], ["--priority"], ["--configdir"]):
        parser.add_argument(*names, action=Given)
    for name in ("check", "debug", "no-dbus", "no-ipv6", "no-restore", "foreground", "no-zeroconf"):
        parser.add_argument("--" + name, action=Given, nargs=0)
    for name in ("debuglevel", "servicename", "socket", "statedir"):
        parser.add_argument("--" + name, action=Given)
    try:
        parser.parse_args(text.split("\n"))
    except Ended as ended:
        return [str(ended)]
    return parser.given


questions = json.load(sys.stdin)
json.dump({name: [globals()[name](text) for text in texts]
           for name, texts in questions.items()}, sys.stdout)
