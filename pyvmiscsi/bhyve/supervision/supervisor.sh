# Keeps one guest running and cleans up after it. It needs FreeBSD's base system and no control host.
# Above this line stand the values it works with, which supervisor.py explains, and what is in supervisor_records.sh and
# supervisor_sessions.sh.
#
#   TERM, INT  the guest is asked to power off (ACPI), each time again; no deadline, but see LOST_DEADLINE
#   USR1       the guest is ended now
#   USR2       the run of bhyve whose process id is in `again` is asked to power off, and started again then
#
# Run as `supervisor.sh end PID` it ends a bhyve whose supervisor is gone, and cleans up after both.
#
# Everything it touches before the disks are gone is local: the directory with the guest's configuration may be on
# the very NAS that is lost. No file that cannot be written ends it: a redirection that fails ends a shell only when
# it stands at a special command (`exec`, `:`), so none stands there untried.

set -u
exec </dev/null
true >>"$LOG" || LOG=/dev/null
exec >>"$LOG" 2>&1

asked=         # `asked`, once somebody wants the guest to power off
forced=        # `forced`, once it is to be ended
again=         # `again`, once it is to power off and come back; `wished`, until it is known which run was meant
stop=          # the gravest of these three, which traps set without a look: they interrupt each other
pressed=       # yes, once its power button was pressed for that
phase=starting # what the status file says meanwhile
child=         # the process id of what runs for the guest: its prestart program, its loader, bhyve
this_run=      # that of bhyve, from its start until it is known whether there is another
lost_since=    # when a session was first seen to be down
taken_away=    # yes, once the guest has no session any more
status=        # of that process, once it has ended
reason=        # why the guest ended, in words
place=         # the file that makes this process the guest's supervisor
whose=         # the operation of the one that was there before
complaints=    # the file with what the process says
console=       # the process id of what writes the console log

# A signal ends the wait at once, so that no tick delays it.
pause() {
    heed
    case $stop$phase in running) "$SLEEP" "$TICK" & ;; *) "$SLEEP" "$QUICK_TICK" & ;; esac
    wait $!
    heed
}

heed() {
    [ "$again" != wished ] || weigh_wish
    case $forced$asked$again in
    *forced*) stop=forced ;;
    *asked*) stop=asked ;;
    *) stop=$again ;;
    esac
}

# Somebody has seen a run and wants another. By now there may be one: it is not asked to go for that.
weigh_wish() {
    again='' meant=
    read -r meant <"$RUN/again"
    if [ -n "$this_run" ] && [ "$meant" = "$this_run" ]; then
        again=again pressed=
    else
        say "asked to restart process $meant, which has ended by now"
    fi
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
    case $phase in
    running | ending) "$BHYVECTL" --vm="$NAME" --force-poweroff & ;;
    *) kill -TERM "$child" ;;
    esac
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

# Its system hears the button once it has enabled ACPI. Before that the signal ends bhyve, as it ends what runs before.
press_button() {
    [ -z "$pressed" ] || return
    pressed=yes
    say "asking the guest to power off"
    kill -TERM "$child"
}

# attend: see the child through to its end; its exit status is in $status
attend() {
    looked=0
    while is_alive; do
        pause
        looked=$((looked + 1))
        if [ "$looked" -ge "$WATCH_TICKS" ]; then
            looked=0
            watch_sessions
            bound "$complaints" "$MOST_COMPLAINTS"
            [ -z "$console" ] || bound "$CONSOLE_LOG" "$LONGEST_LOG"
        fi
        case $stop in
        forced) end_by_force ;;
        asked)
            press_button
            if is_lost_for "$LOST_DEADLINE"; then
                say "no session for $LOST_DEADLINE s: the disks go first, then the guest"
                end_by_force
            fi
            ;;
        again) press_button ;;
        *)
            if [ -n "$lost_since" ] && is_stuck_exiting; then
                say "bhyve has ended and cannot close a lost disk"
                take_sessions_away
            fi
            ;;
        esac
    done
    wait "$child"
    status=$?
    child=
    heed
}

is_to_end() {
    case $stop in asked | forced) return 0 ;; esac
    return 1
}

destroy_vm() {
    [ -e "$VMM/$NAME" ] || return 0
    "$BHYVECTL" --vm="$NAME" --destroy
}

# One that somebody destroyed meanwhile may be another guest's by now, under the same name (vm-bhyve's description).
destroy_taps() {
    for tap in $TAPS; do
        case $("$IFCONFIG" "$tap") in
        *"description: vmnet/$NAME/"*) "$IFCONFIG" "$tap" destroy ;;
        *) say "$tap is not its tap any more, and stays" ;;
        esac
    done
}

clean_up() {
    tell ending "$status" "$reason"
    take_sessions_away # first: a dead disk that bhyve had written to holds up the whole host until then
    destroy_vm
    destroy_taps
    "$RM" -f "$CONSOLE" "$RESTART" # a wish that came too late is not the next run's
    if [ -n "$DEBUG" ] && [ -n "$complaints" ]; then "$CP" "$complaints" "$DEBUG"; fi
    release_lock
}

# run COMMAND PHASE: with what the guest prints and hears, to its end
run() {
    begin_console
    if [ -n "$console" ]; then
        with_console "$1"
    else
        "$1" 2>>"$complaints" &
        child=$!
    fi
    if [ "$2" = running ]; then
        this_run=$child
        limit
    fi
    tell "$2"
    attend
    end_console
}

# Nothing that ran before says anything about this run.
forget_complaints() {
    complaints=$RUN/stderr
    if ! true >"$complaints"; then complaints=/dev/null; fi
}

# The program that vm-bhyve calls `prestart`: what comes of it does not matter, unless the guest is to end meanwhile.
run_prestart() {
    [ -n "$PRESTART" ] || return
    say "running $PRESTART"
    prestart &
    child=$!
    tell "$phase"
    attend
    [ "$status" -eq 0 ] || say "$PRESTART ended with status $status"
}

# As vm-bhyve has it, but as soon as the process is there.
limit() {
    if [ -n "$PRIORITY" ]; then "$RENICE" "$PRIORITY" "$child"; fi
    for rule in $LIMITS; do
        if "$RCTL" -a "process:$child:$rule"; then say "limited: $rule"; else say "not limited: $rule"; fi
    done
}

in_words() {
    case $1 in
    0) reason="guest rebooted" ;;
    1) reason="guest powered off" ;;
    2) reason="guest halted" ;;
    3) reason="triple fault" ;;
    12[89] | 1[3-9]? | 2??) reason="bhyve was killed by signal $(($1 - 128))" ;;
    *) reason="bhyve failed" ;;
    esac
}

# bhyve ends with 1 for a bad option, too, but at once and with a complaint.
has_refused() {
    [ "$status" -eq 1 ] && [ -s "$complaints" ] && [ $(($(now) - started)) -lt "$REFUSING" ]
}

# The file by which vm-bhyve's `vm restart` tells that a guest which powers off is to come back. It lies beside the
# configuration: not looked for while a disk is lost.
is_to_come_back() {
    [ "$stop" != again ] || return 0
    [ -z "$lost_since" ] && [ -e "$RESTART" ] && "$RM" -f "$RESTART"
}

# starts_again: whether bhyve, which ended with $status, is started again; $outcome, and $reason, say what it was
starts_again() {
    outcome=failed
    in_words "$status"
    if has_refused; then
        reason="bhyve refused to start"
        return 1
    fi
    case $status in 0 | 1 | 2) outcome=stopped ;; esac
    case $stop in
    forced) outcome=stopped reason="ended by force" ;;
    asked) [ "$outcome" = stopped ] || { outcome=stopped; reason="ended by force"; } ;;
    esac
    if [ "$status" -eq 143 ] && [ "$pressed" = yes ] && [ "$stop" != forced ]; then
        outcome=stopped reason="ended before its system knew a power button"
    fi
    if is_to_end; then return 1; fi
    case $outcome$status in
    stopped0) [ "$stop" = again ] || [ "$ON_RESTART" = restart ] ;;
    stopped*) is_to_come_back ;;
    # what fails as soon as it starts would fail again, for ever
    *) [ "$ON_FAULT" = restart ] && [ $(($(now) - started)) -ge "$FAULT_AGAIN" ] ;;
    esac
}

# run_guest: until it powers off or fails; $outcome, $status and $reason say how it ended
run_guest() {
    while :; do
        outcome=failed
        destroy_vm
        if ! wait_for_sessions; then
            reason="no session to a disk"
            if is_to_end; then outcome=stopped; fi
            return
        fi
        forget_complaints
        run_prestart
        if [ -n "$LOADER" ] && ! is_to_end; then
            run "${FIRST}loader" loading
        fi
        heed
        if is_to_end; then
            outcome=stopped reason="ended before it started"
            return
        fi
        if [ -n "$LOADER" ] && [ "$status" -ne 0 ]; then
            reason="the loader failed"
            return
        fi
        started=$(now)
        run "${FIRST}bhyve" running
        "$CAT" "$complaints"
        say "bhyve exited with status $status"
        starts_again || return
        this_run='' again='' pressed='' FIRST=''
        say "$reason: starting it again"
        tell rebooting
        keep_log_short
    done
}

trap 'asked=asked pressed=' TERM INT
trap 'forced=forced' USR1
trap 'again=wished' USR2
trap '' HUP

waited_until=$(($(now) + FORCE_DEADLINE))
until take_place; do
    if [ "$whose" = "$OPERATION" ]; then
        say "this operation looks after $NAME already"
        exit 0 # a start that was resumed finds its supervisor there
    fi
    # Whoever was there before let go of the lock that is ours now: it is saying its last words.
    if ! holds "$LOCK.op" || [ "$(now)" -ge "$waited_until" ]; then
        refuse "operation $whose looks after it already"
    fi
    pause
done
if [ "${1:-}" = end ]; then
    child=$2 forced=forced reason="ended by force"
    say "ending $NAME, whose supervisor is gone"
    tell ending
    while is_alive; do end_by_force; done
    clean_up
    tell stopped "" "$reason"
    exit
fi

if "$PGREP" -fx "$PROCESS" >/dev/null; then
    refuse "a bhyve of this name is running already"
fi
# A stop may have called this start off; without the lock, another host may be about to run the guest.
called_off="it was called off meanwhile: run.lock is not its own any more"
holds "$LOCK.op" || refuse "$called_off"
"$RM" -f "$RUN/refused"
keep_log_short
tell starting
# A stop takes the lock first, and looks for a supervisor second: one of the two sees the other.
if ! holds "$LOCK.op"; then
    tell failed "" "called off"
    refuse "$called_off"
fi
say "supervising $NAME for operation $OPERATION"
printf '%s' "$CONSOLES" >"$CONSOLE"
forget_medium
run_guest
clean_up
say "$outcome: $reason"
tell "$outcome" "$status" "$reason"
