"""Accepts Kerberos tokens as a web server with channel binding does, by MIT's own library.

One line in: a token in base64 and the channel's application data in hex, or "-". One line of JSON out: who it is and
whether the channel was bound, or the error; and the token for the client, where there is one.
"""

import base64
import json
import sys

import gssapi
from gssapi.raw import ChannelBindings


# Else an error that comes with an answer for the client is kept back until the next step.
gssapi.SecurityContext.__DEFER_STEP_ERRORS__ = False


def accept(token: str, channel: str) -> dict:
    bindings = None
    if channel != "-":
        bindings = ChannelBindings(application_data=bytes.fromhex(channel))
    context = gssapi.SecurityContext(usage="accept", channel_bindings=bindings)
    answer = context.step(base64.b64decode(token))
    bound = gssapi.RequirementFlag.channel_bound in context.actual_flags
    return {"user": str(context.initiator_name), "bound": bound, **token_of(answer)}


def token_of(answer: bytes) -> dict:
    return {"token": base64.b64encode(answer).decode()} if answer else {}


for line in sys.stdin:
    try:
        answer = accept(*line.split())
    except gssapi.exceptions.GSSError as error:
        answer = {"error": type(error).__name__, **token_of(error.token)}
    print(json.dumps(answer), flush=True)
