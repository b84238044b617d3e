"""The sh scripts that the Linux initiator sends to a host: one for a step, so that a step is one round trip.

The first line of each is its title: errors repeat it.

Sessions are read from sysfs, not from `iscsiadm -m session`: the kernel's attributes are one value a file, also while
iscsid does not answer, and libopeniscsiusr reads the same ones (session.c, sysfs.c of open-iscsi 2.1.11):

    /sys/class/iscsi_session/session<id>/{targetname,state,initiatorname}
    /sys/class/iscsi_connection/connection<id>:0/persistent_{address,port}   what was logged in to, before any redirect
    /sys/class/iscsi_session/session<id>/device/target*/<H:C:T:L>/block/sd*

Law of them all: no disk is asked anything unless its session was LOGGED_IN just before, in the same script. A command
to the disk of a lost session waits until the session is back, or `recovery_tmo` is over: two minutes by default.
"""

from __future__ import annotations

NO_SESSION = 75
"""Status of a script that would have asked a disk: its session is not LOGGED_IN any more."""

AUTOMATIC = 76
"""Status of LOG_IN: somebody else's record makes this host log in to the target at boot."""

MARK = "# made by pyvmiscsi"
"""The last line of the node records that we make: open-iscsi reads it as a comment, and drops it when it rewrites one.

So a record that somebody has changed since is not ours any more, and is left alone.
"""

_READ = """
of() {
	value=
	{ IFS= read -r value <"$1"; } 2>/dev/null
}
"""
"""`of FILE` puts its first line into `value`: a builtin, where a process for each attribute would take seconds."""

_SIGHT = f"""{_READ}
tab=$(printf '\\t')
for session in /sys/class/iscsi_session/session*; do
	id=${{session##*/session}}
	connection=/sys/class/iscsi_connection/connection$id:0
	of "$session/targetname"
	name=$value
	[ -n "$name" ] || continue
	row="session$tab$id$tab$name"
	for file in "$session/state" "$connection/persistent_address" "$connection/persistent_port" \\
		"$session/initiatorname"; do
		of "$file"
		row="$row$tab$value"
	done
	printf '%s\\n' "$row"
	for block in "$session"/device/target*/*:*:*:*/block/*; do
		[ -e "$block" ] || continue
		disk=${{block##*/}}
		unit=${{block%/block/*}}
		node=no
		[ ! -b "/dev/$disk" ] || node=yes
		printf 'disk\\t%s\\t%s\\t%s\\t%s\\n' "$id" "${{unit##*:}}" "$disk" "$node"
	done
done
if [ -n "$target" ]; then
	for link in /dev/disk/by-path/*-iscsi-"$target"-lun-*; do
		[ -e "$link" ] || continue
		disk=$(readlink -f -- "$link")
		printf 'link\\t%s\\t%s\\n' "${{disk##*/}}" "$link"
	done
fi
echo end
"""

LOOK = f"""# look at the sessions
# $1 the target whose links in /dev/disk/by-path are told too, or nothing
target=$1
{_SIGHT}"""

_RECORDS = f"""
records() {{
	for root in /etc/iscsi /var/lib/iscsi; do
		# shellcheck disable=SC2231 # $1 is a pattern
		for file in "$root/nodes/$target/"$1 "$root/nodes/$target/"$1,*/default; do
			[ ! -f "$file" ] || printf '%s\\n' "$file"
		done
	done
}}
ours() {{
	[ "$(tail -n 1 -- "$1")" = '{MARK}' ]
}}
"""
"""`records PATTERN` lists the records of $target at the places `<address>,<port>` that fit it.

The directory is fixed when open-iscsi is built: /etc/iscsi (Debian and older ones) or /var/lib/iscsi (README, DBROOT).
A record is the file `<address>,<port>` when no portal group tag was given, and `<address>,<port>,<tag>/<iface>`
otherwise (idbm.c, idbm_rec_write_old and idbm_rec_write_new).
"""

LOG_IN = f"""# log in to a target
# $1 target, $2 portal, $3 <address>,<port> of the portal, $4 seconds it may take; stdin: what to add to the record
target=$1
umask 077
{_RECORDS}
lines=$(cat)
case $lines in
*'{MARK}') ;;
*) echo "the record's lines were cut short" >&2; exit 1 ;;
esac
shown=$(iscsiadm -m node -T "$1" -p "$2" -I default -o show)
found=$?
whose=ours
if [ $found -eq 0 ]; then
	whose=theirs
	for file in $(records "$3"); do
		if ours "$file"; then whose=ours; fi
	done
elif [ $found -ne 21 ]; then
	exit $found
fi
if [ $whose = theirs ]; then
	case $shown in
	*'node.startup = automatic'* | *'node.startup = onboot'*) exit {AUTOMATIC} ;;
	esac
else
	iscsiadm -m node -T "$1" -p "$2" -I default -o new >/dev/null || exit
	made=
	for file in $(records "$3"); do
		# shellcheck disable=SC3013 # dash, bash and busybox all know -nt
		if [ -z "$made" ] || [ "$file" -nt "$made" ]; then made=$file; fi
	done
	if [ -z "$made" ]; then
		echo "iscsiadm made a node record for $2, but it is neither in /etc/iscsi nor in /var/lib/iscsi" >&2
		exit 1
	fi
	chmod 600 "$made" && printf '%s\\n' "$lines" >>"$made" || exit
fi
timeout "$4" iscsiadm -m node -T "$1" -p "$2" -I default --login >/dev/null
printf 'login\\t%s\\t%s\\n' $? $whose
{_SIGHT}"""
"""A later line of a record wins over an earlier one (idbm.c, idbm_recinfo_config), so that adding is changing.

`-o new` is given one portal and no portal group tag; it takes the host's own defaults from iscsid.conf. It would
replace a record that is there: so it is only called where there is none (status 21), or ours.
"""

LOG_OUT = f"""# log out of a target
# $1 target, $2 the ids of the sessions to end, between blanks
target=$1
{_READ}{_RECORDS}
for id in $2; do
	of "/sys/class/iscsi_session/session$id/targetname"
	[ "$value" = "$target" ] || continue
	iscsiadm -m session -r "$id" -u >/dev/null
	status=$?
	[ $status -eq 0 ] || printf 'logout\\t%s\\t%s\\n' "$id" $status
done
for file in $(records '*,*'); do
	ours "$file" || continue
	while read -r name _ value; do
		case $name in
		'node.conn[0].address') address=$value ;;
		'node.conn[0].port') port=$value ;;
		esac
	done <"$file"
	case $address in
	*:*) address="[$address]" ;;
	esac
	iscsiadm -m node -T "$target" -p "$address:$port" -I default -o delete >/dev/null 2>&1
done
{_SIGHT}"""
"""Records of ours go with the sessions; iscsiadm itself keeps one that another session still uses (delete_node)."""

_LIVE = f"""{_READ}
live() {{
	of "/sys/class/iscsi_session/session$1/targetname"
	[ "$value" = "$2" ] || exit {NO_SESSION}
	of "/sys/class/iscsi_session/session$1/state"
	[ "$value" = LOGGED_IN ] || exit {NO_SESSION}
	for block in "/sys/class/iscsi_session/session$1/device/"target*/*:*:*:*/block/"$3"; do
		[ -e "$block" ] || exit {NO_SESSION}
	done
}}
"""

ASK = f"""# ask a disk what it is
# $1 the id of its session, $2 target, $3 sdX
{_LIVE}
live "$1" "$2" "$3"
disk=/sys/block/$3
of "$disk/device/state"
if [ "$value" != running ]; then echo "$3 is $value" >&2; exit {NO_SESSION}; fi
echo 1 >"$disk/device/rescan" || exit
live "$1" "$2" "$3"
for file in size queue/logical_block_size queue/physical_block_size; do
	of "$disk/$file"
	printf '%s\\t%s\\n' "${{file##*/}}" "$value"
done
printf 'serial\\t%s\\n' "$(od -An -v -tx1 "$disk/device/vpd_pg80" 2>/dev/null | tr -d ' \\n')"
"""
"""The rescan makes the kernel ask the disk for its serial and its size again (scsi_rescan_device of scsi_scan.c: the
VPD pages since Linux 4.5), so that what sysfs then says is what the disk says now. It opens nothing, and whoever uses
the disk meanwhile notices nothing but another size.
"""

USES = """# see who uses the disks of a session
# $1 the disks, between blanks
for disk in $1; do
	for holder in "/sys/block/$disk/holders/"* "/sys/block/$disk/$disk"*/holders/*; do
		[ ! -e "$holder" ] || printf 'held\\t%s\\t%s\\n' "$disk" "${holder##*/}"
	done
	for file in "/sys/block/$disk/dev" "/sys/block/$disk/$disk"*/dev; do
		[ ! -e "$file" ] || printf 'number\\t%s\\t%s\\n' "$disk" "$(cat "$file")"
	done
done
for file in /sys/block/loop*/loop/backing_file; do
	loop=${file%/loop/*}
	[ ! -e "$file" ] || printf 'loop\\t%s\\t%s\\n' "${loop##*/}" "$(cat "$file")"
done
echo mounts
cat /proc/1/mountinfo || exit
echo swaps
cat /proc/swaps
echo processes
cat /proc/[0-9]*/stat 2>/dev/null
echo files
# shellcheck disable=SC2010 # what the links lead to is looked at, not their names
ls -l /proc/[0-9]*/fd 2>/dev/null | grep -e '^/proc/' -e ' -> /dev/sd'
echo pools
[ ! -d /sys/module/zfs ] || timeout 20 zpool status -P -L 2>&1 || echo "unknown: $?"
exit 0
"""
"""Nothing of this touches a disk: `ls -l` reads where a link leads, and does not go there, and `zpool status` tells
what the kernel knows.

The mounts are those of process 1, whatever namespace an SSH session is in.
"""

TARGETS = """# ask a portal for its targets
# $1 portal
timeout 20 iscsiadm -m discovery -t sendtargets -p "$1" -I default -o nonpersistent
"""

PREFLIGHT = """# see whether this host is ready for iSCSI disks
say() { printf '%s\\t%s\\n' "$1" "$2"; }
say system "$(uname -s)"
say release "$(uname -r)"
if command -v iscsiadm >/dev/null; then say iscsiadm yes; else say iscsiadm no; fi
if grep -q '@ISCSIADM_ABSTRACT_NAMESPACE' /proc/net/unix; then say iscsid yes; else say iscsid no; fi
if [ -e /sys/class/iscsi_transport/tcp ] || modprobe -n iscsi_tcp 2>/dev/null; then
	say driver yes
else
	say driver no
fi
setting() { sed -n "s/^[[:space:]]*$1[[:space:]]*=[[:space:]]*//p" "/etc/iscsi/$2" 2>/dev/null; }
say initiator "$(setting InitiatorName initiatorname.iscsi)"
say startup "$(setting node.startup iscsid.conf)"
if pgrep -x multipathd >/dev/null 2>&1; then say multipathd yes; else say multipathd no; fi
"""
"""iscsid, or systemd in its place, listens on an abstract socket of that name (mgmt_ipc.h, iscsid.socket)."""
