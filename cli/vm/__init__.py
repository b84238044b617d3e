"""`pyvmiscsi vm`: guests. A module is imported when one of its verbs was typed; help for all needs none of them."""

VERBS = {
    "create": ("life", "Make a guest: volumes, CHAP account, targets, extents, LUNs and its configuration."),
    "templates": ("life", "The templates that guests of a datastore can be made from."),
    "list": ("life", "Every guest of every datastore, or of one."),
    "info": ("life", "A guest, its disks, volumes, extents, targets, sessions and devices in one view."),
    "start": ("life", "Log the hypervisor in to the guest's disks, prove them, and run the guest."),
    "install": ("installing", "Start a guest with an installation medium in its drive, until it reboots."),
    "cloud-init": ("telling", "Change what a stopped guest's cloud-init reads; what is not given stays as it was."),
    "iso": ("installing", "The installation media on a hypervisor: list them, fetch one, or let one go."),
    "stop": ("life", "Press the guest's power button, and see its disks logged out."),
    "restart": (
        "power",
        "Have a guest power off and run again at once, with the disks, sessions and settings that it has.",
    ),
    "reset": ("power", "Press a guest's reset button: what it has not written yet is lost, and it runs again at once."),
    "poweroff": ("power", "Take a guest's power away: what it has not written yet is lost. Its disks are logged out."),
    "startall": ("power", "Start on each hypervisor what its own vm_list names, in that order, vm_delay apart."),
    "stopall": (
        "power",
        "Press the power button of every guest that runs, those of vm_list from its end, and see all disks logged out.",
    ),
    "log": ("watching", "What was done with a guest and how it ended, as its hypervisor wrote it down."),
    "console": ("watching", "The guest's serial console on this terminal; `~.` leaves it."),
    "set": (
        "configuring",
        "Change keys of a guest's configuration. What would keep the guest from starting is refused.",
    ),
    "configure": (
        "configuring",
        "Open a guest's configuration in $EDITOR. What would keep the guest from starting is refused, and kept.",
    ),
    "add": ("devices", "Give a stopped guest another disk or network. None of its other devices moves."),
    "remove": ("devices", "Take a disk or network from a stopped guest. None of its other devices moves."),
    "resize": ("resizing", "Make a disk larger, also while the guest runs. It is never made smaller."),
    "chap": ("chap", "A guest's CHAP account: rotate."),
    "snapshot": ("snapshots", "Keep what all disks of a guest are at one moment, and its configuration."),
    "snapshots": ("snapshots", "A guest's snapshots, oldest first."),
    "rollback": ("snapshots", "Make all disks of a stopped guest what they were. What was written since is lost."),
    "clone": ("copies", "Make another guest of this one, at once: its disks are clones, its identity is its own."),
    "rename": ("naming", "Call a stopped guest something else: on the nas, in the config path, everything of it."),
    "promote": ("copies", "Have what a guest was cloned from depend on it, and no longer it on that."),
    "tree": ("copies", "Which disk is a clone of which: of all guests and images, or of one guest."),
    "destroy": ("life", "Everything of the guest goes, on the nas too. There is no way back."),
}
"""Verb -> (module, help). The module's app has the command of this name, or else is the group of this name."""
