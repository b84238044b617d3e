"""JSON-RPC messages, both ways."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyvmiscsi.errors import NasProtocolError, NasRefusedError
from pyvmiscsi.nas.truenas.jsonrpc_text import MAX_MESSAGE, Answer, Conversation, Notice, Refusal
from pyvmiscsi.nas.truenas.rpc import Fault, Request

PING = Request("core.ping")


def test_a_call_has_a_number_of_its_own_and_positional_parameters() -> None:
    conversation = Conversation()

    assert conversation.call(Request("a.b", ("x", {"y": None}))) == (
        1,
        '{"jsonrpc":"2.0","id":1,"method":"a.b","params":["x",{"y":null}]}',
    )
    assert conversation.call(PING)[0] == 2


def test_answers_find_their_calls_in_any_order() -> None:
    conversation = Conversation()
    first, second = conversation.call(PING)[0], conversation.call(PING)[0]

    assert conversation.receive(f'{{"jsonrpc":"2.0","id":{second},"result":null}}') == Answer(second, None)
    assert conversation.receive(f'{{"jsonrpc":"2.0","id":{first},"result":"pong"}}') == Answer(first, "pong")


def test_an_answer_that_nobody_waits_for_is_let_go() -> None:
    conversation = Conversation()
    number, _ = conversation.call(PING)
    conversation.abandon(number)

    assert conversation.receive(f'{{"jsonrpc":"2.0","id":{number},"result":"pong"}}') == Notice()


def test_an_event_is_no_answer() -> None:
    event = '{"jsonrpc":"2.0","method":"collection_update","params":{"msg":"changed","id":41}}'

    assert Conversation().receive(event) == Notice()


def refusal(error: dict[str, object]) -> Refusal:
    conversation = Conversation()
    number, _ = conversation.call(Request("iscsi.extent.create"))
    message = conversation.receive(json.dumps({"jsonrpc": "2.0", "id": number, "error": error}))
    assert isinstance(message, Refusal)
    return message


def test_validation_is_read_field_by_field() -> None:
    extra = [["iscsi_extent_create.name", "Extent name must be unique", 22], [None, "x does not exist", 2]]
    data = {"error": 22, "errname": "EINVAL", "reason": "[EINVAL] iscsi_extent_create.name: …", "extra": extra}

    refused = refusal({"code": -32602, "message": "Invalid params", "data": data}).refused

    assert refused.method == "iscsi.extent.create"
    assert refused.faults == (
        Fault("iscsi_extent_create.name", "Extent name must be unique", 22),
        Fault("", "x does not exist", 2),
    )
    assert refused.errnos == {0, 22, 2}


def test_a_call_error_has_its_errno_and_leaves_the_trace_behind() -> None:
    trace = {"frames": [{"locals": {"secret": "twelve2chars"}}], "repr": "CallError('twelve2chars')"}
    data = {"error": 14, "errname": "EFAULT", "reason": "[EFAULT] Target d1 is in use.", "trace": trace, "extra": None}

    refused = refusal({"code": -32001, "message": "Method call error", "data": data}).refused

    assert (refused.errno, refused.text) == (14, "Target d1 is in use.")
    assert "twelve2chars" not in repr(vars(refused))


def test_a_missing_method_is_told() -> None:
    assert refusal({"code": -32601, "message": "Method does not exist"}).refused.no_such_method


@pytest.mark.parametrize("text", ["", "<html>", "[]", "1", '{"jsonrpc":"2.0"}', '{"id":1}', '{"id":null,"error":{}}'])
def test_what_is_no_message_is_refused(text: str) -> None:
    with pytest.raises(NasProtocolError):
        Conversation().receive(text)


@given(st.text())
def test_no_text_is_so_strange_that_the_error_is_not_ours(text: str) -> None:
    try:
        Conversation().receive(text)
    except NasProtocolError:
        return


def test_a_request_that_the_nas_would_hang_up_on_is_not_sent() -> None:
    just_fits = Request("m", ("x" * (MAX_MESSAGE - len('{"jsonrpc":"2.0","id":1,"method":"m","params":[""]}')),))

    assert len(Conversation().call(just_fits)[1]) == MAX_MESSAGE
    with pytest.raises(NasRefusedError, match="65536"):
        Conversation().call(Request("m", (just_fits.params[0] + "x",)))
