"""Facts about the secrets of CHAP accounts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pyvmiscsi.names import DatasetPath
from pyvmiscsi.plan.intent import mark, read_mark
from pyvmiscsi.ports import Nas
from pyvmiscsi.secrets import generate_chap_secret
from pyvmiscsi.steps.announced import marks_of


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Another nas than the one with the guest's marks has the account, too; the guest's first, second, …."""

    nas: Nas
    name: str
    number: int


@dataclass(frozen=True, slots=True)
class SecretRotated:
    """The account has a secret that nobody knew before this operation; with mutual CHAP the nas's own is new, too.

    Nothing else than the nas keeps it, so a mark tells which operation made it. Whoever is cut off between secret and
    mark makes another one: that is as good, for nobody has read the first.
    """

    nas: Nas
    anchor: DatasetPath
    tag: int
    user: str
    mutual: bool
    operation: str
    elsewhere: Elsewhere | None = None
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        on = f" on nas {self.elsewhere.name}" if self.elsewhere else ""
        return f"new {'secrets' if self.mutual else 'secret'} of CHAP account {self.user}{on}"

    def holds(self) -> bool:
        return read_mark(self.anchor, self._mark, marks_of(self.nas, self.anchor)) == self._note

    def make(self) -> None:
        peer = generate_chap_secret() if self.mutual else None
        nas = self.elsewhere.nas if self.elsewhere else self.nas
        nas.change_credential(self.tag, self.user, secret=generate_chap_secret(), peer_secret=peer)
        self.nas.change_marks(self.anchor, mark(self.anchor, self._mark, self._note))

    def undo(self) -> None:
        """The old secret is known to nobody any more; plans put this step past the point of no return."""

    @property
    def _mark(self) -> str:
        return f"rotated-{self.elsewhere.number}" if self.elsewhere else "rotated"

    @property
    def _note(self) -> dict[str, str]:
        return {"op": self.operation, "account": self.user}
