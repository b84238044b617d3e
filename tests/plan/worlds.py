"""A world of facts to test the engine on: steps that set them, a journal that remembers, and bad luck on demand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from pyvmiscsi.plan.intent import Intent


class Killed(BaseException):
    """The process is gone at this very point, as by kill -9: nothing may catch it."""


@dataclass
class World:
    """Facts by name, each with the operation that made it; and a log of all that happened, in order."""

    facts: dict[str, str] = field(default_factory=dict)
    intents: dict[str, Intent] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    luck: Callable[[str], None] = lambda _moment: None
    """Called before and after each effect with its name; raises what is to go wrong there."""

    def effect(self, name: str, act: Callable[[], object]) -> None:
        self.luck(f"before {name}")
        act()
        self.log.append(name)
        self.luck(f"after {name}")


@dataclass(frozen=True)
class Fact:
    """A step: the fact `title` holds, made by `maker`."""

    world: World
    title: str
    maker: str = "op1"
    signed: bool = False

    def holds(self) -> bool:
        return self.title in self.world.facts

    def make(self) -> None:
        self.world.effect(f"make {self.title}", lambda: self.world.facts.update({self.title: self.maker}))

    def undo(self) -> None:
        if self.holds():
            self.world.effect(f"undo {self.title}", lambda: self.world.facts.pop(self.title, None))


@dataclass(frozen=True)
class Broken(Fact):
    """A step whose effect never comes."""

    def make(self) -> None:
        self.world.log.append(f"make {self.title}")


@dataclass(frozen=True)
class WorldJournal:
    world: World

    def pending(self) -> tuple[Intent, ...]:
        return tuple(self.world.intents.values())

    def open(self, intent: Intent) -> None:
        self.world.effect("open", lambda: self.world.intents.update({intent.id: intent}))

    def close(self, intent: Intent) -> None:
        self.world.effect("close", lambda: self.world.intents.pop(intent.id, None))

    def withdraw(self, intent: Intent) -> None:
        self.world.effect("withdraw", lambda: self.world.intents.pop(intent.id, None))

    def has_ended(self, intent: Intent) -> bool:
        return intent.id not in self.world.intents
