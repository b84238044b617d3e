# Keeps one guest running and cleans up after it. It needs FreeBSD's base system and no control host.
# The values it works with stand above this line; see supervisor.py for what each of them is.
#
#   TERM, INT  the guest is asked to power off (ACPI); no deadline, but see LOST_DEADLINE
#   USR1       the guest is ended now
#
# Run as `supervisor.sh end PID` it ends a bhyve whose supervisor is gone, and cleans up after both.
#
# Everything it touches before the disks are gone is local: the directory with the guest's configuration may be on
# the very NAS that is lost.

set -u
exec </dev/null >>"$LOG" 2>&1

stop=          # asked | forced, once somebody wants the guest to end
phase=starting # what the status file says meanwhile
child=         # the process id of the loader or of bhyve
lost_since=    # when a session was first seen to be down
taken_away=    # yes, once the guest has no session any more
status=        # of the loader or of bhyve, once it has ended
reason=        # why the guest ended, in words
place=         # the file that makes this process the guest's supervisor
whose=         # the operation of the one that was there before

now() { "$DATE" +%s; }

say() { echo "$("$DATE" -u +%Y-%m-%dT%H:%M:%SZ) $*"; }

# tell PHASE [EXIT [REASON]]: the status file, replaced whole
tell() {
    phase=$1
    {
        echo "state=$phase"
        echo "operation=$OPERATION"
        case $phase in
        stopped | failed) echo "supervisor=" ;; # the number will be another process's one day
        *) echo "supervisor=$$" ;;
        esac
        echo "bhyve=${child:-}"
        echo "exit=${2:-}"
        echo "reason=${3:-}"
        echo "lost_since=$lost_since"
        echo "at=$(now)"
    } >"$RUN/status.new" && "$MV" -f "$RUN/status.new" "$RUN/status"
}

# The status is the living one's: a start that is not to be tells its reason beside it.
refuse() {
    give_up_place
    say "refused: $1"
    {
        echo "operation=$OPERATION"
        echo "reason=$1"
    } >"$RUN/refused.new" && "$MV" -f "$RUN/refused.new" "$RUN/refused"
    exit 75
}

# take_place: become the guest's supervisor; false when another process is. Whoever comes takes the number after the
# last one, and none is taken away, so that of two that find the last one dead only one comes after it.
take_place() {
    last=0
    while [ -e "$RUN/supervisor.$((last + 1))" ]; do last=$((last + 1)); done
    other=
    [ "$last" -eq 0 ] || read -r other whose <"$RUN/supervisor.$last"
    if [ "$other" != $$ ] && is_supervisor "$RUN/supervisor.sh" "$other"; then return 1; fi
    next=$RUN/supervisor.$((last + 1))
    echo "$$ $OPERATION" >"$RUN/place.$$" || return 1
    if "$LN" "$RUN/place.$$" "$next"; then place=$next; fi
    "$RM" -f "$RUN/place.$$"
    [ -n "$place" ] || { [ -e "$next" ] && take_place; }
}

give_up_place() {
    [ -z "$place" ] || : >"$place"
}

# A signal ends the wait at once, so that no tick delays it.
pause() {
    if [ -n "$stop" ]; then "$SLEEP" "$STOPPING_TICK" & else "$SLEEP" "$TICK" & fi
    wait $!
}

is_ours() {
    for target in $TARGETS; do
        [ "$1" = "$target" ] && return 0
    done
    return 1
}

# Whether each of our targets has a connected session. iscsictl answers whatever state a disk is in; nothing here
# looks at a disk, because opening a dead one stops GEOM on the whole host.
sessions_are_up() {
    [ -n "$TARGETS" ] || return 0
    listing=$("$ISCSICTL" -L) || return 0 # an unanswered question is no reason to take disks away
    up=
    while read -r target _portal state; do
        case $state in Connected:*) up="$up $target " ;; esac
    done <<END
$listing
END
    for target in $TARGETS; do
        case $up in *" $target "*) ;; *) return 1 ;; esac
    done
}

watch_sessions() {
    [ -z "$taken_away" ] || return
    if sessions_are_up; then
        [ -z "$lost_since" ] && return
        lost_since=
        say "all sessions are connected again"
    else
        [ -n "$lost_since" ] && return
        lost_since=$(now)
        say "a session is not connected: the guest waits for its disk"
    fi
    tell "$phase"
}

is_lost_for() {
    [ -n "$lost_since" ] && [ $(($(now) - lost_since)) -ge "$1" ]
}

# Our sessions, each by the portal that the host itself spells.
take_sessions_away() {
    [ -n "$TARGETS" ] || return
    taken_away=yes
    listing=$("$ISCSICTL" -L) || say "iscsictl gave no list of sessions"
    while read -r target portal _state; do
        is_ours "$target" || continue
        if "$ISCSICTL" -R -p "$portal" -t "$target"; then
            say "logged out of $target at $portal"
        fi
    done <<END
$listing
END
    lost_since=
}

is_alive() { kill -0 "$child" 2>/dev/null; }

# A process that exits but cannot close its dead disk: everybody else's disks hang with it.
is_stuck_exiting() {
    case $("$PS" -o state= -p "$child") in *E*) return 0 ;; esac
    return 1
}

end_by_force() {
    if [ -n "$lost_since" ] || ! sessions_are_up; then
        take_sessions_away
    fi
    "$BHYVECTL" --vm="$NAME" --force-poweroff &
    until_gone "$FORCE_DEADLINE" && return
    say "bhyve is still there: its disks go first, then it is killed"
    take_sessions_away
    kill -KILL "$child"
    until_gone "$FORCE_DEADLINE" || say "bhyve does not go; waiting for it"
}

# until_gone SECONDS
until_gone() {
    end=$(($(now) + $1))
    while is_alive; do
        [ "$(now)" -lt "$end" ] || return 1
        pause
    done
}

# attend: see the child through to its end; its exit status is in $status
attend() {
    pressed=
    looked=0
    while is_alive; do
        pause
        looked=$((looked + 1))
        if [ "$looked" -ge "$WATCH_TICKS" ]; then
            looked=0
            watch_sessions
        fi
        if [ "$stop" = forced ]; then
            end_by_force
        elif [ "$stop" = asked ]; then
            [ -n "$pressed" ] || { say "asking the guest to power off"; kill -TERM "$child"; }
            pressed=yes
            if is_lost_for "$LOST_DEADLINE"; then
                say "no session for $LOST_DEADLINE s: the disks go first, then the guest"
                end_by_force
            fi
        elif [ -n "$lost_since" ] && is_stuck_exiting; then
            say "bhyve has ended and cannot close a lost disk"
            take_sessions_away
        fi
    done
    wait "$child"
    status=$?
    child=
}

# A start must not open a dead disk.
wait_for_sessions() {
    end=$(($(now) + READY_DEADLINE))
    until sessions_are_up; do
        if [ -n "$stop" ] || [ "$(now)" -ge "$end" ]; then return 1; fi
        pause
    done
}

destroy_vm() {
    [ -e "$VMM/$NAME" ] || return 0
    "$BHYVECTL" --vm="$NAME" --destroy
}

holds() {
    operation=
    [ -e "$1" ] && read -r operation <"$1"
    [ "$operation" = "$OPERATION" ]
}

release_lock() {
    if holds "$LOCK.op"; then
        "$RM" -f "$LOCK.op" "$LOCK"
    else
        say "run.lock belongs to somebody else now, and stays"
    fi
    if holds "$RUN/claim"; then
        "$RM" -f "$RUN/claim"
    fi
}

clean_up() {
    tell ending "$status" "$reason"
    take_sessions_away # first: a dead disk that bhyve had written to holds up the whole host until then
    destroy_vm
    for tap in $TAPS; do
        "$IFCONFIG" "$tap" destroy
    done
    "$RM" -f "$CONSOLE"
    release_lock
}

# run_guest: until it powers off or fails; $outcome, $status and $reason say how it ended
run_guest() {
    outcome=failed
    while :; do
        destroy_vm
        wait_for_sessions || { reason="no session to a disk"; return; }
        : >"$RUN/stderr"
        if [ -n "$LOADER" ]; then
            loader 2>"$RUN/stderr" &
            child=$!
            tell loading
            attend
            [ "$status" -eq 0 ] || { reason="the loader failed"; return; }
            [ -z "$stop" ] || { outcome=stopped reason="ended before it started"; return; }
        fi
        started=$(now)
        bhyve 2>"$RUN/stderr" &
        child=$!
        tell running
        attend
        "$CAT" "$RUN/stderr"
        say "bhyve exited with status $status"
        case $status in
        0) reason="guest rebooted" ;;
        1) reason="guest powered off" ;;
        2) reason="guest halted" ;;
        3) reason="triple fault" ;;
        12[89] | 1[3-9]? | 2??) reason="bhyve was killed by signal $((status - 128))" ;;
        *) reason="bhyve failed" ;;
        esac
        if [ "$status" -ne 0 ] || [ -n "$stop" ]; then break; fi
        say "$reason: starting it again"
        tell rebooting
    done
    case $status in
    0 | 2) outcome=stopped ;;
    # bhyve ends with 1 for a bad option, too, but at once and with a complaint
    1)
        if [ -s "$RUN/stderr" ] && [ $(($(now) - started)) -lt "$REFUSING" ]; then
            reason="bhyve refused to start"
        else
            outcome=stopped
        fi
        ;;
    *) [ -z "$stop" ] || { outcome=stopped; reason="ended by force"; } ;;
    esac
}

trap 'stop=${stop:-asked}' TERM INT
trap 'stop=forced' USR1
trap '' HUP

if ! take_place; then
    say "operation $whose looks after $NAME already"
    [ "$whose" != "$OPERATION" ] || exit 0 # a start that was resumed finds its supervisor there
    refuse "operation $whose looks after it already"
fi
if [ "${1:-}" = end ]; then
    child=$2 stop=forced reason="ended by force"
    say "ending $NAME, whose supervisor is gone"
    tell ending
    while is_alive; do end_by_force; done
    clean_up
    give_up_place
    tell stopped "" "$reason"
    exit
fi

if "$PGREP" -fx "$PROCESS" >/dev/null; then
    refuse "a bhyve of this name is running already"
fi
# A stop may have called this start off; without the lock, another host may be about to run the guest.
if ! holds "$LOCK.op"; then
    refuse "it was called off meanwhile: run.lock is not its own any more"
fi
"$RM" -f "$RUN/refused"
tell starting
say "supervising $NAME for operation $OPERATION"
printf '%s' "$CONSOLES" >"$CONSOLE"
run_guest
clean_up
say "$outcome: $reason"
give_up_place
tell "$outcome" "$status" "$reason"
