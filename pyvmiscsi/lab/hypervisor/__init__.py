"""The lab's hypervisors: sandboxes with a FreeBSD face behind a real sshd.

running = start(HypervisorOptions("hv1", directory, shared_config=conf, authorized_key=key))
…ssh -p {running.port} {running.user}@127.0.0.1 iscsictl -L…
stop(running)
"""

from pyvmiscsi.lab.hypervisor.control import Control
from pyvmiscsi.lab.hypervisor.life import start, stop
from pyvmiscsi.lab.hypervisor.options import HypervisorOptions, RunningHypervisor

__all__ = ["Control", "HypervisorOptions", "RunningHypervisor", "start", "stop"]
