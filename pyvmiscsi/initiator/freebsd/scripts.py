"""The sh scripts that the FreeBSD initiator sends to a host: one for a step, so that a step is one round trip.

The first line of each is its title: errors repeat it.

Law of them all: no disk is opened unless its session was listed as Connected just before, in the same script.
Opening a dead iSCSI disk stops GEOM for the whole host, healthy disks included, and no timeout(1) helps.
`iscsictl`, `ls` and `test` never wait for a disk.
"""

from __future__ import annotations

NO_SESSION = 75
"""Status of a script that would have opened disks: the session is not Connected any more."""

_SIGHT = r"""
iscsictl --libxo json -L -v || exit
echo
cd /dev && echo da*
if [ -z "$label" ]; then
	echo none
elif [ -e "$label" ]; then
	echo label
elif [ "$(sysctl -n kern.geom.label.disk_ident.enable 2>/dev/null)" = 0 ]; then
	echo off
else
	echo none
fi
name='[Tt][Aa][Rr][Gg][Ee][Tt][Nn][Aa][Mm][Ee]'
{
	sed 's/#.*//; y/;{}/\n\n\n/' /etc/iscsi.conf |
		sed -n "s/^.*${name}[[:space:]]*=[[:space:]]*\"\{0,1\}\([^\"[:space:]]*\).*/\1/p" | tr '\n' ' '
} 2>/dev/null
echo
"""
"""Of /etc/iscsi.conf only the targets' names are told: their secrets stand beside them."""

LOOK = f"""# look at the sessions
# $1 the label's path; the answer also tells of disk nodes, of that label, and of the targets in /etc/iscsi.conf
label=$1
{_SIGHT}"""

ADD = f"""# log in to a target
# $1 the label's path, $2 the nickname in the iscsi.conf on stdin
label=$1
umask 077
conf=$(mktemp /var/run/pyvmiscsi.XXXXXX) || exit
trap 'rm -f "$conf"' EXIT
trap 'exit 1' HUP INT PIPE TERM
cat >"$conf" && iscsictl -A -n "$2" -c "$conf" || exit
rm -f "$conf"
tenths=0
while [ -n "$label" ] && [ ! -e "$label" ] && [ $tenths -lt 10 ]; do
	sleep 0.1
	tenths=$((tenths + 1))
done
{_SIGHT}"""
"""The second that it may wait here is what a login and its disk mostly need: it saves looking again and again."""

REMOVE = f"""# log out of a target
# $1 the label's path, $2 target, $3 portal
label=$1
iscsictl -R -p "$3" -t "$2" || exit
{_SIGHT}"""

_CONNECTED = """
connected() {
	iscsictl -L | (
		while read -r target portal state rest; do
			[ "$target $portal $state" = "$1 $2 Connected:" ] && exit 0
		done
		exit 1
	)
}
"""

_IDENTITY = f"""
connected "$1" "$2" || exit {NO_SESSION}
camcontrol inquiry "$3" -S || exit
camcontrol persist "$3" -i read_res -E 2>/dev/null | tr '\\n' ' '
echo
connected "$1" "$2" || exit {NO_SESSION}
diskinfo -s "$3" && diskinfo "$3" && sysctl -b kern.geom.conftxt
"""

"""`-E`, because the first persist after somebody else's preempt or release fails, and says nothing (seen on 14.0).
Reading a reservation may fail where a target knows none: that is none."""

PROVE = f"""# ask a disk what it is
# $1 target, $2 portal, $3 daN
{_CONNECTED}{_IDENTITY}"""

REPROBE = f"""# ask a disk for its size again, and what it is
# $1 target, $2 portal, $3 daN
{_CONNECTED}
connected "$1" "$2" || exit {NO_SESSION}
camcontrol reprobe "$3" >/dev/null || exit
{_IDENTITY}"""
"""The next open of the disk reads its size anyway; reprobing needs nobody to open it (seen on 14.0)."""

OPEN_COUNTS = f"""# see which disks are open
# $1 target, $2 portal
{_CONNECTED}
connected "$1" "$2" || exit {NO_SESSION}
sysctl -b kern.geom.confxml
"""

DISKS_OPEN = """# see which disks are open, though a session is dead
sysctl -b kern.geom.confxml
"""
"""Opens no disk. GEOM answers this until somebody else has opened the dead one: then it waits, and so does this."""

PREFLIGHT = """# see whether this host is ready for iSCSI disks
say() { printf '%s\\t%s\\n' "$1" "$2"; }
say release "$(sysctl -n kern.osreldate 2>/dev/null)"
if [ -e /dev/iscsi ]; then say driver yes; else say driver no; fi
if service iscsid onestatus >/dev/null 2>&1; then say iscsid yes; else say iscsid no; fi
say iscsid_enable "$(sysrc -n iscsid_enable 2>/dev/null)"
say iscsictl_enable "$(sysrc -n iscsictl_enable 2>/dev/null)"
say fail_on_disconnection "$(sysctl -n kern.iscsi.fail_on_disconnection 2>/dev/null)"
say hostname "$(sysctl -n kern.hostname 2>/dev/null)"
say disk_ident "$(sysctl -n kern.geom.label.disk_ident.enable 2>/dev/null)"
"""
