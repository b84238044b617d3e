"""What is to be thought of each login, by what hosts, nases and locks tell: one line a case, and laws for all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyvmiscsi.model import DatastoreRecord, NasSession, SessionState
from pyvmiscsi.names import DatasetPath, Iqn, Portal
from pyvmiscsi.operations.known_targets import KnownTarget
from pyvmiscsi.operations.logins import Facts, HostFacts, Login, NasFacts, Verdict, default_initiator, logins

BASENAME = Iqn.parse("iqn.2005-10.org.freenas.ctl")
WEB1, OTHER = BASENAME.child("web1-disk0"), Iqn.parse("iqn.2001-01.org.example:backup")
STORE = DatastoreRecord(
    "iscsi1", "nas1", BASENAME, DatasetPath("tank/vm"), Portal.parse("10.0.0.10"), config_path="/vmconfig"
)
DISK = KnownTarget(WEB1, "nas1", "iscsi1", "10.0.0.10:3260", guest="web1", disk="disk0", volume="tank/vm/web1/disk0")


def up(target: Iqn = WEB1, portal: str = "10.0.0.10:3260") -> SessionState:
    return SessionState(target, portal, True, "", {0: "da0"}, number=1)


def down(reason: str = "Connection refused") -> SessionState:
    return SessionState(WEB1, "10.0.0.10:3260", False, reason, number=1)


def told(hostname: str, target: Iqn = WEB1) -> NasSession:
    return NasSession(target, default_initiator(hostname), "10.0.0.11")


def host(name: str, *sessions: SessionState, running: bool = False) -> HostFacts:
    return HostFacts(name, f"{name}.lab", frozenset({"web1"} if running else ()), sessions)


def facts(
    *hosts: HostFacts, nas: tuple[NasSession, ...] | None = (), lock: str | None = None, silent: tuple[str, ...] = ()
) -> Facts:
    targets: Mapping[Iqn, KnownTarget] = {} if nas is None else {WEB1: DISK}
    locks = {("iscsi1", "web1"): frozenset({lock})} if lock else {}
    return Facts(hosts, (NasFacts("nas1", (STORE,), targets, nas),), locks, silent)


def verdicts(seen: Facts) -> list[tuple[str | None, str]]:
    return [(login.host, login.verdict.value) for login in logins(seen)]


CASES: dict[str, tuple[Facts, list[tuple[str | None, str]]]] = {
    "nobody": (facts(host("hv1")), []),
    "a guest that runs": (facts(host("hv1", up()), nas=(told("hv1.lab"),), lock="hv1.lab"), [("hv1", "in use")]),
    "attached, and no guest": (facts(host("hv1", up()), nas=(told("hv1.lab"),)), [("hv1", "idle")]),
    "attached, and the guest is another host's": (
        facts(host("hv1", up()), host("hv2"), nas=(told("hv1.lab"),), lock="hv2.lab"),
        [("hv1", "idle")],
    ),
    "a lost portal": (facts(host("hv1", down()), nas=(), lock="hv1.lab"), [("hv1", "dead")]),
    "dead, and the nas has not noticed": (facts(host("hv1", down()), nas=(told("hv1.lab"),)), [("hv1", "dead")]),
    "two sessions of one host": (
        facts(host("hv1", up(), up(portal="nas1")), nas=(told("hv1.lab"), told("hv1.lab"))),
        [("hv1", "twin")],
    ),
    "two hosts": (
        facts(host("hv1", up()), host("hv2", up()), nas=(told("hv1.lab"), told("hv2.lab")), lock="hv1.lab"),
        [("hv1", "two hosts"), ("hv2", "two hosts")],
    ),
    "a second host whose session may come back": (
        facts(host("hv1", up()), host("hv2", down()), nas=(told("hv1.lab"),), lock="hv1.lab"),
        [("hv1", "two hosts"), ("hv2", "dead")],
    ),
    "two hosts of one name": (
        facts(
            HostFacts("hv1", "hv.lab", sessions=(up(),)),
            HostFacts("hv2", "hv.lab", sessions=(up(),)),
            nas=(told("hv.lab"), told("hv.lab")),
        ),
        [("hv1", "two hosts"), ("hv2", "two hosts")],
    ),
    "the nas knows nothing of it": (facts(host("hv1", up()), nas=(), lock="hv1.lab"), [("hv1", "unseen")]),
    "the nas does not answer": (facts(host("hv1", up()), nas=None, lock="hv1.lab"), [("hv1", "in use")]),
    "a guest that runs without its disk": (
        facts(host("hv1", running=True), lock="hv1.lab"),
        [("hv1", "missing")],
    ),
    "a start that has not logged in yet": (facts(host("hv1"), lock="hv1.lab"), []),
    "a session that its host has not": (facts(host("hv1"), nas=(told("hv1.lab"),)), [("hv1", "ghost")]),
    "one more than its host has": (
        facts(host("hv1", up()), nas=(told("hv1.lab"), told("hv1.lab"))),
        [("hv1", "ghost"), ("hv1", "idle")],
    ),
    "a ghost is no rival": (
        facts(host("hv1"), host("hv2", up()), nas=(told("hv1.lab"), told("hv2.lab")), lock="hv2.lab"),
        [("hv1", "ghost"), ("hv2", "in use")],
    ),
    "somebody": (facts(host("hv1"), nas=(told("laptop"),)), [(None, "stranger")]),
    "somebody beside a guest": (
        facts(host("hv1", up()), nas=(told("hv1.lab"), told("laptop")), lock="hv1.lab"),
        [("hv1", "two hosts"), (None, "two hosts")],
    ),
    "it may be the host that does not answer": (
        facts(host("hv1"), nas=(told("hv2.lab"),), silent=("hv2",)),
        [(None, "unclear")],
    ),
    "it is the host that does not answer, by the lock": (
        facts(host("hv1"), nas=(told("hv2.lab"),), silent=("hv2",), lock="hv2.lab"),
        [(None, "in use")],
    ),
    "not ours": (facts(host("hv1", up(OTHER)), nas=(told("x", OTHER),)), [("hv1", "foreign"), (None, "foreign")]),
}


@pytest.mark.parametrize("case", CASES)
def test_the_verdict(case: str) -> None:
    seen, expected = CASES[case]
    assert sorted(verdicts(seen), key=str) == sorted(expected, key=str)


def test_a_name_of_its_own_is_known_by_the_host_s_sessions() -> None:
    own = replace(up(), initiator="iqn.2020-01.org.example:blade7")
    seen = facts(host("hv1", own), nas=(NasSession(WEB1, "iqn.2020-01.org.example:blade7", "10.0.0.11"),))
    assert verdicts(seen) == [("hv1", "idle")]


def test_targets_of_one_name_on_two_nases_are_told_apart_by_the_portal() -> None:
    far = replace(STORE, name="iscsi2", nas="nas2", portal=Portal.parse("10.0.0.20"))
    second = NasFacts("nas2", (far,), {WEB1: replace(DISK, nas="nas2", datastore="iscsi2")}, (told("hv1.lab"),))
    seen = facts(host("hv1", up(portal="10.0.0.20:3260")))
    (login,) = logins(replace(seen, nases=(*seen.nases, second)))
    assert (login.nas, login.verdict) == ("nas2", Verdict.IDLE)


def test_a_nas_that_does_not_answer_leaves_the_name_to_tell() -> None:
    (login,) = logins(facts(host("hv1", up()), nas=None, lock="hv1.lab"))
    assert login.known is not None
    assert (login.known.owner, login.on_nas) == ("web1:disk0", None)


HOSTNAMES = ("hv1.lab", "hv2.lab", "hv3.lab")
SESSIONS = st.builds(
    SessionState,
    st.sampled_from([WEB1, OTHER, None]),
    st.sampled_from(["10.0.0.10:3260", "nas1", ""]),
    st.booleans(),
    st.sampled_from(["", "Connection refused"]),
    number=st.integers(1, 9),
    initiator=st.sampled_from(["", default_initiator("hv1.lab"), "iqn.2020-01.org.example:blade7"]),
)
HOSTS = st.lists(
    st.builds(
        HostFacts,
        st.sampled_from(["hv1", "hv2", "hv3"]),
        st.sampled_from(HOSTNAMES),
        st.sets(st.just("web1")).map(frozenset),
        st.lists(SESSIONS, max_size=3).map(tuple),
    ),
    max_size=3,
    unique_by=lambda one: one.name,
).map(tuple)
TOLD = st.lists(
    st.builds(
        NasSession, st.sampled_from([WEB1, OTHER]), st.sampled_from([*map(default_initiator, HOSTNAMES)]), st.just("")
    ),
    max_size=4,
).map(tuple)
FACTS = st.builds(
    lambda hosts, nas, lock, silent: facts(*hosts, nas=nas, lock=lock, silent=silent),
    HOSTS,
    st.none() | TOLD,
    st.none() | st.sampled_from(HOSTNAMES),
    st.sampled_from([(), ("hv9",)]),
)


@given(FACTS)
def test_every_session_is_in_one_login_and_none_is_invented(seen: Facts) -> None:
    found = logins(seen)
    shown = Counter(str((one.host, session)) for one in found for session in one.on_host)
    assert shown == Counter(str((host.name, session)) for host in seen.hosts for session in host.sessions)
    by_nas = Counter(str(session) for one in found for session in one.on_nas or ())
    assert by_nas == Counter(str(session) for nas in seen.nases for session in nas.sessions or ())
    assert all(one.on_host or one.on_nas or one.verdict is Verdict.MISSING for one in found)


@given(FACTS, st.randoms())
def test_the_order_in_which_they_were_asked_does_not_matter(seen: Facts, random: object) -> None:
    hosts = list(seen.hosts)
    random.shuffle(hosts)  # type: ignore[attr-defined]  # hypothesis's own Random
    assert logins(replace(seen, hosts=tuple(hosts))) == logins(seen)


@given(FACTS)
def test_nobody_is_at_ease_while_another_can_write(seen: Facts) -> None:
    """Of those logged in to our disk one is `in use` or `idle` only if it is the only one."""
    ours = [one for one in logins(seen) if one.known is not None]
    parties = [one for one in ours if one.verdict not in (Verdict.GHOST, Verdict.MISSING)]
    calm = [one for one in ours if one.verdict in (Verdict.IN_USE, Verdict.IDLE)]
    assert not calm or len(parties) == 1


@given(FACTS)
def test_in_use_is_said_only_of_whom_the_lock_names(seen: Facts) -> None:
    hostnames = {one.name: one.hostname for one in seen.hosts}
    holders = seen.locks.get(("iscsi1", "web1"), frozenset())

    def is_holder(login: Login) -> bool:
        if login.host is not None:
            return hostnames[login.host] in holders
        return login.initiator in {default_initiator(holder) for holder in holders}

    assert all(is_holder(one) for one in logins(seen) if one.verdict is Verdict.IN_USE)
